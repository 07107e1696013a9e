"""The text of a file that somebody drops on a page, read in a process of its own.

What comes from outside is parsed with a bound on memory and time, since files that make parsers take forever are
easily made. Run as ``python -m distiltune.serving.files_to_text KIND`` it reads the file from its standard input and
writes what it found to its standard output, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Final

from distiltune.errors import DataError
from distiltune.serving.readers import FileKind, FileText, decode_text, read_file

TIMEOUT_S: Final = 20.0
_MEMORY_BYTES: Final = 1 << 30
_UNREADABLE: Final = 3  # exit status

Turn = Callable[[], AbstractAsyncContextManager[None]]


async def file_to_text(content: bytes, kind: FileKind, turn: Turn) -> FileText:
    """The text of a file; ``turn`` gives what bounds how many processes parse at once. Cancelled, it ends its own.

    Raises:
        DataError: if it cannot be read as what it is said to be, or takes too long.

    """
    if kind == "text":
        return await asyncio.to_thread(decode_text, content)
    async with turn():
        return await _parse_apart(content, kind)


async def _parse_apart(content: bytes, kind: FileKind) -> FileText:
    """The text of a file that a process of its own parses."""
    command = (sys.executable, "-I", "-c", _child_code(), kind)
    child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said, _ = await child.communicate(content)
    except TimeoutError as error:
        raise DataError(
            f"The {_named(kind)} took over {TIMEOUT_S:g} s to read.", where="the file", fix="paste its text"
        ) from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == 0:
        found = json.loads(said)
        return FileText(found["text"], tuple(found["pages"]), tuple(found["notes"]))
    why = json.loads(said) if child.returncode == _UNREADABLE else {"what": "", "fix": "paste its text instead"}
    what = f"The {_named(kind)} cannot be read. {why['what']}".strip()
    raise DataError(what, where="the file", fix=why["fix"])


def _named(kind: FileKind) -> str:
    return f"{kind if kind in ('text', 'markdown', 'docx') else kind.upper()} file"


def _child_code() -> str:
    """What the child runs: in isolated mode, so with our own import path."""
    return f"import sys; sys.path[:] = {sys.path!r}; from distiltune.serving.files_to_text import main; main()"


def main() -> None:
    """Read a file of the kind named on the command line from standard input, write its text to standard output."""
    _bound_this_process()
    kind: FileKind = sys.argv[1]  # type: ignore[assignment]
    content = sys.stdin.buffer.read()
    try:
        said, status = asdict(read_file(content, kind)), 0
    except DataError as error:
        said, status = {"what": error.what, "fix": error.fix}, _UNREADABLE
    except (Exception, RecursionError) as error:  # parsers raise all kinds of things at what is not well formed
        said = {"what": f"It is damaged ({type(error).__name__}).", "fix": "paste its text instead"}
        status = _UNREADABLE
    sys.stdout.buffer.write(json.dumps(said).encode("utf-8", "replace"))
    sys.stdout.flush()
    sys.exit(status)


def _bound_this_process() -> None:
    """Bound memory and processor time, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT_S), int(TIMEOUT_S)))


if __name__ == "__main__":
    main()
