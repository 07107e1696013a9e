"""The command, also as `python -m distiltune`: from its first moment on an interruption ends it without a traceback."""

import os
import signal


def leave_at_once(number: int, frame: object) -> None:
    """End the process: while modules are imported nothing is begun that would have to be ended."""
    os.write(2, b"distiltune: interrupted\n")
    os._exit(130)


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, leave_at_once)

from distiltune.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
