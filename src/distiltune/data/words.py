"""Where the words of a text stand, in any script and either Unicode form."""

from __future__ import annotations

import re
import unicodedata

_MARK = "\u0301"
_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen, zero-width non-joiner and joiner
_OTHER_SIGN = re.compile(r"[^\w\s\x00-\x7f]")
_WORD = re.compile(rf"\w[\w{_MARK}]*|[^\w\s]{_MARK}*")
_UNSPACED_SIGNS = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai Lue, Japanese and Chinese, which put no spaces between words."""
_UNSPACED = re.compile(f"[{_UNSPACED_SIGNS}]")
_MARKABLE = re.compile(
    rf"[{_UNSPACED_SIGNS}]{_MARK}*|(?:(?![{_UNSPACED_SIGNS}])\w)(?:(?![{_UNSPACED_SIGNS}])[\w{_MARK}])*|[^\w\s]{_MARK}*"
)

Spans = tuple[tuple[int, int], ...]


def word_spans(text: str) -> Spans:
    """The words as (start, end) in characters: runs of letters and digits, and each other sign by itself.

    Combining marks and joiners belong to what they follow: ``\\w`` takes none of them, and by itself none has a
    token in a BERT's vocabulary.
    """
    marked = _OTHER_SIGN.sub(_as_mark, text)  # one character for one, so that every place stays
    return tuple(match.span() for match in _WORD.finditer(marked))


def markable_spans(text: str) -> Spans:
    """What can have a label of its own, as (start, end) in characters: the words as `word_spans` has them.

    Of scripts that put no spaces between words it is each character with its marks, as of Chinese a BERT's tokens are:
    a run of such letters holds many words, and a name would be the whole run.
    """
    if text.isascii() or not _UNSPACED.search(text):
        return word_spans(text)
    return tuple(match.span() for match in _MARKABLE.finditer(_OTHER_SIGN.sub(_as_mark, text)))


def edges(text: str, start: int, end: int) -> tuple[int, int]:
    """Where a part of a text can be cut out: its start and end, moved outwards over combining marks and joiners."""
    while 0 < start < len(text) and _is_mark(text[start]):
        start -= 1
    while 0 < end < len(text) and _is_mark(text[end]):
        end += 1
    return start, end


def _is_mark(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")


def _as_mark(sign: re.Match[str]) -> str:
    """One mark for all of them."""
    return _MARK if _is_mark(sign[0]) else sign[0]
