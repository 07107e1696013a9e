from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from distiltune.checks.concerns import Case, Concern, for_model, leak_concern
from distiltune.coach.advice import advise, needs_probe
from distiltune.coach.evidence import Evidence, ProbeResult
from distiltune.coach.scores import BlindScore
from distiltune.coach.sickness import Advice
from distiltune.tasks.question_answering.check.training import in_training
from distiltune.training.early_stopping import BestEpoch
from distiltune.training.loop import StepReport
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
PROBE_WELL = ProbeResult(32, (4.4, *([0.3] * 40)))
PROBE_BADLY = ProbeResult(32, (4.4, *([4.0] * 40)))
PROBE_FALLING = ProbeResult(32, tuple(4.4 - 0.04 * step for step in range(40)))
FITTING = {"fitting_rate": 2e-5, "n_validation": 300}
ACCURACY = BlindScore("accuracy", 0.34, 300, who="always 'joy'")


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
        (evidence(STUCK, STUCK, probe=PROBE_WELL), "not_learning"),  # whether the rate fits is not known
        (evidence(STUCK, STUCK, probe=PROBE_WELL, facts=FITTING), "wrong_labels"),
        (evidence(STUCK, STUCK, probe=PROBE_WELL, facts={"fitting_rate": 3e-4}), "learning_rate_too_low"),
        (evidence(STUCK, STUCK, probe=PROBE_WELL, facts={"fitting_rate": 2e-6}), "learning_rate_too_high"),
        (evidence(STUCK, STUCK, probe=PROBE_BADLY), "cannot_learn"),
        (evidence(STUCK, STUCK, probe=PROBE_FALLING, facts=FITTING), "not_learning"),
        (evidence(STUCK, STUCK, probe=PROBE_WELL, facts={"from_scratch": True}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8)), "wrong_labels"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"from_scratch": True}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"from_scratch": True, "n_train": 50}), "no_pretraining"),
        (evidence((4.4, 3.0, 2.0), (4.4, 4.45, 4.8), facts={"n_train": 50}), "overfitting"),
        (evidence((4.0, 3.5, 3.1), (3.9, 3.2, 2.8)), "underfitting"),
        (evidence((4.6, 4.5), (4.5, 4.3)), "too_few_steps"),  # falling, if only towards what blindness gives
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
    assert severe(advise(evidence((4.4, 3.9, 1.5), (4.45, 4.4, 4.45), ended=False))) == []
    assert severe(advise(evidence((4.4, 3.9, 1.5), (4.45, 4.4, 4.45)))) == ["wrong_labels"]
    few = evidence((4.4, 3.9), (4.45, 4.4), facts={"steps_per_epoch": 10}, steps=())
    assert severe(advise(few)) == ["too_few_steps"]


@pytest.mark.parametrize(
    ("last", "probe", "share", "sickness"),
    [
        (1.5, None, 1.0, "wrong_labels"),  # nearly all is learned by heart
        (3.9, None, 1.0, "not_learning"),
        (3.9, PROBE_FALLING, 1.0, "not_learning"),
        (3.9, PROBE_WELL, 1.0, "wrong_labels"),
        (1.5, None, 4.0, "learning_rate_too_high"),
        (1.5, None, 0.1, "wrong_labels"),  # it was enough for that
        (3.9, PROBE_WELL, 0.1, "not_learning"),
    ],
)
def test_labels_are_accused_only_where_a_rate_that_works_was_tried(
    last: float, probe: ProbeResult | None, share: float, sickness: str
) -> None:
    """One at which labels that follow from nothing are learned by heart, as a shuffled control is."""
    facts = {"fitting_rate": 2e-5, "learning_rate": 2e-5 * share}
    case = evidence((4.4, 4.0, last), (4.45, 4.4, 4.45), facts=facts, probe=probe)
    assert severe(advise(case))[0] == sickness
    assert needs_probe(case) == (sickness == "not_learning" and probe is None)


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
        (Concern("warning", "question_leaked", "they are there too", count=1, of=100), None),
        (Concern("error", "answer_cut_into_word", "inside a word", count=90, of=100), "answer_cut_into_word"),
        (Concern("warning", "answer_cut_into_word", "inside a word", count=2, of=100), None),
        (Concern("error", "answer_not_found", "not there", count=5, of=100), "answer_not_found"),
        (Concern("warning", "answer_not_found", "not there", count=5, of=100), "answer_not_found"),
        (Concern("warning", "answer_not_found", "not there", count=1, of=100), None),
        (Concern("error", "nothing_answerable", "no answers"), "nothing_answerable"),
        (Concern("error", "position_bias", "in one tenth", count=95, of=100), "position_bias"),
        (Concern("note", "position_bias", "in one tenth", count=30, of=100), None),
        (Concern("warning", "few_questions", "few"), "few_questions"),
        (Concern("warning", "mostly_unanswerable", "few answers"), "mostly_unanswerable"),
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


def test_a_probe_has_its_cost_and_its_verdict_in_the_evidence() -> None:
    for probe, words in ((PROBE_WELL, "can be"), (PROBE_FALLING, "cannot yet be"), (PROBE_BADLY, "cannot be")):
        found = advise(evidence(STUCK, STUCK, probe=replace(probe, seconds=3.1)))[0]
        assert f"32 examples {words} learned by heart: {probe.in_words()[:-5]}3.1 s" in found.evidence


def test_a_multi_label_probe_that_still_falls_is_no_model_that_cannot_learn() -> None:
    falling = ProbeResult(32, tuple(0.69 - 0.01 * step for step in range(40)))
    facts = {"blind_loss": 0.5, "uniform_loss": 0.69, "fitting_rate": 2e-5}
    assert severe(advise(evidence((0.52, 0.5), (0.51, 0.505), probe=falling, facts=facts))) == ["not_learning"]


def scored(
    train: tuple[float, ...],
    validation: tuple[float, ...],
    scores: tuple[float, ...],
    blind: BlindScore = ACCURACY,
    **facts: Any,
) -> Evidence:
    """A run with these losses and scores by epoch."""
    epochs = tuple(epoch(i, train[i], validation[i], **{blind.metric: scores[i]}) for i in range(len(train)))
    known = {"blind_scores": (blind,), "n_validation": 300, "blind_loss": 1.59, "uniform_loss": 1.79, **facts}
    return evidence(train, validation, epochs=epochs, facts=known)


@pytest.mark.parametrize(
    ("score", "blind"),
    [
        (0.50, ACCURACY),
        (0.52, ACCURACY),
        (0.10, BlindScore("f1", 0.0, 200)),
        (0.78, BlindScore("pearson", 0.0, 100, kind="correlation")),
        (14.0, BlindScore("f1", 5.0, 300, whole=100.0)),
    ],
)
@pytest.mark.parametrize("probe", [None, PROBE_WELL, PROBE_BADLY])
def test_nothing_learned_is_never_said_of_a_score_beyond_chance(
    score: float, blind: BlindScore, probe: ProbeResult | None
) -> None:
    """However little the loss says so: an accuracy of 0.50 where the commonest label has 0.34."""
    case = replace(scored((1.65, 1.6), (1.6, 1.58), (score, score), blind), probe=probe)
    assert not {"not_learning", "wrong_labels", "cannot_learn", "too_few_steps"} & set(severe(advise(case)))
    low = scored((1.65, 1.6), (1.6, 1.58), (blind.value, blind.value), blind, fitting_rate=2e-5)
    assert severe(advise(low)) == ["not_learning"]


def test_thirty_four_steps_are_too_few_to_say_anything_of_labels() -> None:
    case = scored((1.2, 0.8), (1.0, 0.7), (0.0, 0.0), BlindScore("f1", 0.0, 200), steps_per_epoch=17, blind_loss=0.5)
    found = advise(replace(case, steps=()))[0]
    assert found.sickness == "too_few_steps"
    assert found.command == "distiltune train --recipe RUN/recipe.toml --output RUN-2 --epochs 8"


@pytest.mark.parametrize(
    ("given", "sickness"),
    [
        ({"n_given": 0.0, "n_wanted": 71.0}, "predicts_nothing"),
        ({"one_label_share": 1.0, "one_label_wanted": 0.39}, "one_class"),
        ({}, "too_few_steps"),
    ],
)
def test_a_loss_that_falls_towards_blindness_from_above_is_no_learning(given: dict[str, float], sickness: str) -> None:
    """Entities of which nine in ten are not marked: 128 steps, and all that they taught is how rare marks are."""
    train, validation = (1.6, 0.4, 0.2, 0.14), (1.3, 0.9, 0.87, 0.97)
    facts: dict[str, Any] = {"blind_loss": 0.11, "steps_per_epoch": 32, "fitting_rate": 2e-5, "uniform_loss": 2.0}
    case = scored(train, validation, (0.0,) * 4, BlindScore("f1", 0.0, 71), **facts)
    steps = tuple(StepReport(i // 4, 8 * i + 7, 128, train[i // 4] - 0.005 * i, 2e-5, 900.0) for i in range(16))
    case = replace(case, steps=steps, answers={**GOOD, **given})
    assert severe(advise(case))[0] == sickness
    assert "overfitting" not in severe(advise(replace(case, ended=False, answers={})))


@pytest.mark.parametrize(
    ("last", "monitor", "severity"),
    [(0.30, "f1", "note"), (0.10, "f1", "warning"), (0.30, "validation_loss", "warning")],
)
def test_epochs_that_cost_no_score_are_no_fault(last: float, monitor: str, severity: str) -> None:
    """800 sentences of WNUT 2017 by the default recipe: the loss rose by a quarter, and the best F1 was kept."""
    choice = BestEpoch("lower" if monitor == "validation_loss" else "higher")
    blind = BlindScore("f1", 0.0, 70)
    case = scored((0.30, 0.20, 0.12), (0.339, 0.335, 0.42), (0.0, 0.38, last), blind, monitor=monitor, choice=choice)
    (found,) = [each for each in advise(case) if each.sickness == "overfitting"]
    assert found.severity == severity
    assert "--epochs 2" in found.command


def test_a_handful_of_steps_is_named_where_something_was_learned_in_them() -> None:
    blind = BlindScore("f1", 15.0, 54, whole=100.0)
    facts: dict[str, Any] = {"blind_loss": 3.37, "uniform_loss": 4.5, "planned_epochs": 1}
    case = scored((3.38,), (2.77,), (45.0,), blind, **facts, steps_per_epoch=7)
    (found,) = [each for each in advise(replace(case, steps=())) if each.severity != "note"]
    assert (found.sickness, found.evidence[:7]) == ("underfitting", "7 steps")
    assert found.command.endswith("--epochs 18")
    long = scored((3.38,), (2.77,), (45.0,), blind, **facts, steps_per_epoch=700)
    assert severe(advise(replace(long, steps=()))) == []


@pytest.mark.parametrize(
    ("share", "scores", "severity", "sickness"),
    [
        (1 / 15, (0.34, 0.35), "error", "learning_rate_too_low"),
        (1 / 4, (0.45, 0.50), "warning", "learning_rate_too_low"),
        (1 / 2, (0.45, 0.50), None, None),
        (30, (0.34, 0.34), "error", "learning_rate_too_high"),
        (5, (0.50, 0.50), "warning", "learning_rate_too_high"),
        (2, (0.50, 0.52), None, None),
    ],
)
def test_a_rate_far_from_the_fitting_one_is_named_with_that_one(
    share: float, scores: tuple[float, ...], severity: str | None, sickness: str | None
) -> None:
    case = scored((1.7, 1.6), (1.65, 1.55), scores, fitting_rate=3e-4, learning_rate=3e-4 * share)
    found = [each for each in advise(case) if each.sickness.startswith("learning_rate")]
    assert [(each.severity, each.sickness) for each in found] == ([(severity, sickness)] if severity else [])
    for each in found:
        assert each.command == "distiltune train --recipe RUN/recipe.toml --output RUN-2 --learning-rate 3.0e-04"
        assert "about 3.0e-04 fits" in each.evidence
        assert "always 'joy' gets 0.34" in each.evidence


def test_a_low_rate_is_named_before_the_nothing_that_comes_of_it() -> None:
    """Words at a third of the rate: the head begins at the shares of the tags, so the loss is soon below the blind."""
    train, validation = (0.98, 0.77, 0.6, 0.53, 0.46, 0.42), (0.87, 0.68, 0.58, 0.54, 0.52, 0.5)
    low = {"blind_loss": 0.975, "fitting_rate": 2.2e-4, "learning_rate": 4.4e-5}
    case = scored(train, validation, (0.05,) * 6, BlindScore("f1", 0.0, 75), **low)
    nothing = {**GOOD, "n_given": 5.0, "n_wanted": 75.0}
    found = advise(replace(case, answers=nothing))
    assert (found[0].severity, found[0].sickness) == ("error", "learning_rate_too_low")
    assert found[0].message == "the model gives nothing to speak of: the learning rate is too low"
    assert "5 are given, and 75 are wanted" in found[0].evidence
    assert "--learning-rate 2.2e-04" in found[0].command


@pytest.mark.parametrize(("loss", "first"), [(0.69, "wrong_labels"), (0.55, "predicts_nothing")])
def test_a_loss_alone_has_to_say_clearly_that_something_was_learned(loss: float, first: str) -> None:
    """Entities moved to words drawn by lot: the loss falls to 0.87 of the blind one, since signs are never names."""
    train, validation = (1.0, 0.8, 0.75, 0.69), (0.9, loss, loss + 0.01, loss + 0.06)
    nothing = {**GOOD, "n_given": 0.0, "n_wanted": 71.0}
    case = scored(train, validation, (0.0,) * 4, BlindScore("f1", 0.0, 71), blind_loss=0.795, fitting_rate=2e-5)
    probe = ProbeResult(32, (0.8, *([0.1] * 40)))
    assert severe(advise(replace(case, answers=nothing, probe=probe)))[0] == first


def test_one_label_for_all_is_named_where_nothing_was_learned() -> None:
    case = scored((1.6, 1.59), (1.6, 1.6), (0.34, 0.34), fitting_rate=2e-5, steps_per_epoch=60)
    alike = {**GOOD, "one_label_share": 1.0, "one_label_wanted": 0.34}
    case = replace(case, steps=case.steps[:1], answers=alike)
    assert severe(advise(case)) == ["one_class"]
    assert needs_probe(case)
    assert severe(advise(replace(case, probe=PROBE_BADLY))) == ["cannot_learn"]


def test_one_label_for_all_is_named_before_the_labels_are_doubted() -> None:
    """Nearly all training texts have one label, and the head begins at that: the loss falls by a sixth, to no use."""
    train, validation = (0.26, 0.25, 0.24, 0.23, 0.22, 0.217), (2.59, 2.59, 2.67, 2.75, 2.82, 2.83)
    case = scored(train, validation, (0.39,) * 6, BlindScore("accuracy", 0.39, 67), blind_loss=0.257, fitting_rate=2e-5)
    case = replace(case, probe=ProbeResult(32, (0.26, *([0.01] * 40))))
    doubted = {**GOOD, "one_label_share": 0.5, "one_label_wanted": 0.39}
    assert severe(advise(replace(case, answers=doubted)))[0] == "wrong_labels"
    alike = {**GOOD, "one_label_share": 1.0, "one_label_wanted": 0.39}
    assert severe(advise(replace(case, answers=alike)))[0] == "one_class"


def test_a_training_that_came_apart_is_no_question_of_the_epoch() -> None:
    """Entities of the starter data at a rate that is too high for them: learned by epoch 4, lost by the last."""
    train = (1.49, 1.02, 0.78, 0.72, 0.59, 0.63, 0.71, 0.73, 0.67, 0.62, 0.60, 0.65, 0.79, 0.93, 0.96, 0.95)
    scores = (0.0, 0.0, 0.0, 0.05, 0.28, 0.19, 0.19, 0.0, 0.16, 0.16, 0.15, 0.11, 0.0, 0.0, 0.0, 0.0)
    case = scored(train, tuple(loss - 0.05 for loss in train), scores, BlindScore("f1", 0.0, 38), blind_loss=0.95)
    found = advise(case)
    assert severe(found) == ["learning_rate_too_high"]
    assert "training loss 0.59 in epoch 4, 0.95 in epoch 15" in found[0].evidence
    assert "--learning-rate" in found[0].command


def test_a_low_rate_that_went_all_the_way_is_no_fault() -> None:
    """It has turned, or nothing falls any more and little is left, or the model was fine-tuned before."""
    low: dict[str, Any] = {"fitting_rate": 3e-4, "learning_rate": 5e-5}
    turned = scored((1.2, 0.5, 0.2), (0.9, 0.8, 1.1), (0.7, 0.72, 0.71), **low)
    assert "learning_rate_too_low" not in severe(advise(turned))
    done = scored((0.4, 0.3), (0.40, 0.40), (0.9, 0.9), **low)
    assert severe(advise(done)) == []
    hard = scored((1.0, 0.85), (1.1, 1.095), (0.6, 0.6), **low)  # by heart it knows more already
    assert severe(advise(hard)) == []
    gone_on = scored((1.2, 1.0), (1.1, 0.95), (0.6, 0.65), is_fine_tuned=True, **low)
    assert "learning_rate_too_low" not in severe(advise(gone_on))


def test_an_epoch_that_was_chosen_against_the_score_is_named_with_the_monitor() -> None:
    blind = BlindScore("f1", 0.0, 200)
    case = scored((0.9, 0.5, 0.3), (0.40, 0.42, 0.45), (0.0, 0.2, 0.3), blind)
    found = advise(case)
    assert severe(found) == ["epoch_against_score"]
    assert found[0].command == "distiltune train --recipe RUN/recipe.toml --output RUN-2 --monitor f1"
    assert "epoch 0 is kept, by the validation loss, with f1 0.000; epoch 2 has 0.300" in found[0].evidence
    nothing = {**GOOD, "n_given": 0.0, "n_wanted": 335.0}  # by the model of epoch 0
    told = advise(replace(case, answers=nothing))
    assert [(each.severity, each.sickness) for each in told[:1]] == [("error", "epoch_against_score")]
    assert "predicts_nothing" not in severe(told)
    some = scored((0.9, 0.5, 0.3), (0.40, 0.42, 0.45), (0.1, 0.2, 0.3), blind)
    assert [each.severity for each in advise(some) if each.sickness == "epoch_against_score"] == ["warning"]
    by_score = {"monitor": "f1", "choice": BestEpoch("higher")}
    assert severe(advise(scored((0.9, 0.5, 0.3), (0.40, 0.42, 0.45), (0.0, 0.2, 0.3), blind, **by_score))) == []
    facts = {**FITTING, "blind_scores": (ACCURACY, BlindScore("macro_f1", 0.17, 120)), "blind_loss": 1.59}
    scores = [{"accuracy": 0.56, "macro_f1": 0.31}, {"accuracy": 0.58, "macro_f1": 0.48}]  # of 300 emotion texts
    epochs = tuple(epoch(i, 0.9 - 0.5 * i, 1.24 + i, **scores[i]) for i in range(2))
    second = advise(evidence((0.9, 0.4), (1.24, 2.24), facts=facts, epochs=epochs))
    assert severe(second) == ["epoch_against_score"]
    assert second[0].command.endswith("--monitor macro_f1")
    little = scored((0.9, 0.5, 0.3), (0.40, 0.42, 0.45), (0.28, 0.3, 0.3), blind)
    assert "epoch_against_score" not in severe(advise(little))


def test_the_loss_that_the_default_recipe_goes_by_is_no_fault_where_few_examples_score() -> None:
    """The packaged texts without a flag: 37 of them to evaluate on, four of which an early epoch had by luck."""
    for n, told in ((37, False), (200, True)):
        case = scored((0.9, 0.4, 0.1), (0.4, 0.3, 0.19), (1.0, 0.95, 0.85), BlindScore("f1", 0.24, n))
        assert ("epoch_against_score" in [each.sickness for each in advise(case)]) is told


@pytest.mark.parametrize(
    ("answers", "sickness", "flag"),
    [
        ({"n_given": 2.0, "n_wanted": 100.0}, "predicts_nothing", "--epochs 6"),
        ({"n_given": 90.0, "n_wanted": 100.0}, None, ""),
        ({"one_label_share": 1.0, "one_label_wanted": 0.34}, "one_class", "--epochs 6"),
        ({"one_label_share": 1.0, "one_label_wanted": 0.7}, "one_class", "--class-weights balanced"),
        ({"one_label_share": 1.0, "one_label_wanted": 0.95}, None, ""),
        ({"null_share": 1.0, "null_share_wanted": 0.3}, "all_null", "--epochs 6"),
    ],
)
def test_a_model_that_says_nothing_or_one_thing(answers: dict[str, float], sickness: str | None, flag: str) -> None:
    found = advise(evidence((1.4, 0.9), (1.2, 1.1), answers={**GOOD, **answers}))
    assert severe(found) == ([sickness] if sickness else [])
    if sickness:
        assert found[0].command.startswith("distiltune train --recipe RUN/recipe.toml --output RUN-2 --epochs 6")
        assert flag in found[0].command


def test_who_has_a_pretrained_or_a_fine_tuned_model_is_not_told_to_use_one() -> None:
    few = Concern("warning", "few_examples", "few", "add examples", repair_of_fresh=", or start from RUN")
    assert for_model((few,), is_fine_tuned=True)[0].repair == "add examples"
    assert for_model((few,), is_fine_tuned=False)[0].repair == "add examples, or start from RUN"
    assert "pretrained" not in advise(evidence(STUCK, STUCK, probe=PROBE_BADLY))[0].command
    scratch = evidence(STUCK, STUCK, probe=PROBE_BADLY, facts={"from_scratch": True})
    assert "use a pretrained model" in advise(scratch)[0].command


@pytest.mark.parametrize(("n", "severity"), [(1, "warning"), (2, "error")])
def test_a_leak_is_as_severe_to_a_check_as_it_matters_to_a_training(n: int, severity: str) -> None:
    (leak,) = leak_concern("text_leaked", "there too", [Case("a", "b")], n, 100, "take them out")
    assert leak.severity == severity


def test_nothing_is_called_stuck_after_the_first_of_several_epochs() -> None:
    assert advise(evidence((4.5,), (4.5,), ended=False)) == ()
    assert severe(advise(evidence((4.5, 4.5), (4.5, 4.5), ended=False))) == ["not_learning"]


@pytest.mark.parametrize(
    ("n", "margin", "severity"), [(15, 20.0, "warning"), (37, 15.0, "note"), (200, 6.0, "note"), (5000, 1.0, None)]
)
def test_a_validation_set_that_is_too_small_to_tell(n: int, margin: float, severity: str | None) -> None:
    answers = {**GOOD, "n": float(n), "score_margin": margin}
    found = advise(evidence((1.4, 0.9), (1.2, 1.1), answers=answers, facts={"n_validation": n}))
    assert [each.severity for each in found if each.sickness == "validation_too_small"] == (
        [severity] if severity else []
    )


@pytest.mark.parametrize(("n", "first"), [(15, "validation_too_small"), (40, "too_few_steps")])
def test_fifteen_rows_do_not_say_that_nothing_carries_over(n: int, first: str) -> None:
    """Emotion texts whose losses both fall: an accuracy of 0.53 on 15 of them may be chance, and need not be."""
    small = {**GOOD, "n": float(n), "score": 53.0, "score_margin": 25.0}
    blind = BlindScore("accuracy", 0.33, 15)
    case = scored((1.74, 1.27, 1.0), (1.63, 1.41, 1.29), (0.33, 0.47, 0.53), blind, n_validation=n)
    assert severe(advise(replace(case, answers=small)))[0] == first


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
        assert "--learning-rate" not in command or command.startswith(case.facts.again)


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


def test_a_run_that_has_learned_everything_did_not_end_too_soon() -> None:
    """Its losses still halve, of next to nothing."""
    losses = (1.0, 0.4, 0.2), (0.9, 0.3, 0.02)
    assert [each.sickness for each in advise(evidence(*losses, facts={"blind_loss": 2.0}))] == []
    assert [each.sickness for each in advise(evidence(*losses, facts={"blind_loss": 0.3}))] == ["underfitting"]


def test_a_training_score_beyond_chance_is_something_learned_where_there_are_no_validation_data() -> None:
    known = {"n_validation": 0, "n_train": 48, "blind_loss": 0.693, "uniform_loss": 0.693, "steps_per_epoch": 3}
    blind = BlindScore("accuracy", 0.5, 48)
    for accuracy, is_blamed in ((1.0, False), (0.56, True)):
        case = evidence((0.685, 0.64), (None, None), facts={**known, "blind_in_training": (blind,)})
        first, last = case.epochs
        case = replace(case, epochs=(first, replace(last, train={**last.train, "accuracy": accuracy})))
        assert any("nothing is learned" in each.message for each in advise(case)) == is_blamed
