from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from distiltune.coach.evidence import ProbeResult
from distiltune.coach.probe import MAX_STEPS, ProbeSettings, overfit_probe, probe_within
from distiltune.progress import heard_by
from distiltune.tasks.question_answering.head import span_loss
from distiltune.tasks.token_classification.head import token_loss
from tests.helpers import feature_set, tiny_qa_model, weights_of

SEQUENCES = [[2, 10 + i, 20 + i, 30 + i, 3] for i in range(8)]
SETTINGS = ProbeSettings(n_features=8, n_steps=60, learning_rate=1e-2)


def test_what_can_be_learned_by_heart_is_and_the_model_stays_as_it_is() -> None:
    model = tiny_qa_model()
    before = {name: value.clone() for name, value in weights_of(model).items()}
    features = feature_set(SEQUENCES, [[1 + i % 3, 1 + i % 3] for i in range(8)])
    result = overfit_probe(model, features, span_loss, SETTINGS)
    assert result.learned(0.0)
    assert result.n_features == 8
    assert 4 < result.n_steps < 60, "it ends once all is learned"
    assert result.seconds > 0
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())


def test_one_text_with_two_answers_cannot_be_learned_by_heart() -> None:
    features = feature_set([SEQUENCES[0]] * 8, [[1 + i % 4, 1 + i % 4] for i in range(8)])
    result = overfit_probe(tiny_qa_model(), features, span_loss, SETTINGS)
    assert not result.learned(0.0)
    assert result.is_stuck(0.0)


def test_frozen_weights_do_not_hide_what_can_be_learned() -> None:
    """What is frozen is told by another rule; the probe is about the model and the data."""
    model = tiny_qa_model().requires_grad_(False)
    features = feature_set(SEQUENCES, [[1 + i % 3, 1 + i % 3] for i in range(8)])
    assert overfit_probe(model, features, span_loss, SETTINGS).learned(0.0)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_shortest_features_are_taken() -> None:
    features = feature_set([*SEQUENCES, list(range(2, 40))], [[1, 1]] * 9)
    result = overfit_probe(tiny_qa_model(), features, span_loss, ProbeSettings(n_features=4, n_steps=1))
    assert result.n_features == 4


def test_its_loss_is_a_mean_over_what_the_features_weigh_as_an_epochs_is() -> None:
    """Of tokens it is a mean over the labelled ones, not a sum a text."""
    tags = np.array([[-100, 1, 0, 1, -100]] * 8, dtype=np.int32).reshape(-1)
    features = replace(feature_set(SEQUENCES, [[0, 0]] * 8), token_labels=tags, weights=np.full(8, 3.0, np.float32))
    result = overfit_probe(tiny_qa_model(), features, token_loss, ProbeSettings(n_features=8, n_steps=1))
    whole = features.batch(np.arange(8))
    expected = float(token_loss(tiny_qa_model().eval()(whole), whole).metrics[0]) / 24
    assert result.losses[0] == pytest.approx(expected, rel=1e-4)


def test_it_pays_for_as_many_steps_as_a_fifth_of_the_run_and_tells_how_far_it_is() -> None:
    features = feature_set(SEQUENCES, [[1, 1]] * 8)
    a_step = 8 * 5  # all of them are taken
    settings = probe_within(features, n_tokens=100 * a_step, seconds=10.0, learning_rate=1e-3)
    assert settings == ProbeSettings(32, 20, 1e-3, 2.0)
    assert probe_within(features, 10_000 * a_step, 10.0, 1e-3) == ProbeSettings(32, MAX_STEPS, 1e-3, 2.0)
    assert probe_within(features, 40 * a_step, 10.0, 1e-3) is None, "eight steps say nothing"
    told: list[tuple[str, str, int, int | None]] = []
    with heard_by(lambda stage, unit="", n_done=0, n_all=None: told.append((stage, unit, n_done, n_all))):
        overfit_probe(tiny_qa_model(), features, span_loss, ProbeSettings(n_steps=3))
    assert told == [("can it learn a few examples by heart?", "steps", n, 3) for n in range(4)]
    assert overfit_probe(tiny_qa_model(), features, span_loss, ProbeSettings(max_seconds=0.0)).n_steps == 0


FALLING = tuple(0.69 - 0.01 * step for step in range(40))  # 0.69 → 0.30
FLAT = (0.69, *(0.6 + 0.0001 * (step % 3) for step in range(40)))


@pytest.mark.parametrize(
    ("losses", "blind", "learned", "stuck"),
    [
        (FALLING, 0.45, False, False),  # several labels a text: it would be there soon
        (FLAT, 0.6, False, True),
        (FLAT[:20], 0.6, False, False),  # too few steps to tell
        ((0.69, *([0.05] * 40)), 0.6, True, False),
        ((2.0, *([0.5] * 40)), 0.5, False, True),  # all that it learned is which label is common
        ((1.6, *([0.78] * 30), 0.98, *([0.79] * 20)), 1.59, True, False),  # shuffled labels of texts that read alike
        ((0.69, *([3.0] * 40)), 0.6, False, False),  # thrown about, by a rate that does not fit
        ((0.69, *([math.nan] * 40)), 0.6, False, False),
    ],
)
def test_it_is_stuck_only_where_the_curve_has_gone_flat(
    losses: tuple[float, ...], blind: float, learned: bool, stuck: bool
) -> None:
    result = ProbeResult(32, losses, 1.5)
    assert (result.learned(blind), result.is_stuck(blind)) == (learned, stuck)
    assert result.in_words() == f"loss {losses[0]:.2f} → {losses[-1]:.2f} in {len(losses) - 1} steps, 1.5 s"
