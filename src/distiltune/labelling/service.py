"""The page and the API of `distiltune label`, whatever the task."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field, create_model

from distiltune.data.words import markable_spans
from distiltune.labelling.desk import Aside, Desk, Said
from distiltune.labelling.items import Item
from distiltune.labelling.retraining import Retraining
from distiltune.labelling.thinking import Thinking
from distiltune.serving.asking import json_example
from distiltune.serving.gate import Gate, Limits, Receive, Send
from distiltune.serving.metrics import ServerMetrics
from distiltune.serving.server import PROBLEMS, ErrorBody, add_page, bare_app, json_only
from distiltune.version import __version__

MOST_LISTED: Final = 200
_SHOWN_CHARACTERS: Final = 120

_PROBLEMS: Final = {
    **PROBLEMS,
    409: {"model": ErrorBody, "description": "Another window has saved something else of this text meanwhile"},
    507: {"model": ErrorBody, "description": "It could not be written"},
}
_STRICT: Final = ConfigDict(strict=True, extra="forbid")
Window = Annotated[str, Field(max_length=64, description="What a window calls itself, so that no two get one text.")]


class LabelAboutOut(BaseModel):
    """What is labelled, and how."""

    task: str
    kind: str
    labels: list[str]
    has_labels: bool
    order: str
    output: str
    retrain_every: int
    version: str
    notes: list[str]


class NextIn(BaseModel):
    """Who wants a text, and which not."""

    model_config = _STRICT

    window: Window = ""
    besides: Annotated[str, Field(max_length=64)] = ""


class NextOut(BaseModel):
    """The key of the text to label next; null: all are, besides those that other windows have open."""

    key: str | None
    held: Annotated[int, Field(description="How many texts without an answer other windows have open.")]


class HoldIn(BaseModel):
    """Which text a window has open; an empty key: none, it is closed."""

    model_config = _STRICT

    window: Window
    key: Annotated[str, Field(max_length=64)] = ""


class SuggestionIn(BaseModel):
    """What is asked about a text, where that is not given."""

    model_config = _STRICT

    prompt: Annotated[str, Field(max_length=10_000)] = ""


class NameIn(BaseModel):
    """A label to add."""

    model_config = _STRICT

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class AllLabelsOut(BaseModel):
    """All labels that there are, in the order of their digits."""

    labels: list[str]


class KeptOut(BaseModel):
    """What tells what now stands from anything else, for the next time that it is saved."""

    revision: str


class StartedOut(BaseModel):
    """Whether a training began."""

    started: bool


@dataclass(frozen=True, slots=True)
class Room:
    """A desk, and what works beside it."""

    desk: Desk
    thinking: Thinking
    retraining: Retraining
    notes: tuple[str, ...] = ()

    def close(self) -> None:
        """End what works."""
        self.thinking.close()
        self.retraining.close()


def label_app(room: Room) -> FastAPI:
    """The routes and the page."""
    task = room.desk.task
    app = bare_app(f"distiltune label, {task.name.replace('-', ' ')}", _router(room))
    add_page(app, files("distiltune.labelling").joinpath("static"))
    add_page(app, task.page)
    add_page(app, files("distiltune.serving").joinpath("static"))
    return app


class LabelSite:
    """An ASGI application around that: limits, who may ask, and the headers of every answer, as `serve` has them."""

    def __init__(self, app: FastAPI, limits: Limits) -> None:
        self.limits = limits
        self._gate = Gate(app, limits, ServerMetrics(lambda: 0.0))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one connection event."""
        if scope["type"] == "lifespan":
            for done in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
                await receive()
                await send({"type": done})
        else:
            await self._gate(scope, receive, send)


def _router(room: Room) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["labelling"])
    _add_reading(router, room)
    _add_writing(router, room)
    return router


def _add_reading(router: APIRouter, room: Room) -> None:
    """The routes that change nothing that is kept."""
    desk = room.desk

    @router.get("/label", summary="What is labelled, and how")
    def about() -> LabelAboutOut:
        return LabelAboutOut(
            task=desk.task.name,
            kind=desk.task.kind,
            labels=desk.labels,
            has_labels=desk.task.has_labels,
            order=desk.choice.order,
            output=desk.kept.path.name,
            retrain_every=room.retraining.how.every,
            version=__version__,
            notes=list(room.notes),
        )

    @router.post("/next", summary="The text to label next", responses=PROBLEMS, dependencies=[Depends(json_only)])
    def next_item(asked: NextIn) -> NextOut:
        return NextOut(key=desk.next(asked.window, asked.besides), held=desk.held_by_others(asked.window))

    @router.post(
        "/hold",
        summary="Have a text open, so that no other window gets it next, or give it back",
        status_code=204,
        responses=PROBLEMS,
        dependencies=[Depends(json_only)],
    )
    def hold(asked: HoldIn) -> None:
        desk.hold(asked.window, asked.key)

    @router.get("/items", summary="Texts in reading order, and what stands of each")
    def items(first: Annotated[int, Field(ge=0)] = 0, n: Annotated[int, Field(ge=1, le=MOST_LISTED)] = 50) -> Response:
        return _json([_listed(desk, key) for key in desk.keys(first, n)])

    @router.get("/items/{key}", summary="A text: its words, what stands of it, and what the data said")
    def item(key: str) -> Response:
        return _json(_shown(room, desk.item(key)))

    @router.post(
        "/items/{key}/suggestion",
        summary="What the newest model would answer",
        responses=PROBLEMS,
        dependencies=[Depends(json_only)],
    )
    def suggestion(key: str, asked: SuggestionIn) -> Response:
        found = desk.item(key)
        said = room.thinking.suggest(found.text, found.prompt or asked.prompt)
        return _json({"suggestion": said, "model": room.thinking.model_told if said is not None else None})

    @router.get("/progress", summary="How far it is, and how the trainings stand")
    def progress() -> Response:
        told = {"model": room.thinking.model_told, "problem": room.thinking.problem}
        return _json({"counts": asdict(desk.counts()), "training": room.retraining.told(), "suggestions": told})


def _add_writing(router: APIRouter, room: Room) -> None:
    desk = room.desk
    form: Any = desk.task.form
    fields: dict[str, Any] = {
        "window": (Window, ""),
        "revision": (Annotated[str, Field(max_length=64, description="As the text was got with.")], ...),
        "answer": (form | None, None),
        "aside": (Aside, ""),
    }
    about = "What is to stand of a text; no answer and not set aside: nothing."
    save_in: Any = create_model("SaveIn", __config__=_STRICT, __doc__=about, **fields)

    def save(key: str, asked: Any) -> KeptOut:
        answer = None if asked.answer is None else asked.answer.model_dump()
        said = desk.save(key, asked.revision, Said(answer, asked.aside), asked.window)
        room.retraining.consider()
        return KeptOut(revision=said.revision)

    save.__annotations__ = {"key": str, "asked": save_in, "return": KeptOut}
    router.post(
        "/items/{key}",
        summary="Keep an answer, take it back, or set the text aside; on the disk when this answers",
        responses=_PROBLEMS,
        dependencies=[Depends(json_only)],
        openapi_extra=json_example({"revision": "0", "answer": dict(desk.task.sample)}),
    )(save)

    @router.post("/labels", summary="Add a label", responses=PROBLEMS, dependencies=[Depends(json_only)])
    def add_label(asked: NameIn) -> AllLabelsOut:
        desk.add_label(asked.name.strip())
        return AllLabelsOut(labels=desk.labels)

    @router.post("/training", summary="Train now", responses=PROBLEMS, dependencies=[Depends(json_only)])
    def train(asked: dict[str, Any]) -> StartedOut:
        return StartedOut(started=room.retraining.start())


def _shown(room: Room, item: Item) -> dict[str, Any]:
    """All that the page shows of an item."""
    desk = room.desk
    said = desk.said(item.key)
    return {
        "key": item.key,
        "id": item.id,
        "text": item.text,
        "prompt": item.prompt,
        "document": item.document,
        "number": item.number,
        "of": item.of,
        "words": [place for span in markable_spans(item.text) for place in span],
        "revision": said.revision,
        "answer": said.answer,
        "aside": said.aside,
        "given": item.given,
        "hints": room.thinking.hints.get(item.text),
        "before": desk.beside(item.key, -1),
        "after": desk.beside(item.key, 1),
    }


def _listed(desk: Desk, key: str) -> dict[str, Any]:
    item, said = desk.item(key), desk.said(key)
    shown = " ".join(f"{item.prompt} {item.text[: 2 * _SHOWN_CHARACTERS]}".split())[:_SHOWN_CHARACTERS]
    state = said.aside or ("labelled" if said.answer is not None else "")
    return {"key": key, "text": shown, "document": item.document, "number": item.number, "state": state}


def _json(value: Any) -> Response:
    """An answer without pydantic's second look at it, which takes a second for a text of a megabyte."""
    return Response(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), media_type="application/json")
