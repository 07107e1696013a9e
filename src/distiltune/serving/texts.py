"""A service that reads texts and says something of each: the routes and the page around any such reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model
from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.serving.asking import (
    CHARACTERS_A_TOKEN,
    NOT_BLANK,
    AboutOut,
    about,
    add_corrections_route,
    add_text_route,
    in_time,
    json_example,
    outputs_in_time,
    sample_texts,
    took_too_long,
    unless_gone,
)
from distiltune.serving.batching import BatchSettings, DynamicBatcher, Job, Output
from distiltune.serving.corrections import Correctable
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, TAGS, TooMuchError, json_only, make_app

MAX_TEXTS: Final = 64
MAX_WINDOWS: Final = 4_096
"""Windows of one request; more are refused."""

_LESS: Final = "send less text at once"

OneText = Annotated[str, Field(min_length=1, pattern=NOT_BLANK)]


class HuggingFaceTextsIn(BaseModel):
    """Texts as Hugging Face's own servers take them; they are answered in their form."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: OneText | Annotated[list[OneText], Field(min_length=1, max_length=MAX_TEXTS)]
    parameters: Annotated[
        dict[str, None] | None, Field(description="None is taken: how texts are read is the model's.")
    ] = None

    @property
    def texts(self) -> list[str]:
        """All of them."""
        return [self.inputs] if isinstance(self.inputs, str) else self.inputs


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


@dataclass(frozen=True, slots=True)
class TextService:
    """What a task offers: who asks it sees this, and writes and reads these forms.

    Attributes:
        task: its name.
        labels: what it can say.
        text: the type of a text in a request.
        result: the form of what is said of one.
        hugging_face: what is said of the texts, and whether one was sent by itself → the same as Hugging Face's servers
            say it.
        can_decline: whether it may be that nothing is said of a text.
        page: a folder with ``index.html`` and the files that it names.
        correctable: how what is said can be set right; None: it cannot.
        kind: one label a text, several, or a number, where that differs; for the page.

    """

    task: str
    labels: Sequence[str]
    text: Any
    result: type[BaseModel]
    hugging_face: Callable[[Sequence[Mapping[str, Any]], bool], list[Any]]
    can_decline: bool
    page: Traversable
    correctable: Correctable | None = None
    kind: str = ""


class TextsAboutOut(AboutOut):
    """What reads texts, and what the server takes."""

    kind: Annotated[str, Field(description="`single-label`, `multi-label` or `regression`, where that differs.")]
    max_texts: int = MAX_TEXTS


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
    about_it = TextsAboutOut(
        **about(name, service.task, reader.notes, limits),
        labels=list(service.labels),
        can_decline=service.can_decline,
        kind=service.kind,
    )
    router = _router(reader, service, batcher, limits, about_it)
    app = make_app(f"distiltune {service.task.replace('-', ' ')}", router, batcher, service.page, reader.notes)
    app.state.about = about_it.model_dump()
    app.state.sample = lambda: reader.prepare(sample_texts()).features
    return app


def _router(
    reader: TextModel[Any], service: TextService, batcher: DynamicBatcher, limits: Limits, about_it: TextsAboutOut
) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["texts"])
    threads = ThreadPoolExecutor(2, "preparing")
    texts_in, results_out = _forms(service)

    @router.get("/model", summary="What reads, and what the server takes")
    async def model() -> TextsAboutOut:
        return about_it

    async def read(asked: Any) -> tuple[Any, Job]:
        loop = asyncio.get_running_loop()
        batcher.check_room(sum(map(_n_characters, asked.texts)) // CHARACTERS_A_TOKEN)
        prepared = await loop.run_in_executor(threads, reader.prepare, asked.texts)
        if len(prepared.features) > MAX_WINDOWS:
            raise TooMuchError(
                f"That is more than the {MAX_WINDOWS:,} windows that one request may take.",
                where="texts",
                fix="send fewer texts",
            )
        return prepared, batcher.submit(prepared.features)

    async def say(asked: Any, prepared: Any, job: Job, until: float) -> list[dict[str, Any] | None]:
        outputs = await outputs_in_time(batcher, job, until, limits, _LESS)
        return await asyncio.get_running_loop().run_in_executor(threads, _said, reader, asked.texts, prepared, outputs)

    async def predictions(asked: Any, request: Request) -> Any:
        began = time.perf_counter()
        job: Job | None = None
        try:
            async with in_time(limits, fix=_LESS):
                prepared, job = await read(asked)
                found = await unless_gone(request, say(asked, prepared, job, began + limits.read_s))
        finally:
            if job is not None:
                job.cancel()
        if isinstance(asked, HuggingFaceTextsIn):
            return _in_their_form(service, asked, found, limits)
        return {
            "results": found,
            "complete": None not in found,
            "can_decline": service.can_decline,
            "seconds": time.perf_counter() - began,
        }

    predictions.__annotations__ = {"asked": texts_in, "request": Request, "return": results_out}
    router.post(
        "/predictions",
        summary="What the model says of each text",
        responses=PROBLEMS,
        dependencies=[Depends(json_only)],
        openapi_extra=json_example({"texts": ["The lease is signed by Ada Byron."]}),
    )(predictions)
    add_text_route(router, limits)
    if service.correctable is not None:
        add_corrections_route(router, limits, service.correctable)
    return router


def _in_their_form(
    service: TextService, asked: HuggingFaceTextsIn, found: Sequence[dict[str, Any] | None], limits: Limits
) -> list[Any]:
    """What is said of each text in Hugging Face's form, which has no place for one that was not read in time.

    Raises:
        AnswerTimeoutError: if a text was not read in time.

    """
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        raise took_too_long(limits, _LESS)
    return service.hugging_face(known, isinstance(asked.inputs, str))


def _whose(value: object) -> str:
    """Which of `TAGS` a body is of."""
    theirs = isinstance(value, HuggingFaceTextsIn) or (isinstance(value, Mapping) and "inputs" in value)
    return TAGS[1] if theirs else TAGS[0]


def _forms(service: TextService) -> tuple[Any, Any]:
    """The forms of a request and of its answer."""
    strict = ConfigDict(strict=True, extra="forbid")
    text: Any = service.text
    bounded = Annotated[list[text], Field(min_length=1, max_length=MAX_TEXTS)]
    said: Any = service.result
    texts_in: Any = create_model("TextsIn", __config__=strict, __doc__="Texts to read.", texts=(bounded, ...))
    results_out: Any = create_model(
        "ResultsOut",
        __doc__="What is said of each text, in order.",
        results=(list[said | None], Field(description="None for a text that was not read in time.")),
        complete=(bool, Field(description="Whether all texts were read before time ran out.")),
        can_decline=(bool, Field(description="Whether it may be that nothing is said of a text.")),
        seconds=(float, ...),
    )
    ours, theirs = Annotated[texts_in, Tag(TAGS[0])], Annotated[HuggingFaceTextsIn, Tag(TAGS[1])]
    return Annotated[ours | theirs, Discriminator(_whose)], results_out | list[Any]


def _n_characters(text: str | Sequence[str]) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))


def _said(
    reader: TextModel[Any], texts: Sequence[Any], prepared: PreparedTexts, outputs: Sequence[Output | None]
) -> list[dict[str, Any] | None]:
    """What is said of each text; None for those of which a window was not read."""
    known = [each for each in outputs if each is not None]
    if len(known) == len(outputs):
        return [*reader.results(prepared, known)]
    unread = {int(prepared.features.example_of[i]) for i, each in enumerate(outputs) if each is None}
    read = [i for i in range(len(texts)) if i not in unread]
    if not read:
        return [None] * len(texts)
    again = reader.prepare([texts[i] for i in read])
    own = (each for i, each in enumerate(outputs) if each is not None and prepared.features.example_of[i] not in unread)
    found = dict(zip(read, reader.results(again, list(own)), strict=True))
    return [found.get(i) for i in range(len(texts))]
