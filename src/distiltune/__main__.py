"""The command, also as `python -m distiltune`: from its first moment on an interruption ends it without a traceback."""

import os
import signal
import sys


def leave_at_once(number: int, frame: object) -> None:
    """End the process: while modules are imported nothing is begun that would have to be ended."""
    os.write(2, b"distiltune: interrupted\n")
    os._exit(130)


def open_what_is_closed() -> None:
    """Lead standard streams that are closed (``<&-``) nowhere: else the first files that we open would be these."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 (for good)


open_what_is_closed()
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave_at_once)

from distiltune.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
