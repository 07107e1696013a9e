"""The HTTP server around a task's routes: health, metrics, the page's files, errors in one form, a graceful stop."""

from __future__ import annotations

import inspect
import json
import logging
import mimetypes
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from distiltune.errors import DistiltuneError
from distiltune.serving.batching import DynamicBatcher, OverloadedError
from distiltune.serving.gate import Gate, Limits
from distiltune.serving.metrics import CONTENT_TYPE, ServerMetrics
from distiltune.version import __version__

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class ErrorBody(BaseModel):
    """What went wrong, where, and what to do."""

    what: str
    where: str
    fix: str


class Health(BaseModel):
    """Whether the server takes requests."""

    status: str
    queued_tokens: int


class AnswerTimeoutError(DistiltuneError):
    """An answer took longer than the server allows."""


class TooMuchError(DistiltuneError):
    """A request asks for more work than the server takes on at once."""


_STATUS: Final[dict[type[DistiltuneError], int]] = {OverloadedError: 503, AnswerTimeoutError: 504, TooMuchError: 413}

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in (
        (400, "The body is not JSON"),
        (408, "The request did not arrive in time"),
        (413, "The request is too large"),
        (422, "The request is not as described, or nothing can be read from it"),
        (503, "The server is busy; Retry-After says when to ask again"),
        (504, "The answer took too long"),
    )
}
"""The errors that a route with a body may answer with, for its OpenAPI description."""


def make_app(
    title: str,
    router: APIRouter,
    batcher: DynamicBatcher,
    page: Traversable,
    limits: Limits,
    notes: Sequence[str] = (),
) -> FastAPI:
    """Put an application together; everything that it will ever serve is read now.

    Args:
        title: of the API.
        router: the task's routes.
        batcher: which these use; it is closed with the application.
        page: a folder with ``index.html`` and files that it names; those of `serving/static` are served beside them.
        limits: what the server takes on.
        notes: what there is to say of the model, kept as the application's ``state.notes``.

    """
    metrics = ServerMetrics(lambda: batcher.queued_tokens)
    batcher.on_batch = metrics.batch

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    # Newer versions can report every request to OpenTelemetry: nothing of the kind is wanted here.
    has_telemetry = "telemetry" in inspect.signature(FastAPI.__init__).parameters
    quiet: dict[str, Any] = {"telemetry": {"tracing": False, "metrics": False, "logs": False}} if has_telemetry else {}
    app = FastAPI(title=title, version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan, **quiet)
    app.state.notes = tuple(notes)
    app.include_router(router)
    app.include_router(_own_routes(batcher, metrics))
    _add_page(app, page)
    _add_page(app, files("distiltune.serving").joinpath("static"))
    _add_error_handlers(app)
    app.add_middleware(Gate, limits=limits, metrics=metrics)
    return app


def _own_routes(batcher: DynamicBatcher, metrics: ServerMetrics) -> APIRouter:
    router = APIRouter(tags=["server"])

    @router.get("/healthz", summary="Whether the server takes requests")
    async def healthz() -> Health:
        return Health(status="ok", queued_tokens=batcher.queued_tokens)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def show_metrics() -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return router


def _add_page(app: FastAPI, page: Traversable) -> None:
    """One route for each file of the page, its content held in memory: no request ever names a file."""
    for entry in page.iterdir():
        kind = mimetypes.guess_type(entry.name)[0]
        if kind is None or not entry.is_file():
            continue
        text = kind.startswith("text/") or kind.endswith(("javascript", "svg+xml"))
        route = "/" if entry.name == "index.html" else f"/{entry.name}"
        app.add_api_route(
            route,
            _fixed(entry.read_bytes(), f"{kind}; charset=utf-8" if text else kind),
            methods=["GET", "HEAD"],
            include_in_schema=False,
        )


def _fixed(content: bytes, media_type: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return answer


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(DistiltuneError)
    async def known(request: Request, error: DistiltuneError) -> Response:
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, OverloadedError) else None
        status = _STATUS.get(type(error), 422)
        return _problem(status, error.what, error.where, error.fix, headers)

    @app.exception_handler(RequestValidationError)
    async def not_as_described(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]  # its input is left out: it may be a whole document
        where = ".".join(map(str, first["loc"]))
        is_json = first["type"] != "json_invalid"
        return _problem(422 if is_json else 400, f"The request is not as described: {first['msg']}.", where, "")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, f"{error.detail}.", "", "see /openapi.json", error.headers)


def _problem(status: int, what: str, where: str, fix: str, headers: Any = None) -> Response:
    return JSONResponse({"what": what, "where": where, "fix": fix}, status, headers=headers)


def served_names(host: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """The names that a server at that address answers by; empty: any.

    On a loopback address only its own names hold, or a page from elsewhere whose name leads here could ask too.
    """
    is_loopback = host in ("localhost", "::1") or host.startswith("127.")
    return (*LOOPBACK, host, *(name.lower() for name in allowed)) if is_loopback or allowed else ()


def as_line(kind: str, value: dict[str, Any]) -> bytes:
    """A line of a streamed answer."""
    return json.dumps({"kind": kind, **value}, ensure_ascii=False).encode() + b"\n"


def run(app: FastAPI, host: str, port: int, limits: Limits, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; then take no more, finish what has begun, and return.

    Raises:
        DistiltuneError: if the address cannot be used.

    """
    import uvicorn

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level=logging.WARNING,
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
    name = f"[{host}]" if ":" in host else host
    on_ready(f"http://{name}:{socket.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[socket])
