"""What is remarkable about an answer, in sentences; among it whether the vocabulary covers the question."""

from __future__ import annotations

from typing import Final

from tokenizers import Tokenizer

from distiltune.model.tokenizer import SPECIAL_TOKENS
from distiltune.tasks.question_answering.check.scripts import weighed_letters

ALWAYS_ANSWERS: Final = (
    "This model gives an answer to every question, also where the text does not tell: mind the confidence."
)
"""What is said with each answer of a model that cannot decline."""

_MANY_UNKNOWN: Final = 0.5
_LETTERS_A_PIECE: Final = 1.5
_FEWEST_LETTERS: Final = 6


def uncovered_note(question: str, tokenizer: Tokenizer) -> str:
    """What is to be said of a question whose words the vocabulary does not have; empty if there is nothing.

    Either most of its pieces are unknown, or its words fall apart into single letters, as those of a language do that
    the model has never read. Where a letter is a word or a syllable, single ones say nothing.
    """
    found = tokenizer.encode(question, add_special_tokens=False)
    unknown = tokenizer.token_to_id(SPECIAL_TOKENS["unk_token"])
    pieces = [(token, span) for token, span in zip(found.ids, found.offsets, strict=True) if span[1] > span[0]]
    letters = sum(map(str.isalpha, question))
    if not pieces or letters == 0:
        return ""
    n_unknown = sum(token == unknown for token, _ in pieces)
    if n_unknown >= _MANY_UNKNOWN * len(pieces):
        word = next(question[start:end] for token, (start, end) in pieces if token == unknown)
        return f"The model's vocabulary does not have the words of this question, such as {word!r}: it guesses."
    worded = [span for _, span in pieces if question[span[0] : span[1]].isalpha()]
    is_alphabet = weighed_letters(question) == letters and letters >= _FEWEST_LETTERS
    if is_alphabet and sum(end - start for start, end in worded) < _LETTERS_A_PIECE * len(worded):
        return "The model's vocabulary has only single letters of this question's script: it guesses."
    return ""


def cut_note(limit: int) -> str:
    """What is said of a question that is longer than the windows' limit, in tokens."""
    return (
        f"The question is longer than {limit:,} tokens, so only its first {limit:,} are read; "
        "max_question_tokens sets that, within what a window holds."
    )


def unread_note(read_share: float) -> str:
    """What is said where time ran out."""
    if not read_share:
        return "Time ran out before anything was read for this question: ask it again, alone or of less text."
    return f"Time ran out when {read_share:.0%} of the text was read; this is the best of that."
