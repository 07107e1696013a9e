from __future__ import annotations

import torch

from distiltune.coach.probe import ProbeSettings, overfit_probe
from distiltune.tasks.question_answering.head import span_loss
from tests.helpers import feature_set, tiny_qa_model, weights_of

SEQUENCES = [[2, 10 + i, 20 + i, 30 + i, 3] for i in range(8)]
SETTINGS = ProbeSettings(n_features=8, n_steps=60, learning_rate=1e-2)


def test_what_can_be_learned_by_heart_is_and_the_model_stays_as_it_is() -> None:
    model = tiny_qa_model()
    before = {name: value.clone() for name, value in weights_of(model).items()}
    features = feature_set(SEQUENCES, [[1 + i % 3, 1 + i % 3] for i in range(8)])
    result = overfit_probe(model, features, span_loss, SETTINGS)
    assert result.learned
    assert result.n_features == 8
    assert result.n_steps == 60
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())


def test_one_text_with_two_answers_cannot_be_learned_by_heart() -> None:
    features = feature_set([SEQUENCES[0]] * 8, [[1 + i % 4, 1 + i % 4] for i in range(8)])
    assert not overfit_probe(tiny_qa_model(), features, span_loss, SETTINGS).learned


def test_frozen_weights_do_not_hide_what_can_be_learned() -> None:
    """What is frozen is told by another rule; the probe is about the model and the data."""
    model = tiny_qa_model().requires_grad_(False)
    features = feature_set(SEQUENCES, [[1 + i % 3, 1 + i % 3] for i in range(8)])
    assert overfit_probe(model, features, span_loss, SETTINGS).learned
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_shortest_features_are_taken() -> None:
    features = feature_set([*SEQUENCES, list(range(2, 40))], [[1, 1]] * 9)
    result = overfit_probe(tiny_qa_model(), features, span_loss, ProbeSettings(n_features=4, n_steps=1))
    assert result.n_features == 4
