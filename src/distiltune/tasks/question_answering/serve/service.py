"""Question answering over HTTP: the routes, and the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from distiltune.serving.asking import (
    CHARACTERS_A_TOKEN,
    about,
    add_corrections_route,
    add_text_route,
    in_time,
    json_example,
    load_apart,
    outputs_in_time,
    sample_texts,
    took_too_long,
    unless_gone,
)
from distiltune.serving.batching import BatchSettings, DynamicBatcher, Job, Output, OverloadedError
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, AnswerTimeoutError, TooMuchError, as_line, json_only, make_app
from distiltune.serving.site import Site
from distiltune.tasks.question_answering.answerer import Answerer, PreparedQuestions, Reply
from distiltune.tasks.question_answering.documents import Document, as_documents
from distiltune.tasks.question_answering.passages import PassageIndex
from distiltune.tasks.question_answering.serve.forms import (
    AUTOMATIC_CHARACTERS,
    AUTOMATIC_PASSAGES,
    CORRECTABLE,
    Asked,
    AskIn,
    HuggingFaceOut,
    ModelOut,
    RepliesOut,
    as_ours,
    hugging_face_out,
    reply_out,
)

MAX_WINDOWS: Final = 4_096
"""Windows of one request; more are refused, or a first pass over passages leaves fewer."""

_CHARACTERS_A_WINDOW: Final = 1_200  # roughly what a window moves on by
_PROGRESS_S: Final = 0.1
_LESS: Final = "send less text, or have only some passages read"
_EXAMPLE: Final = {
    "questions": ["Who signs the lease?"],
    "documents": [{"name": "rules", "text": "The lease is signed by the treasurer, in blue ink."}],
}


@dataclass(frozen=True, slots=True)
class Service:
    """Asks a model on behalf of requests; nothing of a request outlives it."""

    answerer: Answerer
    batcher: DynamicBatcher
    limits: Limits
    threads: ThreadPoolExecutor

    async def prepare(self, asked: AskIn) -> PreparedQuestions:
        """Tokenise off the event loop.

        Raises:
            TooMuchError: if it makes more windows than one request may.
            OverloadedError: if what waits already would keep it waiting too long.
            DataError: if a question or all texts are empty.

        """
        n_passages = asked.passages if asked.passages is not None else AUTOMATIC_PASSAGES
        if self._reads_all(asked):
            n_characters = sum(len(document.text) for document in asked.documents)
        else:
            n_characters = n_passages * _CHARACTERS_A_WINDOW
        self.batcher.check_room(len(asked.questions) * n_characters // CHARACTERS_A_TOKEN)
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._prepare, asked)

    @staticmethod
    def _reads_all(asked: AskIn) -> bool:
        if asked.passages is not None:
            return asked.passages == 0
        return sum(len(document.text) for document in asked.documents) <= AUTOMATIC_CHARACTERS

    def _prepare(self, asked: AskIn) -> PreparedQuestions:
        documents = tuple(Document(each.name, each.text) for each in asked.documents)
        as_documents({str(i): each.text for i, each in enumerate(documents)})
        n_characters = sum(len(document.text) for document in documents)
        passages = 0 if self._reads_all(asked) else asked.passages or AUTOMATIC_PASSAGES
        read = min(n_characters, passages * _CHARACTERS_A_WINDOW) if passages else n_characters
        if len(asked.questions) * read > MAX_WINDOWS * _CHARACTERS_A_WINDOW:
            raise _too_much()
        index = PassageIndex(documents) if passages else None
        prepared = self.answerer.prepare(asked.questions, documents, index=index, passages=passages)
        if len(prepared.features) > MAX_WINDOWS:
            raise _too_much()
        return prepared

    async def answered(self, asked: AskIn, prepared: PreparedQuestions, job: Job, began: float) -> Answered:
        """Wait for the model while there is time, then read the replies out of what it has read, off the event loop.

        Raises:
            OverloadedError, AnswerTimeoutError: if it has read nothing in that time.

        """
        until = began + self.limits.read_s
        outputs = await outputs_in_time(self.batcher, job, until, self.limits, _LESS)
        loop = asyncio.get_running_loop()
        replies = await loop.run_in_executor(self.threads, self.answerer.replies, prepared, outputs, asked.n_best)
        return Answered(replies, outputs, self._seconds_for_all(prepared, replies), time.perf_counter() - began)

    def _seconds_for_all(self, prepared: PreparedQuestions, replies: Sequence[Reply]) -> float | None:
        """What reading all texts for all questions would take, reckoned from what the windows cut hold of them."""
        n_cut = sum(len(part.text) for part in prepared.parts)
        n_all = len(prepared.questions) * sum(len(document.text) for document in prepared.documents)
        if all(reply.read_share >= 1 for reply in replies) or not n_cut:
            return None
        n_tokens = len(prepared.features.features.token_ids) * n_all / n_cut
        return self.batcher.seconds_for(int(n_tokens)) or None


@dataclass(frozen=True, slots=True)
class Answered:
    """Replies, the outputs that they were read out of, and what they took."""

    replies: Sequence[Reply]
    outputs: Sequence[Output | None]
    seconds_for_all: float | None
    seconds: float

    def as_out(self, asked: AskIn) -> RepliesOut:
        """As JSON."""
        n_read = sum(each is not None for each in self.outputs)
        return RepliesOut(
            replies=[reply_out(reply, asked.documents) for reply in self.replies],
            seconds=self.seconds,
            complete=n_read == len(self.outputs),
            windows_read=n_read,
            windows=len(self.outputs),
            seconds_for_all=self.seconds_for_all,
        )


def _too_much() -> TooMuchError:
    return TooMuchError(
        f"That is more than the {MAX_WINDOWS:,} windows that one request may take.",
        where="questions and documents",
        fix="ask fewer questions at once, or leave `passages` out so that only the likeliest passages are read",
    )


def serve(model: str, name: str, limits: Limits, batches: BatchSettings, settings: Mapping[str, Any]) -> FastAPI:
    """What `distiltune serve` serves."""
    return model_app(load_apart(lambda: Answerer(model, **settings)), name, limits, batches)


def question_answering_app(answerer: Answerer, name: str, limits: Limits, batches: BatchSettings) -> Site:
    """The page and the API around one model, whole: with limits, health and metrics; arguments as `model_app`."""
    return Site({"": model_app(answerer, name, limits, batches)}, limits)


def model_app(answerer: Answerer, name: str, limits: Limits, batches: BatchSettings) -> FastAPI:
    """The routes and the page of one model.

    Args:
        answerer: who answers.
        name: what the model is called on the page.
        limits: what the server takes on.
        batches: how requests are put together.

    """
    batcher = DynamicBatcher(answerer.loaded.model, batches, answerer.n_threads)
    service = Service(answerer, batcher, limits, ThreadPoolExecutor(2, "preparing"))
    about_it = ModelOut(
        **about(name, "question-answering", answerer.notes, limits),
        labels=[],
        can_decline=answerer.null_threshold is not None,
        calibrated=answerer.is_calibrated,
        max_window_tokens=answerer.windows.max_length,
    )
    router = _router(service, about_it)
    page = files("distiltune.tasks.question_answering").joinpath("page")
    app = make_app("distiltune question answering", router, batcher, page, answerer.notes)
    app.state.about = about_it.model_dump()
    documents = tuple(Document("", text) for text in sample_texts())
    app.state.sample = lambda: answerer.prepare(["word"], documents).features.features
    return app


def _router(service: Service, about_it: ModelOut) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["questions"])
    limits = service.limits
    example = json_example(_EXAMPLE)

    @router.get("/model", summary="What answers, and what the server takes")
    async def model() -> ModelOut:
        return about_it

    @router.post(
        "/answers",
        summary="Ask questions about texts",
        responses=PROBLEMS,
        dependencies=[Depends(json_only)],
        openapi_extra=example,
    )
    async def answers(asked: Asked, request: Request) -> RepliesOut | HuggingFaceOut:
        began = time.perf_counter()
        ours = as_ours(asked)
        job: Job | None = None
        try:
            async with in_time(limits, _LESS):
                prepared = await service.prepare(ours)
                job = service.batcher.submit(prepared.features.features)
                found = await unless_gone(request, service.answered(ours, prepared, job, began))
        finally:
            if job is not None:
                job.cancel()
        return found.as_out(ours) if asked is ours else hugging_face_out(found.replies[0])

    @router.post(
        "/answers/stream",
        summary="The same, with progress: one JSON object a line",
        dependencies=[Depends(json_only)],
        openapi_extra=example,
        responses={
            **PROBLEMS,
            200: {
                "description": "Lines of kind `progress` (`read`, `of`, `seconds_left`), then one of kind `replies` or "
                "`problem`",
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            },
        },
        response_class=StreamingResponse,
    )
    async def stream(asked: AskIn) -> StreamingResponse:
        began = time.perf_counter()
        async with in_time(limits, _LESS):
            prepared = await service.prepare(asked)
        job = service.batcher.submit(prepared.features.features)
        lines = _lines(service, asked, prepared, job, began)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    add_text_route(router, limits)
    add_corrections_route(router, limits, CORRECTABLE)
    return router


async def _lines(
    service: Service, asked: AskIn, prepared: PreparedQuestions, job: Job, began: float
) -> AsyncIterator[bytes]:
    """Progress, then the replies; the job is given up if the reader goes away or it takes too long."""
    task = asyncio.ensure_future(service.answered(asked, prepared, job, began))
    said = -1
    try:
        while not task.done():
            if job.n_done != said:
                said = job.n_done
                left = service.batcher.seconds_left(job) or None
                yield as_line("progress", {"read": said, "of": job.n_features, "seconds_left": left})
            if time.perf_counter() - began > service.limits.answer_s:
                raise took_too_long(service.limits, _LESS)
            await asyncio.wait({task}, timeout=_PROGRESS_S)
        yield as_line("replies", task.result().as_out(asked).model_dump())
    except (AnswerTimeoutError, OverloadedError) as error:
        yield as_line("problem", {"what": error.what, "where": error.where, "fix": error.fix})
    finally:
        task.cancel()
        job.cancel()
