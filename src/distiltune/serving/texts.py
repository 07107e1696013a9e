"""A service that reads texts and says something of each: the routes and the page around any such reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, create_model
from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.serving.asking import NOT_BLANK, add_text_route, in_time, unless_gone
from distiltune.serving.batching import BatchSettings, DynamicBatcher, Job, Output
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, TooMuchError, make_app

MAX_TEXTS: Final = 64
MAX_WINDOWS: Final = 4_096
"""Windows of one request; more are refused."""

OneText = Annotated[str, Field(min_length=1, pattern=NOT_BLANK)]


class PreparedTexts(Protocol):
    """Texts that are ready for the model."""

    @property
    def features(self) -> FeatureSet:
        """Their windows."""


D = TypeVar("D", bound=PreparedTexts)


class TextModel(Protocol[D]):
    """A model that says something of texts."""

    @property
    def model(self) -> nn.Module:
        """Packed batches in, rows of scores out."""

    @property
    def n_threads(self) -> int:
        """Threads of tensor work on the CPU."""

    @property
    def notes(self) -> Sequence[str]:
        """What there is to say of the model."""

    def prepare(self, texts: Sequence[Any]) -> D:
        """The texts' windows.

        Raises:
            DataError: if a text is empty.

        """

    def results(self, prepared: D, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        """What the outputs of these windows, ``(n_rows, n_columns)`` each, say of every text."""


class TextModelOut(BaseModel):
    """What reads, and what the server takes."""

    name: str
    task: str
    labels: list[str]
    notes: list[str]
    max_body_bytes: int
    max_answer_seconds: float


@dataclass(frozen=True, slots=True)
class TextService:
    """What a task offers: who asks it sees this, and writes and reads these forms.

    Attributes:
        task: its name.
        labels: what it can say.
        text: the type of a text in a request.
        result: the form of what is said of one.
        page: a folder with ``index.html`` and the files that it names.

    """

    task: str
    labels: Sequence[str]
    text: Any
    result: type[BaseModel]
    page: Traversable


def texts_app(
    reader: TextModel[Any], service: TextService, name: str, limits: Limits, batches: BatchSettings
) -> FastAPI:
    """The page and the API around one model.

    Args:
        reader: who reads.
        service: what is offered.
        name: what the model is called on the page.
        limits: what the server takes on.
        batches: how requests are put together.

    """
    batcher = DynamicBatcher(reader.model, batches, reader.n_threads)
    about = TextModelOut(
        name=name,
        task=service.task,
        labels=list(service.labels),
        notes=list(reader.notes),
        max_body_bytes=limits.max_body_bytes,
        max_answer_seconds=limits.answer_s,
    )
    router = _router(reader, service, batcher, limits, about)
    title = f"distiltune {service.task.replace('-', ' ')}"
    return make_app(title, router, batcher, service.page, limits, reader.notes)


def _router(
    reader: TextModel[Any], service: TextService, batcher: DynamicBatcher, limits: Limits, about: TextModelOut
) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["texts"])
    threads = ThreadPoolExecutor(2, "preparing")
    strict = ConfigDict(strict=True, extra="forbid")
    text: Any = service.text
    bounded = Annotated[list[text], Field(min_length=1, max_length=MAX_TEXTS)]
    said: Any = service.result
    texts_in: Any = create_model("TextsIn", __config__=strict, __doc__="Texts to read.", texts=(bounded, ...))
    results_out: Any = create_model(
        "ResultsOut", __doc__="What is said of each text, in order.", results=(list[said], ...), seconds=(float, ...)
    )

    @router.get("/model", summary="What reads, and what the server takes")
    async def model() -> TextModelOut:
        return about

    async def read(asked: Any) -> tuple[Any, Job]:
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(threads, reader.prepare, asked.texts)
        if len(prepared.features) > MAX_WINDOWS:
            raise TooMuchError(
                f"That is more than the {MAX_WINDOWS:,} windows that one request may take.", fix="send fewer texts"
            )
        return prepared, batcher.submit(prepared.features)

    async def say(prepared: Any, job: Job) -> list[dict[str, Any]]:
        outputs = await asyncio.wrap_future(job.future)
        return await asyncio.get_running_loop().run_in_executor(threads, reader.results, prepared, outputs)

    async def predictions(asked: Any, request: Request) -> Any:
        began = time.perf_counter()
        job: Job | None = None
        try:
            async with in_time(limits, fix="send less text at once"):
                prepared, job = await read(asked)
                found = await unless_gone(request, say(prepared, job))
        finally:
            if job is not None:
                job.cancel()
        return {"results": found, "seconds": time.perf_counter() - began}

    predictions.__annotations__ = {"asked": texts_in, "request": Request, "return": results_out}
    router.post("/predictions", summary="What the model says of each text", responses=PROBLEMS)(predictions)
    add_text_route(router, limits)
    return router
