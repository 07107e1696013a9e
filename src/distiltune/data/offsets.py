"""Where a span is that a file gives by its offsets and its text: offsets are counted in more ways than one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Counting = Literal[
    "", "end_moved", "offset_in_utf16", "offset_in_bytes", "offset_without_carriage_returns", "span_moved"
]
"""What had to be done to a span's offsets; empty: nothing."""

NEAREST_CODE_POINTS = 32
"""How far a wrong offset may be from the one occurrence that it is nearest to."""

TOLD: dict[Counting, str] = {
    "end_moved": "its text begins there, and its end is another than it says (one past the last character)",
    "offset_in_utf16": "its offsets count UTF-16 units",
    "offset_in_bytes": "its offsets count UTF-8 bytes",
    "offset_without_carriage_returns": "its offsets count a line end of two characters as one",
    "span_moved": "its text stands elsewhere, in one place near by",
}


@dataclass(frozen=True, slots=True)
class Located:
    """A span in code points, its end one past its last, and what was done to find it."""

    start: int
    end: int
    repair: Counting = ""


def locate(text: str, wanted: str, start: int, end: int) -> Located | None:
    """The place of ``wanted`` in ``text``, which offsets of some kind say is at ``start:end``; None if it is not clear.

    In this order: as code points, with an end one past the last, or at the last; as UTF-16 units or UTF-8 bytes, if one
    of the two fits; with each line end counted as one; from where it begins, if its end alone is wrong (before those,
    where they take a blank too much); the only occurrence, or the clearly nearest within `NEAREST_CODE_POINTS`. White
    space counts as equal to other white space.
    """
    whole, wanted = _blanks_alike(wanted), _plain(wanted)
    if not wanted or start < 0 or end < start:
        return None
    if _plain(text[start:end]) == wanted:
        return Located(start, end)
    if _plain(text[start : end + 1]) == wanted:
        return Located(start, end + 1, "end_moved")
    in_units = [each for each in other_units(text, start, end) if _plain(text[each.start : each.end]) == wanted]
    exact = [each for each in in_units if _blanks_alike(text[each.start : each.end]) in (whole, wanted)]
    if not exact and text.startswith(wanted, start):
        # A stretch in other units that has a blank more at an end is an accident, where the text begins as it says.
        return Located(start, start + len(wanted), "end_moved")
    if len({(each.start, each.end) for each in in_units}) == 1:
        return in_units[0]
    if in_units:
        return None
    return _nearest(text, wanted, start)


def _blanks_alike(text: str) -> str:
    """The text with each stretch of white space as one blank, also at its ends."""
    return re.sub(r"\s+", " ", text)


def _plain(text: str) -> str:
    return " ".join(text.split())


def other_units(text: str, start: int, end: int) -> Iterator[Located]:
    """Where a span is if its offsets count UTF-16 units, UTF-8 bytes, or each line end as one; as far as they can."""
    if not text.isascii():
        for encoding, size, name in (("utf-16-le", 2, "offset_in_utf16"), ("utf-8", 1, "offset_in_bytes")):
            units = text.encode(encoding, "surrogatepass")
            first, last = (_decoded_length(units[: size * place], encoding) for place in (start, end))
            if first is not None and last is not None and size * end <= len(units):
                repair: Counting = "offset_in_utf16" if name == "offset_in_utf16" else "offset_in_bytes"
                yield Located(first, last, repair)
    if "\r\n" in text:
        places = [i for i, sign in enumerate(text) if text[i : i + 2] != "\r\n" or sign != "\r"]
        if end <= len(places) and start < len(places):
            yield Located(
                places[start], places[end] if end < len(places) else len(text), "offset_without_carriage_returns"
            )


def _decoded_length(units: bytes, encoding: str) -> int | None:
    try:
        return len(units.decode(encoding))
    except UnicodeDecodeError:
        return None


def _nearest(text: str, wanted: str, start: int) -> Located | None:
    """The only exact occurrence, or the clearly nearest."""
    first, last = text.find(wanted), text.rfind(wanted)
    if first < 0:
        return None
    if first != last:
        before, after = text.rfind(wanted, 0, start + len(wanted)), text.find(wanted, start)
        distances = sorted((abs(found - start), found) for found in {before, after} if found >= 0)
        if not distances or distances[0][0] > NEAREST_CODE_POINTS:
            return None
        if len(distances) > 1 and distances[1][0] == distances[0][0]:
            return None
        first = distances[0][1]
    return Located(first, first + len(wanted), "span_moved")
