"""Wrong calls from the terminal, each with the whole of its message: what, where, what to do; and never the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest

from distiltune import cli
from distiltune.tasks.document_files import readable_suffixes
from distiltune.tasks.table import TASKS

FAILED, USAGE = 1, 2

CALLS: dict[str, tuple[int, str]] = {
    "train --train starer": (
        FAILED,
        "There is no file 'starer' here.\n  where: starer\n"
        "  what to do: did you mean starter? A data set on the hub is named `owner/name`.",
    ),
    "evaluate starer moods.csv": (
        FAILED,
        "There is no such model directory.\n  where: HERE/starer\n"
        "  what to do: did you mean starter? A name on the Hugging Face hub is written `owner/name`.",
    ),
    "ask starter-q --text Anything. Who?": (
        FAILED,
        "There is no such model directory.\n  where: HERE/starter-q\n"
        "  what to do: did you mean starter-qa? A name on the Hugging Face hub is written `owner/name`.",
    ),
    "evaluate runs/mien moods.csv": (
        FAILED,
        "There is no such model directory.\n  where: HERE/runs/mien\n"
        "  what to do: did you mean runs/mine? A name on the Hugging Face hub is written `owner/name`.",
    ),
    "serve runs/nope": (
        FAILED,
        "There is no such model directory.\n  where: HERE/runs/nope\n"
        "  what to do: in runs there is mine. A name on the Hugging Face hub is written `owner/name`.",
    ),
    "export models/nope --output made": (
        FAILED,
        "There is no such model directory.\n  where: HERE/models/nope\n"
        "  what to do: check the path. A name on the Hugging Face hub is written `owner/name`, and is found once it is "
        "fetched: hf download models/nope.",
    ),
    "train --train runs/nope": (
        FAILED,
        "The file does not exist.\n  where: runs/nope\n  what to do: look into HERE/runs",
    ),
    "check mods.csv": (
        FAILED,
        "The file does not exist.\n  where: mods.csv\n  what to do: did you mean moods.csv?",
    ),
    "check moods.cvs": (
        FAILED,
        "The file does not exist.\n  where: moods.cvs\n  what to do: did you mean moods.csv?",
    ),
    "check parts-*.jsonl": (
        FAILED,
        "No file matches this pattern.\n  where: parts-*.jsonl\n  what to do: check the pattern and the folder",
    ),
    "check moods.csv": (
        USAGE,
        "What the data is for cannot be told from its columns, text, category.\n  where: moods.csv\n"
        "  what to do: did you mean --columns label=category? It is for text-classification then",
    ),
    "train --train capital.csv": (
        USAGE,
        "What the data is for cannot be told from its columns, Text, Label.\n  where: capital.csv\n"
        "  what to do: did you mean --columns text=Text,label=Label? It is for text-classification then",
    ),
    "check asked.csv": (
        USAGE,
        "What the data is for cannot be told from its columns, query, passage, answer.\n  where: asked.csv\n"
        "  what to do: did you mean --columns question=query,context=passage? It is for question-answering then",
    ),
    "check moods.csv --columns label=categori": (
        FAILED,
        "No row has the column 'categori', which --columns names for label.\n  where: moods.csv\n"
        "  what to do: did you mean --columns label=category? The columns are text, category.",
    ),
    "check moods.csv --columns text=txt": (
        FAILED,
        "No row has the column 'txt', which --columns names for text.\n  where: moods.csv\n"
        "  what to do: did you mean --columns text=text? The columns are text, category.",
    ),
    "train --lr 3e-5": (
        USAGE,
        "train has no flag --lr.\n  where: distiltune train\n"
        "  what to do: did you mean --learning-rate? distiltune train --help-all lists them all",
    ),
    "evaluate starter-qa starter --learning-rate 1": (
        USAGE,
        "evaluate has no flag --learning-rate.\n  where: distiltune evaluate\n"
        "  what to do: --learning-rate is a setting of trainings; distiltune evaluate --help-all lists them all",
    ),
    "tune --output made --search lr=1e-5:1e-3": (
        USAGE,
        "There is no setting called 'lr'.\n  where: recipe: lr\n  what to do: did you mean 'learning_rate'?",
    ),
    "train --task ner": (
        USAGE,
        "task is 'ner': there is TASKS; did you mean 'token-classification'?\n  where: recipe: task\n"
        "  what to do: see `distiltune train --help`",
    ),
    "train --recipe clasic": (
        USAGE,
        "The recipe cannot be read: No such file or directory.\n  where: clasic\n"
        "  what to do: did you mean classic? check the path, and that you may read it",
    ),
    "train moods.csv": (
        USAGE,
        "moods.csv stands where a model may, and is data by its name.\n  where: distiltune train\n"
        "  what to do: did you mean --train moods.csv?",
    ),
    "evaluate moods.csv": (
        USAGE,
        "No model is named: moods.csv is data by its name.\n"
        "  what to do: name it first, or with --model: distiltune evaluate MODEL DATA",
    ),
    "predict starter-qa --output made": (
        USAGE,
        "No data is named.\n"
        "  what to do: name it in its place, or with --data: distiltune predict MODEL DATA --output DIRECTORY",
    ),
    "predict starter-qa docs --output made": (
        USAGE,
        "Documents have no questions, and the model is one for question-answering.\n  where: starter-qa\n"
        '  what to do: ask it: distiltune ask starter-qa --document FOLDER "A question?"',
    ),
    "ask Who? --document docs/a.txt": (
        USAGE,
        "No model is named: 'Who?' reads as a question.\n"
        '  what to do: name it first, or with --model: distiltune ask MODEL --document FILE "A question?"',
    ),
    "ask starter-qa --document docs/a.txt docs/b.html": (
        USAGE,
        "No question was asked: docs/b.html is a file.\n"
        "  what to do: several documents: --document docs, or the pattern in quotation marks: --document 'docs/*.html'",
    ),
    "ask starter-qa --document docs/c.txt Who?": (
        FAILED,
        "The file does not exist.\n  where: docs/c.txt\n  what to do: did you mean docs/a.txt?",
    ),
    "ask starter-qa --document pictures Who?": (
        FAILED,
        "The folder holds no document.\n  where: pictures\n  what to do: it should have files that end in one of: "
        "SUFFIXES",
    ),
    "compare runs/mien runs/mine": (
        FAILED,
        "There is no such run.\n  where: runs/mien\n  what to do: did you mean runs/mine? give a run directory",
    ),
    "train --resume runs/mien": (
        FAILED,
        "There is no run to resume.\n  where: runs/mien\n"
        "  what to do: did you mean runs/mine? give the --output directory of a run",
    ),
    "push runs/mine": (
        USAGE,
        "One name on the hub is needed, and there is none.\n  what to do: distiltune push MODEL owner/name",
    ),
    "export runs/mine runs/other --output made": (
        USAGE,
        "One model is meant, and there is runs/mine and runs/other.\n"
        "  what to do: distiltune export MODEL --output DIRECTORY",
    ),
    "completion tcsh": (
        USAGE,
        "There is no completion for 'tcsh'.\n  what to do: name one of: bash, zsh, fish",
    ),
}
"""Call → exit status and the message after ``distiltune: ``; HERE stands for the folder that one is in, SUFFIXES for
those of documents, TASKS for the tasks."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, documents and a run, where any word to the hub is an error."""
    (tmp_path / "moods.csv").write_text("text,category\nI am glad,joy\nI am sad,sadness\n")
    (tmp_path / "capital.csv").write_text("Text,Label\nI am glad,joy\nI am sad,sadness\n")
    (tmp_path / "asked.csv").write_text("query,passage,answer\nWho?,Ada is it.,Ada\n")
    for folder in ("docs", "pictures", "models", "runs/mine/model"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "model" / "config.json").write_text("{}")
    (tmp_path / "docs" / "a.txt").write_text("Ada signs.")
    (tmp_path / "docs" / "b.html").write_text("<p>Ben signs.</p>")
    (tmp_path / "pictures" / "a.png").write_bytes(b"\x89PNG")
    monkeypatch.chdir(tmp_path)

    def asked(*arguments: object, **more: object) -> Never:
        pytest.fail("the hub was asked")

    for module in ("model.source", "data.hub"):
        monkeypatch.setattr(f"distiltune.{module}.within_deadline", asked)
    return tmp_path


def test_there_are_twenty_and_more() -> None:
    assert len(CALLS) > 20


@pytest.mark.parametrize("call", list(CALLS))
def test_a_wrong_call_is_told_in_full(
    call: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(here.rglob("*"))
    monkeypatch.setattr(sys, "argv", ["distiltune", *call.split()])
    with pytest.raises(SystemExit) as left:
        cli.main()
    status, message = CALLS[call]
    said = capsys.readouterr()
    names = [repr(name) for name in ("auto", *TASKS)]
    message = message.replace("TASKS", f"{', '.join(names[:-1])} and {names[-1]}")
    message = message.replace("HERE", str(here)).replace("SUFFIXES", ", ".join(readable_suffixes()))
    assert said.err.strip() == f"distiltune: {message}"
    assert said.out == ""
    assert left.value.code == status
    assert set(here.rglob("*")) == before, "nothing is left behind"


def test_what_the_hub_has_in_the_cache_is_no_slip(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder called as an owner on the hub does not hide what was fetched from there."""
    from distiltune.model.source import resolve_model

    fetched = here / "cache" / "model"
    monkeypatch.setattr("distiltune.model.source._cached", lambda name: fetched if name == "models/one" else None)
    assert resolve_model("models/one") == fetched


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_message_on_a_terminal_is_broken_between_words(here: Path, width: int) -> None:
    termios = pytest.importorskip("termios")
    call = "export models/nope --output made"
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, width))
    environment = {**{name: value for name, value in os.environ.items() if name != "COLUMNS"}, "TERM": "xterm"}
    command = [sys.executable, "-m", "distiltune", *call.split()]
    done = subprocess.run(
        command, stdin=theirs, stdout=theirs, stderr=theirs, timeout=120, check=False, env=environment
    )
    os.close(theirs)
    said = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.returncode == FAILED
    lines = [line for line in said.splitlines() if str(here) not in line]
    assert all(len(line) <= width for line in lines)
    assert " ".join(said.split()) == " ".join(f"distiltune: {CALLS[call][1].replace('HERE', str(here))}".split())
