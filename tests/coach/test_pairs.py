"""What the examples' own losses say of a change of the validation loss."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence
from distiltune.coach.overfitting import find_turn, is_sure
from distiltune.coach.pairs import LossChange, Losses, Pairs, standard_error
from distiltune.coach.watching import Coach
from distiltune.runs.fine_tune import fine_tune, resume
from tests.coach.evidence import evidence
from tests.helpers import TINY, people, word_pieces, write_squad, write_tiny_model


def shares(*losses: float) -> Losses:
    return (np.array(losses) / len(losses)).astype(np.float32)


def test_the_standard_error_is_that_of_the_mean_of_the_pairs_differences() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.exponential(1.0, 200), rng.exponential(1.0, 200)
    differences = [float(a - b) for a, b in zip(one, other, strict=True)]
    mean = sum(differences) / 200
    plain = math.sqrt(sum((each - mean) ** 2 for each in differences) / 199 / 200)
    assert standard_error(shares(*one), shares(*other)) == pytest.approx(plain, rel=1e-5)
    assert standard_error(shares(1.0), shares(2.0)) == math.inf


def test_every_epoch_is_paired_with_the_lowest_before_it() -> None:
    pairs = Pairs()
    for losses in ((2.0, 2.2), (1.0, 1.2), (1.5, 1.1), (0.5, 0.8), (0.6, 0.7)):
        pairs = pairs.after(shares(*losses))
    assert [change.since for change in pairs.changes] == [0, 0, 1, 1, 3]
    assert math.isnan(pairs.changes[0].standard_error)
    assert pairs.changes[4].standard_error == pytest.approx(0.1, rel=1e-5)
    again = Pairs.from_json(json.loads(json.dumps(pairs.as_json())))
    more = shares(0.9, 0.9)
    assert again.after(more).changes[1:] == pairs.after(more).changes[1:]
    unknown = pairs.after(None).after(shares(0.9, math.nan))
    assert [change.since for change in unknown.changes[5:]] == [5, 6]
    assert unknown.after(more).changes[-1].since == 3


def turned(
    train: tuple[float, ...], validation: tuple[float, ...], spread: float, *, ended: bool, **facts: Any
) -> Evidence:
    """A run whose examples' losses differ by ``spread`` standard errors from epoch to epoch."""
    best = min(range(len(validation)), key=lambda i: validation[i])
    changes = tuple(LossChange(min(i, best), spread) for i in range(len(validation)))
    return evidence(train, validation, changes=changes, ended=ended, facts={"n_validation": 80, **facts})


@pytest.mark.parametrize(("error", "severity"), [(0.03, "warning"), (0.05, "note")])
def test_a_rise_counts_by_the_spread_of_the_examples(error: float, severity: str) -> None:
    """0.12 above the lowest: four standard errors, or less than three; 80 examples by number would say 10 %."""
    case = turned((1.3, 0.9, 0.5), (1.2, 1.1, 1.22), error, ended=True, blind_loss=1.6)
    (found,) = [each for each in advise(case) if each.sickness == "overfitting"]
    assert found.severity == severity
    turn = find_turn(*case.losses())
    assert turn is not None
    assert is_sure(case, turn) == (severity == "warning")


NOISY = (1.5857, 1.3805, 1.1384, 1.2527, 1.2556, 1.1877, 1.1029, 1.1047, 0.9902, 0.9550)
"""800 emotion texts by the default recipe, 80 of them to validate on."""
TRAINED = (1.7251, 1.5220, 1.2835, 1.1728, 1.0964, 1.0415, 0.8786, 0.7451, 0.6968, 0.6477)
PUBLISHED = (1.1080, 1.1076, 1.2336, 1.3799, 1.5040)


def said_after(n: int, train: tuple[float, ...], validation: tuple[float, ...], error: float) -> list[str]:
    case = turned(train[:n], validation[:n], error, ended=False, planned_epochs=len(train), blind_loss=4.5)
    return [each.sickness for each in advise(case) if each.severity != "note"]


@pytest.mark.parametrize("error", [0.01, 0.05])
def test_a_turn_that_reverses_is_never_told_of_while_the_training_goes_on(error: float) -> None:
    for n in range(1, len(NOISY) + 1):
        assert said_after(n, TRAINED, NOISY, error) == []


def test_a_turn_that_lasts_is_told_of_before_the_end() -> None:
    train = (1.0773, 0.7650, 0.5500, 0.4200, 0.3257)
    assert [said_after(n, train, PUBLISHED, 0.02) for n in (2, 3, 4)] == [[], [], ["overfitting"]]
    assert said_after(4, train, PUBLISHED, 0.2) == []
    little_gap = tuple(1.1 - 0.01 * i for i in range(5))
    assert said_after(4, little_gap, PUBLISHED, 0.02) == []


def test_what_was_said_on_the_way_is_taken_back_where_it_does_not_hold() -> None:
    from distiltune.coach.watching import CAME_BACK, taken_back

    lasting = evidence((1.0773, 0.7650, 0.5500, 0.4200, 0.3257), PUBLISHED)
    back = evidence((1.4, 0.9, 0.6), (1.2, 1.3, 1.0))
    assert taken_back({"overfitting"}, advise(lasting)) == ()
    assert taken_back(set(), advise(back)) == ()
    (found,) = taken_back({"overfitting"}, advise(back))
    assert (found.severity, found.sickness) == ("note", CAME_BACK)


def rows_of(task: str, n: int) -> list[dict[str, Any]]:
    """Texts of several lengths, some of them of more than one window."""
    words = [["ada", "sees", "rome"] * (1 + 4 * (i % 3)) for i in range(n)]
    if task == "text-classification":
        return [{"id": str(i), "text": " ".join(each), "label": "pn"[i % 2]} for i, each in enumerate(words)]
    tags = ["B-person", "O", "B-place"]
    return [{"id": str(i), "tokens": each, "tags": tags * (len(each) // 3)} for i, each in enumerate(words)]


@pytest.fixture(params=["question-answering", "text-classification", "token-classification"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """A small training of each task."""
    tokenizer = people().tokenizer if request.param == "question-answering" else word_pieces(["ada", "sees", "rome"])
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64)
    if request.param == "question-answering":
        files = [write_squad(tmp_path / f"{name}.json", people().examples) for name in ("train", "validation")]
    else:
        files = [tmp_path / f"{name}.jsonl" for name in ("train", "validation")]
        for path in files:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(request.param, 24)), encoding="utf-8")
    return {
        "task": request.param,
        "model": str(write_tiny_model(tmp_path / "tiny", tokenizer, config)),
        "train": str(files[0]),
        "validation": str(files[1]),
        "max_length": 24,
        "stride": 4,
        "learning_rate": 1e-3,
        "epochs": 3,
        "threads": 1,
    }


def test_every_task_tells_what_each_example_adds_to_the_loss_and_a_run_that_goes_on_knows_it(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Losses | None] = []
    known: list[Evidence] = []
    on_losses, end = Coach.on_losses, Coach.end

    def heard(coach: Coach, losses: Losses | None) -> None:
        seen.append(losses)
        on_losses(coach, losses)

    def ended(coach: Coach, evidence: Evidence) -> None:
        known.append(evidence)
        end(coach, evidence)

    monkeypatch.setattr(Coach, "on_losses", heard)
    monkeypatch.setattr(Coach, "end", ended)
    whole = fine_tune(output=tmp_path / "whole", **settings)
    for losses, report in zip(seen, whole.epochs, strict=True):
        assert losses is not None
        assert len(losses) > 1
        assert (losses > 0).all()
        assert float(losses.sum()) == pytest.approx(report.validation["loss"], rel=1e-4)

    def stop(report: Any) -> bool:
        if report.epoch == 1:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", go_on=stop, **settings)
    resume(tmp_path / "run")
    first, last = known[0].changes, known[-1].changes
    assert [change.since for change in last] == [change.since for change in first]
    assert len(last) == len(known[-1].epochs) == 3
    for one, other in zip(first[1:], last[1:], strict=True):
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-6)
