"""Work in a thread of its own that no end of the process waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T], name: str) -> Future[T]:
    """Begin the work; its result, or whatever it raises, is the future's.

    The thread is a daemon: where the process ends first, the work is dropped where it is. So this is for work that
    leaves nothing half done, such as a look-up or a model that is loaded.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
