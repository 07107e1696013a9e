"""Files that survive: written beside, brought to the disk, renamed; with checksums where they are read again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

CHECKSUMS: Final = "SHA256SUMS"
"""The file of a directory that holds the checksum of each other one, as `sha256sum` writes and checks it."""

_BLOCK_BYTES = 8 * 1024**2
_BUFFER_BYTES = 1024**2  # small tensors are written together
_SAFETENSORS_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def sync(path: Path) -> None:
    """Bring a file or the entries of a directory to the disk, where the system can (Windows opens no directories)."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in place of the one that is there; whenever this is broken off, one of the two is whole.

    Raises:
        OSError: if it cannot be written; the old one then is as it was.

    """
    beside = path.with_name(f".{path.name}.new")
    try:
        write_synced(beside, content)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_synced(path: Path, content: bytes) -> str:
    """Write a file and bring it to the disk; returns its SHA-256."""
    return _write_blocks(path, iter([memoryview(content)]))


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors on the host as a safetensors file and bring it to the disk; returns its SHA-256.

    The library's own function copies all tensors first and leaves no place to hash them on the way.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {}
    offset = 0
    for name in order:
        tensor = tensors[name]
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _SAFETENSORS_TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    def blocks() -> Iterator[memoryview]:
        yield memoryview(len(text).to_bytes(8, "little") + text)
        for name in order:
            flat = tensors[name].detach().contiguous().reshape(-1).view(torch.uint8)
            if flat.numel():
                yield flat.numpy().data

    return _write_blocks(path, blocks())


def _write_blocks(path: Path, blocks: Iterator[memoryview]) -> str:
    digest = hashlib.sha256()
    with path.open("wb", buffering=_BUFFER_BYTES) as file:
        for block in blocks:
            for first in range(0, len(block), _BLOCK_BYTES):
                part = block[first : first + _BLOCK_BYTES]
                digest.update(part)
                file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def checksum_lines(sums: Mapping[str, str]) -> bytes:
    """The content of ``SHA256SUMS`` for these files: name → SHA-256."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode()


def find_damage(directory: Path, required: frozenset[str]) -> str:
    """What is wrong with a directory that has a ``SHA256SUMS``, in words; empty if nothing is.

    Every changed bit is found: of a file by its checksum, of the list itself because it is compared as a whole with
    what it should be.
    """
    try:
        listed = (directory / CHECKSUMS).read_bytes()
        names = [line[66:] for line in listed.decode("ascii").splitlines()]
        absent = sorted(required.difference(names))
        if absent:
            return f"{CHECKSUMS} does not list {absent[0]}"
        sums = {}
        for name in names:
            if not name or name != Path(name).name or name == CHECKSUMS:
                return f"{CHECKSUMS} is damaged"
            with (directory / name).open("rb") as file:
                sums[name] = hashlib.file_digest(file, "sha256").hexdigest()
        for name in names:
            if f"{sums[name]}  {name}\n".encode() not in listed:
                return f"{name} has another checksum than was written"
        return "" if checksum_lines(sums) == listed else f"{CHECKSUMS} is damaged"
    except (OSError, ValueError) as error:
        return f"{error}"
