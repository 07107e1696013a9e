"""Who shows a call's progress: a notebook its cell, IPython's terminal text, a script nobody."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import distiltune
from distiltune.progress import tell
from distiltune.python.showing import reporter_of_here, shown_here, told
from distiltune.report.console import ConsoleReporter
from distiltune.report.notebook import NotebookReporter
from distiltune.tasks.question_answering.answerer import Reply
from distiltune.tasks.question_answering.found_answers import FoundAnswer
from distiltune.training.reporter import Quiet
from tests.helpers import people, write_squad


class Publisher:
    def __init__(self) -> None:
        self.outputs: list[Mapping[str, str]] = []

    def publish(self, data: Mapping[str, str], metadata: Any = None, **named: Any) -> None:
        self.outputs.append(data)


def with_shell(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> Publisher:
    """As if IPython had this shell."""
    publisher = Publisher()
    shell = SimpleNamespace(display_pub=publisher, **parts)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return publisher


def test_a_script_is_silent_unless_it_is_asked_to_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert isinstance(reporter_of_here(), Quiet)
    assert isinstance(told(verbose=False), Quiet)
    assert isinstance(told(verbose=True), ConsoleReporter)


def test_a_notebook_and_a_terminal_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_shell(monkeypatch, kernel=object())
    assert isinstance(reporter_of_here(), NotebookReporter)
    assert isinstance(told(verbose=True), NotebookReporter)
    assert isinstance(told(verbose=False), Quiet)
    with_shell(monkeypatch)  # without a kernel
    assert isinstance(reporter_of_here(), ConsoleReporter)
    # imported by a library, with no shell running
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert isinstance(reporter_of_here(), Quiet)


def test_the_functions_show_a_run_in_a_notebook(
    people_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = with_shell(monkeypatch, kernel=object())
    train = write_squad(tmp_path / "train.json", people().examples)
    settings: dict[str, Any] = {"max_length": 48, "stride": 8, "epochs": 2, "threads": 1, "device": "cpu"}
    run = distiltune.fine_tune(train=train, model=people_model, output=tmp_path / "run", **settings)
    shown = publisher.outputs[-1]["text/html"]
    assert "Train End Logits Accuracy" in shown
    assert shown.count("<tr") == 3
    assert "training: 2 epochs" in shown
    n = len(publisher.outputs)
    distiltune.fine_tune(train=train, model=people_model, output=tmp_path / "silent", reporter=Quiet(), **settings)
    assert len(publisher.outputs) == n
    check_the_records(run, train)


def check_the_records(run: Any, train: Path) -> None:
    """Of a run and an evaluation: one line, and short HTML."""
    assert repr(run).startswith(f"<FineTuned {run.directory}: best epoch {run.best_epoch} of 2 (exact match ")
    assert "\n" not in repr(run)
    html = run._repr_html_()
    assert len(html) < 12_000
    for part in ("exact match", "<table", "<svg", "coach", str(run.model)):
        assert part in html
    evaluated = distiltune.evaluate(run.model, train, threads=1)
    assert repr(evaluated).startswith("<Evaluated 32 examples: exact match ")
    assert "\n" not in repr(evaluated)
    assert "Exact match" in evaluated._repr_html_()
    assert "guide" not in {name for name, value in evaluated.as_json().items() if value is not None}
    checked = distiltune.check(train, model=run.model, threads=1)
    assert repr(checked).startswith("<Checked 32 rows: ")
    assert "<pre" in checked._repr_html_()


def test_stages_are_shown_in_a_notebook_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distiltune.report.notebook.SECONDS_BETWEEN_UPDATES", 0.0)
    publisher = with_shell(monkeypatch, kernel=object())
    with shown_here():
        tell("reading", "rows", 5, 10)
    assert "5 of 10 rows" in publisher.outputs[0]["text/html"]
    assert publisher.outputs[-1]["text/html"] == ""
    tell("reading", "rows", 6, 10)
    assert len(publisher.outputs) == 2
    publisher = with_shell(monkeypatch)
    with shown_here():
        tell("reading", "rows", 5, 10)
    assert publisher.outputs == []


def reply(text: str, question: str = "who?") -> Reply:
    answer = FoundAnswer(text, 3, 3 + len(text), 0.84, 0.5, 1, 4, f"It {text} is.", 0, 0, "a <file>")
    return Reply(question, answer, (answer, answer), 0.1, 0.1, notes=("cut <off>",))


def test_a_reply_in_a_line_and_in_a_cell() -> None:
    said = reply("<b>Ada</b>", "<i>who</i>\nis it?")
    assert repr(said) == "<Reply '<b>Ada</b>' to '<i>who</i> is it?', confidence 84%>"
    html = said._repr_html_()
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<file>" not in html
    assert "<off>" not in html
    assert "It <mark" in html
    assert "&lt;b&gt;Ada&lt;/b&gt;</mark> is." in html
    assert "confidence 84%, a &lt;file&gt;: line 1, column 4" in html
    assert len(repr(reply("x" * 999))) < 120


def test_a_reply_that_is_none() -> None:
    nothing = Reply("who?", None, (), 0.9, 0.9)
    assert repr(nothing) == "<Reply no answer to 'who?', confidence 90%>"
    assert "no answer in this text" in nothing._repr_html_()
    assert "<mark" not in nothing._repr_html_()
