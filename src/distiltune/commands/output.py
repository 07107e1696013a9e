"""What a command leaves: lines on a console, and its exit status."""

from __future__ import annotations

import codecs
import io
import json
import sys
from typing import TYPE_CHECKING

from distiltune.errors import CONTROLS, DistiltuneError

if TYPE_CHECKING:
    from rich.console import Console

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143


def make_console() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console()


def error_console() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True)


def show_what_can_be_shown() -> None:
    """Let no character end a command: one that standard output or error cannot hold is written as its escape.

    They are not UTF-8 everywhere (Windows, ``PYTHONIOENCODING``), and names of files may hold what even that cannot.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # under other programs it may be anything
            stream.reconfigure(errors="backslashreplace")


def say_json(value: object, *, indent: int | None = 2, allow_nan: bool = True) -> None:
    """Print one JSON value, in ASCII where standard output could not hold its characters: it stays the same value.

    Control characters are escaped, those beyond ASCII too, which the json module leaves: it may be a terminal.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    is_unicode = codecs.lookup(encoding).name.startswith("utf")
    text = json.dumps(value, indent=indent, ensure_ascii=not is_unicode, allow_nan=allow_nan)
    print(CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def say(console: Console, line: str) -> None:
    """Print a line as it is: no markup; on a terminal broken between words, and coloured if it matters."""
    from distiltune.report.wrapping import print_line

    print_line(console, line)


def say_error(error: DistiltuneError) -> None:
    """Print what went wrong, where and what to do on standard error."""
    console = error_console()
    for line in f"distiltune: {error}".splitlines():
        say(console, line)


def in_words(error: Exception) -> DistiltuneError:
    """What an error means that nobody foresaw where it came up: no memory, the system's refusal, or a bug of ours."""
    from distiltune.system.device import is_out_of_memory

    if is_out_of_memory(error):
        return DistiltuneError(
            f"memory ran out: {error}",
            fix="halve --batch-size and double --accumulation-steps, lower --evaluation-tokens, or take another model",
        )
    if isinstance(error, OSError):
        return DistiltuneError(
            f"the system refused something: {error.strerror or error}",
            where=str(error.filename or ""),
            fix="make room or rights there, or name another place; `distiltune --debug COMMAND` shows where it came up",
        )
    return DistiltuneError(
        f"an unexpected error: {type(error).__name__}: {error}",
        fix="this is a bug in distiltune; run again with --debug and report what it prints",
    )
