"""Question answering over HTTP: what is asked and answered as JSON, the routes, and the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from distiltune.serving.asking import NOT_BLANK, add_text_route, in_time, load_apart, took_too_long, unless_gone
from distiltune.serving.batching import BatchSettings, DynamicBatcher, Job
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, AnswerTimeoutError, TooMuchError, as_line, make_app
from distiltune.tasks.question_answering.answerer import Answerer, PreparedQuestions, Reply
from distiltune.tasks.question_answering.documents import Document, as_documents
from distiltune.tasks.question_answering.found_answers import FoundAnswer
from distiltune.tasks.question_answering.passages import PassageIndex

MAX_QUESTIONS: Final = 32
MAX_DOCUMENTS: Final = 64
MAX_WINDOWS: Final = 4_096
"""Windows of one request; more are refused, or a first pass over passages leaves fewer."""

AUTOMATIC_CHARACTERS: Final = 60_000
"""Longer texts are read passage-wise unless the request says otherwise."""

AUTOMATIC_PASSAGES: Final = 32
_CHARACTERS_A_WINDOW: Final = 1_200  # roughly what a window moves on by
_PROGRESS_S: Final = 0.1
_LESS: Final = "send less text, or have only some passages read"

_Text = Annotated[str, Field(min_length=1, pattern=NOT_BLANK)]


def _whole(value: object) -> object:
    """JSON knows one kind of number: 5.0 is a whole one too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_AS_WHOLE: Final = BeforeValidator(_whole)  # to be named last, or the description loses the bounds


class DocumentIn(BaseModel):
    """A text to look in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: _Text
    name: Annotated[str, Field(max_length=300)] = ""


class AskIn(BaseModel):
    """Questions and the texts to look in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    questions: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=2_000, pattern=NOT_BLANK)]],
        Field(min_length=1, max_length=MAX_QUESTIONS),
    ]
    documents: Annotated[list[DocumentIn], Field(min_length=1, max_length=MAX_DOCUMENTS)]
    n_best: Annotated[int, Field(ge=1, le=20, description="Most candidates in a reply."), _AS_WHOLE] = 5
    passages: Annotated[
        int | None,
        Field(
            ge=0,
            le=1_000,
            description="Read only so many passages, the likeliest for each question by BM25; 0: read everything. "
            f"Left out: everything, but {AUTOMATIC_PASSAGES} passages of over {AUTOMATIC_CHARACTERS:,} characters.",
        ),
        _AS_WHOLE,
    ] = None


class AnswerOut(BaseModel):
    """A possible answer; offsets count Unicode code points of its document, from 0."""

    text: str
    start: int
    end: int
    confidence: Annotated[float, Field(ge=0, le=1, description="Among all candidates and no answer.")]
    probability: Annotated[float, Field(ge=0, le=1, description="Of start and end in its window.")]
    line: int
    column: int
    sentence: str
    sentence_start: int
    document: Annotated[int, Field(ge=0, description="Which of the documents, counted from 0.")]
    document_name: str


class ReplyOut(BaseModel):
    """What the model says to one question."""

    question: str
    answer: Annotated[AnswerOut | None, Field(description="None if the model holds that the texts do not tell.")]
    candidates: list[AnswerOut]
    no_answer_confidence: Annotated[float, Field(ge=0, le=1)]
    read_share: Annotated[float, Field(ge=0, le=1, description="Share of the characters that were read.")]
    notes: Annotated[list[str], Field(description="What is remarkable, such as that the question was cut.")]


class RepliesOut(BaseModel):
    """One reply a question, in order."""

    replies: list[ReplyOut]
    seconds: float


class ModelOut(BaseModel):
    """What answers, and what the server takes."""

    name: str
    notes: list[str]
    always_answers: Annotated[bool, Field(description="Whether the model never says that the texts do not tell.")]
    calibrated: Annotated[bool, Field(description="Whether its confidence was fitted to validation data.")]
    max_window_tokens: int
    max_body_bytes: int
    max_answer_seconds: float


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
            DataError: if a question or all texts are empty.

        """
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._prepare, asked)

    def _prepare(self, asked: AskIn) -> PreparedQuestions:
        documents = tuple(Document(each.name, each.text) for each in asked.documents)
        as_documents({str(i): each.text for i, each in enumerate(documents)})
        n_characters = sum(len(document.text) for document in documents)
        passages = asked.passages
        if passages is None:
            passages = AUTOMATIC_PASSAGES if n_characters > AUTOMATIC_CHARACTERS else 0
        read = min(n_characters, passages * _CHARACTERS_A_WINDOW) if passages else n_characters
        if len(asked.questions) * read > MAX_WINDOWS * _CHARACTERS_A_WINDOW:
            raise _too_much()
        index = PassageIndex(documents) if passages else None
        prepared = self.answerer.prepare(asked.questions, documents, index=index, passages=passages)
        if len(prepared.features) > MAX_WINDOWS:
            raise _too_much()
        return prepared

    async def replies(self, prepared: PreparedQuestions, job: Job, n_best: int) -> list[Reply]:
        """Wait for the model, then read the replies out off the event loop."""
        logits = await asyncio.wrap_future(job.future)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, self.answerer.replies, prepared, logits, n_best)


def _too_much() -> TooMuchError:
    return TooMuchError(
        f"That is more than the {MAX_WINDOWS:,} windows that one request may take.",
        fix="ask fewer questions at once, or leave `passages` out so that only the likeliest passages are read",
    )


def serve(model: str, name: str, limits: Limits, batches: BatchSettings, settings: Mapping[str, Any]) -> FastAPI:
    """What `distiltune serve` serves."""
    return question_answering_app(load_apart(lambda: Answerer(model, **settings)), name, limits, batches)


def question_answering_app(answerer: Answerer, name: str, limits: Limits, batches: BatchSettings) -> FastAPI:
    """The page and the API around one model.

    Args:
        answerer: who answers.
        name: what the model is called on the page.
        limits: what the server takes on.
        batches: how requests are put together.

    """
    batcher = DynamicBatcher(answerer.loaded.model, batches, answerer.n_threads)
    service = Service(answerer, batcher, limits, ThreadPoolExecutor(2, "preparing"))
    return make_app(
        title="distiltune question answering",
        router=_router(service, name),
        batcher=batcher,
        page=files("distiltune.tasks.question_answering").joinpath("page"),
        limits=limits,
        notes=answerer.notes,
    )


def _router(service: Service, name: str) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["questions"])
    limits, answerer = service.limits, service.answerer

    @router.get("/model", summary="What answers, and what the server takes")
    async def model() -> ModelOut:
        return ModelOut(
            name=name,
            notes=list(answerer.notes),
            always_answers=answerer.null_threshold is None,
            calibrated=answerer.is_calibrated,
            max_window_tokens=answerer.windows.max_length,
            max_body_bytes=limits.max_body_bytes,
            max_answer_seconds=limits.answer_s,
        )

    @router.post("/answers", summary="Ask questions about texts", responses=PROBLEMS)
    async def answers(asked: AskIn, request: Request) -> RepliesOut:
        began = time.perf_counter()
        job: Job | None = None
        try:
            async with in_time(limits, _LESS):
                prepared = await service.prepare(asked)
                job = service.batcher.submit(prepared.features.features)
                replies = await unless_gone(request, service.replies(prepared, job, asked.n_best))
        finally:
            if job is not None:
                job.cancel()
        return _replies_out(replies, began)

    @router.post(
        "/answers/stream",
        summary="The same, with progress: one JSON object a line",
        responses={
            **PROBLEMS,
            200: {
                "description": "Lines of kind `progress` (`read`, `of`), then one of kind `replies` or `problem`",
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
        lines = _lines(service, prepared, job, asked.n_best, began)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    add_text_route(router, limits)
    return router


async def _lines(
    service: Service, prepared: PreparedQuestions, job: Job, n_best: int, began: float
) -> AsyncIterator[bytes]:
    """Progress, then the replies; the job is given up if the reader goes away or it takes too long."""
    task = asyncio.ensure_future(service.replies(prepared, job, n_best))
    said = -1
    try:
        while not task.done():
            if job.n_done != said:
                said = job.n_done
                yield as_line("progress", {"read": said, "of": job.n_features})
            if time.perf_counter() - began > service.limits.answer_s:
                raise took_too_long(service.limits, _LESS)
            await asyncio.wait({task}, timeout=_PROGRESS_S)
        yield as_line("replies", _replies_out(task.result(), began).model_dump())
    except AnswerTimeoutError as error:
        yield as_line("problem", {"what": error.what, "where": error.where, "fix": error.fix})
    finally:
        task.cancel()
        job.cancel()


def _replies_out(replies: Sequence[Reply], began: float) -> RepliesOut:
    return RepliesOut(
        replies=[
            ReplyOut(
                question=reply.question,
                answer=_answer_out(reply.answer) if reply.answer is not None else None,
                candidates=[_answer_out(candidate) for candidate in reply.candidates],
                no_answer_confidence=reply.no_answer_confidence,
                read_share=min(1.0, reply.read_share),
                notes=list(reply.notes),
            )
            for reply in replies
        ],
        seconds=time.perf_counter() - began,
    )


def _answer_out(answer: FoundAnswer) -> AnswerOut:
    return AnswerOut(
        text=answer.text,
        start=answer.start,
        end=answer.end,
        confidence=min(1.0, answer.confidence),
        probability=min(1.0, answer.probability),
        line=answer.line,
        column=answer.column,
        sentence=answer.sentence,
        sentence_start=answer.sentence_start,
        document=answer.document,
        document_name=answer.document_name,
    )
