"""A gold answer as the data give it → the exact characters of the context that it is.

The context is never changed. Offsets count Unicode code points; other ways to count, and answers spelled a
little differently, are recognised where there is only one thing that they can mean. Pure functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import Literal

from distiltune.data.marks import in_form
from distiltune.tasks.question_answering.examples import Answer

Repair = Literal[
    "offset_in_bytes", "offset_in_utf16", "answer_moved", "answer_at_nearest", "answer_respelled", "answer_trimmed"
]
Misplacement = Literal["answer_empty", "answer_ambiguous", "answer_not_found"]

_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""Zero-width spaces and marks of direction: a tokenizer drops them, as it does white space."""

NEAREST_CODE_POINTS = 32
"""How far a wrong offset may be from the one occurrence that it is nearest to."""


@dataclass(frozen=True, slots=True)
class LocatedAnswer:
    """An answer with ``context[answer.start : answer.end] == answer.text``.

    ``repair`` says how the answer given had to be changed, if at all. ``is_ambiguous`` means that no offset
    was given and that the text occurs several times: this is the first.
    """

    answer: Answer
    repair: Repair | None = None
    is_ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Misplaced:
    """An answer that cannot be placed, and why."""

    reason: Misplacement


def locate_answer(context: str, text: str, start: int | None) -> LocatedAnswer | Misplaced:
    """Find the gold answer ``text`` in ``context``; ``start`` is its offset, None if the data give none.

    In this order: the text at its offset in code points; at its offset counted in UTF-8 bytes or in UTF-16
    units, if one of the two fits; at its offset up to white space, case and Unicode form; the only
    occurrence, or the nearest to the offset within `NEAREST_CODE_POINTS`, or without an offset the first;
    the only occurrence up to white space, case and Unicode form. The answer's text is as the context spells
    it, without what is blank at its ends, unless it is then cut inside a word: its offsets have slipped.
    """
    first, stop = inner(text, 0, len(text))
    if first == stop:
        return Misplaced("answer_empty")
    if stop - first == len(text):
        return _locate(context, text, start)
    at_offset = _locate_with_blanks(context, text[first:stop], start, first)
    if at_offset is not None:
        return at_offset
    placed = _trimmed(context, _locate(context, text, start))
    return placed if isinstance(placed, LocatedAnswer) else _locate(context, text[first:stop], start)


def inner(text: str, start: int, end: int) -> tuple[int, int]:
    """What of ``text[start:end]`` is between the blank characters at its ends, which no token holds."""
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return start, end


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _INVISIBLE


def _locate_with_blanks(context: str, core: str, start: int | None, n_leading: int) -> LocatedAnswer | None:
    """The answer without its blank ends, of which ``n_leading`` are before it, if it is at its offset or just after."""
    if start is None or start < 0:
        return None
    for place in (start + n_leading, start):
        if context.startswith(core, place) and not _is_cut(context, place, place + len(core)):
            return LocatedAnswer(Answer(core, place), "answer_trimmed")
    return None


def _trimmed(context: str, placed: LocatedAnswer | Misplaced) -> LocatedAnswer | Misplaced:
    """The same without what is blank at its ends, unless it is then cut inside a word."""
    if isinstance(placed, Misplaced):
        return placed
    answer = placed.answer
    start, end = inner(context, answer.start, answer.end)
    if (start, end) == (answer.start, answer.end) or _is_cut(context, start, end):
        return placed
    return LocatedAnswer(Answer(context[start:end], start), placed.repair or "answer_trimmed", placed.is_ambiguous)


def _is_cut(context: str, start: int, end: int) -> bool:
    """Whether the stretch begins or ends between two letters or digits."""
    return any(
        0 < place < len(context) and context[place - 1].isalnum() and context[place].isalnum() for place in (start, end)
    )


def _locate(context: str, text: str, start: int | None) -> LocatedAnswer | Misplaced:
    """The answer as it is given, blank ends and all."""
    if start is None:
        return _locate_without_offset(context, text) or _locate_respelled(context, text)
    if start >= 0:
        # startswith would count a negative start from the end
        if context.startswith(text, start):
            return LocatedAnswer(Answer(text, start))
        at_offset = _locate_in_other_units(context, text, start) or _locate_respelled_at(context, text, start)
        if at_offset is not None:
            return at_offset
    return _locate_moved(context, text, start) or _locate_respelled(context, text)


def _locate_without_offset(context: str, text: str) -> LocatedAnswer | None:
    """The first exact occurrence, or None."""
    first = context.find(text)
    if first < 0:
        return None
    return LocatedAnswer(Answer(text, first), is_ambiguous=context.find(text, first + 1) >= 0)


def _locate_in_other_units(context: str, text: str, start: int) -> LocatedAnswer | None:
    """The answer at ``start`` UTF-8 bytes or UTF-16 units, if it is exactly there by one way of counting."""
    if context.isascii():
        return None
    in_bytes = _code_points_before(context, text, start, "utf-8")
    in_utf16 = _code_points_before(context, text, 2 * start, "utf-16-le")
    if in_bytes is not None and in_utf16 in (None, in_bytes):
        return LocatedAnswer(Answer(text, in_bytes), "offset_in_bytes")
    if in_utf16 is not None and in_bytes is None:
        return LocatedAnswer(Answer(text, in_utf16), "offset_in_utf16")
    return None


def _code_points_before(context: str, text: str, n_bytes: int, encoding: str) -> int | None:
    """Code points in the encoded context's first ``n_bytes`` if ``text`` follows there, otherwise None."""
    # surrogatepass: a lone surrogate is the caller's to refuse, here it must only not crash
    encoded = context.encode(encoding, "surrogatepass")
    if not encoded.startswith(text.encode(encoding, "surrogatepass"), n_bytes):
        return None
    try:
        n_code_points = len(encoded[:n_bytes].decode(encoding))
    except UnicodeDecodeError:
        return None
    # false only where a code unit was split, or with lone surrogates
    return n_code_points if context.startswith(text, n_code_points) else None


def _locate_moved(context: str, text: str, start: int) -> LocatedAnswer | Misplaced | None:
    """The only exact occurrence or the clearly nearest; `Misplaced` if neither is clear; None without any."""
    first, last = context.find(text), context.rfind(text)
    if first < 0:
        return None
    if first == last:
        return LocatedAnswer(Answer(text, first), "answer_moved")
    if start < 0:
        # often -1 for "not known": no place that anything could be near to
        return Misplaced("answer_ambiguous")
    before = context.rfind(text, 0, start + len(text))
    after = context.find(text, start)
    distances = sorted((abs(found - start), found) for found in {before, after} if found >= 0)
    distance, nearest = distances[0]
    if distance <= NEAREST_CODE_POINTS and (len(distances) == 1 or distances[1][0] > distance):
        return LocatedAnswer(Answer(text, nearest), "answer_at_nearest")
    return Misplaced("answer_ambiguous")


def _locate_respelled_at(context: str, text: str, start: int) -> LocatedAnswer | None:
    """The occurrence at ``start`` up to white space, case and Unicode form, or None."""
    # a look at the place itself first: to fold whole contexts in vain takes long
    nearby = context[start : start + 3 * len(text) + 8]
    if not _fold(nearby).key.startswith(_fold(text).key):
        return None
    # white space before the answer is no part of it in the context
    n_leading = len(text) - len(text.lstrip())
    for first, stop in _respelled_spans(context, text):
        if first in (start, start + n_leading):
            return LocatedAnswer(Answer(context[first:stop], first), "answer_respelled")
        if first > start + n_leading:
            break
    return None


def _locate_respelled(context: str, text: str) -> LocatedAnswer | Misplaced:
    """The only occurrence up to white space, case and Unicode form."""
    spans = list(islice(_respelled_spans(context, text), 2))
    if len(spans) == 1:
        first, stop = spans[0]
        return LocatedAnswer(Answer(context[first:stop], first), "answer_respelled")
    return Misplaced("answer_ambiguous" if spans else "answer_not_found")


_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
"""Quotation marks, apostrophes and dashes → the plain ones that stand in their place on a keyboard."""


def in_other_signs(context: str, text: str) -> str:
    """What stands in the context for a text that has other quotation marks or dashes; empty if nothing does."""
    wanted, place = _folded_signs(text), -1
    if wanted:
        place = _folded_signs(context).find(wanted)
    return context[place : place + len(wanted)] if place >= 0 else ""


def _folded_signs(text: str) -> str:
    """The text, sign for sign, in plain quotation marks and dashes and, where that keeps its length, small letters."""
    plain = text.translate(_SIGNS)
    return plain.lower() if len(plain.lower()) == len(plain) else plain


def _respelled_spans(context: str, text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every occurrence up to white space, case and Unicode form, in order."""
    wanted = _fold(text).key
    folded = _fold_context(context)
    position = folded.key.find(wanted)
    while position >= 0:
        if span := folded.span(position, position + len(wanted) - 1):
            yield span
        position = folded.key.find(wanted, position + 1)


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text without its white space, case and Unicode form, and where each character comes from.

    The character ``key[i]`` comes from the code points ``starts[i] : stops[i]`` of the text, which several
    characters may share.
    """

    key: str
    starts: Sequence[int]
    stops: Sequence[int]

    def span(self, first: int, last: int) -> tuple[int, int] | None:
        """The code points that ``key[first : last + 1]`` comes from; None if it takes only a part of some.

        So "cafe" is not found in "café", nor "i" in the ligature "ﬁ".
        """
        begins = first == 0 or self.starts[first - 1] != self.starts[first]
        ends = last == len(self.key) - 1 or self.starts[last + 1] != self.starts[last]
        return (self.starts[first], self.stops[last]) if begins and ends else None


# A character with the marks that belong to it: combining marks, and the vowels and final consonants that
# follow in a Korean syllable spelled out. Their order inside it, and whether they are one code point or
# several, differs between the Unicode forms; between such clusters nothing does.
_JAMO_INSIDE_SYLLABLE = range(0x1160, 0x1200)
_SPACE = re.compile(r"\s")
_SPACE_RUN = re.compile(r"\s\s")


def _clusters(text: str) -> list[tuple[int, int]]:
    """The text cut into characters with their marks, or runs of white space: ``(start, stop)`` of each."""
    starts = []
    was_space = False
    for position, character in enumerate(text):
        is_space = character.isspace()
        inside = (
            unicodedata.combining(character) != 0 or ord(character) in _JAMO_INSIDE_SYLLABLE or (is_space and was_space)
        )
        if not inside or position == 0:
            starts.append(position)
        was_space = is_space
    return list(pairwise([*starts, len(text)]))


def _fold(text: str) -> _Folded:
    """``text`` folded: white space runs to one space and none at the ends, case folded, NFKD."""
    first = len(text) - len(text.lstrip())
    last = len(text.rstrip())
    inner = text[first:last]
    if inner.isascii() and not _SPACE_RUN.search(inner):
        # most texts are so, and this is many times quicker
        key = _SPACE.sub(" ", inner.lower())
        return _Folded(key, range(first, last), range(first + 1, last + 1))
    parts: list[str] = []
    starts: list[int] = []
    stops: list[int] = []
    for start, stop in _clusters(inner):
        cluster = inner[start:stop]
        folded = " " if cluster.isspace() else _fold_cluster(cluster)
        parts.append(folded)
        starts += [first + start] * len(folded)
        stops += [first + stop] * len(folded)
    return _Folded("".join(parts), starts, stops)


@lru_cache(maxsize=4096)
def _fold_cluster(cluster: str) -> str:
    """Caseless and in one form: the Unicode standard's compatibility caseless match (D146), decomposed."""
    folded = in_form("NFKD", in_form("NFKD", cluster).casefold())
    return in_form("NFKD", folded.casefold())


# Several questions share a context, one after the other
_fold_context = lru_cache(maxsize=2)(_fold)
