"""What the documentation says holds: commands parse, Python runs, links lead somewhere, generated pages are current."""

from __future__ import annotations

import re
import runpy
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from distiltune.cli import app
from tests.helpers import TINY, people, write_squad, write_tiny_model

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of that language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


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


def test_the_recipe_page_is_what_the_code_says() -> None:
    page = runpy.run_path(str(ROOT / "tools" / "docs" / "recipe.py"))["page"]
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == page(), "run: python tools/docs/recipe.py"


def test_the_starter_data_is_what_its_sources_say(tmp_path: Path) -> None:
    tools, packaged = ROOT / "tools" / "starter_data", ROOT / "src" / "distiltune" / "starter" / "data"
    runpy.run_path(str(tools / "build.py"))["build"](tools, tmp_path)
    for name in ("train.json", "validation.json"):
        assert (packaged / name).read_bytes() == (tmp_path / name).read_bytes(), "run: make starter"
