"""Listening: the socket, connections that come and say nothing, signals, and a graceful end."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import logging
import signal
import threading
from collections.abc import Callable, MutableMapping, Sequence
from http import HTTPStatus
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from distiltune.errors import DistiltuneError
from distiltune.serving.access import is_loopback
from distiltune.serving.gate import Limits, Receive, Send

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
MOST_CONNECTIONS: Final = 1_000
_OWN_FILES: Final = 50
"""Open files that are no connection: libraries, the event loop, pipes to the processes that read files."""

_MOMENTS: Final = itertools.count()
"""One after another: a loop's own clock stands still while it takes many connections, and the last one might go."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection, which has to begin its request in time, and goes when there are too many idle ones."""

    def __init__(self, header_s: float, max_connections: int, **given: Any) -> None:
        """Bound a connection that uvicorn describes.

        Args:
            header_s: seconds in which a request's head has to arrive whole.
            max_connections: most connections of all.
            **given: what uvicorn gives.

        """
        super().__init__(**given)
        self._header_s, self._max_connections = header_s, max_connections
        self._timer: asyncio.TimerHandle | None = None
        self._idle_since = 0
        self._has_begun = False  # to send a request, of which the head is not whole

    def connection_made(self, transport: Any) -> None:
        """Take a connection; the one that has been idle longest goes if there are more than there may be."""
        super().connection_made(transport)
        self._idle_since = next(_MOMENTS)
        self._begin_waiting()
        self._close_the_idlest_of_too_many()

    def data_received(self, data: bytes) -> None:
        """Hand on what has come; from the first byte of a request on its head has so long to be whole."""
        if self._is_idle() and self._timer is None:
            self._begin_waiting()
        self._has_begun = True
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._end_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """An answer is sent; a next request may begin."""
        self._idle_since, self._has_begun = next(_MOMENTS), False
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end_waiting()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _begin_waiting(self) -> None:
        self._timer = self.loop.call_later(self._header_s, self._too_late)

    def _end_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._is_idle():
            self._close(408, "The request did not begin in time.", "send its head at once", is_told=self._has_begun)

    def _close_the_idlest_of_too_many(self) -> None:
        """Close the connection, perhaps this one, that has had nothing to do for the longest time, if it is too many.

        Those that are being closed do not count: of many that end at once this one would be the only one left to go.
        """
        ours = [each for each in self.connections if isinstance(each, BoundedProtocol)]
        still_open = [each for each in ours if not each.transport.is_closing()]
        if len(still_open) <= self._max_connections:
            return
        victim = min((each for each in still_open if each._is_idle()), key=lambda each: each._idle_since, default=self)
        is_told = victim is self or victim._has_begun
        victim._close(503, "The server has too many connections.", "ask again in 1 s", is_told=is_told)

    def _close(self, status: int, what: str, fix: str, *, is_told: bool) -> None:
        """Close it; whoever waits for an answer is told why, in the form that all errors have."""
        if is_told:
            body = json.dumps({"what": what, "where": "the connection", "fix": fix}).encode()
            head = (
                b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
                *(b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"),
                *([b"retry-after: 1"] if status == 503 else []),
            )
            self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
        self.transport.close()


def served_names(host: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """The names that a server at that address answers by; empty: any.

    On a loopback address only its own names hold, or a page from elsewhere whose name leads here could ask too.
    """
    return (*LOOPBACK, host, *(name.lower() for name in allowed)) if is_loopback(host) or allowed else ()


def connections_that_fit(wanted: int) -> int:
    """How many connections the system lets this process have beside its own files, at most as many as wanted.

    The soft limit of open files is raised as far as it goes.
    """
    wanted = wanted or MOST_CONNECTIONS
    try:
        import resource
    except ImportError:  # Windows
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + _OWN_FILES:
        soft = wanted + _OWN_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + _OWN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(8, min(wanted, soft - _OWN_FILES))


class Served(Protocol):
    """An ASGI application with limits."""

    @property
    def limits(self) -> Limits:
        """What it takes on."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection event."""


def run(
    site: Served,
    address: tuple[str, int],
    on_ready: Callable[[str], None],
    exchange: Callable[[], None] | None = None,
    on_note: Callable[[str], None] = print,
) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, finish what has begun, and return. In the main thread.

    Args:
        site: what to serve.
        address: host and port.
        on_ready: told where.
        exchange: makes the models anew, on SIGHUP, where the system has that; without it nothing happens.
        on_note: told how that went.

    Raises:
        DistiltuneError: if the address cannot be used.

    """
    host, port = address
    limits = site.limits
    n_connections = connections_that_fit(limits.max_connections)
    config = uvicorn.Config(
        site,
        host=host,
        port=port,
        http=functools.partial(BoundedProtocol, limits.header_s, n_connections),  # type: ignore[arg-type]
        access_log=False,
        log_level=logging.WARNING,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(limits.answer_s) + 5,
        backlog=2_048,
        ws="none",
    )
    try:
        socket = config.bind_socket()
    except SystemExit as error:  # uvicorn leaves the process when it cannot bind
        raise DistiltuneError(
            f"The address {host}:{port} cannot be used.", fix="choose another --port, or stop what uses it"
        ) from error
    # asyncio does this for the sockets that it opens itself; without it a client waits 40 ms for the end of an answer.
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    socket.listen(config.backlog)  # so that whoever reads the next line and connects at once is not refused
    server = uvicorn.Server(config)
    _listen_to_signals(server, exchange, on_note)
    name = f"[{host}]" if ":" in host else host
    on_ready(f"http://{name}:{socket.getsockname()[1]}")
    server.run(sockets=[socket])


def _listen_to_signals(
    server: uvicorn.Server, exchange: Callable[[], None] | None, on_note: Callable[[str], None]
) -> None:
    """Have SIGTERM end the server, and SIGHUP exchange its models."""

    def stop(*_: object) -> None:
        # uvicorn raises the signal again when it has ended: by then all is done, and that is no failure.
        server.should_exit = True

    signal.signal(signal.SIGTERM, stop)
    if exchange is not None and hasattr(signal, "SIGHUP"):
        reloading = threading.Lock()

        def reload() -> None:
            with reloading:
                try:
                    exchange()
                except Exception as error:
                    on_note(f"the models could not be loaded again, those of before go on: {error}")
                else:
                    on_note("the models were loaded again")

        signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reload, name="reloading", daemon=True).start())
