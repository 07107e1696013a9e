"""The matrix of sick and healthy trainings: what is in it, that its halves share nothing, and how it judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.coach_matrix import __main__ as matrix
from benchmarks.coach_matrix.kinds import HEALTHY, SICK, USUAL, Kind, kinds_of
from benchmarks.coach_matrix.rows import rows_of, text_of

from tests.coach.evidence import evidence

NOWHERE = Path("no-such-folder")


@pytest.mark.parametrize("task", USUAL)
def test_there_are_enough_kinds_of_both_for_every_task(task: str) -> None:
    assert len(SICK[task]) >= 12
    assert len(HEALTHY[task]) >= 6
    kinds = kinds_of(task)
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.expected for kind in SICK[task])
    assert not any(kind.expected for kind in HEALTHY[task])
    assert any(kind.rate is None for kind in HEALTHY[task]), "the default recipe is among the healthy"
    assert any(not kind.source.startswith("starter") for kind in kinds if not kind.expected), "and a real set"


def test_the_halves_share_no_text_and_make_the_whole() -> None:
    halves = [rows_of("starter-questions", NOWHERE, half) for half in ("A", "B")]
    a, b = ({text_of(row) for rows in half for row in rows} for half in halves)
    assert a
    assert b
    assert not a & b
    assert sum(len(rows) for half in halves for rows in half) == 416 + 108


@pytest.mark.parametrize("kind", [kind for kind in kinds_of("questions") if kind.source.startswith("starter")])
def test_spoilt_questions_are_questions_still(kind: Kind) -> None:
    train, validation = matrix.draw(kind, NOWHERE, "A", 0)
    for row in (*train, *validation):
        assert {"id", "question", "context", "answers"} <= set(row)
    again = matrix.draw(kind, NOWHERE, "A", 0)
    assert (train, validation) == again, "a seed decides"


def test_tags_by_lot_are_as_many_as_before_and_of_one_word_each() -> None:
    kind = next(kind for kind in kinds_of("tokens") if kind.name == "shuffled")
    train, _ = matrix.draw(kind, NOWHERE, "A", 0)
    before, _ = rows_of("starter-tokens", NOWHERE, "A")
    marked = [sum(tag != "O" for tag in row["tags"]) for row in train]
    assert marked == [sum(tag != "O" for tag in row["tags"]) for row in before]
    assert not any(tag.startswith("I-") for row in train for tag in row["tags"])


def test_a_training_is_judged_by_its_first_advice_above_a_note() -> None:
    well, low = evidence((1.4, 0.9), (1.2, 1.19)), evidence((4.5, 4.48), (4.5, 4.5), ratio=4e-7)
    told = Kind("sick", ("learning_rate_too_low",))
    assert matrix.judge(told, low)["right"]
    assert not matrix.judge(told, well)["right"]
    assert matrix.judge(Kind("healthy"), well)["right"]
    assert not matrix.judge(Kind("healthy"), low)["right"]


def test_a_file_begins_with_which_half_is_for_what_and_what_it_holds_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, trained = tmp_path / "matrix.jsonl", []

    def run(task: str, kind: Kind, data: Path, half: str, seed: int) -> tuple[matrix.Line, None]:
        trained.append((kind.name, seed))
        line = {"task": task, "kind": kind.name, "half": half, "seed": seed, "first": "none", "right": True}
        return line, None

    monkeypatch.setattr(matrix, "run", run)
    arguments = ["matrix", "--data", str(tmp_path), "--tasks", "texts", "--only", "usual", "--output", str(output)]
    for seeds in ("1", "2"):
        monkeypatch.setattr("sys.argv", [*arguments, "--seeds", seeds])
        matrix.main()
    assert trained == [("usual", 0), ("usual", 1)]
    first, *lines = map(json.loads, output.read_text("utf-8").splitlines())
    assert first["halves"] == {"A": "makes the rules", "B": "judges them"}
    assert len(lines) == 2
    assert "| texts | usual | 2 | 2 | none |" in capsys.readouterr().out
