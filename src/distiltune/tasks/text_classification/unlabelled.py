"""The rows of one file whose labels are not read yet: how a file holds labels is known once all of its rows are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from distiltune.data.stored import Form, Growing
from distiltune.data.tag_schemes import looks_like_tags
from distiltune.data.values import shown
from distiltune.errors import DataError
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.label_cells import Cell

NO_CELL = -1
"""The kind of a row whose label is missing."""
_MANY_TAGGED = 0.5


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """A row whose text can be used.

    Attributes:
        where: the row's place.
        row_id: as the file has it.
        text: checked.
        pair: the second text, None if there is none.
        kind: the number of what it has for a label, see `CellKinds`.
        weight: of the row in the training loss, if it says so.
        row: all of it, where its labels may be in other columns.

    """

    where: str
    row_id: object
    text: str
    pair: str | None
    kind: int
    weight: float | None = None
    row: Mapping[str, object] | None = None


def _pack(each: Unlabelled) -> tuple[object, ...]:
    # What JSON has no form for is no label in whatever column.
    row = None if each.row is None else json.dumps(each.row, default=repr)
    return each.where, json.dumps(each.row_id), each.text, each.pair, each.kind, each.weight, row


def _unpack(
    where: str, row_id: str, text: str, pair: str | None, kind: int, weight: float | None, row: str | None
) -> Unlabelled:
    return Unlabelled(where, json.loads(row_id), text, pair, kind, weight, None if row is None else json.loads(row))


UNLABELLED_FORM = Form(
    {
        "where": "string",
        "row_id": "string",
        "text": "large_string",
        "pair": "large_string",
        "kind": "int64",
        "weight": "float64",
        "row": "large_string",
    },
    _pack,
    _unpack,
    lambda each: len(each.text),
)
"""How such rows lie on disk, where there are many."""


@dataclass(slots=True)
class CellKinds:
    """The different cells met so far, each as it stood first, and in how many rows."""

    firsts: list[Cell] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    _numbers: dict[object, int] = field(default_factory=dict)

    def number_of(self, cell: Cell | None) -> int:
        """The number of the cell's kind, of which there is one row more; `NO_CELL` of None."""
        if cell is None:
            return NO_CELL
        # 1, 1.0 and True are equal and not the same label.
        key: object = (cell.form, cell.spelled, cell.values, *map(type, cell.values))
        try:
            number = self._numbers.setdefault(key, len(self.firsts))
        except TypeError:  # lists and dictionaries among the values
            number = self._numbers.setdefault(repr(key), len(self.firsts))
        if number == len(self.firsts):
            self.firsts.append(cell)
            self.counts.append(0)
        self.counts[number] += 1
        return number

    def cells(self) -> list[Cell]:
        """One of each kind, with the number of its rows."""
        return [replace(cell, n_rows=count) for cell, count in zip(self.firsts, self.counts, strict=True)]


@dataclass(slots=True)
class UnlabelledFile:
    """What a file comes to before its labels are read.

    Attributes:
        columns: which are read.
        rows: those whose text can be used.
        kinds: what stands in their columns of labels.
        told: how its rows were read, each sentence once.
        questions: those of an annotation tool that are as good as columns.
        decided: kind and sentence of what was decided about the file.
        is_weighed: whether some row says what it weighs.

    """

    columns: TextColumns
    rows: Growing[Unlabelled] = field(default_factory=lambda: Growing(UNLABELLED_FORM))
    kinds: CellKinds = field(default_factory=CellKinds)
    told: dict[str, None] = field(default_factory=dict)
    questions: dict[str, None] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    is_weighed: bool = False
    _n_differing: int = 0
    _differing: tuple[Cell, Cell] | None = None
    _n_tagged: int = 0
    _tagged: tuple[str, str, str] | None = None
    _tags: Counter[str] = field(default_factory=Counter)

    def add(self, each: Unlabelled, row: Mapping[str, object], cell: Cell | None, other: Cell | None) -> None:
        """One row more, with what stands in its first and its second column of labels."""
        self.rows.append(each)
        self.is_weighed |= each.weight is not None
        if cell is None:
            return
        if other is not None and set(map(str, cell.values)) != set(map(str, other.values)):
            self._n_differing += 1
            self._differing = self._differing or (cell, other)
        values = cell.values
        values = tuple(values[0].split()) if len(values) == 1 and isinstance(values[0], str) else values
        if len(values) > 1 and len(values) == len(each.text.split()) and all(isinstance(tag, str) for tag in values):
            self._n_tagged += 1
            self._tags.update(map(str, values))
            column = self.columns.label if self.columns.label in row else self.columns.labels
            self._tagged = self._tagged or (each.text, each.where, column)

    def check(self) -> None:
        """Refuse labels that are none of a whole text, or of which either of two may be meant.

        Raises:
            DataError: if two columns of labels say different things, or most labels are a tag for each word.

        """
        columns = self.columns
        if self._differing is not None:
            cell, other = self._differing
            raise DataError(
                f"The columns {columns.label!r} and {columns.labels!r} do not agree in {self._n_differing:,} of "
                f"{len(self.rows):,} rows, the first time with {shown(list(cell.values))} and "
                f"{shown(list(other.values))}.",
                where=cell.where,
                fix=f"take one of the two out, or say which counts: --columns labels={columns.label} or "
                f"--columns label={columns.labels}.",
            )
        if self._tagged is not None and self._n_tagged > _MANY_TAGGED * len(self.rows) and looks_like_tags(self._tags):
            text, where, column = self._tagged
            raise DataError(
                f"The labels of {self._n_tagged:,} of {len(self.rows):,} texts are a tag for each word, as those of "
                f"{shown(text)}.",
                where=where,
                fix=f"mark the words: --task token-classification --columns text={columns.text},tags={column}",
            )
