"""The command line: what its exit status means, and how it says what went wrong."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from distiltune.commands.output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    in_words,
    say_error,
    show_what_can_be_shown,
)
from distiltune.errors import DistiltuneError, RecipeError, is_of_printing
from distiltune.training.interruption import Terminated


def main() -> None:
    """Run the command line: 0 done, 1 could not do it, 2 wrong usage, 130 interrupted, 143 terminated."""
    show_what_can_be_shown()
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    status: int | None = None
    try:
        with _cleaning_up_when_terminated():
            status = _status_of(arguments, debug=debug)
    except KeyboardInterrupt as stopped:
        status = _stopped(stopped)
    # Here, as at its end Python itself would say so, in its own words and with its own status.
    if (failure := _failure_of_output()) is not None:
        status = _not_printed(failure)
    if status is not None:
        sys.exit(status)


def _status_of(arguments: Sequence[str], *, debug: bool) -> int | None:
    """Run it, say what went wrong, and give the exit status; None if it did not ask for any.

    Raises:
        KeyboardInterrupt: if it was stopped.

    """
    try:
        # Here, since it reads the table of tasks: a package that brings a broken one is told of as any other error.
        from distiltune.commands.app import run

        if getattr(signal.getsignal(signal.SIGINT), "__name__", "") == "leave_at_once":  # of __main__
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run(arguments)
    except SystemExit as left:
        if left.code == EXIT_INTERRUPTED:  # typer's, who does not know by which signal
            raise next((each for each in _causes(left) if isinstance(each, KeyboardInterrupt)), left) from None
        return left.code if isinstance(left.code, int) else EXIT_FAILED if left.code else 0
    except BrokenPipeError:
        return EXIT_FAILED  # whoever read our output has left; `_failure_of_output` has seen to it
    except Exception as error:
        for each in _causes(error):
            if isinstance(each, KeyboardInterrupt):  # which a library made an error of its own of, as imports do
                raise each from error
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and is_of_printing(error):
            return _not_printed(error)
        said = error if isinstance(error, DistiltuneError) else in_words(error)
        with suppress(OSError):  # standard error may be as full
            say_error(said)
        return EXIT_USAGE if isinstance(error, RecipeError) else EXIT_FAILED
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error came of, the nearest first."""
    seen: list[BaseException] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


@contextmanager
def _cleaning_up_when_terminated() -> Iterator[None]:
    """Within it SIGTERM stops a command as Ctrl-C does, so that nothing of it stays behind; the status is another."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated("SIGTERM")

    try:
        ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        before = signal.signal(signal.SIGTERM, stop) if ours else None
    except ValueError:  # called from another thread than the main one
        yield
        return
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)


def _stopped(stopped: KeyboardInterrupt) -> int:
    is_terminated = isinstance(stopped, Terminated)
    with suppress(OSError):
        print(f"distiltune: {'terminated' if is_terminated else 'interrupted'}", file=sys.stderr)
    return EXIT_TERMINATED if is_terminated else EXIT_INTERRUPTED


def _failure_of_output() -> OSError | None:
    """What keeps the last of what was printed from being written; nobody tries again after that."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return error
    except ValueError:  # it is closed
        return None
    return None


def _not_printed(failure: OSError) -> int:
    """Say that not all was printed, unless whoever read it has left."""
    if not isinstance(failure, BrokenPipeError):
        said = DistiltuneError(
            f"what was printed cannot be written: {failure.strerror or failure}",
            where="standard output",
            fix="make room, or send it elsewhere",
        )
        with suppress(OSError):
            say_error(said)
    return EXIT_FAILED


if __name__ == "__main__":
    main()
