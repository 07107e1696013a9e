"""The matrix of sick and healthy trainings: what is in it, that its halves share nothing, and how it judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.coach_matrix import __main__ as matrix
from benchmarks.coach_matrix import cell, record
from benchmarks.coach_matrix.kinds import HEALTHY, SICK, USUAL, Kind, expected_seconds, kinds_of
from benchmarks.coach_matrix.rows import rows_of, text_of

from distiltune.coach.evidence import Evidence
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
    train, validation = cell.draw(kind, NOWHERE, "A", 0)
    for row in (*train, *validation):
        assert {"id", "question", "context", "answers"} <= set(row)
    again = cell.draw(kind, NOWHERE, "A", 0)
    assert (train, validation) == again, "a seed decides"


def test_tags_by_lot_are_as_many_as_before_and_of_one_word_each() -> None:
    kind = next(kind for kind in kinds_of("tokens") if kind.name == "shuffled")
    train, _ = cell.draw(kind, NOWHERE, "A", 0)
    before, _ = rows_of("starter-tokens", NOWHERE, "A")
    marked = [sum(tag != "O" for tag in row["tags"]) for row in train]
    assert marked == [sum(tag != "O" for tag in row["tags"]) for row in before]
    assert not any(tag.startswith("I-") for row in train for tag in row["tags"])


def test_a_training_is_judged_by_its_first_advice_above_a_note() -> None:
    well, low = evidence((1.4, 0.9), (1.2, 1.19)), evidence((4.5, 4.48), (4.5, 4.5), ratio=4e-7)
    told = Kind("sick", ("learning_rate_too_low",))
    assert cell.judge(told, low)["right"]
    assert not cell.judge(told, well)["right"]
    assert cell.judge(Kind("healthy"), well)["right"]
    assert not cell.judge(Kind("healthy"), low)["right"]


def test_who_is_accused_on_the_way_is_accused_and_what_is_said_too_early_is_wrong() -> None:
    """Said live and gone at the end: wrong of a healthy training, and of a sick one if it was not what ails it."""
    came_back = evidence((1.4, 0.9, 0.5, 0.4, 0.3), (1.2, 1.5, 1.9, 2.0, 1.0))
    assert cell.said_live(came_back) == ["overfitting"]
    judged = cell.judge(Kind("healthy"), came_back)
    assert (judged["first"], judged["live"], judged["right"]) == ("none", ["overfitting"], False)
    low = evidence((4.5, 4.48, 4.47), (4.5, 4.5, 4.5), ratio=4e-7)
    assert cell.judge(Kind("sick", ("learning_rate_too_low",)), low)["right"]


def test_no_training_takes_long_and_all_together_fit_a_machine_of_16_cores() -> None:
    """One seed of the half that makes the rules and three of the other: six minutes and a little, as is reckoned."""
    planned = [each for half, seeds in (("A", 1), ("B", 3)) for each in matrix.cells(list(USUAL), half, seeds, [])]
    assert len(set(planned)) == len(planned) == 4 * sum(len(kinds_of(task)) for task in USUAL)
    costs = [expected_seconds(each.task, each.how) for each in planned]
    assert max(costs) < 80
    assert sum(costs) / 16 < 420
    first_seed = costs[: len(costs) // 4]
    assert first_seed == sorted(first_seed, reverse=True), "the longest begin first"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["matrix", *map(str, arguments)])
    matrix.main()


def test_a_file_begins_with_which_half_is_for_what_and_what_it_holds_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, trained = tmp_path / "matrix.jsonl", []

    def run(each: cell.Cell, data: Path, device: str) -> tuple[cell.Line, Evidence | None]:
        trained.append((each.kind, each.seed))
        kind, went = each.how, evidence((1.4, 0.9), (1.2, 1.19))
        return {**each.as_json(), **cell.judge(kind, went)}, went

    monkeypatch.setattr(matrix, "run", run)
    arguments = ["--data", tmp_path, "--tasks", "texts", "--only", "usual", "--output", output]
    with pytest.raises(SystemExit, match=r"not there: .*emotion"):
        call(monkeypatch, *arguments)
    (tmp_path / "data" / "emotion").mkdir(parents=True)
    capsys.readouterr()
    call(monkeypatch, *arguments, "--skip", "usu", "--plan")
    assert "0 trainings, about" in capsys.readouterr().out
    call(monkeypatch, *arguments, "--plan")
    assert "1 trainings, about" in capsys.readouterr().out
    call(monkeypatch, *arguments)
    with output.open("a", encoding="utf-8") as file:
        file.write('{"task": "texts", "ki')  # as where it was stopped while it wrote
    call(monkeypatch, *arguments, "--seeds", 2)
    assert trained == [("usual", 0), ("usual", 1)]
    first, *lines = map(json.loads, output.read_text("utf-8").splitlines())
    assert first["halves"] == {"A": "makes the rules", "B": "judges them"}
    assert len(lines) == 2
    assert "| texts | usual | 2 | 2 | none |" in capsys.readouterr().out
    monkeypatch.setattr(record, "judge", lambda kind, known: {"first": "other", "right": known.epochs == ()})
    call(monkeypatch, *arguments, "--seeds", 2, "--again")
    assert "| texts | usual | 2 | 0 | other |" in capsys.readouterr().out


def test_trainings_run_side_by_side_and_are_those_that_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The starter's own texts; in other processes, each with one thread."""
    lines = {}
    for jobs in (1, 2):
        output = tmp_path / f"{jobs}.jsonl"
        shown = ["--data", NOWHERE, "--tasks", "tokens", "--only", "a handful", "--seeds", 2, "--output", output]
        call(monkeypatch, *shown, "--jobs", jobs)
        found = [json.loads(line) for line in output.read_text("utf-8").splitlines()[1:]]
        lines[jobs] = sorted((each["seed"], each["train_losses"], each["first"]) for each in found)
        assert "| tokens | a handful of steps | 2 | 2 |" in capsys.readouterr().out
    assert lines[1] == lines[2]
    call(monkeypatch, *shown, "--stop-after", 1e-9, "--seeds", 3)
    assert "| tokens | a handful of steps | 2 | 2 |" in capsys.readouterr().out, "nothing new was begun"
