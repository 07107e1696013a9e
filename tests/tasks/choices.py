"""Multiple choice without texts: the choices of a question are a group of features, scored together.

Each feature is ``[CLS] question [SEP] choice [SEP]``, as ``DistilBertForMultipleChoice`` reads it; each is given a
score, and the softmax runs over the choices of the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import cumulative_lengths, required
from distiltune.inference.predictor import outputs

CLS, SEP = 2, 3


@dataclass(frozen=True, slots=True)
class Question:
    """The token ids of a question and of its choices, and which of these is right, counted from 0."""

    question: tuple[int, ...]
    choices: tuple[tuple[int, ...], ...]
    right: int


def featurise(questions: Sequence[Question]) -> FeatureSet:
    """A feature a choice, labelled 1 where it is right and 0 elsewhere; those of a question weigh 1 together."""
    rows = [[CLS, *each.question, SEP, *choice, SEP] for each in questions for choice in each.choices]
    n_choices = np.array([len(each.choices) for each in questions])
    question_of = np.repeat(np.arange(len(questions)), n_choices)
    right = [number == each.right for each in questions for number in range(len(each.choices))]
    return FeatureSet(
        token_ids=np.array([token for row in rows for token in row], dtype=np.int32),
        offsets=cumulative_lengths([len(row) for row in rows]),
        labels=np.array(right, dtype=np.int32)[:, None],
        example_of=question_of,
        weights=(1.0 / n_choices[question_of]).astype(np.float32),
        group_of=question_of,
    )


def chosen(model: nn.Module, features: FeatureSet, max_tokens: int = 256) -> list[int]:
    """The choice that the model gives to each question."""
    scores = np.zeros(len(features))
    for batch, output in outputs(model, features, np.arange(len(features)), max_tokens):
        scores[batch.feature_ids] = output[:, 0].float().cpu().numpy()
    firsts = np.flatnonzero(np.diff(required(features.group_of, "groups"), prepend=-1))
    return [int(part.argmax()) for part in np.split(scores, firsts[1:])]
