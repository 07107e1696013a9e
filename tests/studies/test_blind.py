"""What is learnt without reading: the entropy of the labels, and no more."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.studies.blind import Blind, fit_blind
from distiltune.tasks.question_answering.head import span_loss
from distiltune.tasks.text_classification.head import TextLoss
from distiltune.tasks.token_classification.head import token_loss

SEP = 9


def texts(labels: np.ndarray, n_tokens: int = 12) -> FeatureSet:
    n = len(labels)
    tokens = np.random.default_rng(0).integers(10, 90, n * n_tokens).astype(np.int32)
    return FeatureSet(tokens, np.arange(n + 1) * n_tokens, labels, np.arange(n), weights=np.ones(n, dtype=np.float32))


def test_of_one_label_it_is_the_entropy() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])[:, None].astype(np.int32)
    blind = Blind("sequence", 3, SEP, sees_places=False)
    loss = fit_blind(blind, texts(labels), TextLoss("single-label"), seed=0)
    shares = np.array([0.6, 0.3, 0.1])
    assert loss == pytest.approx(float(-(shares * np.log(shares)).sum()), abs=1e-3)
    # With smoothing, the entropy of the smoothed shares: no label's own figure has to be told it.
    smoothed = 0.8 * shares + 0.2 / 3
    again = fit_blind(Blind("sequence", 3, SEP, sees_places=False), texts(labels), TextLoss("single-label", 0.2), 0)
    assert again == pytest.approx(float(-(smoothed * np.log(smoothed)).sum()), abs=1e-3)
    assert not any(parameter.requires_grad for parameter in blind.parameters())


def test_of_several_labels_and_of_numbers() -> None:
    random = np.random.default_rng(1)
    labels = (random.random((200, 2)) < [0.5, 0.1]).astype(np.int32)
    shares = labels.mean(axis=0)
    entropy = float(-(shares * np.log(shares) + (1 - shares) * np.log(1 - shares)).mean())
    loss = fit_blind(Blind("sequence", 2, SEP, sees_places=False), texts(labels), TextLoss("multi-label"), 0)
    assert loss == pytest.approx(entropy, abs=1e-3)
    numbers = (1000 + 30 * random.normal(size=(200, 1))).astype(np.float32)
    objective = TextLoss("regression", spread=float(numbers.std()))
    loss = fit_blind(Blind("sequence", 1, SEP, sees_places=False), texts(numbers), objective, 0)
    assert loss == pytest.approx(1.0, rel=0.02)


def test_of_tokens_it_knows_the_place_if_it_may() -> None:
    n, length = 40, 12
    tags = np.tile([-100, 1, 1, *[0] * (length - 4), -100], n).astype(np.int32)
    features = FeatureSet(
        np.full(n * length, 20, dtype=np.int32),
        np.arange(n + 1) * length,
        no_labels(n),
        np.arange(n),
        token_labels=tags,
        weights=np.full(n, length - 2, dtype=np.float32),
    )
    constant = fit_blind(Blind("token", 2, SEP, sees_places=False), features, token_loss, 0)
    assert constant == pytest.approx(-(0.2 * math.log(0.2) + 0.8 * math.log(0.8)), abs=1e-3)
    assert fit_blind(Blind("token", 2, SEP, sees_places=True), features, token_loss, 0) < 0.05


def test_of_questions_it_knows_what_is_behind_the_separator() -> None:
    random = np.random.default_rng(2)
    rows, labels = [], []
    for _ in range(300):
        question = int(random.integers(3, 12))
        rows.append([1, *[20] * question, SEP, *[30] * 20, SEP])
        labels.append([question + 2 + int(random.integers(0, 20))] * 2)
    lengths = [len(row) for row in rows]
    features = FeatureSet(
        np.concatenate(rows).astype(np.int32),
        np.cumsum([0, *lengths]),
        np.array(labels, dtype=np.int32),
        np.arange(300),
    )
    uniform = fit_blind(Blind("token", 2, SEP, sees_places=False), features, span_loss, 0)
    assert uniform == pytest.approx(float(np.log(lengths).mean()), abs=1e-3)
    knowing = fit_blind(Blind("token", 2, SEP, sees_places=True), features, span_loss, 0)
    assert math.log(20) - 0.1 < knowing < math.log(20) + 0.05
    with torch.no_grad():  # and nothing of the words
        batch = features.batch(np.arange(2))
        blind = Blind("token", 2, SEP, sees_places=True)
        assert blind(batch).shape == (batch.n_tokens, 2)
