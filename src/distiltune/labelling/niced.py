"""``python -m distiltune.labelling.niced ...``: a command of distiltune that gives way to whoever works here.

It ends when its standard input does, so that it never outlives the server that started it, however that ends.
"""

from __future__ import annotations

import os
import runpy
import threading
from contextlib import suppress
from typing import Final

_NICENESS: Final = 10
_ENDED_WITH_PARENT: Final = 143


def main() -> None:
    """Run the command that the arguments are."""
    with suppress(AttributeError, OSError):  # Windows has none
        os.nice(_NICENESS)
    threading.Thread(target=_end_with_standard_input, name="watching", daemon=True).start()
    runpy.run_module("distiltune", run_name="__main__", alter_sys=True)


def _end_with_standard_input() -> None:
    with suppress(OSError, ValueError):
        while os.read(0, 4_096):
            pass
    os._exit(_ENDED_WITH_PARENT)


if __name__ == "__main__":
    main()
