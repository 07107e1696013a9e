"""What a server serves: one model or several, each an application of its own, which can be exchanged under way."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Response
from pydantic import BaseModel

from distiltune.errors import RecipeError
from distiltune.serving.batching import DynamicBatcher
from distiltune.serving.gate import Gate, Limits, Receive, Send
from distiltune.serving.metrics import CONTENT_TYPE, ServerMetrics
from distiltune.serving.server import add_error_handlers
from distiltune.version import __version__

TAKEN_NAMES: Final = ("api", "docs", "healthz", "metrics", "openapi.json", "readyz")
"""Paths that no model of several can have."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")

_LOOK_S: Final = 0.05


class Health(BaseModel):
    """Whether the server is alive, or takes requests."""

    status: str
    queued_tokens: int


class ServedOut(BaseModel):
    """A model of several, and the path that its page and its API are below."""

    name: str
    path: str


@dataclass(slots=True, eq=False)
class _Generation:
    """Models that were loaded together, and how many requests are with them."""

    models: Mapping[str, FastAPI]
    n_requests: int = 0

    @property
    def batchers(self) -> list[DynamicBatcher]:
        return [app.state.batcher for app in self.models.values()]


def check_paths(names: Iterable[str]) -> None:
    """Check that models can be found below these names: one alone needs none.

    Raises:
        RecipeError: if there is none, one cannot be a path or is taken, or one of several is empty.

    """
    given = list(names)
    if given == [""]:
        return
    if not given:
        raise RecipeError("No model is to be served.", where="RUN", fix="give a run, or several as NAME=RUN")
    for name in given:
        if name == "":
            raise RecipeError("Several models are served below a name each.", where="RUN", fix="give them as NAME=RUN")
        if name in TAKEN_NAMES or not _NAME.fullmatch(name):
            raise RecipeError(
                f"{name!r} cannot be the path of a model.",
                where="RUN",
                fix=f"give small letters, digits, - and _, and none of {', '.join(TAKEN_NAMES)}",
            )


class Site:
    """An ASGI application around those of the models: limits, health, metrics; it knows how to exchange them.

    A model without a name has the paths for itself; those with names are below these.
    """

    def __init__(self, models: Mapping[str, FastAPI], limits: Limits) -> None:
        """Serve these applications, made by `make_app`, by their names; one alone may be named ``""``."""
        self.limits = limits
        self._lock = threading.Lock()
        self._metrics = ServerMetrics(lambda: sum(each.queued_tokens for each in self._current.batchers))
        self._root = self._make_root()
        self._current = self._prepared(models)
        self._gate = Gate(self._dispatch, limits, self._metrics)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the models."""
        return tuple(
            f"{name}: {note}" if name else note
            for name, app in self._current.models.items()
            for note in app.state.notes
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection event."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._gate(scope, receive, send)

    def exchange(self, models: Mapping[str, FastAPI]) -> None:
        """Serve these from now on; return when the requests that had begun with those before are answered."""
        new = self._prepared(models)
        with self._lock:
            old, self._current = self._current, new
        while old.n_requests:
            time.sleep(_LOOK_S)
        for batcher in old.batchers:
            batcher.close()

    def close(self) -> None:
        """End the models' threads."""
        for batcher in self._current.batchers:
            batcher.close()

    def _prepared(self, models: Mapping[str, FastAPI]) -> _Generation:
        self._metrics.tell_models({name: app.state.about for name, app in models.items()})
        for app in models.values():
            app.state.batcher.on_batch = self._metrics.batch
            app.include_router(self._own_routes())
        return _Generation(dict(models))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _dispatch(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Hand a request to the model that it is for; the model stays until it is answered."""
        with self._lock:
            generation = self._current
            generation.n_requests += 1
        try:
            await self._hand_on(generation, scope, receive, send)
        finally:
            with self._lock:
                generation.n_requests -= 1

    async def _hand_on(
        self, generation: _Generation, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        if "" in generation.models:
            await generation.models[""](scope, receive, send)
            return
        first, slash, _ = str(scope["path"]).removeprefix("/").partition("/")
        app = generation.models.get(first)
        if app is None:
            await self._root(scope, receive, send)
        elif not slash:
            # Relative, since a proxy may have taken a part of the path off.
            await Response(status_code=307, headers={"location": f"{first}/"})(scope, receive, send)
        else:
            below = {**scope, "root_path": f"{scope.get('root_path', '')}/{first}"}
            try:
                await app(below, receive, send)
            finally:
                scope["route"], scope["model_path"] = below.get("route"), f"/{first}"

    def _own_routes(self) -> APIRouter:
        router = APIRouter(tags=["server"])

        @router.get("/healthz", summary="Whether the server is alive")
        async def healthz() -> Health:
            return self._health("ok")

        @router.get(
            "/readyz", summary="Whether it takes requests", responses={503: {"model": Health, "description": "Not now"}}
        )
        async def readyz(response: Response) -> Health:
            is_ready = all(batcher.is_alive for batcher in self._current.batchers)
            response.status_code = 200 if is_ready else 503
            return self._health("ready" if is_ready else "not ready")

        @router.get(
            "/metrics",
            summary="Figures for Prometheus",
            response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        )
        async def show_metrics() -> Response:
            return Response(self._metrics.exposition(), media_type=CONTENT_TYPE)

        return router

    def _health(self, status: str) -> Health:
        return Health(status=status, queued_tokens=sum(each.queued_tokens for each in self._current.batchers))

    def _make_root(self) -> FastAPI:
        """What there is above the models where these have names."""
        root = FastAPI(title="distiltune", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
        root.include_router(self._own_routes())

        @root.get("/api/models", summary="The models that are served")
        async def models() -> list[ServedOut]:
            return [ServedOut(name=name, path=f"/{name}/") for name in self._current.models]

        @root.get("/", include_in_schema=False)
        async def index() -> Response:
            links = "".join(
                f'<li><a href="{name}/">{html.escape(name)}</a>: {html.escape(app.state.about["task"])}</li>'
                for name, app in self._current.models.items()
            )
            page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>distiltune</title>{_STYLE}'
            page = page.format(next(iter(self._current.models)))
            return Response(f"{page}<h1>Models served here</h1><ul>{links}</ul>", media_type="text/html; charset=utf-8")

        add_error_handlers(root)
        return root


_STYLE: Final = '<link rel="stylesheet" href="{}/page.css">'
