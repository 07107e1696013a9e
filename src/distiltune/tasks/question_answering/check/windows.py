"""What the windows and the vocabulary do to the examples: answers cut, questions shortened, texts hardly covered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.checks.concerns import Case, Concern, concern_of
from distiltune.checks.windows import hardly_covered, unknown_of_examples
from distiltune.data.words import word_spans
from distiltune.tasks.question_answering.contexts import contexts_of
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings

MANY_UNKNOWN = 0.1
"""Share of [UNK] from which on a text counts as hardly covered by the vocabulary."""
MANY_PIECES = 3.0
"""Pieces a word from which on it does; English has about 1.2 with the uncased vocabulary."""
FAR_FROM_USUAL = 2.5
"""It must also be this many times the set's own median: a small vocabulary cuts everything small."""


def pieces_per_word(examples: Sequence[Example], features: QuestionFeatures) -> npt.NDArray[np.float64]:
    """``(n_examples,)`` tokens of the context for each of its words and signs."""
    n = len(examples)
    example_of, last = features.features.example_of, features.window_start + features.n_context_tokens()
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.zeros(n, dtype=np.int64)
    np.minimum.at(low, example_of, features.window_start)
    np.maximum.at(high, example_of, last)
    contexts = contexts_of(examples)
    words = np.array([max(1, len(word_spans(text))) for text in contexts.texts])
    return np.asarray((high - low) / words[contexts.of])


def examples_without_window(examples: Sequence[Example], features: QuestionFeatures) -> npt.NDArray[np.int64]:
    """Indices of examples that have an answer which no window holds whole: they train as unanswerable."""
    held = np.zeros(len(examples), dtype=bool)
    has_label = features.features.labels[:, 0] > 0
    held[features.features.example_of[has_label]] = True
    answerable = np.array([bool(example.answers) for example in examples], dtype=bool)
    return np.flatnonzero(answerable & ~held)


def window_concerns(
    examples: Sequence[Example],
    features: QuestionFeatures,
    tokenizer: Tokenizer,
    windows: WindowSettings,
    max_answer_tokens: int,
) -> list[Concern]:
    """Answers cut by windows, questions shortened, answers too long to be read out, texts hardly covered."""
    n = len(examples)
    lost = [
        Case(examples[i].id, repr(examples[i].answers[0].text[:60]))
        for i in examples_without_window(examples, features)
    ]
    shortened = [Case(examples[i].id, repr(examples[i].question[:60])) for i in features.truncated_examples.tolist()]
    return [
        *concern_of(
            "error" if len(lost) > 0.01 * n else "warning",
            "answer_in_no_window",
            "no window holds the whole answer, so it is trained as if there were none",
            lost,
            n,
            f"raise --stride (now {windows.stride}) above the longest answer, "
            f"or --max-length (now {windows.max_length})",
        ),
        *concern_of(
            "error" if len(shortened) > 0.2 * n else "warning",
            "question_truncated",
            f"the question is longer than {windows.max_question_tokens} tokens; only its first ones are used",
            shortened,
            n,
            "shorten it, or raise --max-question-tokens",
        ),
        *_long_answers(examples, features, max_answer_tokens),
        *_hardly_covered(examples, features, tokenizer),
    ]


def _long_answers(examples: Sequence[Example], features: QuestionFeatures, limit: int) -> list[Concern]:
    labels = features.features.labels
    long = np.unique(features.features.example_of[(labels[:, 1] - labels[:, 0] + 1 > limit) & (labels[:, 0] > 0)])
    cases = [Case(examples[i].id, repr(examples[i].answers[0].text[:60])) for i in long.tolist()]
    message = f"the answer is longer than the {limit} tokens that are read out, so it is never given whole"
    return concern_of(
        "note", "answer_too_long", message, cases, len(examples), "raise --max-answer-tokens, or mark shorter answers"
    )


def _hardly_covered(examples: Sequence[Example], features: QuestionFeatures, tokenizer: Tokenizer) -> list[Concern]:
    unknown = unknown_of_examples(features.features, len(examples), tokenizer)
    pieces = pieces_per_word(examples, features)
    usual = float(np.median(pieces)) if len(pieces) else 0.0
    most = usual > MANY_PIECES  # then the whole set is: a vocabulary of another language, or a very small one
    many = (pieces > MANY_PIECES) & ((pieces > FAR_FROM_USUAL * usual) | most)
    bad = np.flatnonzero((unknown > MANY_UNKNOWN) | many)
    cases = [Case(examples[i].id, f"{unknown[i]:.0%} [UNK], {pieces[i]:.1f} pieces a word") for i in bad.tolist()]
    return hardly_covered(cases, len(examples))
