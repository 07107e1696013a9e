"""Data that somebody holds in memory → a name under which the readers find it while a call lasts.

A table, a list of dictionaries or a pair of columns is not written anywhere and not copied: it gets a name made of its
type and a hash of its content, ``memory:DataFrame-3f9a0c51d2e87b46``, which stands in a recipe where a path would, and
gives its rows a batch at a time. The hash is what caches and resuming go by. The name alone finds nothing once the call
is over, or in another process: whoever goes on hands the data over again.

No library of tables is imported: what was given is known by its protocol. pyarrow is imported where a table is read.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from distiltune.errors import DataError
from distiltune.system.names import as_name, described

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX: Final = "memory:"
BATCH_ROWS: Final = 2_048
_DIGEST_CHARACTERS: Final = 16
_LOOKED_AT: Final = 20
_ENDING: Final = re.compile(r"\.[A-Za-z]\w{0,8}$")
_WAYS_TO_LIST: Final = ("to_pylist", "to_list", "tolist")
_TAKEN: Final = (
    "give a path, a name, a DataFrame, a `datasets.Dataset` or `IterableDataset`, an Arrow table, "
    "a list of dictionaries, or a tuple (texts, labels)"
)


class ArrowStream(Protocol):
    """A table by Arrow's protocol: of pandas, polars, pyarrow and others."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as a stream of record batches."""


class Interchange(Protocol):
    """A table by the data frame interchange protocol, as older ones have it."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        """The table in the protocol's terms."""


@runtime_checkable
class HubDataset(Protocol):
    """A ``datasets.Dataset``."""

    @property
    def num_rows(self) -> int:
        """How many rows it has."""

    @property
    def features(self) -> Any:
        """Its columns and their types."""

    def with_format(self, type: str | None = None) -> Any:
        """The same, read as this type."""


@runtime_checkable
class HubStream(Protocol):
    """A ``datasets.IterableDataset``, as a data set of the hub is in streaming form."""

    @property
    def features(self) -> Any:
        """Its columns and their types; None where they are not known."""

    def __iter__(self) -> Iterator[Any]:
        """Its rows, as they come."""


Data = str | os.PathLike[str] | ArrowStream | Interchange | HubDataset | HubStream | Sequence[Any]
"""What functions take as data: a name, a path, a table, a list of dictionaries, a tuple of texts and labels; or a list
of several of them, which are mixed."""


class ToList(Protocol):
    """A column of a pandas or polars table."""

    def to_list(self) -> list[Any]:
        """Its values."""


class ToPylist(Protocol):
    """An Arrow array."""

    def to_pylist(self) -> list[Any]:
        """Its values."""


class Tolist(Protocol):
    """An array of NumPy's."""

    def tolist(self) -> Any:
        """Its values."""


Column = Sequence[Any] | ToList | ToPylist | Tolist
"""What functions take as a list of texts: one, or a column of a table or an array."""


class Batch(Protocol):
    """Some rows that follow each other."""

    @property
    def num_rows(self) -> int:
        """How many."""

    def to_pylist(self) -> list[Any]:
        """Each as a dictionary."""

    def slice(self, offset: int = 0, length: int | None = None) -> Batch:
        """Some of them."""


class Content(Protocol):
    """What is held."""

    def batches(self) -> Iterator[Batch]:
        """All rows, `BATCH_ROWS` at most at a time."""


@dataclass(frozen=True, slots=True)
class _Table:
    """An Arrow table, which shares its columns with what was given where that can be done."""

    table: pa.Table

    def batches(self) -> Iterator[Batch]:
        yield from self.table.to_batches(max_chunksize=BATCH_ROWS)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Dictionaries, a row each."""

    rows: Sequence[Any]

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def to_pylist(self) -> list[Any]:
        return list(self.rows)

    def slice(self, offset: int = 0, length: int | None = None) -> Batch:
        return _Rows(self.rows[offset : None if length is None else offset + length])

    def batches(self) -> Iterator[Batch]:
        rows = iter(self.rows)
        while some := list(itertools.islice(rows, BATCH_ROWS)):
            yield _Rows(some)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Texts, or lists of words, and the label or the tags of each; no labels if they are None."""

    texts: Any
    labels: Any

    def batches(self) -> Iterator[Batch]:
        for first in range(0, len(self.texts), BATCH_ROWS):
            texts = _part(self.texts, first)
            labels = [None] * len(texts) if self.labels is None else _part(self.labels, first)
            yield _Rows([_row(text, label) for text, label in zip(texts, labels, strict=True)])


@dataclass(frozen=True, slots=True)
class Held:
    """A source that is held in memory.

    Attributes:
        name: under which it is found.
        digest: SHA-256 of the content of its rows, in hexadecimal: the same rows, the same digest, in whatever form.
        content: that has its rows.
        is_json: whether its rows are such as a JSON file has, and not a table's.
        metadata: of the columns, as the hub's data sets have it.
        is_of_files: whether each row is a file by itself, whose path is its ``id``.

    """

    name: str
    digest: str
    content: Content
    is_json: bool
    metadata: Mapping[bytes, bytes]
    is_of_files: bool = False


class Documents(list[dict[str, str | None]]):
    """Documents as rows with ``id``, the path of the file, and ``text``: a list of its own name, for messages."""


_held: dict[str, tuple[Held, int]] = {}
"""Name → what it is, and how many calls hold it now."""
_lock = Lock()


@contextmanager
def holding(data: object, what: str) -> Iterator[tuple[str, ...]]:
    """The names of sources; those in memory are found under theirs until the end of the ``with``.

    Args:
        data: `Data`.
        what: the argument, such as ``train``, for messages.

    Raises:
        DataError: naming its type, if it is no such thing or holds nothing; or if a table cannot be read.

    """
    found = [_hold(each, what) for each in _sources(data, what)]
    ours = [each for each in found if isinstance(each, Held)]
    with _lock:
        for each in ours:
            _held[each.name] = each, _held.get(each.name, (each, 0))[1] + 1
    try:
        yield tuple(each.name if isinstance(each, Held) else each for each in found)
    finally:
        with _lock:
            for each in ours:
                n_others = _held[each.name][1] - 1
                if n_others:
                    _held[each.name] = each, n_others
                else:
                    del _held[each.name]


def is_held_name(source: object) -> bool:
    """Whether this is the name of data in memory, held or not."""
    return str(source).startswith(PREFIX)


def holds_documents(source: object) -> bool:
    """Whether this is the name of documents that are held as rows: nobody expects labels in them."""
    held = held_under(source)
    return held is not None and held.is_of_files


def held_under(source: object) -> Held | None:
    """What is held under a name; None for what is no such name.

    Raises:
        DataError: if it was held, by a call that is over or another process.

    """
    if not is_held_name(source):
        return None
    found = _held.get(str(source))
    if found is None:
        raise DataError(
            "These data were in the memory of the process that was given them, which no path leads to.",
            where=str(source),
            fix="hand them over again in Python, as in distiltune.resume(RUN, train=..., validation=...); "
            "or save them as a file and name that",
        )
    return found[0]


def plain(value: Any) -> Any:
    """A value as JSON would have it: numbers and arrays of NumPy as Python's, NaN as None, which is what it means."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return plain(value.tolist())
    return value


def as_list(values: object, what: str, fix: str) -> list[Any]:
    """A list of what a list, a tuple, or a column of a table or an array holds.

    Args:
        values: what somebody gave.
        what: the argument, for the message.
        fix: what is meant, for the message.

    Raises:
        DataError: naming its type, if it is something else.

    """
    if isinstance(values, list | tuple):
        return list(values)
    if _is_column(values):
        return _to_list(values)
    where = f"argument: {what}"
    if hasattr(values, "__next__"):
        made = f"make a list of it: list({what})"
        raise DataError(f"{_typed(what, values)}, which can be read only once.", where=where, fix=made)
    raise DataError(f"{_typed(what, values)}, no list.", where=where, fix=fix)


def _sources(data: object, what: str) -> Sequence[object]:
    """Each source by itself."""
    if not isinstance(data, list | tuple):
        return (data,)
    if not data:
        raise DataError(f"{what} is an empty {type(data).__name__}.", where=f"argument: {what}", fix=_TAKEN)
    if isinstance(data[0], Mapping) or _is_pair(data):
        return (data,)
    if _are_texts(data):
        raise DataError(
            f"{what} is a {type(data).__name__} of texts, no names of files.",
            where=f"argument: {what}",
            fix=f"texts and labels are a tuple: {what}=(texts, labels), or (texts, None) to predict; or {_TAKEN}",
        )
    return data


def _are_texts(data: Sequence[object]) -> bool:
    """Whether these are texts where names of files would be: several words each, no ending, and none is there."""
    texts = [each for each in data[:_LOOKED_AT] if isinstance(each, str) and len(each.split()) > 1]
    return len(texts) == len(data[:_LOOKED_AT]) and not any(map(_may_be_a_file, texts))


def _may_be_a_file(name: str) -> bool:
    try:
        return "*" in name or bool(_ENDING.search(name)) or os.path.lexists(Path(name).expanduser())
    except (OSError, ValueError, RuntimeError):
        return False


def _is_pair(data: object) -> bool:
    """Whether these are texts and labels."""
    return (
        isinstance(data, tuple) and len(data) == 2 and _is_column(data[0]) and (data[1] is None or _is_column(data[1]))
    )


def _is_column(value: object) -> bool:
    if isinstance(value, list | tuple):
        return not (value and (isinstance(value[0], Mapping) or _is_table(value[0])))
    return not _is_table(value) and any(callable(getattr(value, name, None)) for name in _WAYS_TO_LIST)


def _is_table(value: object) -> bool:
    if hasattr(value, "__dataframe__") or isinstance(value, HubDataset):
        return True
    # of the type, since a lazy table works out its columns when it is asked for them
    has_columns = any(hasattr(type(value), name) for name in ("columns", "column_names", "schema"))
    return hasattr(value, "__arrow_c_stream__") and (
        has_columns or not any(hasattr(value, name) for name in _WAYS_TO_LIST)
    )


def _hold(source: object, what: str) -> Held | str:
    """One source: its name, or itself if it is in memory."""
    if isinstance(source, str | os.PathLike):
        return as_name(source, what, f"argument: {what}")
    if isinstance(source, list | tuple) and source and isinstance(source[0], Mapping):
        return _named(source, _Rows(source), is_json=True)
    if isinstance(source, tuple) and _is_pair(source):
        texts, labels = source
        _check_lengths(texts, labels, what)
        return _named(source, _Columns(texts, labels), is_json=True)
    if _is_table(source):
        table = _arrow_table(source, what)
        return _named(source, _Table(table), is_json=False, metadata=table.schema.metadata or {})
    if isinstance(source, HubStream):
        from distiltune.data.streamed import kept_rows

        schema = None if source.features is None else source.features.arrow_schema
        metadata = None if schema is None else schema.metadata
        return _named(source, _Rows(kept_rows(source, what)), is_json=False, metadata=metadata)
    raise DataError(f"{_typed(what, source)}, no data.", where=f"argument: {what}", fix=_way(source, what))


def _named(source: object, content: Content, *, is_json: bool, metadata: Mapping[bytes, bytes] | None = None) -> Held:
    digest = _digest(content)
    name = f"{PREFIX}{type(source).__name__}-{digest[:_DIGEST_CHARACTERS]}"
    return Held(name, digest, content, is_json, metadata or {}, isinstance(source, Documents))


def _digest(content: Content) -> str:
    """Of the rows as values, so that neither chunks nor types of columns that mean the same make a difference."""
    digest = hashlib.sha256()
    for batch in content.batches():
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError):  # a value that has no form in Python, which its row is rejected for
            rows = [repr(batch)]
        for row in rows:
            digest.update(json.dumps(plain(row), default=repr).encode() + b"\n")
    return digest.hexdigest()


def _arrow_table(source: Any, what: str) -> pa.Table:
    import pyarrow as pa

    try:
        table = _as_table(source)
    # of Arrow's and pandas' own kinds: a column of mixed types, two columns of one name, a stream that breaks off
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        first = next(iter(": ".join(map(str, error.args)).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"The {type(source).__name__} cannot be read as a table: {first.rstrip('.')}.",
            where=f"argument: {what}",
            fix="give each column one type and a name of its own, or hand over a list of dictionaries",
        ) from error
    # Rows that were drawn or sorted bring their numbers along, which are no column of anybody's.
    table = table.drop_columns([name for name in table.column_names if name.startswith("__index_level_")])
    names = table.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise DataError("The table has no column.", where=f"argument: {what}", fix="give one that holds rows")
    if repeated:
        raise DataError(
            f"The table has the column {repeated[0]!r} more than once.",
            where=f"argument: {what}",
            fix="give each column a name of its own",
        )
    return table


def _as_table(source: Any) -> pa.Table:
    import pyarrow as pa

    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if isinstance(source, HubDataset):  # whose rows may be a choice among those of its files
        parts = list(source.with_format("arrow").iter(BATCH_ROWS))
        table = pa.concat_tables(parts) if parts else pa.table({name: [] for name in source.features})
        return table.replace_schema_metadata(source.features.arrow_schema.metadata)
    if hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    from pyarrow.interchange import from_dataframe

    return from_dataframe(source)


def _part(values: Any, first: int) -> list[Any]:
    """`BATCH_ROWS` of a column's values, from this place on."""
    return _to_list(getattr(values, "iloc", values)[first : first + BATCH_ROWS])


def _to_list(values: Any) -> list[Any]:
    way = next((way for name in _WAYS_TO_LIST if (way := getattr(values, name, None)) is not None), None)
    return list(values if way is None else way())


def _row(text: Any, label: Any) -> dict[str, Any]:
    if isinstance(text, list) or (hasattr(text, "tolist") and hasattr(text, "dtype")):
        return {"tokens": text} | ({} if label is None else {"tags": label})
    if isinstance(text, tuple) and len(text) == 2:
        return {"text": text[0], "text_pair": text[1]} | ({} if label is None else {"label": label})
    return {"text": text} | ({} if label is None else {"label": label})


def _check_lengths(texts: Any, labels: Any, what: str) -> None:
    if labels is not None and len(texts) != len(labels):
        raise DataError(
            f"There are {len(texts):,} texts and {len(labels):,} labels.",
            where=f"argument: {what}",
            fix="give one label for each text",
        )


def _typed(what: str, value: object) -> str:
    shown = described(value)
    return f"{what} is {shown}{'' if value is not None else ' (of the type NoneType)'}"


def _way(source: object, what: str) -> str:
    """What to do with this instead."""
    if hasattr(source, "__next__"):
        return f"make a list of it: list({what})"
    if isinstance(source, Mapping) and any(map(_is_table, source.values())):
        return f"choose one of its parts: {' or '.join(f'{what}=data[{name!r}]' for name in list(source)[:3])}"
    if hasattr(source, "collect"):
        return "read it first: .collect()"
    if isinstance(source, Mapping):
        return f"put it into a list, a dictionary for each row; or {_TAKEN}"
    if isinstance(source, list | tuple):
        return f"texts and labels are a tuple: {what}=(texts, labels); or {_TAKEN}"
    if _is_column(source):
        return f"one column is no table: {what}=(texts, labels), or (texts, None) to predict; or {_TAKEN}"
    if hasattr(source, "__iter__") and not hasattr(source, "__len__"):
        return f"make a list of it: list({what})"
    return _TAKEN
