"""Masked language modelling can be expressed: masks are drawn anew in every epoch, and a resumed run draws the same."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, PackedBatch, required
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.tasks.heads import TokenHead
from distiltune.training.loop import EpochReport
from distiltune.training.objective import StepSums
from distiltune.training.setup import LoopSettings
from tests.helpers import TINY, spans_of, weights_of
from tests.tasks import masking
from tests.tasks.looped import Learning, learn
from tests.tasks.masking import CLS, MASK, METRIC_NAMES, SEP, featurise, masked, masking_loss, share_found

N_WORDS = 12
SHAPE = replace(TINY, vocab_size=masking.FIRST_WORD + N_WORDS, hidden_size=32, intermediate_size=64)
LOOP = LoopSettings(epochs=3, batch_size=8, accumulation_steps=1, max_gradient_norm=1.0, seed=3, log_every=2)
N_STEPS = 5  # an epoch, the last of fewer


def texts(n: int, seed: int = 0) -> list[list[int]]:
    """Words in the order of a round, from any of them on: each tells those beside it."""
    rng = np.random.default_rng(seed)
    rounds = [(int(rng.integers(N_WORDS)) + np.arange(rng.integers(6, 12))) % N_WORDS for _ in range(n)]
    return [(masking.FIRST_WORD + each).tolist() for each in rounds]


def model(seed: int = 0, dropout: float = 0.0) -> TaskModel:
    torch.manual_seed(seed)
    shape = replace(SHAPE, dropout=dropout, attention_dropout=dropout)
    made = TaskModel(Encoder(shape), TokenHead(shape.hidden_size, dropout, shape.vocab_size))
    initialise(made, 0.1)
    return made


def features_of(n: int, seed: int = 0) -> FeatureSet:
    return featurise(texts(n, seed), SHAPE.vocab_size)


def test_it_is_under_150_lines() -> None:
    assert Path(masking.__file__).read_text(encoding="utf-8").count("\n") < 150


def test_masks_are_where_they_should_be() -> None:
    whole = features_of(400)
    drawn = whole.of_epoch(0, 0)
    labels = required(drawn.token_labels, "token_labels")
    asked = labels != NO_LABEL
    is_word = whole.token_ids >= masking.FIRST_WORD
    assert asked[is_word].mean() == pytest.approx(0.15, abs=0.02)
    assert not asked[~is_word].any()
    assert (labels[asked] == whole.token_ids[asked]).all()
    assert (drawn.token_ids[~asked] == whole.token_ids[~asked]).all()
    assert (drawn.token_ids[asked] == MASK).mean() == pytest.approx(0.8, abs=0.05)
    assert set(drawn.token_ids[drawn.token_ids < masking.FIRST_WORD]) == {CLS, SEP, MASK}
    assert required(drawn.weights, "weights").sum() == asked.sum()
    assert (masked(whole, np.random.default_rng(0), SHAPE.vocab_size, 0.0).token_ids == whole.token_ids).all()


def test_it_is_learnt() -> None:
    made = model()
    loop = replace(LOOP, epochs=20, batch_size=16)
    learn(made, Learning(features_of(200), masking_loss, METRIC_NAMES, loop, rate=3e-3))
    assert share_found(made, features_of(100, seed=1).of_epoch(0, 1_000)) > 0.95


def test_every_epoch_has_masks_of_its_own() -> None:
    given: list[tuple[int, tuple[int, ...]]] = []

    def spying_loss(output: Tensor, batch: PackedBatch) -> StepSums:
        given.extend((int(i), tuple(row.tolist())) for i, row in zip(batch.feature_ids, spans_of(batch), strict=True))
        return masking_loss(output, batch)

    whole = features_of(37)
    learn(model(), Learning(whole, spying_loss, METRIC_NAMES, LOOP))
    by_feature: dict[int, set[tuple[int, ...]]] = {}
    for number, row in given:
        by_feature.setdefault(number, set()).add(row)
    assert len(given) == 3 * 37
    assert sum(len(rows) for rows in by_feature.values()) > 2 * 37, "most are given in three ways"
    drawn = [whole.of_epoch(LOOP.seed, epoch) for epoch in range(3)]
    for number, rows in by_feature.items():
        first, last = whole.offsets[number : number + 2]
        assert rows == {tuple(each.token_ids[first:last].tolist()) for each in drawn}


def figures(report: EpochReport) -> dict[str, Any]:
    return {name: value for name, value in asdict(report).items() if not name.endswith("seconds")}


@pytest.mark.parametrize("save_at", [1, 4, N_STEPS, N_STEPS + 2, 3 * N_STEPS - 1])
def test_a_resumed_training_draws_the_same(save_at: int) -> None:
    """In the middle of an epoch, and at its end; with dropout, so that the random states matter too."""
    learning = Learning(features_of(37), masking_loss, METRIC_NAMES, LOOP)
    first = model(dropout=0.1)
    whole = learn(first, learning, save_at=save_at)
    resumed = model(seed=9, dropout=0.1)
    heard = learn(resumed, learning, start=whole.saved)
    expected = weights_of(first)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(resumed).items())
    assert list(map(figures, heard.epochs)) == list(map(figures, whole.epochs))[-len(heard.epochs) :]


def test_with_other_masks_it_would_not_be_the_same() -> None:
    """The test above can fail."""
    learning = Learning(features_of(37), masking_loss, METRIC_NAMES, LOOP)
    first, resumed = model(), model(seed=9)
    saved = learn(first, learning, save_at=N_STEPS + 2).saved

    def the_first(features: FeatureSet, _: np.random.Generator) -> FeatureSet:
        return masked(features, np.random.default_rng((LOOP.seed, 0, 1)), SHAPE.vocab_size, 0.15)

    learn(resumed, replace(learning, features=replace(learning.features, redraw=the_first)), start=saved)
    expected = weights_of(first)
    assert not all(torch.equal(value, expected[name]) for name, value in weights_of(resumed).items())
