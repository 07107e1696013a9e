from __future__ import annotations

import os
import signal
import threading

import pytest

from distiltune.training.interruption import Interruption, Terminated


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_steps_are_taken_a_signal_is_only_noted(number: int) -> None:
    with Interruption() as interruption:
        with interruption.deferred():
            assert interruption.agreed() == 0
            send(number)
            assert interruption.agreed() == number
        with pytest.raises(KeyboardInterrupt) as caught:
            interruption.stop(interruption.agreed())
    assert isinstance(caught.value, Terminated) == (number == signal.SIGTERM)


def test_elsewhere_it_raises_at_once() -> None:
    with Interruption(), pytest.raises(Terminated):
        send(signal.SIGTERM)
    with Interruption() as interruption, interruption.deferred():
        with pytest.raises(Terminated), interruption.at_once():
            send(signal.SIGTERM)
        assert interruption.agreed() == signal.SIGTERM


def test_one_that_was_noted_raises_where_it_may() -> None:
    with Interruption() as interruption, interruption.deferred():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), interruption.at_once():
            pass


def test_a_second_ctrl_c_stops_at_once() -> None:
    with Interruption() as interruption, interruption.deferred():
        send(signal.SIGTERM)
        send(signal.SIGTERM)  # is no impatient person
        send_raises = pytest.raises(KeyboardInterrupt)
        with send_raises:
            send(signal.SIGINT)


def test_of_several_processes_one_press_may_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Interruption(n_processes=2) as interruption, interruption.deferred():
        send(signal.SIGINT)
        send(signal.SIGINT)
        now = 102.0
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_all_stop_where_one_must() -> None:
    interruption = Interruption(lambda number: max(number, signal.SIGTERM), 2)
    assert interruption.agreed() == signal.SIGTERM


def test_the_handlers_of_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_on_another_thread_nothing_is_changed() -> None:
    seen: list[object] = []

    def work() -> None:
        with Interruption() as interruption, interruption.deferred():
            seen.append((signal.getsignal(signal.SIGINT), interruption.agreed()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(signal.getsignal(signal.SIGINT), 0)]
