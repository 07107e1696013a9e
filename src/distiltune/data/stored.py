"""Many examples without an object for each: on disk as Arrow record batches, made again one by one when asked for.

A set that stays small is a plain tuple. One that grows beyond `ROWS_IN_MEMORY` goes to a temporary file as it is read,
batch by batch, and is read from there through a memory map, whose pages the system takes back when it needs them: what
stays in memory of ten million examples is some kilobytes. pyarrow is imported when the first batch is written.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from distiltune.data.scratch import Scratch

if TYPE_CHECKING:
    import pyarrow as pa

E = TypeVar("E")
R = TypeVar("R")

BATCH_ROWS: Final = 4_096
ROWS_IN_MEMORY: Final = 16 * BATCH_ROWS
"""Of more, what was read goes to disk: so many short texts take some 50 MB as objects."""
CHARACTERS_IN_MEMORY: Final = 1 << 28
"""Of longer texts, which are fewer; a batch has a quarter of these at most, and one text."""

SHARED_IN_MEMORY: Final = 1 << 25
"""Characters of texts that are known again when a later row has them too."""

Ids = npt.NDArray[np.int64]
FileBytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Form(Generic[E]):
    """How examples of one class lie in columns.

    Attributes:
        columns: name → Arrow's name of the type; text as ``large_string``.
        pack: an example → a value for each column.
        unpack: the way back.
        n_characters: how long an example is, about.
        kind: the column that says all that rows of one kind have in common, see `OnDisk.kinds`.
        shared: a column of texts that many rows have, ``int64`` here: each lies in a file of its own, once as long as
            `SHARED_IN_MEMORY` characters of others are between its rows, and rows have its number there.

    """

    columns: Mapping[str, str]
    pack: Callable[[E], tuple[Any, ...]]
    unpack: Callable[..., E]
    n_characters: Callable[[E], int]
    kind: str = ""
    shared: str = ""

    @property
    def shared_place(self) -> int:
        """Where among the columns the shared one is."""
        return list(self.columns).index(self.shared)


@dataclass(frozen=True, slots=True)
class Kinds(Generic[E]):
    """Examples by what they have in common, in order of first appearance.

    Attributes:
        firsts: the first example of each kind.
        counts: ``(n_kinds,)`` how many there are of it.
        of: ``(n_examples,)`` the kind of each.

    """

    firsts: Sequence[E]
    counts: Ids
    of: npt.NDArray[np.integer]


class Growing(Generic[E]):
    """Examples as they are read, one after the other."""

    def __init__(self, form: Form[E]) -> None:
        """Hold none yet."""
        self._form = form
        self._newest: list[E] = []
        self._n_characters = 0
        self._writer: _Writer | None = None
        self._shared = _SharedTexts() if form.shared else None

    def __len__(self) -> int:
        return len(self._newest) + (self._writer.n_rows if self._writer is not None else 0)

    def append(self, example: E) -> None:
        """Add one; writes a batch where there are enough of them."""
        self._newest.append(example)
        self._n_characters += self._form.n_characters(example)
        rows, characters = (ROWS_IN_MEMORY, 4) if self._writer is None else (BATCH_ROWS, 1)
        if len(self._newest) >= rows or self._n_characters >= characters * CHARACTERS_IN_MEMORY // 4:
            self._write()

    def extend(self, examples: Sequence[E] | Iterator[E]) -> None:
        """Add several."""
        for example in examples:
            self.append(example)

    def done(self) -> Sequence[E]:
        """All of them; nothing can be added any more."""
        return tuple(self._newest) if self._writer is None else self.on_disk()

    def on_disk(self) -> OnDisk[E]:
        """The same, on disk however few they are."""
        if self._newest or self._writer is None:
            self._write()
        assert self._writer is not None  # _write has made it
        return OnDisk(self._writer.mapped(), self._form, self._shared.on_disk() if self._shared is not None else None)

    def _write(self) -> None:
        self._writer = self._writer or _Writer(self._form.columns)
        for first in range(0, len(self._newest), BATCH_ROWS):
            rows = list(map(self._form.pack, self._newest[first : first + BATCH_ROWS]))
            if self._shared is not None:
                place = self._form.shared_place
                rows = [(*row[:place], self._shared.number_of(row[place]), *row[place + 1 :]) for row in rows]
            self._writer.write(rows)
        self._newest.clear()
        self._n_characters = 0


class _SharedTexts:
    """Texts that many rows have, and their numbers."""

    def __init__(self) -> None:
        self._texts: Growing[str] = Growing(_TEXT_FORM)
        self._numbers: dict[str, int] = {}
        self._n_characters = 0

    def number_of(self, text: str) -> int:
        """The text's number, the one that it has already if that is known."""
        number = self._numbers.get(text)
        if number is None:
            if self._n_characters > SHARED_IN_MEMORY:
                self._numbers.clear()
                self._n_characters = 0
            number = self._numbers[text] = len(self._texts)
            self._texts.append(text)
            self._n_characters += len(text)
        return number

    def on_disk(self) -> OnDisk[str]:
        """All of them by their numbers; none can be added any more."""
        self._numbers.clear()
        return self._texts.on_disk()


def _text_alone(text: str) -> str:
    return text


_TEXT_FORM: Final = Form({"text": "large_string"}, lambda text: (text,), _text_alone, len)


class _Writer:
    """An Arrow file on disk that lives as long as somebody maps it."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        import pyarrow as pa

        self._schema = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in columns.items()])
        self._file = Scratch()
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self.n_rows = 0

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add a batch of rows."""
        import pyarrow as pa

        fields = zip(zip(*rows, strict=True), self._schema, strict=True)
        self.add(pa.record_batch([pa.array(values, field.type) for values, field in fields], schema=self._schema))

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch as it is."""
        self._writer.write_batch(batch)
        self.n_rows += batch.num_rows

    def mapped(self) -> FileBytes:
        """The file's bytes; nothing can be written any more."""
        self._writer.close()
        return self._file.mapped()


class OnDisk(Sequence[E], Generic[E]):
    """Examples in Arrow record batches, all or some of them in their order; what is taken out is made then."""

    def __init__(self, file: FileBytes, form: Form[E], shared: OnDisk[str] | None = None) -> None:
        """Look into an Arrow file, which may be mapped; raises `ValueError` if it is none with the form's columns.

        ``shared`` are the texts of the column that has them by their numbers.
        """
        import pyarrow as pa

        reader = pa.ipc.open_file(pa.py_buffer(file))
        if reader.schema.names != list(form.columns):
            raise ValueError(f"the columns are {reader.schema.names}")
        if bool(form.shared) != (shared is not None):
            raise ValueError("the texts that rows share are missing, or none are shared")
        self.file, self.form, self.shared = file, form, shared
        self.batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._bounds = np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def __len__(self) -> int:
        return int(self._bounds[-1])

    @overload
    def __getitem__(self, index: int) -> E: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[E]: ...
    def __getitem__(self, index: int | slice) -> E | Sequence[E]:
        """One example, or some in a list."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        number = int(np.searchsorted(self._bounds, place, side="right")) - 1
        row = place - int(self._bounds[number])
        values = [column[row].as_py() for column in self.batches[number].columns]
        if self.shared is not None:
            values[self.form.shared_place] = self.shared[values[self.form.shared_place]]
        return self.form.unpack(*values)

    def __iter__(self) -> Iterator[E]:
        for batch in self.batches:
            columns = [column.to_pylist() for column in batch.columns]
            if self.shared is not None:
                numbers = columns[self.form.shared_place]
                texts = {number: self.shared[number] for number in dict.fromkeys(numbers)}
                columns[self.form.shared_place] = [texts[number] for number in numbers]
            yield from map(self.form.unpack, *columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"<{len(self):,} examples in {len(self.batches):,} batches>"

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of one column."""
        import pyarrow as pa

        return pa.chunked_array([batch.column(name) for batch in self.batches])

    def fingerprint(self, names: Sequence[str]) -> str:
        """Hash of these columns."""
        digest = hashlib.sha256()
        if self.shared is not None and self.form.shared in names:
            digest.update(self.shared.fingerprint(("text",)).encode())
        for batch in self.batches:
            digest.update(f"{batch.num_rows} ".encode())
            for name in names:
                for part in batch.column(name).buffers():
                    digest.update(b"-" if part is None else part)
        return digest.hexdigest()

    @property
    def files(self) -> dict[str, FileBytes]:
        """All that it lies in, see `from_files`."""
        return {"examples": self.file, **({} if self.shared is None else {"shared": self.shared.file})}

    def chosen(self, ids: Ids) -> OnDisk[E]:
        """The examples of these numbers, ascending; copied on disk."""
        import pyarrow as pa

        writer = _Writer(self.form.columns)
        cuts = np.searchsorted(ids, self._bounds)
        for batch, first, (low, high) in zip(self.batches, self._bounds, pairwise(cuts), strict=False):
            if high > low:
                writer.add(batch.take(pa.array(ids[low:high] - first)))
        return OnDisk(writer.mapped(), self.form, self.shared)

    @cached_property
    def kinds(self) -> Kinds[E]:
        """The examples by the column that tells their kinds."""
        encoded = self.column(self.form.kind).dictionary_encode().unify_dictionaries()
        of = np.concatenate([np.asarray(chunk.indices) for chunk in encoded.chunks]).astype(np.int32)
        n_kinds = int(of.max(initial=-1)) + 1
        firsts = np.zeros(n_kinds, dtype=np.int64)
        firsts[of[::-1]] = np.arange(len(of) - 1, -1, -1)
        return Kinds(Mapped(firsts.tolist(), lambda first: self[first]), np.bincount(of, minlength=n_kinds), of)


def from_files(files: Mapping[str, FileBytes], form: Form[E]) -> OnDisk[E]:
    """The examples that lie in these files; raises `ValueError` or `KeyError` if they do not fit the form."""
    return OnDisk(files["examples"], form, OnDisk(files["shared"], _TEXT_FORM) if form.shared else None)


class Mapped(Sequence[R], Generic[E, R]):
    """What a function makes of each of some examples, made when it is asked for."""

    def __init__(self, examples: Sequence[E], make: Callable[[E], R]) -> None:
        """Make nothing yet."""
        self._examples, self._make = examples, make

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        """One, or some in a list."""
        if isinstance(index, slice):
            return list(map(self._make, self._examples[index]))
        return self._make(self._examples[index])

    def __iter__(self) -> Iterator[R]:
        return map(self._make, self._examples)


class Beside(Sequence[E], Generic[E]):
    """Two sets of examples as one, the other behind the one."""

    def __init__(self, one: Sequence[E], other: Sequence[E]) -> None:
        """Copy nothing."""
        self.one, self.other = one, other

    def __len__(self) -> int:
        return len(self.one) + len(self.other)

    @overload
    def __getitem__(self, index: int) -> E: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[E]: ...
    def __getitem__(self, index: int | slice) -> E | Sequence[E]:
        """One example, or some in a list."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        return self.one[place] if place < len(self.one) else self.other[place - len(self.one)]

    def __iter__(self) -> Iterator[E]:
        return itertools.chain(self.one, self.other)


def both(one: Sequence[E], other: Sequence[E]) -> Sequence[E]:
    """All examples of two sets; a tuple where both are in memory."""
    on_disk = isinstance(one, OnDisk) or isinstance(other, OnDisk)
    return Beside(one, other) if on_disk else (*one, *other)


def kinds_in_memory(examples: Sequence[E], kind_of: Callable[[E], Hashable]) -> Kinds[E]:
    """The examples by what this function says of them, as `OnDisk.kinds`."""
    numbers: dict[Hashable, int] = {}
    firsts: list[E] = []
    of = np.empty(len(examples), dtype=np.int32)
    for place, example in enumerate(examples):
        of[place] = number = numbers.setdefault(kind_of(example), len(firsts))
        if number == len(firsts):
            firsts.append(example)
    return Kinds(firsts, np.bincount(of, minlength=len(firsts)), of)


def chosen(examples: Sequence[E], ids: Ids) -> Sequence[E]:
    """The examples of these numbers in this order; a tuple where they are in memory."""
    if not isinstance(examples, OnDisk):
        return tuple(examples[i] for i in ids.tolist())
    if len(ids) > ROWS_IN_MEMORY and (np.diff(ids) > 0).all():
        return examples.chosen(ids)
    grown: Growing[E] = Growing(examples.form)
    grown.extend(examples[i] for i in ids.tolist())
    return grown.done()


def all_but(left_out: Sequence[int], n: int) -> Ids:
    """The numbers below ``n`` without these."""
    is_kept = np.ones(n, dtype=bool)
    is_kept[np.asarray(left_out, dtype=np.int64)] = False
    return np.flatnonzero(is_kept)


def changed(examples: Sequence[E], change: Callable[[E], E]) -> Sequence[E]:
    """The examples, each as the function makes it; where they were."""
    if not isinstance(examples, OnDisk):
        return tuple(map(change, examples))
    grown: Growing[E] = Growing(examples.form)
    grown.extend(map(change, examples))
    return grown.done()
