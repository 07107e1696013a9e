from __future__ import annotations

import math
from dataclasses import replace

import pytest

from distiltune.checks.concerns import Concern
from distiltune.coach.advice import Advice, advise, needs_probe
from distiltune.coach.evidence import Evidence, ProbeResult
from distiltune.tasks.question_answering.check.training import in_training
from distiltune.training.early_stopping import BestEpoch
from tests.coach.evidence import epoch, evidence

GOOD = {"n": 1000.0, "score": 80.0, "score_margin": 2.0, "confidence": 0.7, "null_share": 0.0, "one_place_share": 0.02}


def severe(found: tuple[Advice, ...]) -> list[str]:
    return [each.sickness for each in found if each.severity != "note"]


def test_the_recipes_published_table() -> None:
    """Best epoch 1, overfitting from epoch 2, stop there or regularise: what the 2022 tutorial's own table shows."""
    train = (1.0773, 0.7650, 0.5500, 0.4200, 0.3257)  # the ends are published; only that it falls matters
    found = advise(evidence(train, (1.1080, 1.1076, 1.2336, 1.3799, 1.5040), answers=GOOD))
    assert severe(found) == ["overfitting"]
    assert "from epoch 2 on" in found[0].message
    assert "best epoch is 1" in found[0].message
    assert "1.1076" in found[0].evidence
    assert "1.5040" in found[0].evidence
    assert "--epochs 2" in found[0].command
    assert "regularise" in found[0].command


@pytest.mark.parametrize(
    ("f1", "kept", "severity", "epochs"),
    [
        ((70.0, 71.0, 70.0, 69.0), 1, "warning", "--epochs 2"),
        ((70.0, 71.0, 72.0, 71.0), 2, "warning", "--epochs 3"),
        ((71.0, 70.0, 70.0, 69.0), 0, "warning", "--epochs 2"),
        ((70.0, 71.0, 72.0, 73.0), 3, "note", ""),
    ],
)
def test_the_epoch_that_is_kept_is_the_one_that_the_monitor_chose(
    f1: tuple[float, ...], kept: int, severity: str, epochs: str
) -> None:
    """The loss may turn while the score that the run is judged by still improves."""
    train, validation = (1.4, 0.9, 0.6, 0.4), (1.2, 1.1, 1.3, 1.5)
    reports = tuple(epoch(i, train[i], validation[i], f1=f1[i]) for i in range(4))
    facts = {"monitor": "f1", "choice": BestEpoch("higher")}
    advice = {a.sickness: a for a in advise(evidence(train, validation, answers=GOOD, facts=facts, epochs=reports))}
    found = advice["overfitting"]
    assert found.severity == severity
    if kept == 1:
        assert "best epoch is 1, which is the one kept" in found.message
    else:
        assert f"lowest after epoch 1, and {kept} is kept, by f1" in found.message
    assert epochs in found.command if epochs else "--epochs" not in found.command
    assert "regularise" in found.command


@pytest.mark.parametrize(
    ("train", "validation"),
    [((1.4, 0.9, 0.7), (1.2, 1.1, 1.095)), ((1.4, 0.9, 0.7), (1.1, 1.09, 1.12)), ((2.0,), (1.5,))],
)
def test_a_healthy_run_is_not_accused(train: tuple[float, ...], validation: tuple[float, ...]) -> None:
    assert severe(advise(evidence(train, validation, answers=GOOD))) == []


STUCK = (4.5, 4.48, 4.47)
PROBE_WELL = ProbeResult(32, 40, 4.4, 0.3)
PROBE_BADLY = ProbeResult(32, 40, 4.4, 4.0)


@pytest.mark.parametrize(
    ("case", "sickness"),
    [
        (evidence(STUCK, STUCK, ratio=4e-7), "learning_rate_too_low"),
        (evidence(STUCK, STUCK, ratio=5e-2), "learning_rate_too_high"),
        (evidence((4.6, 7.0, 9.0, 11.0, 9.0), (9.0,) * 5, ratio=5e-3), "learning_rate_too_high"),
        (evidence((4.0, math.nan), (4.0, math.nan)), "learning_rate_too_high"),
        (evidence(STUCK, STUCK, facts={"dropout": 0.9}), "dropout_too_high"),
        (evidence(STUCK, STUCK, still="encoder"), "frozen"),
        (evidence(STUCK, STUCK, still="head"), "dead_head"),
        (evidence(STUCK, STUCK, facts={"frozen_share": 0.99}), "frozen"),
        (evidence(STUCK, STUCK, probe=PROBE_WELL), "wrong_labels"),
        (evidence(STUCK, STUCK, probe=PROBE_BADLY), "cannot_learn"),
        (evidence(STUCK, STUCK, probe=PROBE_WELL, facts={"from_scratch": True}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8)), "wrong_labels"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"from_scratch": True}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"from_scratch": True, "n_train": 50}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"n_train": 50}), "overfitting"),
        (evidence((4.0, 3.5, 3.1), (3.9, 3.2, 2.8)), "underfitting"),
    ],
)
def test_what_looks_alike_from_outside_is_told_apart(case: Evidence, sickness: str) -> None:
    found = advise(case)
    assert found[0].sickness == sickness
    assert found[0].evidence
    assert found[0].command


def test_what_does_not_carry_over_is_not_blamed_on_the_labels_alone_and_hides_no_turning_point() -> None:
    found = advise(evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), answers={**GOOD, "one_place_share": 0.95}))
    assert severe(found) == ["wrong_labels", "overfitting"]
    assert "or this model would need more of them" in found[0].message
    assert "1,600 training examples" in found[0].evidence
    assert "add examples" in found[0].command


def test_labels_are_not_accused_while_the_validation_loss_still_falls() -> None:
    assert severe(advise(evidence((4.4, 3.9), (4.45, 4.4), ended=False))) == []
    assert severe(advise(evidence((4.4, 3.9, 3.5), (4.45, 4.4, 4.45), ended=False))) == ["wrong_labels"]
    assert severe(advise(evidence((4.4, 3.9), (4.45, 4.4)))) == ["wrong_labels"]


@pytest.mark.parametrize(
    ("answers", "sickness"),
    [
        ({"null_share": 1.0, "null_share_wanted": 0.3}, "all_null"),
        ({"one_place_share": 0.95}, "one_place"),
        ({"confidence": 0.97, "score": 30.0}, "saturated_head"),
        ({"confidence": 0.31, "confidence_before": 0.97, "score": 30.0}, "saturated_head"),
        ({"confidence": 0.97, "score": 80.0, "right_share": 0.3}, "saturated_head"),
    ],
)
def test_what_the_answers_show(answers: dict[str, float], sickness: str) -> None:
    assert severe(advise(evidence((1.4, 0.9), (1.2, 1.1), answers={**GOOD, **answers}))) == [sickness]


def test_what_was_missed_makes_no_answer_wrong() -> None:
    """Few entities are marked, surely and rightly: that is no confidence misplaced."""
    answers = {**GOOD, "confidence": 0.97, "score": 30.0, "right_share": 0.95}
    assert severe(advise(evidence((1.4, 0.9), (1.2, 1.1), answers=answers))) == []


@pytest.mark.parametrize(("start", "end", "sick"), [(0.03, 0.6, True), (0.5, 0.6, False), (0.02, 0.1, False)])
def test_half_a_head_that_is_dead(start: float, end: float, sick: bool) -> None:
    epochs = tuple(
        replace(epoch(i, 1.4, 1.2), train={"loss": 1.4, "start_accuracy": start, "end_accuracy": end}) for i in range(2)
    )
    found = advise(replace(evidence((1.4, 1.4), (1.2, 1.2)), epochs=epochs))
    assert ("one_sided_head" in severe(found)) == sick
    if sick:
        assert "not the start" in found[0].message


def test_half_unanswerable_and_all_null_is_seen_only_beyond_what_is_wanted() -> None:
    answers = {**GOOD, "null_share": 0.97, "null_share_wanted": 0.9}
    assert severe(advise(evidence((1.4, 0.9), (1.2, 1.1), answers=answers))) == []


@pytest.mark.parametrize(
    ("concern", "first"),
    [
        (Concern("error", "question_leaked", "they are there too", count=50, of=100), "question_leaked"),
        (Concern("error", "question_leaked", "they are there too", count=1, of=100), None),
        (Concern("error", "answer_cut_into_word", "inside a word", count=90, of=100), "answer_cut_into_word"),
        (Concern("warning", "answer_cut_into_word", "inside a word", count=2, of=100), None),
        (Concern("error", "answer_not_found", "not there", count=5, of=100), "answer_not_found"),
        (Concern("error", "answer_not_found", "not there", count=1, of=100), None),
        (Concern("error", "nothing_answerable", "no answers"), "nothing_answerable"),
        (Concern("error", "position_bias", "in one tenth", count=95, of=100), "position_bias"),
        (Concern("note", "position_bias", "in one tenth", count=30, of=100), None),
        (Concern("warning", "few_questions", "few"), "few_questions"),
    ],
)
def test_what_is_wrong_with_the_data_comes_first_if_it_is_much(concern: Concern, first: str | None) -> None:
    case = evidence((1.4, 0.9, 0.5), (1.2, 1.3, 1.6), answers=GOOD, facts={"concerns": in_training((concern,))})
    # a few questions are a warning like the overfitting that follows from them
    assert severe(advise(case))[0] == (first or "overfitting")


def test_a_leak_does_not_hide_what_else_is_wrong() -> None:
    leak = Concern("error", "question_leaked", "they are there too", count=50, of=100)
    found = severe(advise(evidence(STUCK, STUCK, ratio=4e-7, facts={"concerns": in_training((leak,))})))
    assert found == ["question_leaked", "learning_rate_too_low"]
    shifted = Concern("error", "answer_cut_into_word", "inside a word", count=90, of=100)
    found = severe(advise(evidence(STUCK, STUCK, probe=PROBE_WELL, facts={"concerns": in_training((shifted,))})))
    assert found == ["answer_cut_into_word"]  # which explains the rest


def test_the_probe_is_asked_for_only_where_it_decides() -> None:
    assert needs_probe(evidence(STUCK, STUCK))
    assert not needs_probe(evidence(STUCK, STUCK, probe=PROBE_WELL))
    assert not needs_probe(evidence(STUCK, STUCK, ratio=4e-7))
    assert not needs_probe(evidence((1.4, 0.9), (1.2, 1.1)))


def test_nothing_is_called_stuck_after_the_first_of_several_epochs() -> None:
    assert advise(evidence((4.5,), (4.5,), ended=False)) == ()
    assert severe(advise(evidence((4.5, 4.5), (4.5, 4.5), ended=False))) == ["not_learning"]


@pytest.mark.parametrize(("n", "margin", "severity"), [(15, 20.0, "warning"), (200, 6.0, "note"), (5000, 1.0, None)])
def test_a_validation_set_that_is_too_small_to_tell(n: int, margin: float, severity: str | None) -> None:
    answers = {**GOOD, "n": float(n), "score_margin": margin}
    found = advise(evidence((1.4, 0.9), (1.2, 1.1), answers=answers, facts={"n_validation": n}))
    assert [each.severity for each in found if each.sickness == "validation_too_small"] == (
        [severity] if severity else []
    )


def test_no_validation_data_is_no_sickness() -> None:
    assert advise(evidence((1.4, 0.9), (None, None))) == ()


def test_commands_are_those_of_the_run() -> None:
    facts = {"find_lr": "distiltune find-lr --recipe r.toml", "check": "distiltune check t.csv --recipe r.toml"}
    for case in (
        evidence(STUCK, STUCK, ratio=4e-7, facts=facts),
        evidence(STUCK, STUCK, ratio=5e-2, facts=facts),
        evidence((4.0, math.nan), (4.0, math.nan), facts=facts),
        evidence(STUCK, STUCK, facts=facts),
        evidence(STUCK, STUCK, probe=PROBE_WELL, facts=facts),
        evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts=facts),
    ):
        command = advise(case)[0].command
        assert any(command.endswith(f"ask: {each}") for each in facts.values())


def test_lines_for_a_terminal_name_evidence_and_command() -> None:
    lines = advise(evidence(STUCK, STUCK, ratio=4e-7))[0].lines()
    assert lines[0].startswith("coach: ")
    assert lines[1].startswith("  why: ")
    assert "--learning-rate" in lines[2]


@pytest.mark.parametrize(("n_validation", "severity"), [(100, "note"), (400, "warning"), (0, "warning")])
def test_few_examples_do_not_tell_a_small_rise_from_chance(n_validation: int, severity: str) -> None:
    case = evidence((4.0, 2.9, 2.0), (3.5, 3.2, 3.424), facts={"n_validation": n_validation})  # 7 %
    (found,) = [each for each in advise(case) if each.sickness == "overfitting"]
    assert found.severity == severity
    assert found.message.startswith("perhaps ") == (severity == "note")
    assert ("100 validation examples do not tell that from chance" in found.evidence) == (severity == "note")


@pytest.mark.parametrize(("n_validation", "first"), [(15, "validation_too_small"), (100, "overfitting")])
def test_too_few_examples_come_before_what_they_seem_to_show(n_validation: int, first: str) -> None:
    small = {"n": float(n_validation), "score": 20.0, "score_margin": 12.0}
    case = evidence((3.9, 2.9, 2.1), (3.44, 3.52, 4.1), facts={"n_validation": n_validation}, answers=small)
    assert severe(advise(case))[0] == first
