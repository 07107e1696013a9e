"""A file's bytes and its text: unpacked, in the encoding that it has, and never more than the bounds allow."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import itertools
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from distiltune.data.file_form import WINDOWS_1252
from distiltune.data.other_kinds import HEAD_BYTES, kind_of
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

LINE_BYTES = 32
"""What a line of a packed file counts beside its characters: line ends alone pack to a thousandth of their number, and
each of them takes its time."""

BLOCK_BYTES = 1024**2
_BLOCK_CHARACTERS = 1 << 20

_SHOWN_BYTES = 80


def max_unpacked(n_packed: int) -> int:
    """The most bytes that a packed file of so many may unpack to."""
    return min(MAX_FILE_BYTES, max(MIN_UNPACKED_BYTES, MAX_UNPACKED_RATIO * n_packed))


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
            with open_bytes(path) as again:  # which may fail too
                raise _wrong_encoding(again, path, encoding) from error
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

    def __init__(self, streams: tuple[IO[bytes], ...], path: Path, max_bytes: int, line_bytes: int = 0) -> None:
        """Read the first of the streams; all are closed with this one. A line end counts ``line_bytes`` more."""
        self._stream, self._streams = streams[0], streams
        self._path = path
        self._max_bytes = max_bytes
        self._line_bytes = line_bytes
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._n_bytes += len(block)
        if self._line_bytes:
            self._n_bytes += self._line_bytes * (block.count(b"\n") + block.count(b"\r"))
        if self._n_bytes > self._max_bytes:
            raise DataError(
                f"The file holds more than {self._max_bytes / 1024**2:,.0f} MiB once unpacked"
                f"{f', {self._line_bytes} bytes more counted for each line' if self._line_bytes else ''}.",
                where=str(self._path),
                fix="split it into several files in one directory.",
            )
        return len(block)

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        super().close()


def open_bytes(path: Path, max_bytes: int | None = None) -> io.BufferedReader:
    """The file's contents, unpacked if they are gzipped, bounded by ``max_bytes`` and by `MAX_FILE_BYTES`."""
    max_bytes = MAX_FILE_BYTES if max_bytes is None else min(max_bytes, MAX_FILE_BYTES)
    file = _open_once(path)  # closed by _Bounded, which the reader closes
    head = file.peek(HEAD_BYTES)[:HEAD_BYTES]
    is_gzip = head[:2] == b"\x1f\x8b"
    if path.suffix.lower() == ".gz" and not is_gzip and kind_of(head, path) is not None:
        file.close()
        raise _other_kind(head, path)
    packed = is_gzip or path.suffix.lower() == ".gz"
    if not packed:
        return io.BufferedReader(_Bounded((file,), path, max_bytes), BLOCK_BYTES)
    max_bytes = min(max_bytes, max_unpacked(os.fstat(file.fileno()).st_size))
    unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    return io.BufferedReader(_Bounded((unpacked, file), path, max_bytes, LINE_BYTES), BLOCK_BYTES)


def _open_once(path: Path) -> io.BufferedReader:
    """The file's bytes, to be looked at and read with one descriptor: what was read of a pipe is not there again.

    Raises:
        DataError: if it is a pipe that nobody writes into, which would be waited for for ever.
        OSError: if it cannot be opened.

    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        start = _start_of_pipe(descriptor, path) if is_pipe else b""
        if os.name == "posix":
            os.set_blocking(descriptor, True)
        file = io.FileIO(descriptor)
        return io.BufferedReader(_After(start, file) if start else file, BLOCK_BYTES)
    except BaseException:
        os.close(descriptor)
        raise


def _start_of_pipe(descriptor: int, path: Path) -> bytes:
    """What a pipe holds now, which may be nothing yet where somebody is about to write."""
    try:
        start = os.read(descriptor, BLOCK_BYTES)
    except BlockingIOError:  # there is a writer
        return b""
    if not start:
        raise DataError(
            "The pipe is empty, and nothing writes into it.",
            where=str(path),
            fix="give a file, or start the command that writes into the pipe first.",
        )
    return start


class _After(io.RawIOBase):
    """A stream that begins with bytes that were read already."""

    def __init__(self, start: bytes, stream: io.FileIO) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def readinto(self, buffer: Any) -> int:
        if not self._start:
            return self._stream.readinto(buffer) or 0
        n_bytes = min(len(buffer), len(self._start))
        buffer[:n_bytes], self._start = self._start[:n_bytes], self._start[n_bytes:]
        return n_bytes

    def close(self) -> None:
        self._stream.close()
        super().close()


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
    says nowhere that it is, which would be read as UTF-8 with a NUL in every other place, and for what is no text.
    """
    stream = open_bytes(path, max_bytes)
    try:
        head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
        if kind_of(head, path) is not None:
            raise _other_kind(head, path)
        return io.TextIOWrapper(stream, encoding=_encoding_of_file(head[:4], path, encoding), newline=newline)
    except DataError:
        stream.close()
        raise


def _other_kind(head: bytes, path: Path) -> DataError:
    """The `DataError` for a file whose head shows that it is no text."""
    kind = kind_of(head, path)
    assert kind is not None  # the caller has looked
    return DataError(f"The file is {kind.what}.", where=str(path), fix=kind.fix)


def _encoding_of_file(head: bytes, path: Path, said: str) -> str:
    unmarked = _unmarked_utf_16(head)
    if unmarked and not said:
        raise DataError(
            "The text looks like UTF-16 without a byte order mark.",
            where=str(path),
            fix=f"save it as UTF-8; data can be read by --encoding {unmarked}.",
        )
    return encoding_of(head, said)


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


def _wrong_encoding(stream: IO[bytes], path: Path, said: str | None) -> DataError:
    """The `DataError` for a stream from its beginning that is not in its encoding, ``said`` with a flag or not."""
    first = stream.read(BLOCK_BYTES)
    encoding = encoding_of(first[:4], said or "")
    decoder = codecs.getincrementaldecoder(encoding)()
    n_bytes, n_lines = 0, 0
    around = b""
    for block in itertools.chain([first], iter(lambda: stream.read(BLOCK_BYTES), b""), [b""]):
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
    with reading(path, encoding), open_bytes(path, MAX_JSON_BYTES) as stream:
        data = stream.read()  # a pipe can be read but once
    try:
        return data.decode(_encoding_of_file(data[:4], path, encoding or ""))
    except UnicodeError as error:
        raise _wrong_encoding(io.BytesIO(data), path, encoding) from error
