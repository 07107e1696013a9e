"""What a command leaves: lines on a console, and its exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distiltune.errors import DistiltuneError

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


def say(console: Console, line: str) -> None:
    """Print a line as it is: no markup, no colours, not wrapped where it is piped."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


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
