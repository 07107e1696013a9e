"""Whether a file is in the encoding that was said for it: bytes fit many, and none says that it is wrong."""

from __future__ import annotations

import codecs
import itertools
from pathlib import Path

from distiltune.data.streams import BLOCK_BYTES, encoding_of, open_bytes


def doubtful_encoding(path: Path, encoding: str) -> str:
    """A sentence if a file that was read in this encoding is UTF-8 by all its bytes; empty if there is no doubt."""
    with open_bytes(path) as stream:
        if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
            return ""
        if encoding_of(stream.peek(4)[:4], encoding) != encoding:
            return f"It has a byte order mark, so it is read as that says and not as {encoding}, as --encoding does."
        decoder = codecs.getincrementaldecoder("utf-8")()
        is_ascii = True
        try:
            for block in itertools.chain(iter(lambda: stream.read(BLOCK_BYTES), b""), [b""]):
                is_ascii = is_ascii and block.isascii()
                decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            return ""
    if is_ascii:
        return ""
    return (
        f"It is read as {encoding}, as --encoding says, and is UTF-8 by all its bytes: leave --encoding out if it is."
    )
