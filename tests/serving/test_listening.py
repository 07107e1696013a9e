"""Connections that say nothing, on a real socket."""

from __future__ import annotations

import functools
import resource
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httptools", reason="needs the extra `serve`")

import uvicorn
from fastapi import FastAPI

from distiltune.serving.listening import MOST_CONNECTIONS, BoundedProtocol, connections_that_fit, served_names

HEADER_S, CONNECTIONS = 0.5, 12


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    app = FastAPI()

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/slow")
    def slow() -> str:
        time.sleep(2 * HEADER_S)
        return "slow"

    listener = socket.create_server(("127.0.0.1", 0))
    protocol = functools.partial(BoundedProtocol, HEADER_S, CONNECTIONS)
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, log_level="error", ws="none"))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()
    server.should_exit = True
    thread.join(10)


def said(connection: socket.socket) -> bytes:
    """All that comes until the server closes it."""
    connection.settimeout(10)
    found = b""
    try:
        while chunk := connection.recv(65_536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def get(address: tuple[str, int], path: str = "/healthz") -> float:
    """How long that takes."""
    began = time.perf_counter()
    assert urllib.request.urlopen(f"http://{address[0]}:{address[1]}{path}", timeout=10).status == 200
    return time.perf_counter() - began


def test_a_head_that_does_not_arrive_is_408(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        began = time.perf_counter()
        answer = said(connection)
    assert HEADER_S * 0.8 < time.perf_counter() - began < HEADER_S * 6
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")
    assert b'"fix"' in answer


def test_a_head_that_trickles_in_is_not_waited_for_longer(address: tuple[str, int]) -> None:
    began = time.perf_counter()
    with socket.create_connection(address) as connection:
        try:
            for sign in b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 200:
                connection.sendall(bytes([sign]))
                time.sleep(0.05)
        except OSError:
            pass
    assert time.perf_counter() - began < HEADER_S * 8


def test_a_socket_that_says_nothing_is_closed_without_a_word(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        assert said(connection) == b""


def test_a_second_request_that_does_not_arrive_is_not_waited_for_either(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        connection.sendall(b"GET /hea")
        answer = said(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


def test_an_answer_that_takes_longer_than_a_head_may_is_not_cut_off(address: tuple[str, int]) -> None:
    assert get(address, "/slow") > HEADER_S


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\n"], ids=["silent", "half a head"])
def test_with_more_sockets_than_there_may_be_the_longest_idle_goes_and_health_answers(
    address: tuple[str, int], head: bytes
) -> None:
    slow = threading.Thread(target=get, args=(address, "/slow"))
    slow.start()  # is being answered, and stays
    time.sleep(0.1)
    connections = []
    for _ in range(3 * CONNECTIONS):
        connections.append(socket.create_connection(address))
        connections[-1].sendall(head)
    assert get(address) < 1.0
    answers = [said(connection) for connection in connections[:CONNECTIONS]]
    if head:
        assert all(answer.startswith((b"HTTP/1.1 503", b"HTTP/1.1 408")) or not answer for answer in answers)
        assert any(b"retry-after: 1" in answer for answer in answers)
    else:
        assert set(answers) == {b""}
    for connection in connections:
        connection.close()
    slow.join(10)


def test_those_that_are_being_closed_are_not_counted(address: tuple[str, int]) -> None:
    """All are closed at the same moment, when their time is over; who comes just then is answered."""
    connections = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\n")
    until = time.perf_counter() + 3 * HEADER_S
    while time.perf_counter() < until:
        assert get(address) < 1.0
    for connection in connections:
        connection.close()


def test_connections_leave_room_for_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: given.append(limits))
    for limits, wanted, expected in (
        ((90, 90), 0, 40),
        ((20, 20), 0, 8),
        ((100_000, 100_000), 0, MOST_CONNECTIONS),
        ((100_000, 100_000), 30, 30),
        ((256, resource.RLIM_INFINITY), 0, MOST_CONNECTIONS),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, limits=limits: limits)
        assert connections_that_fit(wanted) == expected
    assert given[-1] == (MOST_CONNECTIONS + 50, resource.RLIM_INFINITY)


def test_names_that_a_server_answers_by() -> None:
    assert served_names("0.0.0.0", ()) == ()
    assert "lab" in served_names("0.0.0.0", ("Lab",))
    assert "localhost" in served_names("127.0.0.1", ("lab",))
