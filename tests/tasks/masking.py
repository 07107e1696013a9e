"""Masked language modelling as a task would have it: other tokens are masked in every epoch (Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import NO_LABEL, PackedBatch, cumulative_lengths, required
from distiltune.inference.predictor import outputs
from distiltune.training.objective import StepSums

CLS, SEP, MASK = 2, 3, 4
FIRST_WORD = 5
"""Ids below are special tokens, which are never masked and never drawn."""
METRIC_NAMES = ("loss", "accuracy")


def featurise(texts: Sequence[Sequence[int]], vocab_size: int, share: float = 0.15) -> FeatureSet:
    """``[CLS] text [SEP]`` of token ids, whole: what is masked is drawn for each epoch."""
    rows = [[CLS, *text, SEP] for text in texts]

    def redraw(features: FeatureSet, random: np.random.Generator) -> FeatureSet:
        return masked(features, random, vocab_size, share)

    return FeatureSet(
        token_ids=np.array([token for row in rows for token in row], dtype=np.int32),
        offsets=cumulative_lengths([len(row) for row in rows]),
        labels=no_labels(len(rows)),
        example_of=np.arange(len(rows)),
        redraw=redraw,
    )


def masked(features: FeatureSet, random: np.random.Generator, vocab_size: int, share: float) -> FeatureSet:
    """The set with about ``share`` of the words to be found again; a feature weighs as many as it has of them.

    Of these, eight of ten are masked, one is another word, and one is left as it is.
    """
    tokens = features.token_ids
    is_asked = (tokens >= FIRST_WORD) & (random.random(len(tokens)) < share)
    kind, words = random.random(len(tokens)), random.integers(FIRST_WORD, vocab_size, len(tokens))
    given = np.select([is_asked & (kind < 0.8), is_asked & (kind < 0.9)], [MASK, words], tokens)
    asked_before = cumulative_lengths(is_asked.astype(np.int64))
    return replace(
        features,
        token_ids=given.astype(np.int32),
        token_labels=np.where(is_asked, tokens, NO_LABEL).astype(np.int32),
        weights=np.diff(asked_before[features.offsets]).astype(np.float32),
    )


def masking_loss(logits: Tensor, batch: PackedBatch) -> StepSums:
    """Cross-entropy of the words asked for and how many are found, each summed.

    Args:
        logits: ``(total_tokens, vocab_size)``.
        batch: with a label a token.

    """
    labels = required(batch.token_labels, "token_labels")
    loss = F.cross_entropy(logits.float(), labels, ignore_index=NO_LABEL, reduction="sum")
    found = (logits.detach().argmax(dim=1) == labels).sum()
    return StepSums(loss, torch.stack([loss.detach(), found.to(loss.dtype)]))


def share_found(model: nn.Module, features: FeatureSet, max_tokens: int = 256) -> float:
    """Of the words asked for in a set that was drawn, how many the model finds."""
    everything = np.arange(len(features))
    found = [
        masking_loss(output, batch).metrics[1] for batch, output in outputs(model, features, everything, max_tokens)
    ]
    return float(torch.stack(found).sum()) / features.weight(everything)
