"""Features as the question-answering example of transformers makes them, pair by pair: the reference for ours.

The windows are the tokenizer's own (``truncation="only_second"`` with overflow); the labelling is that of
``examples/pytorch/question-answering/run_qa.py`` (``prepare_train_features``), with one error mended: see
`label_window`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.locate_answer import inner

Span = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """One feature of the reference: its example, ids, labels, and where its context tokens lie in the context."""

    example: int
    token_ids: list[int]
    labels: Span
    first_context_token: int
    context_spans: list[Span]


def reference_tokenizer(tokenizer: Tokenizer) -> Any:
    """The same tokenizer as transformers has it."""
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer.to_str()))


def reference_windows(tokenizer: Any, examples: Sequence[Example], *, max_length: int, stride: int) -> list[Window]:
    """All windows of all examples, in order."""
    tokenised = tokenizer(
        [example.question for example in examples],
        [example.context for example in examples],
        truncation="only_second",
        max_length=max_length,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = []
    for i, token_ids in enumerate(tokenised["input_ids"]):
        index = tokenised["overflow_to_sample_mapping"][i]
        offsets, sequence = tokenised["offset_mapping"][i], tokenised.sequence_ids(i)
        context = [place for place, which in enumerate(sequence) if which == 1]
        offsets = with_marks(examples[index].context, offsets, sequence)
        windows.append(
            Window(
                example=index,
                token_ids=token_ids,
                labels=label_window(examples[index], offsets, sequence),
                first_context_token=context[0] if context else len(token_ids) - 1,
                context_spans=[offsets[place] for place in context],
            )
        )
    return windows


def with_marks(text: str, offsets: Sequence[Span], sequence: Sequence[int | None]) -> list[Span]:
    """The context's tokens with the marks that follow them, which run_qa.py cuts off: one by one, up to the next."""
    found = list(offsets)
    for place, (start, end) in enumerate(offsets):
        last = place + 1 == len(offsets) or sequence[place + 1] != 1
        # Where the window ends, the tokenizer does not say where the next token begins: no mark begins one here.
        stop = len(text) if last else offsets[place + 1][0]
        while sequence[place] == 1 and start < end < stop and belongs_to_what_precedes(text[end]):
            end += 1
        found[place] = (start, end)
    return found


def belongs_to_what_precedes(character: str) -> bool:
    return character in "\u200c\u200d" or unicodedata.category(character).startswith("M")


def label_window(example: Example, offsets: Sequence[Span], sequence: Sequence[int | None]) -> Span:
    """Start and end label of one window, as run_qa.py finds them.

    Its loop over the starts runs past the window's last context token into what follows, whose offsets are
    (0, 0), so that an answer that is that token alone starts at the closing [SEP] or in the padding, behind
    its own end. (Two of the 88,524 features of SQuAD 1.1 are so.) Here the loop ends at that token.
    """
    if not example.answers or 1 not in sequence:
        return 0, 0
    # Blank characters at an answer's ends have no token: run_qa.py takes in the neighbours' then.
    start_char, end_char = inner(example.context, example.answers[0].start, example.answers[0].end)
    token_start = 0
    while sequence[token_start] != 1:
        token_start += 1
    token_end = len(sequence) - 1
    while sequence[token_end] != 1:
        token_end -= 1
    if not (offsets[token_start][0] <= start_char and offsets[token_end][1] >= end_char):
        return 0, 0
    past_context = token_end + 1  # `len(offsets)` in run_qa.py
    while token_start < past_context and offsets[token_start][0] <= start_char:
        token_start += 1
    while offsets[token_end][1] >= end_char:
        token_end -= 1
    return token_start - 1, token_end + 1
