"""What every request passes first: limits of number, size and time, and the headers of every answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from distiltune.serving.metrics import ServerMetrics

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)

logger = logging.getLogger("distiltune.serving")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes on.

    Attributes:
        max_body_bytes: largest body of a request (413 beyond).
        max_requests: most requests with a body in process at once (503 beyond).
        max_bytes: most bytes of bodies in process at once (503 beyond).
        receive_s: longest time for a body to arrive (408 beyond).
        answer_s: longest time for an answer (504 beyond).
        hosts: names that requests may address the server by (421 otherwise); empty: any.

    """

    max_body_bytes: int = 8_000_000
    max_requests: int = 256
    max_bytes: int = 64_000_000
    receive_s: float = 10.0
    answer_s: float = 60.0
    hosts: tuple[str, ...] = ()

    @property
    def max_files(self) -> int:
        """Most files in process at once: a quarter of the requests, and no more than 16, so that questions get in."""
        return max(1, min(16, self.max_requests // 4))


class _TooLargeError(Exception):
    """The body is over the limit."""


class _BusyError(Exception):
    """Too many bytes are in process."""


@dataclass(slots=True)
class Gate:
    """ASGI middleware: refuses what is over the limits, and hands bodies on whole.

    It knows routes only by the path that the application matched, and writes no log of requests.
    """

    app: App
    limits: Limits
    metrics: ServerMetrics
    _n_requests: int = field(default=0, init=False)
    _n_bytes: int = field(default=0, init=False)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection event."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, time.perf_counter())
        self.metrics.in_process.inc()
        try:
            await self._handle(scope, receive, answer)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # What went wrong is told by its kind alone: messages may quote a document.
            logger.error("unexpected %s while answering %s", type(error).__name__, _route(scope))
            await answer.problem(500, "The server failed at this request.", "report it as a bug in distiltune")
        finally:
            self.metrics.in_process.dec()
            self.metrics.requests.labels(_route(scope), answer.status).inc()
            self.metrics.seconds.labels(_route(scope)).observe(time.perf_counter() - answer.began)

    async def _handle(self, scope: MutableMapping[str, Any], receive: Receive, answer: _Answer) -> None:
        headers = dict(scope["headers"])
        if self.limits.hosts and _host(headers.get(b"host", b"")) not in self.limits.hosts:
            await answer.problem(421, "This server does not answer by that name.", "start it with --allow-host NAME")
            return
        if scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, answer.send)
            return
        if self._n_requests >= self.limits.max_requests:
            await self._busy(answer)
            return
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self.limits.max_body_bytes:
            await self._too_large(answer)
            return
        self._n_requests += 1
        body = bytearray()
        try:
            if await self._arrives(receive, body, answer):
                await self.app(scope, _replay(bytes(body), receive), answer.send)
        finally:
            self._n_requests -= 1
            self._n_bytes -= len(body)
            self.metrics.bytes_in_process.set(self._n_bytes)

    async def _arrives(self, receive: Receive, body: bytearray, answer: _Answer) -> bool:
        """Read the body; if it is refused, or the client goes away, see to that and return False."""
        try:
            async with asyncio.timeout(self.limits.receive_s):
                return await self._read(receive, body)
        except TimeoutError:
            await answer.problem(408, "The request did not arrive in time.", "send it again, quicker", close=True)
        except _TooLargeError:
            await self._too_large(answer)
        except _BusyError:
            await self._busy(answer)
        return False

    async def _read(self, receive: Receive, body: bytearray) -> bool:
        """Read the whole body; False if the client went away."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > self.limits.max_body_bytes:
                raise _TooLargeError
            if self._n_bytes + len(chunk) > self.limits.max_bytes:
                raise _BusyError
            body += chunk
            self._n_bytes += len(chunk)
            self.metrics.bytes_in_process.set(self._n_bytes)
            if not message.get("more_body", False):
                return True

    async def _too_large(self, answer: _Answer) -> None:
        most = self.limits.max_body_bytes / 1e6
        await answer.problem(413, f"The request is over {most:g} MB.", "send less text at once", close=True)

    async def _busy(self, answer: _Answer) -> None:
        self.metrics.refused.inc()
        await answer.problem(503, "The server is busy.", "ask again in 1 s", retry_after_s=1, close=True)


@dataclass(slots=True)
class _Answer:
    """What is sent back, with the headers that all answers have."""

    send_on: Send
    began: float
    status: int = 0

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers, unless the application has set them itself."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message["headers"]}
            message = {**message, "headers": [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in own)]}
        await self.send_on(message)

    async def problem(self, status: int, what: str, fix: str, *, retry_after_s: int = 0, close: bool = False) -> None:
        """Send an error in the one form that all errors have; nothing, if an answer has begun already."""
        if self.status:
            return
        body = json.dumps({"what": what, "where": "", "fix": fix}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if retry_after_s:
            headers.append((b"retry-after", str(retry_after_s).encode()))
        if close:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body in one piece, and then whatever comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _host(header: bytes) -> str:
    """The name in a Host header, without its port."""
    name = header.decode("latin-1").lower()
    if name.startswith("["):
        return name[: name.find("]") + 1]
    return name.partition(":")[0]


def _route(scope: MutableMapping[str, Any]) -> str:
    """The path of the route that was matched, never that of the request."""
    return str(getattr(scope.get("route"), "path", "none"))
