"""What a file of weights may hold, looked at before a library takes it apart."""

from __future__ import annotations

import json
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

MAX_TENSORS: Final = 10_000
"""A DistilBERT has 100, and 16 more for each further layer; a library takes a tenth of a millisecond for each."""

_MAX_HEADER_BYTES: Final = 8 * 1024**2
_MAX_OPERATIONS: Final = 1_000_000
_LEGACY_PICKLES: Final = 5
"""A file from before PyTorch 1.6 is so many pickles, and then the numbers."""


def check_safetensors(file: Path) -> None:
    """Look at the header of a safetensors file. Raises ValueError if it has more than `MAX_TENSORS`, or none."""
    with file.open("rb") as stream:
        n_bytes = int.from_bytes(stream.read(8), "little")
        if n_bytes > _MAX_HEADER_BYTES:
            raise ValueError(f"its header has {n_bytes:,} bytes, which is more than any model's")
        _check_number(len(json.loads(stream.read(n_bytes))))


def check_pickle(file: Path) -> None:
    """Look at what a ``pytorch_model.bin`` would do when it is read.

    Raises:
        ValueError: if it unpacks to more than it has, holds more than `MAX_TENSORS` tensors, asks for room by number,
            or is no pickle.

    """
    if not zipfile.is_zipfile(file):
        with file.open("rb") as stream:
            _check_operations(stream, _LEGACY_PICKLES)
        return
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _check_number(len(entries))
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("a part of it is compressed, which PyTorch does not do")
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                with archive.open(entry) as stream:
                    _check_operations(stream, 1)


def _check_operations(stream: IO[bytes], n_pickles: int) -> None:
    n_tensors = 0
    for number, (name, argument) in enumerate(_operations(stream, n_pickles)):
        n_tensors += name == "BINPERSID"
        if name == "GLOBAL" and "bytearray" in str(argument):
            raise ValueError("it asks for a bytearray, which no weights need")
        if number > _MAX_OPERATIONS:
            raise ValueError(f"it has more than {_MAX_OPERATIONS:,} operations")
        _check_number(n_tensors)


def _operations(stream: IO[bytes], n_pickles: int) -> Iterator[tuple[str, object]]:
    for _ in range(n_pickles):
        for operation, argument, _ in pickletools.genops(stream):
            yield operation.name, argument


def _check_number(n: int) -> None:
    if n > MAX_TENSORS:
        raise ValueError(f"it has {n:,} parts or more, where a model has some hundreds")
