"""Rows that come one after the other and only once: kept as they come, on disk where they are many."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from distiltune.data.stored import Form, Growing
from distiltune.errors import DataError

StreamedRow = dict[str, Any]


def kept_rows(rows: Iterable[StreamedRow], what: str) -> Sequence[StreamedRow]:
    """All rows of a stream; of many as JSON on disk, where what it has no form for is a text that shows it.

    Args:
        rows: the stream.
        what: the argument, for messages.

    Raises:
        DataError: if the stream breaks off.

    """
    growing: Growing[StreamedRow] = Growing(_ROW_FORM)
    try:
        growing.extend(iter(rows))
    except OSError as error:  # what a network's faults are
        raise DataError(
            f"The stream of rows broke off after {len(growing):,} of them: {error}.",
            where=f"argument: {what}",
            fix="try again; or fetch the data set first, without streaming",
        ) from error
    return growing.done()


def _pack(row: StreamedRow) -> tuple[str]:
    return (json.dumps(row, default=repr),)


def _n_characters(row: StreamedRow) -> int:
    return len(row) + sum(len(value) for value in row.values() if isinstance(value, str | list))


_ROW_FORM = Form({"row": "large_string"}, _pack, json.loads, _n_characters)
