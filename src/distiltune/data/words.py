"""Where the words of a text stand, in any script and either Unicode form."""

from __future__ import annotations

import re
import unicodedata

_MARK = "\u0301"
_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen, zero-width non-joiner and joiner
_OTHER_SIGN = re.compile(r"[^\w\s\x00-\x7f]")
_WORD = re.compile(rf"\w[\w{_MARK}]*|[^\w\s]{_MARK}*")

Spans = tuple[tuple[int, int], ...]


def word_spans(text: str) -> Spans:
    """The words as (start, end) in characters: runs of letters and digits, and each other sign by itself.

    Combining marks and joiners belong to what they follow: ``\\w`` takes none of them, and by itself none has a
    token in a BERT's vocabulary.
    """
    marked = _OTHER_SIGN.sub(_as_mark, text)  # one character for one, so that every place stays
    return tuple(match.span() for match in _WORD.finditer(marked))


def _as_mark(sign: re.Match[str]) -> str:
    """One mark for all of them."""
    return _MARK if sign[0] in _JOINERS or unicodedata.category(sign[0]).startswith("M") else sign[0]
