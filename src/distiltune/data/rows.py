"""A row of a data file, or one that cannot be read, and what gives the rows of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.file_form import FileDecision, FileForm


@dataclass(frozen=True, slots=True)
class Row:
    """One row as the file holds it; ``where`` is ``file:line``, or ``file#index`` (from 0) without lines."""

    value: dict[str, object]
    where: str
    told: str = ""
    """How the row was read, if it was an annotation tool's and not in plain columns."""

    @property
    def decision(self) -> str:
        """The same as a sentence; empty if there is nothing to tell."""
        return f"{self.told[0].upper()}{self.told[1:]}." if self.told else ""


def told_in_full(sentences: Iterable[str]) -> list[str]:
    """How the rows of a file were read, each sentence once; not those that another says word for word and goes on."""
    once = list(dict.fromkeys(sentences))
    return [each for each in once if not any(o != each and o.startswith(each.removesuffix(".")) for o in once)]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read while the rest of its file can; ``reason`` goes on from "The row ...".

    ``is_of_other_width``: it has more or fewer fields than there are columns, of a table.
    """

    where: str
    reason: str
    is_of_other_width: bool = False


Reader = Callable[[Path, FileForm], Iterator[Row | BadRow | FileDecision]]
"""Gives the rows of one file, and what was decided on reading it."""
