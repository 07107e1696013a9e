"""Texts that a web page or a wrong encoding has left its marks in: read as they are, and told before a training."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from distiltune.checks.concerns import Case, Cases, Concern, concern_of

_HTML: Final = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,4});|</?(?:br|p|div|span|a|b|i|li|ul|strong|em)\b[^<>]{0,200}>"
)
_MISREAD: Final = re.compile(r"[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac.|\u00e2\u0080[\u0080-\u00bf]")
"""How letters of UTF-8 look that somebody read as Windows-1252 or Latin-1: Ã© for é, â€™ for an apostrophe."""
_AROUND: Final = 20
_FEW: Final = 0.01
"""A share of the texts up to which they are a note: in one of a hundred it may be meant."""


def spoilt_concerns(texts: Iterable[tuple[str, str]], n: int) -> list[Concern]:
    """What is doubtful in texts, each with the id of its row; ``n`` rows there are."""
    html, misread = Cases(), Cases()
    for row_id, text in texts:
        if ("&" in text or "<" in text) and (found := _HTML.search(text)):
            html.append(Case(row_id, _around(text, found)))
        if not text.isascii() and (found := _MISREAD.search(text)):
            misread.append(Case(row_id, _around(text, found)))
    return [*_concern("html_in_text", _HTML_SAID, html, n), *_concern("text_misread", _MISREAD_SAID, misread, n)]


_HTML_SAID: Final = (
    "the text has signs of HTML, as &amp; and <br />, which are read as text",
    "where they are not meant, turn them into plain text first, answers and contexts alike",
)
_MISREAD_SAID: Final = (
    "the text looks like UTF-8 that was once read in another encoding, as Ã© for é",
    "go back to where it was right, or mend it there: text.encode('windows-1252').decode('utf-8')",
)


def _concern(kind: str, said: tuple[str, str], cases: Cases, n: int) -> list[Concern]:
    message, repair = said
    return concern_of("warning" if cases.n_all > _FEW * n else "note", kind, message, cases, n, repair)


def _around(text: str, found: re.Match[str]) -> str:
    return repr(text[max(0, found.start() - _AROUND) : found.end() + _AROUND])
