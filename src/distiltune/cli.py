"""The command line: what its exit status means, and how it says what went wrong."""

from __future__ import annotations

import signal
import sys
import traceback

from distiltune.commands.output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    in_words,
    say_error,
    show_what_can_be_shown,
)
from distiltune.errors import DistiltuneError, RecipeError


def main() -> None:
    """Run the command line: 0 done, 1 could not do it, 2 wrong usage, 130 interrupted, 143 terminated."""
    show_what_can_be_shown()
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        # Here, since it reads the table of tasks: a package that brings a broken one is told of as any other error.
        from distiltune.commands.app import run

        if getattr(signal.getsignal(signal.SIGINT), "__name__", "") == "leave_at_once":  # of __main__
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run(arguments)
    except DistiltuneError as error:
        if debug:
            traceback.print_exc()
        say_error(error)
        sys.exit(EXIT_USAGE if isinstance(error, RecipeError) else EXIT_FAILED)
    except KeyboardInterrupt:
        print("distiltune: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; that is no failure of ours
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if debug:
            raise
        say_error(in_words(error))
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
