"""Combining marks, which belong to the character before them although tokenizers drop many of them; unseen signs."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_MARKS: Final = 30

_JOINERS = "\u200c\u200d"
_OTHER_SIGNS = re.compile(r"[^\w\s\x00-\x7f]+")


def over_marks(text: str, spans: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Token spans whose ends run over the marks that follow, as far as the next token leaves them.

    An uncased BERT drops the accent of "e" + U+0301, a final vowel sign or a shadda: the token ends before it, and an
    answer that is cut out of the text there would lose it.

    Args:
        text: of the tokens.
        spans: ``(n_tokens, 2)`` first code point and one past the last, in order.

    Returns:
        ``(n_tokens, 2)``; the same array where the text has no such marks.

    """
    if text.isascii() or len(spans) == 0:
        return spans
    stretches = [stretch for run in _OTHER_SIGNS.finditer(text) for stretch in _stretches(text, *run.span())]
    if not stretches:
        return spans
    import numpy as np  # the recipe, which needs the rest of this module, is built without it

    run_over = np.arange(len(text) + 1, dtype=np.int32)
    for first, stop in stretches:
        run_over[first:stop] = stop
    starts, ends = spans[:, 0], spans[:, 1]
    following = np.append(starts[1:], np.int32(len(text)))
    # Pieces of one character overlap, and a mark with a token of its own is that token's.
    longer = np.maximum(ends, np.minimum(run_over[ends], following))
    has_characters = ends > starts
    return np.stack([starts, np.where(has_characters, longer, ends)], axis=1)


def end_over_marks(text: str, end: int) -> int:
    """Where a stretch of the text that ends at ``end`` comes to with the marks that follow."""
    while end < len(text) and _belongs_to_what_precedes(text[end]):
        end += 1
    return end


def ends_in_mark(text: str) -> bool:
    """Whether the last character is a mark, which belongs to the one before it."""
    return len(text) > 1 and _belongs_to_what_precedes(text[-1])


def _stretches(text: str, first: int, stop: int) -> list[tuple[int, int]]:
    """The stretches of marks and joiners in ``text[first:stop]``, none at the very start of the text."""
    found: list[tuple[int, int]] = []
    place = max(first, 1)
    while place < stop:
        begin = place
        while place < stop and _belongs_to_what_precedes(text[place]):
            place += 1
        if place > begin:
            found.append((begin, place))
        place += 1
    return found


def _belongs_to_what_precedes(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")


def in_form(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """The text in one of Unicode's forms; of more than `MAX_MARKS` marks on one character, each so many by themselves.

    Marks are sorted, and the time for that grows with the square of their number: 200,000 pairs take two minutes. No
    writing has more than a few (Unicode Standard Annex 15 calls text with at most 30 stream-safe).
    """
    if len(text) <= MAX_MARKS or text.isascii():
        return unicodedata.normalize(form, text)
    parts, first, n_marks = [], 0, 0
    for place, character in enumerate(text):
        n_marks = n_marks + 1 if unicodedata.combining(character) else 0
        if n_marks > MAX_MARKS:
            parts.append(text[first:place])
            first, n_marks = place, 1
    return "".join(unicodedata.normalize(form, part) for part in (*parts, text[first:]))


def without_unseen(text: str) -> str:
    """The text without zero-width spaces and joiners, byte order marks, soft hyphens, and variants of signs.

    The tags that tell the flags of England and Scotland apart stay.
    """
    return text if text.isascii() else "".join(sign for sign in text if not _is_unseen(sign))


def _is_unseen(sign: str) -> bool:
    return (unicodedata.category(sign) == "Cf" and sign < "\U000e0000") or "\ufe00" <= sign <= "\ufe0f"
