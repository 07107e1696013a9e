"""Examples to features: windows over each context, with start and end labels, exactly as the reference makes them.

The reference is the pair-by-pair way of the ``transformers`` question-answering examples: the tokenizer truncates
only the context, with an overlap of ``stride`` tokens between windows. Here every distinct context and question is
tokenised once (of many on disk, once in some thousand neighbouring questions) and the windows are cut from arrays,
which gives the same ids and labels in a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, cumulative_lengths
from distiltune.data.scratch import LongArray
from distiltune.data.stored import OnDisk
from distiltune.data.tokens import SpecialTokens, TokenTable, distinct, tokenise
from distiltune.data.windows import SequencePart, Windows, cut_windows, lay_out
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.locate_answer import inner

N_SPECIAL_TOKENS = 3  # [CLS] question [SEP] context [SEP]
NO_ANSWER = -1
_QUESTIONS_AT_ONCE = 4_096
_CHARACTERS_AT_ONCE = 16_000_000
_BESIDE_FEATURES = ("first_context_token", "window_start", "char_starts", "char_ends", "truncated_examples")


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """How contexts are cut into windows.

    Attributes:
        max_length: most tokens in a feature, special tokens included.
        stride: tokens that neighbouring windows of a context share.
        max_question_tokens: longer questions keep only their first tokens (counted and listed).

    """

    max_length: int = 384
    stride: int = 128
    max_question_tokens: int = 126

    def __post_init__(self) -> None:
        if self.max_question_tokens < 1 or self.stride < 0 or self.min_context_tokens <= self.stride:
            raise ValueError(
                f"windows of {self.max_length} tokens with a stride of {self.stride} leave no room to move on "
                f"after a question of {self.max_question_tokens} tokens"
            )

    @property
    def min_context_tokens(self) -> int:
        """Context tokens in a full window under the longest question kept."""
        return self.max_length - N_SPECIAL_TOKENS - self.max_question_tokens


@dataclass(frozen=True, slots=True)
class QuestionFeatures:
    """The features of a set of examples, and what is needed to read answers out of them.

    Attributes:
        features: token ids, boundaries, labels ``(n_features, 2)`` (start, end; 0 and 0 where the window does not
            hold the whole answer, `NO_LABEL` where it is not known) and the example of each feature.
        first_context_token: ``(n_features,)`` int32, index in the feature of its first context token.
        window_start: ``(n_features,)`` int64, index of that token in ``char_starts`` and ``char_ends``.
        char_starts: ``(all_context_tokens,)`` int32 of the distinct contexts, laid end to end.
        char_ends: likewise.
        n_truncated_questions: how many examples had a question over ``max_question_tokens``.
        truncated_examples: ``(n_truncated_questions,)`` their indices.

    """

    features: FeatureSet
    first_context_token: npt.NDArray[np.int32]
    window_start: npt.NDArray[np.int64]
    char_starts: npt.NDArray[np.int32]
    char_ends: npt.NDArray[np.int32]
    truncated_examples: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def n_labelled(self) -> int:
        """How many features have a label."""
        return int((self.features.labels[:, 0] != NO_LABEL).sum())

    def n_context_tokens(self) -> npt.NDArray[np.int64]:
        """``(n_features,)`` context tokens in each feature; the closing ``[SEP]`` follows them."""
        return self.features.lengths - self.first_context_token - 1


def make_features(examples: Sequence[Example], tokenizer: Tokenizer, settings: WindowSettings) -> QuestionFeatures:
    """Cut every example into windows and label them; of examples on disk some at a time.

    Raises:
        ModelError: if the tokenizer lacks the special tokens.

    """
    if not isinstance(examples, OnDisk):
        return _make_part(examples, tokenizer, settings)
    laid: dict[str, LongArray] = {}
    n_examples = n_context_tokens = 0
    for part in _parts(examples):
        made = _make_part(part, tokenizer, settings)
        columns: dict[str, npt.NDArray[Any]] = {
            "token_ids": made.features.token_ids,
            "lengths": made.features.lengths,
            "labels": made.features.labels.reshape(-1),
            "example_of": made.features.example_of + n_examples,
            "first_context_token": made.first_context_token,
            "window_start": made.window_start + n_context_tokens,
            "char_starts": made.char_starts,
            "char_ends": made.char_ends,
            "truncated_examples": made.truncated_examples + n_examples,
        }
        for name, values in columns.items():
            laid.setdefault(name, LongArray(values.dtype)).append(values)
        n_examples, n_context_tokens = n_examples + len(part), n_context_tokens + len(made.char_starts)
    done = {name: array.done() for name, array in laid.items()}
    return QuestionFeatures(
        features=FeatureSet(
            token_ids=done["token_ids"],
            offsets=cumulative_lengths(done["lengths"]),
            labels=done["labels"].reshape(-1, 2),
            example_of=done["example_of"],
        ),
        **{name: done[name] for name in _BESIDE_FEATURES},
    )


def _parts(examples: Sequence[Example]) -> Iterator[list[Example]]:
    """The examples in their order, `_QUESTIONS_AT_ONCE` or so many characters at a time; neighbours share a context."""
    part: list[Example] = []
    n_characters = 0
    for example in examples:
        n_characters += len(example.question)
        if not part or example.context != part[-1].context:
            n_characters += len(example.context)
        part.append(example)
        if len(part) == _QUESTIONS_AT_ONCE or n_characters >= _CHARACTERS_AT_ONCE:
            yield part
            part, n_characters = [], 0
    if part:
        yield part


def _make_part(examples: Sequence[Example], tokenizer: Tokenizer, settings: WindowSettings) -> QuestionFeatures:
    """The same of some examples, of which each different context and question is tokenised once."""
    special = SpecialTokens.of(tokenizer)
    contexts, context_of = distinct([example.context for example in examples])
    questions, question_of = distinct([example.question for example in examples])
    context_tokens = tokenise(tokenizer, contexts)
    question_tokens = tokenise(tokenizer, questions)

    full_question_lengths = np.diff(question_tokens.offsets)[question_of]
    question_lengths = np.minimum(full_question_lengths, settings.max_question_tokens)
    context_lengths = np.diff(context_tokens.offsets)[context_of]
    room = settings.max_length - N_SPECIAL_TOKENS - question_lengths
    windows = cut_windows(context_lengths, room, settings.stride)

    window_start = context_tokens.offsets[context_of[windows.example]] + windows.first
    first_context_token = question_lengths[windows.example] + 2
    question_start = question_tokens.offsets[question_of[windows.example]]
    token_ids, offsets = lay_out(
        special,
        (
            SequencePart(question_tokens.ids, question_start, question_lengths[windows.example]),
            SequencePart(context_tokens.ids, window_start, windows.n_tokens),
        ),
    )
    labels = _label(examples, context_of, context_tokens, windows, window_start, first_context_token)
    return QuestionFeatures(
        features=FeatureSet(token_ids=token_ids, offsets=offsets, labels=labels, example_of=windows.example),
        first_context_token=first_context_token.astype(np.int32),
        window_start=window_start,
        char_starts=context_tokens.char_starts,
        char_ends=context_tokens.char_ends,
        truncated_examples=np.flatnonzero(full_question_lengths > question_lengths),
    )


def _label(
    examples: Sequence[Example],
    context_of: npt.NDArray[np.int64],
    context_tokens: TokenTable,
    windows: Windows,
    window_start: npt.NDArray[np.int64],
    first_context_token: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    """Start and end labels ``(n_features, 2)`` against the first gold answer, 0 and 0 where the window lacks it.

    `NO_LABEL` are those of an example of which no answer is placed and yet it is not known that there is none.
    """
    spans = _answer_tokens(examples, context_of, context_tokens)
    starts, ends = spans[windows.example, 0], spans[windows.example, 1]
    held = (starts != NO_ANSWER) & (starts >= window_start) & (ends < window_start + windows.n_tokens)
    shift = first_context_token - window_start
    labels = np.where(held[:, None], np.stack([starts + shift, ends + shift], axis=1), 0).astype(np.int32)
    is_known = np.array([bool(each.answers) or each.is_unanswerable for each in examples], dtype=bool)
    labels[~is_known[windows.example]] = NO_LABEL
    return labels


def _answer_tokens(
    examples: Sequence[Example], context_of: npt.NDArray[np.int64], context_tokens: TokenTable
) -> npt.NDArray[np.int64]:
    """First and last token of each example's first gold answer, ``(n_examples, 2)``, in the flat context tokens.

    The first is the last token that begins at or before the answer, the last is the first token that ends at or
    after it (as the reference does); ``NO_ANSWER`` where there is no answer or no token in it. Where one character
    makes several tokens, as a Hangul syllable does in an uncased vocabulary, and is the whole answer, that gives an
    end before the start (and so does the reference); then it is all of these tokens.
    """
    spans = np.full((len(examples), 2), NO_ANSWER, dtype=np.int64)
    for i, example in enumerate(examples):
        if not example.answers:
            continue
        answer = example.answers[0]
        start, end = inner(example.context, answer.start, answer.end)
        low, high = context_tokens.offsets[context_of[i]], context_tokens.offsets[context_of[i] + 1]
        first = int(low) + int(np.searchsorted(context_tokens.char_starts[low:high], start, side="right")) - 1
        last = int(low) + int(np.searchsorted(context_tokens.char_ends[low:high], end, side="left"))
        if low <= first and last < high:
            spans[i] = min(first, last), max(first, last)
    return spans
