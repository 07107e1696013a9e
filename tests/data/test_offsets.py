"""In which units the offsets of a span are: what is claimed of them, and where the span is."""

from __future__ import annotations

import pytest

from distiltune.data.offsets import Located, locate

TEXT = "In São Paulo 🎉 Zoë! She sang."


@pytest.mark.parametrize(
    ("start", "end", "repair"),
    [
        (15, 18, ""),
        (15, 17, "end_moved"),
        (15, 19, "end_moved"),  # counted in UTF-16 units there stands " Zoë", with a blank too much
        (15, 20, "end_moved"),
        (16, 19, "offset_in_utf16"),
        (19, 23, "offset_in_bytes"),
        (3, 6, "span_moved"),
    ],
)
def test_only_what_fits_exactly_is_counted_in_other_units(start: int, end: int, repair: str) -> None:
    assert locate(TEXT, "Zoë", start, end) == Located(15, 18, repair)  # type: ignore[arg-type]


def test_a_span_with_blanks_at_its_ends_has_them_in_other_units_too() -> None:
    assert locate(TEXT, " Zoë", 15, 19) == Located(14, 18, "offset_in_utf16")
