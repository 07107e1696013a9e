"""A file's bytes and its text: unpacked, in the encoding that it has, and never more than the bounds allow."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import itertools
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from distiltune.data.file_form import WINDOWS_1252
from distiltune.errors import DataError

MAX_FILE_BYTES = 4 * 1024**3
"""The most bytes read from one file, counted after decompression: a small archive can hold a huge file."""

MAX_UNPACKED_RATIO = 500
"""The most times that a gzipped file may grow, beyond `MIN_UNPACKED_BYTES`; text grows 3 to 20 times."""

MIN_UNPACKED_BYTES = 64 * 1024**2
"""A gzipped file may grow to this in any case."""

MAX_JSON_BYTES = 512 * 1024**2
"""The most bytes of one JSON document, which has to be in memory as a whole; JSON lines have no such bound."""

MAX_LINE_CHARACTERS = 64 * 1024**2
"""The longest line of JSON lines, CSV or TSV, and the longest field; the csv module's own limit of 131,072 is less
than many a context has."""

BLOCK_BYTES = 1024**2
_BLOCK_CHARACTERS = 1 << 20

_SHOWN_BYTES = 80


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def not_readable(path: Path, error: OSError) -> DataError:
    """The `DataError` for a file that the system does not let us read."""
    return DataError(
        f"The file cannot be read: {error.strerror or first_line(error)}.",
        where=str(path),
        fix="check that it exists and that you may read it.",
    )


@contextlib.contextmanager
def reading(path: Path, encoding: str | None = None) -> Iterator[None]:
    """Turn whatever goes wrong with reading the file in this block into a `DataError` that names it.

    ``encoding`` is as for `open_text` where it can be said with ``--encoding``; None where there is no such flag.
    """
    try:
        try:
            yield
        except UnicodeError as error:
            raise _wrong_encoding(path, encoding) from error  # it reads the file again, which may fail too
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"The gzip file is damaged or cut short: {first_line(error)}.",
            where=str(path),
            fix="fetch or pack it again.",
        ) from error
    except OSError as error:
        raise not_readable(path, error) from error


class _Bounded(io.RawIOBase):
    """A binary stream that raises `DataError` when more than ``max_bytes`` have been read from it."""

    def __init__(self, stream: IO[bytes], path: Path, max_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._max_bytes = max_bytes
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._n_bytes += len(block)
        if self._n_bytes > self._max_bytes:
            raise DataError(
                f"The file holds more than {self._max_bytes / 1024**2:,.0f} MiB once unpacked.",
                where=str(self._path),
                fix="split it into several files in one directory.",
            )
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_bytes(path: Path, max_bytes: int | None = None) -> io.BufferedReader:
    """The file's contents, unpacked if they are gzipped, bounded by ``max_bytes`` and by `MAX_FILE_BYTES`."""
    max_bytes = MAX_FILE_BYTES if max_bytes is None else min(max_bytes, MAX_FILE_BYTES)
    with path.open("rb") as start:
        packed = path.suffix.lower() == ".gz" or start.read(2) == b"\x1f\x8b"
        size = os.fstat(start.fileno()).st_size
    if packed:
        max_bytes = min(max_bytes, max(MIN_UNPACKED_BYTES, MAX_UNPACKED_RATIO * size))
    # closed by _Bounded, which the reader closes
    stream = cast(IO[bytes], gzip.GzipFile(path)) if packed else path.open("rb")
    return io.BufferedReader(_Bounded(stream, path, max_bytes), BLOCK_BYTES)


def encoding_of(head: bytes, otherwise: str = "") -> str:
    """The encoding that the first four bytes of a text tell of; ``otherwise``, or UTF-8, if they tell of none."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return otherwise if otherwise and not head.startswith(codecs.BOM_UTF8) else "utf-8-sig"


def open_text(path: Path, newline: str | None, max_bytes: int | None = None, encoding: str = "") -> io.TextIOWrapper:
    """The file's text; ``newline`` as for ``open``: None where line ends may become ``\\n``, else they are kept.

    ``encoding`` is that of text without a byte order mark; UTF-8 if it is empty. Raises `DataError` for UTF-16 that
    says nowhere that it is, which would be read as UTF-8 with a NUL in every other place.
    """
    stream = open_bytes(path, max_bytes)
    head = stream.peek(4)[:4]
    unmarked = _unmarked_utf_16(head)
    if unmarked and not encoding:
        stream.close()
        raise DataError(
            "The text looks like UTF-16 without a byte order mark.",
            where=str(path),
            fix=f"save it as UTF-8; data can be read by --encoding {unmarked}.",
        )
    return io.TextIOWrapper(stream, encoding=encoding_of(head, encoding), newline=newline)


def _unmarked_utf_16(head: bytes) -> str:
    """The form of UTF-16 whose letters have such bytes; empty if none: UTF-8 text has no NUL."""
    if len(head) < 4 or encoding_of(head) != "utf-8-sig":
        return ""
    if not head[0] and head[1] and not head[2] and head[3]:
        return "utf-16-be"
    return "utf-16-le" if head[0] and not head[1] and head[2] and not head[3] else ""


def bounded_lines(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of a text with their ends. Raises `DataError` at one longer than `MAX_LINE_CHARACTERS`."""
    number = 0
    while line := stream.readline(MAX_LINE_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise _line_too_long(path, number)
        yield line


def lines_without_ends(stream: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The lines of a text in which all ends are ``\\n``, without them; half the time of `bounded_lines`.

    Raises `DataError` at a line longer than `MAX_LINE_CHARACTERS`.
    """
    number, rest = 0, ""
    while block := stream.read(_BLOCK_CHARACTERS):
        lines = block.split("\n")
        lines[0] = rest + lines[0]
        if len(lines[0]) > MAX_LINE_CHARACTERS:  # no other is longer than a block
            raise _line_too_long(path, number + 1)
        rest = lines.pop()
        number += len(lines)
        yield from lines
    if rest:
        yield rest


def _line_too_long(path: Path, number: int) -> DataError:
    return DataError(
        f"The line is longer than {MAX_LINE_CHARACTERS:,} characters.",
        where=f"{path}:{number}",
        fix="check that the file has one row a line.",
    )


def _wrong_encoding(path: Path, said: str | None) -> DataError:
    """The `DataError` for a file that is not in its encoding, ``said`` with a flag or not; reads it again."""
    with open_bytes(path) as stream:
        encoding = encoding_of(stream.peek(4)[:4], said or "")
        decoder = codecs.getincrementaldecoder(encoding)()
        n_bytes, n_lines = 0, 0
        around = b""
        for block in itertools.chain(iter(lambda: stream.read(BLOCK_BYTES), b""), [b""]):
            state = decoder.getstate()
            try:
                n_lines += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                # the error counts from the bytes that the decoder kept from the block before
                n_good = error.start - len(state[0])
                decoder.setstate(state)
                n_lines += decoder.decode(block[: max(n_good, 0)]).count("\n")
                n_bytes += n_good
                around = _line_around(state[0] + block, error.start)
                break
            n_bytes += len(block)
    fix = "save it as UTF-8, or as UTF-16 with a byte order mark."
    if said is not None:
        fix = f"say its encoding with --encoding{_as_windows_1252(around)}, or {fix}"
    return DataError(
        f"The text is not {encoding.removesuffix('-sig').upper()}: byte {n_bytes} (from 0) does not fit.",
        where=f"{path}:{n_lines + 1}",
        fix=fix,
    )


def _line_around(data: bytes, place: int) -> bytes:
    """The line that the byte at this place is in, cut short to some bytes round it."""
    first = max(data.rfind(b"\n", 0, place) + 1, place - _SHOWN_BYTES // 2)
    end = data.find(b"\n", place)
    return data[first : min(end if end >= 0 else len(data), place + _SHOWN_BYTES // 2)]


def _as_windows_1252(line: bytes) -> str:
    """How a line reads in that encoding, to be looked at; empty if it does not fit."""
    try:
        text = line.decode(WINDOWS_1252)
    except UnicodeDecodeError:
        return ""
    return f" {WINDOWS_1252} if this reads well: {text.strip()!r}"


def read_text(path: str | Path, encoding: str | None = None) -> str:
    """The whole text of a file, or of standard input if ``path`` is ``-``, with its line ends as they are.

    UTF-8, UTF-16 with a byte order mark, or in this ``encoding``, which is None where no flag says it; gzipped or not.
    Raises `DataError` if it cannot be read.
    """
    if str(path) == "-":
        try:
            data = sys.stdin.buffer.read(MAX_JSON_BYTES + 1)
            if len(data) > MAX_JSON_BYTES:
                raise DataError(
                    f"Standard input holds more than {MAX_JSON_BYTES / 1024**2:,.0f} MiB.", fix="cut it up."
                )
            return data.decode(encoding_of(data[:4], encoding or ""))
        except UnicodeDecodeError as error:
            raise DataError(
                f"Standard input is not {encoding or 'UTF-8'}: byte {error.start} does not fit.",
                fix="save the text as UTF-8, or say what it is, as --encoding windows-1252.",
            ) from error
    path = Path(path)
    with reading(path, encoding), open_text(path, "", MAX_JSON_BYTES, encoding or "") as stream:
        return stream.read()
