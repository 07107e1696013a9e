"""Reading answers out: features through the model, then the one decoder, example by example, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.inference.predictor import outputs
from distiltune.tasks.question_answering.decode import Decoded, WindowLogits, decode
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import QuestionFeatures

FEATURES_AT_ONCE = 1_024
"""Features whose logits are held together: enough to batch features of like lengths, whatever the set's size."""


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """How answers are read out: the longest answer, the candidates kept, the tokens in a batch."""

    max_answer_tokens: int = 30
    n_best: int = 20
    batch_tokens: int = 4_096


OnBatch = Callable[[PackedBatch, Tensor], None]


def read_answers(
    model: nn.Module,
    examples: Sequence[Example],
    question_features: QuestionFeatures,
    settings: DecodingSettings,
    on_batch: OnBatch = lambda batch, logits: None,
) -> Iterator[tuple[Example, Decoded]]:
    """Decode every example, in order.

    Args:
        model: an encoder with a span head.
        examples: those that the features were made of.
        question_features: their features.
        settings: limits of the decoding and of the batches.
        on_batch: called with every packed batch and its logits ``(total_tokens, 2)``, on the model's device.

    """
    for example, windows in read_windows(model, examples, question_features, settings.batch_tokens, on_batch):
        yield (
            example,
            decode(example.context, windows, max_answer_tokens=settings.max_answer_tokens, n_best=settings.n_best),
        )


def read_windows(
    model: nn.Module,
    examples: Sequence[Example],
    question_features: QuestionFeatures,
    batch_tokens: int,
    on_batch: OnBatch = lambda batch, logits: None,
) -> Iterator[tuple[Example, list[WindowLogits]]]:
    """What the model says about every example's windows, example by example, in order; arguments as `read_answers`."""
    example_of = question_features.features.example_of
    for first, last in _chunks(example_of, FEATURES_AT_ONCE):
        logits: dict[int, npt.NDArray[np.float32]] = {}
        for batch, output in outputs(model, question_features.features, np.arange(first, last), batch_tokens):
            on_batch(batch, output)
            parts = torch.split(output.float().cpu(), list(batch.lengths))
            logits.update((int(feature), part.numpy()) for feature, part in zip(batch.feature_ids, parts, strict=True))
        numbers = np.unique(example_of[first:last]).tolist()
        own = _by_example(question_features, np.arange(first, last), logits.pop)
        for number, windows in zip(numbers, own, strict=True):
            yield examples[number], windows


def example_windows(
    question_features: QuestionFeatures, logits: Sequence[npt.NDArray[np.float32] | None]
) -> Iterator[tuple[list[WindowLogits], float]]:
    """Each example's windows that were read, in order, and which share of all of its windows they are.

    Args:
        question_features: every example has at least one.
        logits: for each feature in order an array ``(n_tokens, 2)`` of start and end logits, or None if it is not read.

    """
    read = np.array([each is not None for each in logits], dtype=bool)
    n_all = np.bincount(question_features.features.example_of)
    n_read = np.bincount(question_features.features.example_of[read], minlength=len(n_all))
    found = _by_example(question_features, np.flatnonzero(read), lambda feature: _known(logits[feature]))
    for share in (n_read / np.maximum(n_all, 1)).tolist():
        yield (next(found) if share else []), share


def _known(logits: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    assert logits is not None, "only features that were read are looked at"
    return logits


def _by_example(
    question_features: QuestionFeatures,
    features: npt.NDArray[np.int64],
    logits_of: Callable[[int], npt.NDArray[np.float32]],
) -> Iterator[list[WindowLogits]]:
    """The windows of each example among these features, which are ascending."""
    example_of = question_features.features.example_of
    n_context_tokens = question_features.n_context_tokens()
    for _, group in itertools.groupby(features.tolist(), key=example_of.__getitem__):
        yield [_window(question_features, each, int(n_context_tokens[each]), logits_of(each)) for each in group]


def _window(
    question_features: QuestionFeatures, feature: int, n_tokens: int, logits: npt.NDArray[np.float32]
) -> WindowLogits:
    start = int(question_features.window_start[feature])
    return WindowLogits(
        start_logits=logits[:, 0],
        end_logits=logits[:, 1],
        first_context_token=int(question_features.first_context_token[feature]),
        char_starts=question_features.char_starts[start : start + n_tokens],
        char_ends=question_features.char_ends[start : start + n_tokens],
    )


def _chunks(example_of: npt.NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Stretches of at least ``size`` features (the last may be shorter) that never part an example's windows."""
    first, n = 0, len(example_of)
    while first < n:
        last = min(first + size, n)
        if last < n:
            last = int(np.searchsorted(example_of, example_of[last - 1], side="right"))
        yield first, last
        first = last
