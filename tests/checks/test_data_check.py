"""What every check of a data set has in common: its keys, its lines, and one rule for what reading came upon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from distiltune.checks import data_check
from distiltune.checks.concerns import Concern
from distiltune.checks.cost import Work
from distiltune.checks.data_check import CheckRequest, LookedAt, begin_check, end_check
from distiltune.checks.reading import MANY_SHARE, Noted, ReadingWords, reading_concerns
from distiltune.data.row_findings import Outcome, RowFinding, RowFindings
from distiltune.progress import heard_by
from tests.helpers import TINY, people, write_tiny_model

PEOPLE = people()
REQUEST = CheckRequest("any-task", "DistilBertForAnything", ("train.json",), (), "", 2, 4, "cpu", "float32", 1)
LOOKED = LookedAt(10, 9, (), {"figure": 1}, ["nine examples"], Work(100, 0, 10, 20))


@pytest.fixture
def model(tmp_path: Path) -> str:
    config = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size())
    return str(write_tiny_model(tmp_path / "model", PEOPLE.tokenizer, config))


def test_a_check_from_the_model_to_the_lines(model: str) -> None:
    request = replace(REQUEST, model=model)
    basis = begin_check(request)
    assert basis.tokenizer.to_str() == PEOPLE.tokenizer.to_str()
    assert basis.against == (), "a file has no split of its own"
    told: list[str] = []
    with heard_by(lambda stage, *words: told.append(stage)):
        checked = end_check(request, basis, LOOKED)
    assert told == ["measuring this machine"]
    assert list(checked.values) == [
        *("task", "data", "against", "n_rows", "n_examples", "concerns", "statistics", "estimate", "seconds")
    ]
    assert checked.values["estimate"]["n_steps"] == 2 * 3
    assert checked.lines[0] == "nine examples"
    assert checked.lines[1].startswith("training on this machine: about")
    assert checked.lines[3] == "nothing is wrong that can be seen before a training"
    assert checked.lines[-1].startswith("checked in")
    error = Concern("error", "some_kind", "it is wrong", count=1, of=10)
    found = end_check(request, basis, replace(LOOKED, concerns=(error,)))
    assert "findings by kind: 1 error, 0 warnings, 0 notes" in found.lines
    assert found.has_errors
    assert not checked.has_errors
    assert [each["kind"] for each in found.values["concerns"]] == ["some_kind"]


def test_what_has_splits_is_checked_against_its_own(model: str) -> None:
    starter = replace(REQUEST, model=model, data=("starter",))
    assert begin_check(starter).against == ("starter",)
    assert begin_check(replace(starter, against=("dev.json",))).against == ("dev.json",)
    assert begin_check(replace(starter, data=("starter", "a.json"))).against == ()


def test_a_model_that_is_converted_first_has_no_estimate(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_check, "read_json", lambda path: {"hidden_size": 4})
    request = replace(REQUEST, model=model)
    checked = end_check(request, begin_check(request), LOOKED)
    assert checked.values["estimate"] is None
    assert not any("on this machine" in line for line in checked.lines)


def findings(outcome: Outcome, kind: str, n: int = 1, n_rows: int = 10) -> RowFindings:
    return RowFindings(n_rows, [RowFinding(outcome, kind, f"a.json:{i}", f"id {i}", "so it is") for i in range(n)])


WORDS = ReadingWords({"moved": "it was elsewhere"}, {"odd": Noted("warning", "that is odd", "look")}, mends=True)


@pytest.mark.parametrize("words", [WORDS, ReadingWords()], ids=["mends", "does-not-mend"])
def test_rows_that_cannot_be_used_are_errors_for_every_task(words: ReadingWords) -> None:
    (concern,) = reading_concerns(findings("rejected", "no_text"), words)
    assert (concern.severity, concern.message) == ("error", "rows cannot be used: no text")
    assert (concern.count, concern.of, concern.cases[0].row_id) == (1, 10, "id 0")
    assert concern.fixable == words.mends == ("--fix" in concern.repair)


@pytest.mark.parametrize(("n", "severity"), [(2, "warning"), (3, "error")])
def test_repairs_are_warnings_and_errors_where_most_rows_need_them(n: int, severity: str) -> None:
    assert MANY_SHARE == 0.2
    (concern,) = reading_concerns(findings("repaired", "moved", n), WORDS)
    assert (concern.severity, concern.message, concern.fixable) == (severity, "it was elsewhere", True)
    assert ("whatever wrote the file" in concern.repair) == (severity == "error")


@pytest.mark.parametrize("n", [1, 3, 10])
def test_repairs_that_are_certain_are_warnings_at_any_share(n: int) -> None:
    (concern,) = reading_concerns(findings("repaired", "moved", n), replace(WORDS, certain=frozenset({"moved"})))
    assert concern.severity == "warning"
    assert "whatever wrote the file" not in concern.repair


@pytest.mark.parametrize(
    ("kind", "severity", "message"),
    [
        ("odd", "warning", "that is odd"),
        ("file_ignored", "note", "files in a data directory that are no data files"),
        ("never_heard_of", "note", "never heard of"),
    ],
)
def test_what_is_noted_means_what_the_task_says(kind: str, severity: str, message: str) -> None:
    (concern,) = reading_concerns(findings("noted", kind), WORDS)
    assert (concern.severity, concern.message, concern.fixable) == (severity, message, False)
