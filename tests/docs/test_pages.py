"""What the documentation says holds: commands parse, Python runs, links lead somewhere, generated pages are current."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from distiltune.cli import app
from tests.helpers import TINY, people, write_squad, write_tiny_model

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NOT_RUN = ("serve", "push")  # they need a port or the hub, and have tests of their own

RUN = ("csv", "classify-texts", "mark-entities", "unanswerable", "long-documents", "onnx", "from-pipelines")
EXTRAS = {"how-to/onnx": ("onnxscript", "onnxruntime"), "how-to/long-documents": ("bm25s",)}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of that language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def in_order(page: Path) -> list[tuple[str, str, str]]:
    """All code blocks of a page as (language, title, code)."""
    found = re.findall(
        r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [(language, title, code) for language, title, code in found]


def commands(page: Path) -> list[str]:
    """Every `distiltune` command on a page, continued lines joined."""
    text = "\n".join(blocks(page, "console") + blocks(page, "sh")).replace("\\\n", " ")
    return [line.lstrip("$ ") for line in text.splitlines() if line.lstrip("$ ").startswith("distiltune ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    group = typer.main.get_command(app)
    for line in commands(page):
        _, name, *arguments = shlex.split(line, comments=True)
        command = group.commands[name]  # type: ignore[attr-defined]
        command.make_context(name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_make_setup_installs_what_the_readme_runs() -> None:
    """A newcomer follows it from `make quickstart` on, and adds nothing."""
    extras = {"serve": "serve", "export": "export", "tune": "tune"}
    needed = {extras[name] for _, name, *_ in map(shlex.split, commands(ROOT / "README.md")) if name in extras}
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("$(VENV)/.user:")[2].partition("\n\n")[0]
    installed = re.findall(r"'\.\[([\w,-]+)\]'", recipe)
    assert "serve" in needed <= set(",".join(installed).split(","))


def test_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, in order, with a tiny model in place of the one that it names."""
    known = people()
    write_squad(tmp_path / "train.json", known.examples)
    write_squad(tmp_path / "dev.json", known.examples[:8])
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=384)
    write_tiny_model(tmp_path / "tiny", known.tokenizer, config)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.py").write_text(
        "\n".join(blocks(ROOT / "docs" / "python.md", "python")).replace('"starter"', '"./tiny"'), encoding="utf-8"
    )
    runpy.run_path(str(tmp_path / "page.py"))
    assert (tmp_path / "answers" / "predictions.json").is_file()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to work in, with a tiny model."""
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=384)
    write_tiny_model(tmp_path / "tiny", known.tokenizer, config)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["tutorial", *(f"how-to/{name}" for name in RUN)])
def test_a_page_can_be_followed(name: str, desk: Path) -> None:
    """From top to bottom: its files written, its commands and its Python run, with a tiny model in place of the one
    that it names."""
    for extra in EXTRAS.get(name, ()):
        pytest.importorskip(extra, reason="needs the extra `dev`")
    spoken: dict[str, object] = {}
    n_run = 0
    for language, title, code in in_order(ROOT / "docs" / f"{name}.md"):
        if language == "console":
            for line in (line.removeprefix("$ ") for line in code.splitlines()):
                words = shlex.split(line.replace("distilbert-base-uncased", "./tiny"))
                if words[0] == "distiltune" and words[1] not in NOT_RUN:
                    app(words[1:], standalone_mode=False)
                    n_run += 1
        elif language == "python":
            exec(compile(code, f"{name}.md", "exec"), spoken)
            n_run += 1
        else:
            assert title, f"a block of {language} that is no file"
            (desk / title).write_text(code, encoding="utf-8")
    assert n_run


def test_the_client_of_the_serving_page_runs(
    people_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits
    from distiltune.tasks.question_answering.answerer import Answerer
    from distiltune.tasks.question_answering.service import question_answering_app
    from tests.serving.in_thread import serve_in_thread

    app = question_answering_app(Answerer(people_model, threads=1), "people", Limits(), BatchSettings())
    running = serve_in_thread(app)
    (code,) = [code for language, title, code in in_order(ROOT / "docs/how-to/serve.md") if title == "client"]
    exec(compile(code.replace("http://127.0.0.1:8000", running.url), "serve.md", "exec"), {})
    running.stop()
    assert capsys.readouterr().out.strip()


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """No page left out, no link or anchor that leads nowhere, nothing fetched from elsewhere."""
    pytest.importorskip("material", reason="needs the extra `dev`")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "tutorial.html").read_text(encoding="utf-8")
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', page) == []


def test_the_commands_page_is_what_the_code_says() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "docs" / "commands.py"))["page"]
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page(), "run: python tools/docs/commands.py"


def test_the_recipe_page_is_what_the_code_says() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "docs" / "recipe.py"))["page"]
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == page(), "run: python tools/docs/recipe.py"


def test_the_starter_data_is_what_its_sources_say(tmp_path: Path) -> None:
    tools, packaged = ROOT / "tools" / "starter_data", ROOT / "src" / "distiltune" / "starter" / "data"
    runpy.run_path(str(tools / "build.py"))["build"](tools, tmp_path)
    for name in ("train.json", "validation.json"):
        assert (packaged / name).read_bytes() == (tmp_path / name).read_bytes(), "run: make starter"
