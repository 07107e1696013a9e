"""What every request passes first: limits of number, size and time, and the headers of every answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from distiltune.serving.access import Access, Refusal
from distiltune.serving.corrections import CorrectionsFile
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
request_logger = logging.getLogger("distiltune.serving.requests")
"""A line for each request: its route, its status, its milliseconds; nothing that the request says."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes on.

    Attributes:
        max_body_bytes: largest body of a request (413 beyond).
        max_requests: most requests with a body in process at once (503 beyond).
        max_bytes: most bytes of bodies in process at once (503 beyond).
        header_s: longest time for a request's head to arrive (408 beyond).
        receive_s: longest time for a body to arrive (408 beyond).
        answer_s: longest time for an answer (what has been read by then, or 504).
        max_connections: most connections at once; beyond that the one that has been idle longest is closed. 0: as many
            as the system lets this process have, at most 1,000.
        access: who may ask.
        corrections: where answers that people set right are appended; None: they are not taken.

    """

    max_body_bytes: int = 8_000_000
    max_requests: int = 256
    max_bytes: int = 64_000_000
    header_s: float = 10.0
    receive_s: float = 10.0
    answer_s: float = 60.0
    max_connections: int = 0
    access: Access = field(default_factory=Access)
    corrections: CorrectionsFile | None = None

    @property
    def max_files(self) -> int:
        """Most files in process at once: a quarter of the requests, and no more than 16, so that questions get in."""
        return max(1, min(16, self.max_requests // 4))

    @property
    def read_s(self) -> float:
        """How long texts are read for an answer; the rest of its time is for the answer itself."""
        return 0.9 * self.answer_s


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
        answer = _Answer(send, time.perf_counter(), self.limits.answer_s)
        self.metrics.in_process.inc()
        try:
            await self._handle(scope, receive, answer)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # What went wrong is told by its kind alone: messages may quote a document.
            logger.error("unexpected %s while answering %s", type(error).__name__, _route(scope))
            await answer.problem(500, "The server failed at this request.", "", "report it as a bug in distiltune")
        finally:
            self.metrics.in_process.dec()
            route, seconds = _route(scope), time.perf_counter() - answer.began
            self.metrics.requests.labels(route, answer.status).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            said = {"method": scope["method"], "route": route, "status": answer.status, "ms": round(1e3 * seconds, 1)}
            request_logger.info("request", extra={"said": said})

    async def _handle(self, scope: MutableMapping[str, Any], receive: Receive, answer: _Answer) -> None:
        headers = dict(scope["headers"])
        refusal = self.limits.access.refusal(scope, headers)
        if refusal is not None:
            await answer.refuse(refusal, close=scope["method"] not in ("GET", "HEAD"))
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
            what = "The request did not arrive in time."
            await answer.problem(408, what, "the body", "send it again, quicker", close=True)
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
        await answer.problem(413, f"The request is over {most:g} MB.", "the body", "send less text at once", close=True)

    async def _busy(self, answer: _Answer) -> None:
        self.metrics.refused.inc()
        retry = ((b"retry-after", b"1"),)
        await answer.refuse(Refusal(503, "The server is busy.", "", "ask again in 1 s", retry), close=True)


@dataclass(slots=True)
class _Answer:
    """What is sent back, with the headers that all answers have; who does not take it in time is left."""

    send_on: Send
    began: float
    longest_s: float
    status: int = 0

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers, unless the application has set them itself."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message["headers"]}
            message = {**message, "headers": [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in own)]}
        async with asyncio.timeout(self.longest_s):
            await self.send_on(message)

    async def problem(self, status: int, what: str, where: str, fix: str, *, close: bool = False) -> None:
        """Send an error in the one form that all errors have; nothing, if an answer has begun already."""
        await self.refuse(Refusal(status, what, where, fix), close=close)

    async def refuse(self, refusal: Refusal, *, close: bool) -> None:
        """The same, with the headers that belong to it."""
        if self.status:
            return
        body = json.dumps({"what": refusal.what, "where": refusal.where, "fix": refusal.fix}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += refusal.headers
        if close:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
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


def _route(scope: MutableMapping[str, Any]) -> str:
    """The path of the route that was matched, below that of its model, never that of the request."""
    path = getattr(scope.get("route"), "path", None)
    return "none" if path is None else f"{scope.get('model_path', '')}{path}"
