"""Data in memory: what is taken as such, under which name, how its rows are read, and how long it is found."""

from __future__ import annotations

import json
import tracemalloc
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from distiltune.data import hub, stored
from distiltune.data.files import file_digest, iter_rows, table_class_names
from distiltune.data.first_columns import first_columns
from distiltune.data.held import Held, _Rows, held_under, holding, is_held_name, plain
from distiltune.data.rows import BadRow, Row
from distiltune.data.sources import find_source, has_splits
from distiltune.data.stored import OnDisk
from distiltune.errors import DataError

ROWS = [{"text": f"text {i}", "label": "up" if i % 2 else "down"} for i in range(5_000)]
TABLE = pa.Table.from_pylist(ROWS)
TEXTS, LABELS = [row["text"] for row in ROWS], [row["label"] for row in ROWS]


class Frame:
    """As pandas' and polars' data frames are seen from outside: Arrow's protocol, and iterating gives column names."""

    def __init__(self, table: pa.Table = TABLE) -> None:
        self._table = table

    @property
    def columns(self) -> list[str]:
        return list(self._table.column_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class OldFrame:
    """As older data frames are: the interchange protocol only."""

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return TABLE.__dataframe__(nan_as_null, allow_copy)


class _Features(dict[str, Any]):
    @property
    def arrow_schema(self) -> pa.Schema:
        feature = {"names": ["down", "up"], "_type": "ClassLabel"}
        metadata = {b"huggingface": json.dumps({"info": {"features": {"label": feature}}}).encode()}
        return pa.schema([("text", pa.string()), ("label", pa.int64())], metadata=metadata)


class HubSet:
    """As a ``datasets.Dataset`` is: rows chosen and put in another order among those of its files."""

    num_rows = 3
    features = _Features(text=None, label=None)

    def with_format(self, type: str | None = None) -> HubSet:
        assert type == "arrow"
        return self

    def iter(self, batch_size: int) -> Iterator[pa.Table]:
        for number in (4, 1, 3):
            yield pa.table({"text": [f"text {number}"], "label": [number % 2]})


class HubStreamed:
    """As a ``datasets.IterableDataset`` is: rows that come as they are asked for, each time anew."""

    n_read = 0

    def __init__(self, features: _Features | None = None, breaks_after: int = 10_000) -> None:
        self.features, self._breaks_after = features, breaks_after

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.n_read += 1
        for number, row in enumerate(ROWS):
            if number == self._breaks_after:
                raise ConnectionError("reset by peer")
            yield dict(row)


class Column:
    """As a data frame's column is: positions by ``iloc``, and a way to a list."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: object) -> Any:
        raise KeyError(key)  # a label of a row, not its position

    @property
    def iloc(self) -> Any:
        return np.array(self.values, dtype=object)

    def to_list(self) -> list[Any]:
        return list(self.values)


SAME: dict[str, Any] = {
    "frame": Frame(),
    "old frame": OldFrame(),
    "table": TABLE,
    "chunks": pa.concat_tables([TABLE.slice(0, 7), TABLE.slice(7)]),
    "dictionary": TABLE.set_column(1, "label", TABLE["label"].dictionary_encode()),
    "batch": TABLE.combine_chunks().to_batches()[0],
    "stream": TABLE.to_reader(),
    "drawn": TABLE.append_column("__index_level_0__", pa.array(range(5_000))),
    "rows that come": HubStreamed(),
    "list": ROWS,
    "tuple of rows": tuple(ROWS),
    "texts and labels": (TEXTS, LABELS),
    "arrays": (np.array(TEXTS), np.array(LABELS, dtype=object)),
    "arrow arrays": (TABLE["text"], TABLE["label"].combine_chunks()),
    "columns": (Column(TEXTS), Column(LABELS)),
}


@pytest.mark.parametrize("given", SAME.values(), ids=SAME.keys())
def test_every_form_gives_the_same_rows_and_the_same_hash(given: Any) -> None:
    with holding(given, "train") as names:
        (name,) = names
        assert name.startswith("memory:")
        assert is_held_name(name)
        found = list(iter_rows(name))
        assert [row.value for row in found if isinstance(row, Row)] == ROWS
        assert found[4_321].where == f"{name}#4321"
        (file,) = find_source(name, "train", Path()).files
        assert first_columns(file) == ["text", "label"]
        with holding(ROWS, "train") as others:
            assert file_digest(file) == file_digest(Path(others[0]))
            assert name.rpartition("-")[2] == others[0].rpartition("-")[2]


@pytest.mark.parametrize("change", [{"label": "up"}, {"text": "another"}, {"more": 1}], ids=str)
def test_other_rows_have_another_hash(change: dict[str, Any]) -> None:
    with holding(ROWS, "train") as names, holding([*ROWS[:-2], {**ROWS[-2], **change}, ROWS[-1]], "train") as others:
        assert names != others
    with holding(ROWS[::-1], "train") as turned:
        assert names != turned


def test_it_is_found_while_a_call_lasts_and_by_every_call_that_has_it() -> None:
    with holding(ROWS, "train") as names:
        with holding(list(ROWS), "data") as again:
            assert again == names
        assert isinstance(held_under(names[0]), Held)
    with pytest.raises(DataError, match="in the memory of the process") as caught:
        held_under(names[0])
    assert "distiltune.resume(RUN, train=" in caught.value.fix
    with pytest.raises(DataError, match="in the memory"):
        find_source(names[0], "train", Path())


def test_it_is_let_go_where_the_call_goes_wrong() -> None:
    with pytest.raises(ZeroDivisionError), holding(ROWS, "train") as names:
        raise ZeroDivisionError
    with pytest.raises(DataError):
        held_under(names[0])


def test_paths_and_names_stay_what_they_are_and_several_are_mixed() -> None:
    with holding(["a.json", Path("b.json"), TABLE, "squad"], "train") as names:
        assert (names[0], names[1], names[3]) == ("a.json", "./b.json", "squad")
        assert names[2].startswith("memory:Table-")
    with holding(("a.json", "b.json"), "train") as names:
        assert names == ("a.json", "b.json")
    with holding((Frame(), TABLE), "train") as names:
        assert [name.partition("-")[0] for name in names] == ["memory:Frame", "memory:Table"]


def test_the_hub_is_never_asked_for_what_is_no_string(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*arguments: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(hub, "fetch_data_set", fetch)
    monkeypatch.setattr("distiltune.data.sources.fetch_data_set", fetch)
    with holding(Frame(), "train") as names:
        assert not has_splits(names[0])
        find_source(names[0], "train", Path())
    assert not has_splits(names[0])
    with pytest.raises(DataError):
        find_source(names[0], "train", Path())


def test_a_hub_data_set_is_read_in_its_order_with_the_names_of_its_classes() -> None:
    with holding(HubSet(), "train") as names:
        path = Path(names[0])
        rows = [row.value for row in iter_rows(path) if isinstance(row, Row)]
        assert rows == [{"text": f"text {i}", "label": i % 2} for i in (4, 1, 3)]
        assert table_class_names(path, "label") == ("down", "up")
        assert table_class_names(path, "text") == ()


def test_pairs_words_and_texts_alone() -> None:
    def rows(data: Any) -> list[Any]:
        with holding(data, "data") as names:
            return [row.value for row in iter_rows(names[0]) if isinstance(row, Row)]

    assert rows(([("a", "b")], [1])) == [{"text": "a", "text_pair": "b", "label": 1}]
    assert rows(([["Ada", "ran"]], [["B-PER", "O"]])) == [{"tokens": ["Ada", "ran"], "tags": ["B-PER", "O"]}]
    assert rows((["a", "b"], None)) == [{"text": "a"}, {"text": "b"}]
    assert rows((["a"], [["x", "y"]])) == [{"text": "a", "label": ["x", "y"]}]
    assert rows((["a", "b"], [float("nan"), "x"])) == [{"text": "a", "label": None}, {"text": "b", "label": "x"}]


def test_numbers_of_numpy_are_pythons_and_nan_is_none() -> None:
    given = {"a": np.int64(3), "b": np.array([1.5, np.nan]), "c": [np.str_("x"), None], 4: {"d": np.bool_(True)}}
    assert plain(given) == {"a": 3, "b": [1.5, None], "c": ["x", None], "4": {"d": True}}
    assert all(type(each) in (int, list, dict) for each in plain(given).values())
    with holding(pa.table({"text": ["a"], "label": [float("nan")]}), "train") as names:
        assert [row.value for row in iter_rows(names[0]) if isinstance(row, Row)] == [{"text": "a", "label": None}]


def test_what_is_no_row_is_one_bad_row() -> None:
    with holding([{"text": "a"}, 7], "train") as names:
        good, bad = iter_rows(names[0])
    assert isinstance(good, Row)
    assert isinstance(bad, BadRow)
    assert bad.reason == "is a JSON int, not an object."


def test_text_that_is_not_utf8_costs_its_row() -> None:
    column = pa.Array.from_buffers(pa.string(), 3, pa.array([b"fine", b"\xff", b"good"]).buffers())
    with holding(pa.table({"text": column}), "train") as names:
        kinds = [type(row) for row in iter_rows(names[0])]
    assert kinds == [Row, BadRow, Row]


def test_rows_that_come_lie_on_disk_where_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 100)
    given = HubStreamed(_Features())
    with holding(given, "train") as (name,), holding(ROWS, "train") as (listed,):
        held = held_under(name)
        assert held is not None
        assert isinstance(held.content, _Rows)
        assert isinstance(held.content.rows, OnDisk)
        assert name.rpartition("-")[2] == listed.rpartition("-")[2]
        for _ in range(2):
            assert [row.value for row in iter_rows(Path(name)) if isinstance(row, Row)] == ROWS
        assert table_class_names(Path(name), "label") == ("down", "up")
    assert given.n_read == 1


def test_a_stream_that_breaks_off_is_no_data() -> None:
    with (
        pytest.raises(DataError, match="broke off after 7 of them: reset by peer"),
        holding(HubStreamed(breaks_after=7), "train"),
    ):
        pass


class Lazy:
    """As a polars ``LazyFrame`` is."""

    def collect(self) -> pa.Table:
        return TABLE


class Iterating:
    """What gives rows and is nothing else that is known."""

    def __iter__(self) -> Iterator[Any]:
        return iter(ROWS)


WRONG: list[tuple[Any, str, str]] = [
    (7, "train is 7 (of the type int), no data.", "give a path"),
    (None, "train is None (of the type NoneType), no data.", "give a path"),
    ((row for row in ROWS), "(of the type generator), no data.", "make a list of it: list(train)"),
    (iter(ROWS), "(of the type list_iterator), no data.", "make a list of it: list(train)"),
    (Iterating(), "(of the type Iterating), no data.", "make a list of it: list(train)"),
    (Lazy(), "(of the type Lazy), no data.", "read it first: .collect()"),
    ({"train": TABLE, "test": TABLE}, "(of the type dict), no data.", "train=data['train'] or train=data['test']"),
    ({"text": ["a"], "label": ["b"]}, "(of the type dict), no data.", "a dictionary for each row"),
    ({"a.json"}, "(of the type set), no data.", "give a path"),
    (b"a.json", "(of the type bytes), no data.", "give a path"),
    (deque(ROWS[:2]), "(of the type deque), no data.", "give a path"),
    (np.array([[1, 2]]), "(of the type ndarray), no data.", "one column is no table"),
    (TABLE["text"], "(of the type ChunkedArray), no data.", "train=(texts, labels), or (texts, None)"),
    ([TEXTS[:2], LABELS[:2]], "(of the type list), no data.", "texts and labels are a tuple: train=(texts, labels)"),
    ([], "train is an empty list.", "give a path"),
    (["It is late.", "Where is it?"], "train is a list of texts, no names of files.", "train=(texts, labels)"),
    (["a.json", 7], "train is 7 (of the type int), no data.", "give a path"),
    ((TEXTS, LABELS[:-1]), "There are 5,000 texts and 4,999 labels.", "one label for each"),
    (pa.table({}), "The table has no column.", "holds rows"),
    (pa.table([[1], [2]], names=["a", "a"]), "has the column 'a' more than once", "a name of its own"),
]


@pytest.mark.parametrize(
    ("given", "what", "fix"), WRONG, ids=[f"{n}-{type(each[0]).__name__}" for n, each in enumerate(WRONG)]
)
def test_what_is_no_data_is_refused_by_its_type(given: Any, what: str, fix: str) -> None:
    with pytest.raises(DataError) as caught, holding(given, "train"):
        pass
    assert what in caught.value.what
    assert caught.value.where == "argument: train"
    assert fix in caught.value.fix


def test_a_stream_that_breaks_off_is_told() -> None:
    class Broken(Frame):
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            raise pa.ArrowTypeError("Expected bytes, got a 'int' object", "Conversion failed for column text")

    message = r"The Broken cannot be read as a table: .*column text\."
    with pytest.raises(DataError, match=message) as caught, holding(Broken(), "data"):
        pass
    assert "a list of dictionaries" in caught.value.fix


def test_a_table_is_not_copied_into_python() -> None:
    """20,000 rows of 200 letters are 4 MB; of these, a batch at a time is in Python."""
    table = pa.table({"text": [f"{i:06d}" * 33 for i in range(20_000)], "label": ["a"] * 20_000})
    with holding(table.slice(0, 1), "train"):  # which imports what is needed
        pass
    tracemalloc.start()
    try:
        with holding(table, "train") as names:
            kept, _ = tracemalloc.get_traced_memory()
            n_rows = sum(1 for _ in iter_rows(names[0]))
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_rows == 20_000
    assert kept < 100_000
    assert peak < 2_000_000


FRAMES = {"pandas": "DataFrame", "polars": "DataFrame"}


@pytest.mark.parametrize("library", FRAMES)
def test_the_data_frames_themselves(library: str) -> None:
    frames: Any = pytest.importorskip(library)
    frame = frames.DataFrame({"text": TEXTS, "label": LABELS})
    with holding(frame, "train") as names, holding(ROWS, "train") as others:
        assert file_digest(Path(names[0])) == file_digest(Path(others[0]))
    with holding((frame["text"], frame["label"]), "train") as names:
        assert [row.value for row in iter_rows(names[0]) if isinstance(row, Row)] == ROWS


def test_a_data_frame_drawn_has_no_column_of_row_numbers() -> None:
    pandas: Any = pytest.importorskip("pandas")
    with holding(pandas.DataFrame(ROWS).sample(frac=1, random_state=0), "train") as names:
        assert first_columns(Path(names[0])) == ["text", "label"]


def test_the_data_set_itself() -> None:
    datasets: Any = pytest.importorskip("datasets")
    given = datasets.Dataset.from_list(ROWS[:20]).class_encode_column("label").shuffle(seed=1)
    with holding(given, "train") as names:
        path = Path(names[0])
        assert [row.value["text"] for row in iter_rows(path) if isinstance(row, Row)] == given["text"][:]
        assert table_class_names(path, "label") == ("down", "up")
        with holding(given.to_iterable_dataset(), "train") as streamed:
            assert file_digest(path) == file_digest(Path(streamed[0]))
            assert table_class_names(Path(streamed[0]), "label") == ("down", "up")


def test_names_of_files_with_blanks_are_no_texts() -> None:
    for names in (["my train.csv", "my other.csv"], ["all my data/*"], ["one"]):
        with holding(names, "train") as given:
            assert given == tuple(names)
