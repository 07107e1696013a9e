"""Work in a thread of its own: its result, its error, and that nothing waits for it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from distiltune.system.background import in_background


def test_the_result_and_the_error_are_the_futures() -> None:
    assert in_background(lambda: 3, "three").result(10) == 3
    with pytest.raises(ZeroDivisionError):
        in_background(lambda: 1 // 0, "none").result(10)


def test_it_can_be_waited_for_a_while_only() -> None:
    done = threading.Event()
    work = in_background(done.wait, "waiting")
    with pytest.raises(TimeoutError):
        work.result(0.01)
    done.set()
    assert work.result(10) is True


def test_the_end_of_the_process_does_not_wait_for_it() -> None:
    code = (
        "import threading; from distiltune.system.background import in_background as b; b(threading.Event().wait, '')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
