"""Reading answers out: features through the model, then the one decoder, example by example, in bounded memory."""

from __future__ import annotations

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
        for number, windows in zip(numbers, _by_example(question_features, first, last, logits.pop), strict=True):
            yield examples[number], windows


def example_windows(
    question_features: QuestionFeatures, logits: Sequence[npt.NDArray[np.float32]]
) -> Iterator[list[WindowLogits]]:
    """Each example's windows, in order.

    Args:
        question_features: every example has at least one.
        logits: for each feature in order an array ``(n_tokens, 2)`` of start and end logits.

    """
    return _by_example(question_features, 0, len(question_features), logits.__getitem__)


def _by_example(
    question_features: QuestionFeatures,
    first: int,
    last: int,
    logits_of: Callable[[int], npt.NDArray[np.float32]],
) -> Iterator[list[WindowLogits]]:
    """The windows of each example among the features ``first`` to ``last``."""
    example_of = question_features.features.example_of
    n_context_tokens = question_features.n_context_tokens()
    feature = first
    while feature < last:
        example = example_of[feature]
        windows = []
        while feature < last and example_of[feature] == example:
            windows.append(_window(question_features, feature, int(n_context_tokens[feature]), logits_of(feature)))
            feature += 1
        yield windows


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
