"""How text files are read where they do not say it themselves, and what was decided on the way."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final, Literal

Quoting = Literal["auto", "csv", "none"]
"""What quotation marks are in a CSV or TSV: marks round a field (``csv``), plain characters (``none``), or whichever of
the two the whole file shows them to be (``auto``)."""

WINDOWS_1252: Final = "windows-1252"
"""What most text that is not UTF-8 is in; byte 0x80 is the euro sign."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """How files are read.

    Attributes:
        quoting: of tables.
        has_header: whether a table's first line has the names of its columns; else they are ``1``, ``2``, ...
        encoding: of all text without a byte order mark, as Python names it; empty: UTF-8.
        mapped: field and column of each that ``--columns`` names, by which a tool's own columns may be called too.
        is_for_names: whether only the names of columns and a few rows are wanted: what the whole file would have to
            show, its first lines then do.

    """

    quoting: Quoting = "auto"
    has_header: bool = True
    encoding: str = ""
    mapped: tuple[tuple[str, str], ...] = ()
    is_for_names: bool = False


AS_USUAL: Final = FileForm()
"""How files are read where nothing is said."""


@dataclass(frozen=True, slots=True)
class FileDecision:
    """How something in a whole file was understood where two ways were thinkable; ``kind`` is as a finding's."""

    where: str
    kind: str
    message: str


def known_encoding(name: str) -> str:
    """The name itself if it is empty or there is an encoding of text of that name.

    Raises:
        ValueError: if there is none; base64 and the like are encodings, but not of text.

    """
    try:
        if name:
            codecs.getincrementaldecoder(name)
            "a".encode(name)
    except (LookupError, UnicodeError) as error:
        raise ValueError(f"there is no encoding of text of that name; {WINDOWS_1252} is one") from error
    return name
