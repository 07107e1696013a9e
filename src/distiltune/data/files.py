"""Files → rows: JSON, JSON lines, CSV, TSV, Parquet and CoNLL columns, each also gzipped, or a directory of them; or
what is held in memory under a name that stands for a path (`distiltune.data.held`).

Rows are plain dictionaries of what the file holds, each with the place where a person would look for it.
What a row means is the task's business; nothing here knows it. pyarrow is imported only for Parquet, because
it takes a while.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from distiltune.data.annotation_forms import as_one_export, rows_by_name, rows_of_document
from distiltune.data.column_files import SUFFIXES, read_columns
from distiltune.data.columnar import SharedTexts, parquet_batches, parquet_metadata
from distiltune.data.encodings import doubtful_encoding
from distiltune.data.file_form import AS_USUAL, FileDecision, FileForm
from distiltune.data.held import Batch, Held, held_under, plain
from distiltune.data.label_studio import studio_table
from distiltune.data.rows import BadRow, Reader, Row
from distiltune.data.standoff import BRAT, PUBTATOR, read_brat, read_pubtator
from distiltune.data.streams import (
    MAX_JSON_BYTES,
    bounded_lines,
    first_line,
    not_readable,
    open_text,
    reading,
)
from distiltune.data.tool_exports import mechanical_turk
from distiltune.data.unknown_files import other_kind, way_to_name
from distiltune.data.webanno import is_webanno, read_webanno
from distiltune.errors import DataError

_ABOUT_DATA = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""Files that the `datasets` library writes beside data, about them."""
_FORMS_OF_JSON = (
    'write [{"question": ..., ...}, ...], SQuAD\'s form, or JSON lines in a .jsonl file; if it holds no data, take it '
    "out of the directory."
)


@dataclass(frozen=True, slots=True)
class DataFiles:
    """The data files that a path stands for, in reading order, and the directory's other files.

    Among these are its folders that hold data files, which are not entered.
    """

    files: tuple[Path, ...]
    ignored: tuple[Path, ...] = ()


def data_files(path: str | Path) -> DataFiles:
    """The data files that ``path`` stands for: itself, or a directory's data files sorted by name.

    Folders in it are not entered; those that hold data files are among the ignored. Raises `DataError` if ``path`` does
    not exist, has an unknown suffix, or is a directory without a data file.
    """
    path = Path(path)
    _check_name(path)
    if path.is_dir():
        try:
            entries = sorted(path.iterdir())
            inside = [each for each in entries if each.is_file()]
            folders = tuple(each for each in entries if each.is_dir() and files_below(each))
            looked_at = [*inside, *sorted(path.glob("*/*.arrow"))[:1]]
        except OSError as error:
            raise not_readable(path, error) from error
        files = tuple(each for each in inside if _is_data(each))
        if not files:
            if not folders:
                from distiltune.data.class_folders import check_no_classes  # no answer has to wait for it

                check_no_classes(path)
            raise DataError(
                "The directory holds no data file.",
                where=str(path),
                fix=f"{_otherwise(*map(way_to_name, looked_at), *map(_way_to_folder, folders))}it should have one of: "
                f"{_known()}.",
            )
        texts = set(map(_text_of_marks, files))
        others = (each for each in inside if not _is_data(each) and each not in texts)
        return DataFiles(files, (*others, *folders))
    if not path.exists():
        raise DataError("The file does not exist.", where=str(path), fix="check the path.")
    if format_suffix(path) is None and (kind := other_kind(path)) is not None and kind.what != "Parquet":
        raise DataError(f"The file is {kind.what}.", where=str(path), fix=kind.fix)
    if format_suffix(path) is None:
        raise DataError(
            f"The kind of file cannot be told from its suffix {path.suffix!r}.",
            where=str(path),
            fix=f"{_otherwise(way_to_name(path))}rename it to end in one of: {_known()}.",
        )
    if not path.is_file():
        raise DataError("This is neither a file nor a directory.", where=str(path), fix="save the data in a file.")
    return DataFiles((path,))


def files_below(folder: Path) -> list[Path]:
    """The data files in a folder and in all below it, sorted; hidden ones are not looked at."""
    found: list[Path] = []
    if folder.name.startswith("."):
        return found
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(below) / name for name in names if not name.startswith("."))
        found += filter(_is_data, paths)
    return sorted(found)


def _is_data(path: Path) -> bool:
    """Whether a file in a directory is one of data by its name."""
    return format_suffix(path) is not None and path.name not in _ABOUT_DATA


def _way_to_folder(folder: Path) -> str:
    return f"folders in it are not entered: name {folder}"


def _otherwise(*ways: str) -> str:
    """The first of these advices that is one, and a word to go on with."""
    return next((f"{way}; otherwise " for way in ways if way), "")


def _check_name(path: Path) -> None:
    """Refuse names that nothing could be written about."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        where = str(path).encode("utf-8", "backslashreplace").decode()
        raise DataError("The file's name is not UTF-8.", where=where, fix="rename it.") from error


def format_suffix(path: str | Path) -> str | None:
    """The suffix that names the file's format, such as ``.json`` for ``train.json.gz``; None if unknown."""
    path = Path(path)
    if path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    suffix = path.suffix.lower()
    return suffix if suffix in _READERS else None


def iter_rows(path: str | Path, form: FileForm = AS_USUAL) -> Iterator[Row | BadRow | FileDecision]:
    """The rows of a data file, or of every data file of a directory.

    JSON is a list of objects, or an object whose ``data`` is such a list. CSV and TSV have a header unless ``form``
    says otherwise, and give text only. Text is UTF-8, UTF-16 with a byte order mark, or in the encoding of ``form``. A
    row that cannot be read comes as a `BadRow`; how a file was understood where it did not say, as a `FileDecision`.

    Raises `DataError`, naming the file and the place in it, if a file cannot be read.
    """
    for file in (path,) if held_under(path) is not None else data_files(path).files:
        yield from _iter_file(Path(file), form)


def file_digest(path: Path) -> str:
    """The SHA-256 of what a file holds, in hexadecimal; of brat's marks, of them and of the text that they are about.

    Raises `DataError` if it cannot be read.
    """
    if (held := held_under(path)) is not None:
        return held.digest
    beside = _text_of_marks(path)
    paths = [path, beside] if beside is not None and beside.is_file() else [path]
    try:
        digests = []
        for each in paths:
            with each.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise not_readable(path, error) from error
    return combined_digest(digests)


def _text_of_marks(path: Path) -> Path | None:
    """The file beside it that belongs to it: of brat's ``.ann`` the ``.txt``; None for other files."""
    return path.with_suffix(".txt") if path.suffix.lower() == ".ann" else None


def combined_digest(digests: Sequence[str]) -> str:
    """One for files with these SHA-256s, whose order does not matter: of one file its own, else that of all, sorted."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _known() -> str:
    return f"{', '.join(_READERS)} (each also with .gz)"


def _iter_file(path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
    """The rows of one file; turns whatever goes wrong with reading it into a `DataError`."""
    if (held := held_under(path)) is not None:
        yield from _iter_held(held, form)
        return
    suffix = format_suffix(path)
    assert suffix is not None  # data_files has looked
    _check_name(path)
    with reading(path, form.encoding):
        yield from _READERS[suffix](path, form)
        if form.encoding and suffix != ".parquet" and (message := doubtful_encoding(path, form.encoding)):
            yield FileDecision(str(path), "encoding_doubtful", message)


def _iter_json(path: Path, form: FileForm) -> Iterator[Row | BadRow]:
    """The elements of a JSON list, or of the list ``data`` of a JSON object."""
    with open_text(path, newline="", max_bytes=MAX_JSON_BYTES, encoding=form.encoding) as stream:
        text = stream.read()
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and _first_line_is_json(text):
            # JSON lines in a file called .json, as many data sets on the hub are
            yield from _iter_json_lines(path, form)
            return
        raise DataError(
            f"The file is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            where=f"{path}:{error.lineno}:{error.colno}",
            fix="mend that place; a file that ends too early was perhaps not fetched whole.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"The JSON cannot be read: {first_line(error)}.", where=str(path), fix="mend the file."
        ) from error
    rows = document
    if isinstance(document, dict) and not {"columns", "index", "data"} <= document.keys():
        rows = document.get("data") if "data" in document else rows_of_document(document)
        if rows is None and ("paragraphs" in document or "qas" in document):  # one of SQuAD's articles, or a paragraph
            rows = [document]
    if not isinstance(rows, list):
        from distiltune.data.unread_json import way_to_rows  # of a mistake alone

        way = way_to_rows(document, path) if isinstance(document, dict) else ""
        raise DataError(
            "The JSON is neither a list of rows nor an object whose `data` is one.",
            where=str(path),
            fix=way or _FORMS_OF_JSON,
        )
    for index, value in enumerate(as_one_export(rows)):
        yield from _rows_of_json(value, f"{path}#{index}", form)


def _of_table(suffix: str) -> Reader:
    """Reads tables, also those that annotation tools write, whose cells hold marks."""

    def read(path: Path, form: FileForm) -> Iterator[Row | BadRow | FileDecision]:
        from distiltune.data.tables import read_csv, read_tsv  # no answer has to wait for it

        reader = read_tsv if suffix == ".tsv" else read_csv
        if is_webanno(path, form):
            yield from read_webanno(path, form)
            return
        for row in reader(path, form):
            yield from _plain_of_table(row) if isinstance(row, Row) else [row]

    return read


def _plain_of_table(row: Row) -> list[Row]:
    """The row itself, or that which it stands for where an annotation tool wrote the table."""
    plain = [*studio_table(row.value)] or [*mechanical_turk(row.value)]
    return [Row(each.value, row.where, each.told) for each in plain] or [row]


def _first_line_is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text.split("\n", 1)[0]), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of_json(value: object, where: str, form: FileForm) -> Iterator[Row | BadRow]:
    """The row that a value is, or those that it stands for where it is an annotation tool's."""
    plain = rows_by_name(value, form.mapped)
    for each in plain:
        yield Row(each.value, where, each.told)
    if plain:
        return
    if isinstance(value, dict):
        yield Row(value, where)
    else:
        kind = "null" if value is None else f"a JSON {type(value).__name__}"
        yield BadRow(where, f"is {kind}, not an object.")


def _iter_json_lines(path: Path, form: FileForm) -> Iterator[Row | BadRow]:
    """One JSON object a line; empty lines are skipped, a line that is not JSON is a `BadRow`."""
    is_first = True
    with open_text(path, newline="\n", encoding=form.encoding) as stream:
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            if is_first and _begins_list(line):
                raise DataError("The file is a JSON list, not JSON lines.", where=where, fix=_as_json(path))
            was_first, is_first = is_first, False
            try:
                value = json.loads(line)
                if was_first and isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
                    _check_no_columns(value, path, where)
                yield from _rows_of_json(value, where, form)
            except json.JSONDecodeError as error:
                yield BadRow(where, f"is not JSON: {error.msg} at column {error.colno}.")
            except (ValueError, RecursionError) as error:
                yield BadRow(where, f"is not JSON that can be read: {first_line(error)}.")


def _check_no_columns(value: dict[str, object], path: Path, where: str) -> None:
    """Raise `DataError` if a line holds a table's columns, as pandas writes it without ``lines=True``."""
    from distiltune.data.unread_json import are_numbered_columns, way_to_rows  # of a mistake alone

    if are_numbered_columns(value):
        raise DataError("The line holds columns and no row.", where=where, fix=way_to_rows(value, path))


def _begins_list(line: str) -> bool:
    """Whether a line begins a list of objects; spaCy's rows, a text and its marks each, are lists of other things."""
    return re.match(r"\s*\[\s*(\{|$|\]\s*$)", line) is not None


def _as_json(path: Path) -> str:
    packed = path.suffix if path.suffix.lower() == ".gz" else ""
    plain_name = path.with_suffix("") if packed else path
    return f"call it {plain_name.with_suffix('.json').name}{packed}."


def _iter_parquet(path: Path, form: FileForm) -> Iterator[Row | BadRow]:
    """The rows of a Parquet file, a batch at a time."""
    shared = SharedTexts()
    for row in _iter_batches(parquet_batches(path), str(path)):
        yield Row(_without_decimals(shared.row(row.value)), row.where, row.told) if isinstance(row, Row) else row


def table_class_names(path: Path, column: str) -> tuple[str, ...]:
    """The names of a column's classes as the hub's data sets keep them in a table: a Parquet file, or one in memory.

    None if there are none.
    """
    held = held_under(path)
    if held is None and path.suffix.lower() != ".parquet":
        return ()
    try:
        metadata = held.metadata if held is not None else parquet_metadata(path)
        found: Any = json.loads(metadata.get(b"huggingface", b"{}"))
        feature = found["info"]["features"][column]
        names = (feature.get("feature") or feature)["names"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _iter_held(held: Held, form: FileForm) -> Iterator[Row | BadRow]:
    """The rows of what is in memory, a batch at a time; dictionaries are read as those of a JSON file are."""
    for row in _iter_batches(held.content.batches(), held.name):
        if isinstance(row, BadRow):
            yield row
        elif held.is_of_files:
            yield Row(row.value, str(row.value["id"]))
        elif held.is_json:
            yield from _rows_of_json(_without_decimals(plain(row.value)), row.where, form)
        else:
            yield from _plain_of_table(Row(_without_decimals(plain(row.value)), row.where))


def _iter_batches(batches: Iterable[Batch], name: str) -> Iterator[Row | BadRow]:
    index = itertools.count()
    for batch in batches:
        try:
            values = batch.to_pylist()
        except (ValueError, OverflowError):
            for number in range(batch.num_rows):
                yield _row_of_batch(batch, number, f"{name}#{next(index)}")
            continue
        for value in values:
            yield Row(value, f"{name}#{next(index)}")


def _without_decimals(value: Any) -> Any:
    """The row with numbers of a fixed number of decimals, as databases write them, as other numbers are."""
    if not isinstance(value, dict) or Decimal not in map(type, value.values()):
        return value
    return {name: _number(each) if type(each) is Decimal else each for name, each in value.items()}


def _number(value: Decimal) -> int | float | None:
    if value.is_nan():
        return None
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def _row_of_batch(batch: Batch, number: int, where: str) -> Row | BadRow:
    """One row of a batch with something that has no form in Python: text that is not UTF-8, a date before our era."""
    try:
        return Row(batch.slice(number, 1).to_pylist()[0], where)
    except UnicodeDecodeError:
        return BadRow(where, "has text that is not UTF-8.")
    except (ValueError, OverflowError) as error:
        return BadRow(where, f"has a value that cannot be read: {first_line(error)}.")


_READERS: dict[str, Reader] = {
    ".json": _iter_json,
    ".jsonl": _iter_json_lines,
    ".ndjson": _iter_json_lines,
    ".csv": _of_table(".csv"),
    ".tsv": _of_table(".tsv"),
    ".parquet": _iter_parquet,
    **dict.fromkeys(SUFFIXES, read_columns),
    BRAT: read_brat,
    PUBTATOR: read_pubtator,
}


def add_format(suffix: str, reader: Reader) -> None:
    """Read files that end in ``suffix``, such as ``.xml``, by ``reader`` from now on: a format of an outside task's."""
    _READERS[suffix] = reader
