"""The application of one model: its task's routes, the page's files, and errors in one form."""

from __future__ import annotations

import inspect
import json
import mimetypes
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from distiltune.errors import DistiltuneError
from distiltune.serving.batching import DynamicBatcher, OverloadedError
from distiltune.serving.corrections import ConflictError, NotKeptError
from distiltune.serving.pages import rendered
from distiltune.serving.reference import reference_page
from distiltune.serving.wording import in_plain_words
from distiltune.version import __version__

LONGEST_ECHO: Final = 200
"""Characters of a path that an error repeats."""


class ErrorBody(BaseModel):
    """What went wrong, where, and what to do."""

    what: str
    where: str
    fix: str


class AnswerTimeoutError(DistiltuneError):
    """An answer took longer than the server allows."""


class TooMuchError(DistiltuneError):
    """A request asks for more work than the server takes on at once."""


class NotThereError(DistiltuneError):
    """What a request names is not there, or not any more."""


class NotReadyError(DistiltuneError):
    """What requests are answered from is not there at the moment."""


class WrongContentTypeError(DistiltuneError):
    """A body is said to be something that the route does not read."""


_STATUS: Final[dict[type[DistiltuneError], int]] = {
    OverloadedError: 503,
    AnswerTimeoutError: 504,
    TooMuchError: 413,
    WrongContentTypeError: 415,
    NotThereError: 404,
    NotReadyError: 503,
    NotKeptError: 507,
    ConflictError: 409,
}

PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in (
        (400, "The body is not JSON"),
        (401, "The server wants its key, and it was not sent"),
        (403, "A page of another site sent the request"),
        (408, "The request did not arrive in time"),
        (413, "The request is too large"),
        (415, "The body is said to be of a kind that is not read here"),
        (422, "The request is not as described, or nothing can be read from it"),
        (503, "The server is busy; Retry-After says when to ask again"),
        (504, "The answer took too long"),
    )
}
"""The errors that a route with a body may answer with, for its OpenAPI description."""

TAGS: Final = ("distiltune", "hugging-face")
"""What tells the forms of a request apart, in the places of errors."""


def json_only(request: Request) -> None:
    """Let only JSON pass: what a form of another site can send without asking is something else.

    Raises:
        WrongContentTypeError: naming the header to send.

    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json" and not (given.startswith("application/") and given.endswith("+json")):
        raise WrongContentTypeError(
            f"The body is said to be {given}, and JSON is wanted." if given else "It is not said what the body is.",
            where="header Content-Type",
            fix='send the header "Content-Type: application/json"',
        )


def make_app(
    title: str, router: APIRouter, batcher: DynamicBatcher, page: Traversable, notes: Sequence[str] = ()
) -> FastAPI:
    """Put the application of one model together; everything that it will ever serve is read now.

    Args:
        title: of the API.
        router: the task's routes.
        batcher: which these use, kept as the application's ``state.batcher``.
        page: a folder with ``index.html`` and files that it names; those of `serving/static` are served beside them.
        notes: what there is to say of the model, kept as the application's ``state.notes``.

    Whoever calls it adds ``state.about``, what ``/api/model`` says, and ``state.sample``, which gives features to read
    before any others.
    """
    app = bare_app(title, router)
    app.state.notes, app.state.batcher = tuple(notes), batcher
    add_page(app, page)
    add_page(app, files("distiltune.serving").joinpath("static"))
    return app


def bare_app(title: str, router: APIRouter) -> FastAPI:
    """An application with these routes, their description at ``/docs``, and errors in the one form."""
    # Newer versions can report every request to OpenTelemetry: nothing of the kind is wanted here.
    has_telemetry = "telemetry" in inspect.signature(FastAPI.__init__).parameters
    quiet: dict[str, Any] = {"telemetry": {"tracing": False, "metrics": False, "logs": False}} if has_telemetry else {}
    app = FastAPI(
        title=title,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        root_path_in_servers=False,  # which would be wrong behind a proxy that takes a part of the path off
        **quiet,
    )
    app.include_router(router)
    _add_reference(app)
    add_error_handlers(app)
    return app


def add_page(app: FastAPI, page: Traversable) -> None:
    """One route for each file of the page, its content held in memory: no request ever names a file."""
    for entry in page.iterdir():
        kind = mimetypes.guess_type(entry.name)[0]
        if kind is None or not entry.is_file():
            continue
        text = kind.startswith("text/") or kind.endswith(("javascript", "svg+xml"))
        is_page = entry.name == "index.html"
        content = rendered(entry.read_text(encoding="utf-8")).encode() if is_page else entry.read_bytes()
        app.add_api_route(
            "/" if is_page else f"/{entry.name}",
            _fixed(content, f"{kind}; charset=utf-8" if text else kind),
            methods=["GET", "HEAD"],
            include_in_schema=False,
        )


def _fixed(content: bytes, media_type: str) -> Callable[[], Any]:
    async def answer() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return answer


def _add_reference(app: FastAPI) -> None:
    """The page ``/docs``, made of the description when it is first asked for; it needs no other server."""
    made: list[str] = []

    async def docs() -> Response:
        if not made:
            made.append(reference_page(app.openapi()))
        return Response(made[0], media_type="text/html; charset=utf-8")

    app.add_api_route("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)


def add_error_handlers(app: FastAPI) -> None:
    """Answer whatever goes wrong in the one form: what, where, what to do."""

    @app.exception_handler(DistiltuneError)
    async def known(request: Request, error: DistiltuneError) -> Response:
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, OverloadedError) else None
        status = _STATUS.get(type(error), 422)
        where = error.where or ("the body" if status < 500 else "")
        return _problem(status, error.what, where, error.fix, headers)

    @app.exception_handler(RequestValidationError)
    async def not_as_described(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _problem(400 if first["type"] == "json_invalid" else 422, *in_plain_words(first, TAGS))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        where = f"{request.method} {request.url.path}"[:LONGEST_ECHO]
        fix = "see /docs for what there is"
        if allowed := (error.headers or {}).get("Allow"):
            fix = f"use {allowed}; {fix}"
        return _problem(error.status_code, f"{error.detail}.", where, fix, error.headers)


def _problem(status: int, what: str, where: str, fix: str, headers: Any = None) -> Response:
    return JSONResponse({"what": what, "where": where, "fix": fix}, status, headers=headers)


def as_line(kind: str, value: dict[str, Any]) -> bytes:
    """A line of a streamed answer."""
    return json.dumps({"kind": kind, **value}, ensure_ascii=False).encode() + b"\n"
