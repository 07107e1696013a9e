"""What the documentation says holds: commands parse, Python runs, links lead somewhere, generated pages are current."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from distiltune.commands.app import app
from distiltune.runs.fine_tune import fine_tune
from tests.helpers import TINY, people, write_squad, write_tiny_model

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NOT_RUN = ("serve", "label", "push", "mcp")  # they need a port, the hub or an assistant, and have tests of their own

HOW_TOS = (
    *("csv", "classify-texts", "mark-entities", "unanswerable", "long-documents", "onnx", "from-pipelines"),
    "adapt",
    "my-model-is-bad",
)
TINY_MODEL = {
    **dict.fromkeys(("--model starter-qa", "--model starter"), "--model ./tiny"),
    "distilbert-base-uncased": "./tiny",
    "--output runs/": "--train-examples 24 --validation-examples 8 --epochs 1 --output runs/",
}
"""In place of the starter models, which take a minute to learn: what they print is looked at by the slow tests."""

IN_SMALL = {
    "csv": ("--model starter", "--output runs/"),
    "classify-texts": ("--model starter", "--output runs/"),
    "mark-entities": ("--model starter", "--output runs/"),
    "unanswerable": ("--model starter-qa", "--output runs/"),
    "onnx": ("--model starter-qa", "--output runs/"),
    "my-model-is-bad": ("--model starter", "--output runs/"),
    "long-documents": (),  # nothing learns there
    "from-pipelines": (),
    "adapt": ("distilbert-base-uncased",),
}

FOLDERS = "docs/how-to/search-a-folder.md"
RUN = {
    "docs/tutorial.md": {"distilbert-base-uncased": "./tiny"},
    **{f"docs/how-to/{name}.md": {said: TINY_MODEL[said] for said in IN_SMALL[name]} for name in HOW_TOS},
    "README.md": {
        "distilbert-base-uncased": "./tiny",
        "--output": "--epochs 1 --output",
        'output="runs/mine"': 'output="runs/in-python", epochs=1',
    },
    FOLDERS: {"--model starter": "--model ./tiny", "convert starter": "convert ./tiny"},
    "docs/coach.md": {
        "distilbert-base-uncased": "./tiny",
        "--output lr": "--output lr --steps 30",
        "runs/mine/recipe.toml": "runs/mine/recipe.toml --steps 30",
        "--trials 12": "--trials 2",
        "epochs=2,3,4": "epochs=1,2",
    },
    "docs/openings.md": {
        "--output": "--model ./tiny --epochs 1 --max-length 48 --stride 8 --output",
        'output="runs': 'model="./tiny", epochs=1, max_length=48, stride=8, output="runs',
    },
    "docs/distillation.md": {
        "distilbert-base-uncased": "./tiny",
        "--model starter": "--model ./tiny",
        "--train starter": "--train-examples 8 --train starter",
        "--output": "--epochs 1 --output",
        "--student-layers 6 --student-width 160 --student-heads 5": (
            "--student-layers 1 --student-width 8 --student-heads 1"
        ),
    },
}
"""The pages that are run, and what stands in for what in their commands and their Python."""

BRING_THEIR_FILES = ("docs/tutorial.md", FOLDERS, *(f"docs/how-to/{name}.md" for name in HOW_TOS))
"""The pages that begin in an empty place: every block that is neither commands nor Python is a file with a name, or
text that was printed by what stands before it."""

EXTRAS = {
    "docs/how-to/onnx.md": ("onnxscript", "onnxruntime"),
    "docs/how-to/long-documents.md": ("bm25s",),
    "docs/coach.md": ("optuna",),
}

NOT_FOLLOWED = {
    "docs/python.md": "is run by a test of its own here",
    "docs/python-reference.md": "has signatures; the examples of docstrings are those of other pages",
    "docs/add-a-task.md": "is run by tests/docs/test_add_a_task.py",
    "docs/commands.md": "lists the commands' examples, which other pages and tests/test_cli.py run",
    "docs/index.md": "its one command is README's",
    "docs/starter.md": "its commands are README's, and those that made the starter take hours",
    "docs/results.md": "its commands take hours, and data that is not in the repository",
    "docs/models.md": "reads a TensorFlow-era model; tests/model/test_tf_weights.py makes and converts one",
    "docs/reliability.md": "goes on with a run that was killed; tests/faults kills and resumes them",
    "docs/how-to/from-keras.md": "fetches SQuAD from the hub; tests/data/test_hub.py has a stand-in for it",
    "docs/how-to/hub.md": "needs the hub; tests/export/test_push.py and tests/test_hub_end_to_end.py have a stand-in",
    "docs/how-to/label.md": "needs a port; tests/labelling and tests/commands/test_labelling.py have it",
    "docs/how-to/serve.md": "needs a port; its client is run by a test of its own here",
    "docs/how-to/serve-for-others.md": "needs a port; tests/commands/test_serving.py has its flags",
}
"""Pages with commands or Python that are not run as they stand, and why."""


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


def lay_out(desk: Path) -> None:
    """The files that pages name and do not show: questions in each form, texts, a handbook, three runs."""
    known = people()
    for name, examples in (("train.json", known.examples), ("dev.json", known.examples[:8])):
        write_squad(desk / name, examples)
    rows = [[e.question, e.context, e.answers[0].text] for e in known.examples if e.answers]
    for name in ("mine.csv", "held-out.csv"):
        with (desk / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["question", "context", "answer_text"], *rows])
    (desk / "handbook.txt").write_text("The lease is signed by the treasurer, in blue ink.", encoding="utf-8")
    (desk / "texts").mkdir()
    (desk / "texts" / "a.txt").write_text("\n".join({e.context: None for e in known.examples}), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "examples", desk / "docs" / "examples")


def lay_out_runs(desk: Path) -> None:
    """The runs that a page names and does not make."""
    quick: dict[str, Any] = {"max_length": 48, "stride": 8, "epochs": 1, "threads": 1}
    fine_tune(output=desk / "runs/mine", model="./tiny", train="train.json", validation="dev.json", **quick)
    for name in ("one", "other"):
        shutil.copytree(desk / "runs/mine", desk / "runs" / name)


@pytest.mark.parametrize("name", RUN)
def test_a_page_can_be_followed(name: str, desk: Path) -> None:
    """From top to bottom: its files written, its commands and its Python run, with something tiny in place of what it
    names."""
    for extra in EXTRAS.get(name, ()):
        pytest.importorskip(extra, reason="needs the extra `dev`")
    if name not in BRING_THEIR_FILES:
        lay_out(desk)
    if name == "docs/coach.md":
        lay_out_runs(desk)
    spoken: dict[str, object] = {}
    n_run = 0
    for language, title, code in in_order(ROOT / name):
        for said, tiny in RUN[name].items():
            code = code.replace(said, tiny)
        if language == "console":
            for line in (line.removeprefix("$ ") for line in code.replace("\\\n", " ").splitlines()):
                words = shlex.split(line)
                if words[0] == "distiltune" and words[1] not in NOT_RUN:
                    app(words[1:], standalone_mode=False)
                    n_run += 1
        elif language == "python":
            exec(compile(code, name, "exec"), spoken)
            n_run += 1
        elif title:
            (desk / title).write_text(code, encoding="utf-8")
        else:
            assert language == "text" or name not in BRING_THEIR_FILES, f"a block of {language} that is no file"
    assert n_run


SHOWING = [f"docs/how-to/{name}.md" for name in HOW_TOS if name != "adapt"]
"""The pages that show what is printed, with the packaged models and data; adapt's model is on the hub."""

NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def is_alike(said: str, shown: str) -> bool:
    """Whether a line has the same words, and numbers near to those shown: other processors round otherwise."""
    if NUMBER.sub("#", said).split() != NUMBER.sub("#", shown).split():
        return False
    pairs = zip(*(map(_as_number, NUMBER.findall(line)) for line in (said, shown)), strict=True)
    return all(math.isclose(one, other, rel_tol=0.5, abs_tol=0.2) for one, other in pairs)


def _as_number(text: str) -> float:
    return float(text.replace(",", ""))


def check_printed(printed: str, shown: str) -> None:
    """Every line that is shown was printed, in that order; ``…`` stands for any others."""
    lines = iter(printed.splitlines())
    for line in filter(None, map(str.strip, shown.splitlines())):
        if line != "…":
            assert any(is_alike(said.strip(), line) for said in lines), f"not printed: {line}\n\n{printed}"


def test_what_is_shown_is_compared_in_words_and_roughly_in_numbers() -> None:
    printed = "labels: good 6, bad 6\nloss 0.3481 in epoch 2\nbest epoch: 2"
    check_printed(printed, "labels: good 6, bad 6\n…\nbest epoch: 2")
    check_printed(printed, "loss 0.40 in epoch 2")
    for wrong in ("labels: good 6, poor 6", "loss 3.1 in epoch 2", "best epoch: 2\nlabels: good 6, bad 6"):
        with pytest.raises(AssertionError, match="not printed"):
            check_printed(printed, wrong)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", SHOWING)
def test_a_page_shows_what_comes_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a reader follows it, with the packaged models."""
    monkeypatch.chdir(tmp_path)
    spoken: dict[str, object] = {}
    n_shown = 0
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    capsys.readouterr()
    printed = ""
    for language, title, code in in_order(ROOT / name):
        if language == "console":
            printed = ""
            for words in map(shlex.split, (line.removeprefix("$ ") for line in code.splitlines())):
                if words[0] == "distiltune" and words[1] not in NOT_RUN:
                    with contextlib.suppress(typer.Exit):
                        app(words[1:], standalone_mode=False)
                elif words[0] == "python":
                    print(
                        subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True, text=True).stdout
                    )
            printed = "".join(capsys.readouterr())
        elif language == "python":
            exec(compile(code, name, "exec"), spoken)
            printed = capsys.readouterr().out
        elif title:
            (tmp_path / title).write_text(code, encoding="utf-8")
        else:
            check_printed(printed, code)
            n_shown += 1
    assert n_shown


USES = re.compile(r"\bruns/[\w-]+")


@pytest.mark.parametrize("name", [*BRING_THEIR_FILES, "docs/how-to/hub.md", "docs/how-to/serve-for-others.md"])
def test_no_page_uses_a_run_that_another_makes(name: str) -> None:
    made: set[str] = set()
    for language, _, code in in_order(ROOT / name):
        for line in code.replace("\\\n", " ").splitlines() if language in ("console", "python") else ():
            here = set(re.findall(r"(?:--output |output=\")(runs/[\w-]+)", line))
            assert set(USES.findall(line)) <= made | here, f"{name}: {line}"
            made |= here


def test_every_page_with_commands_is_run_or_said_not_to_be() -> None:
    with_code = {str(page.relative_to(ROOT)) for page in PAGES if commands(page) or blocks(page, "python")}
    assert with_code == RUN.keys() | NOT_FOLLOWED.keys()
    assert not RUN.keys() & NOT_FOLLOWED.keys()
    for name, replaced in RUN.items():
        page = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        assert [said for said in replaced if said not in page] == [], f"{name}: nothing to stand in for"


def test_the_client_of_the_serving_page_runs(
    people_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits
    from distiltune.tasks.question_answering.answerer import Answerer
    from distiltune.tasks.question_answering.serve.service import question_answering_app
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
