"""Question answering over HTTP: the routes, and the page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Query, Request
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
from distiltune.serving.server import (
    PROBLEMS,
    AnswerTimeoutError,
    ErrorBody,
    TooMuchError,
    as_line,
    json_only,
    make_app,
)
from distiltune.serving.site import Site
from distiltune.tasks.question_answering.answerer import Answerer, PreparedQuestions, Reply
from distiltune.tasks.question_answering.documents import Document, as_documents
from distiltune.tasks.question_answering.passages import PassageIndex
from distiltune.tasks.question_answering.serve.forms import (
    AUTOMATIC_CHARACTERS,
    AUTOMATIC_PASSAGES,
    CORRECTABLE,
    MAX_NAME,
    MAX_NAMES,
    Asked,
    AskedOfFolder,
    AskFolderIn,
    AskIn,
    DocumentIn,
    DocumentsOut,
    DocumentTextOut,
    HuggingFaceIn,
    HuggingFaceOut,
    ModelOut,
    RepliesOut,
    as_ours,
    document_out,
    hugging_face_out,
    reply_out,
)
from distiltune.tasks.question_answering.serve.served_folder import ServedFolder

MAX_WINDOWS: Final = 4_096
"""Windows of one request; more are refused, or a first pass over passages leaves fewer."""

_CHARACTERS_A_WINDOW: Final = 1_200  # roughly what a window moves on by

MOST_CHARACTERS: Final = MAX_WINDOWS * _CHARACTERS_A_WINDOW
"""Characters, times questions, that are not far too many to be read for one request."""

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
    folder: ServedFolder | None = None

    async def prepare(self, asked: AskIn | AskFolderIn) -> PreparedQuestions:
        """Look up what is read, and tokenise it, off the event loop.

        Raises:
            TooMuchError: if it makes more windows than one request may.
            OverloadedError: if what waits already would keep it waiting too long.
            DataError: if a question or all texts are empty.
            NotReadyError: if the folder's documents are gone.

        """
        loop = asyncio.get_running_loop()
        if asked.documents is None:
            folder = self.folder
            assert folder is not None  # or the form would not take a request without documents
            is_new = await folder.looked()
            self._check_room(asked, folder.characters_read(asked.passages, _CHARACTERS_A_WINDOW))
            return await loop.run_in_executor(self.threads, self._prepare_folder, asked, folder, is_new)
        documents = asked.documents
        n_passages = asked.passages if asked.passages is not None else AUTOMATIC_PASSAGES
        n_all = sum(len(document.text) for document in documents)
        self._check_room(asked, n_all if _reads_all(asked, n_all) else n_passages * _CHARACTERS_A_WINDOW)
        return await loop.run_in_executor(self.threads, self._prepare, asked, documents)

    def _check_room(self, asked: AskIn | AskFolderIn, n_characters: int) -> None:
        self.batcher.check_room(len(asked.questions) * n_characters // CHARACTERS_A_TOKEN)

    def _prepare(self, asked: AskIn | AskFolderIn, given: Sequence[DocumentIn]) -> PreparedQuestions:
        documents = tuple(Document(each.name, each.text, tuple(each.pages)) for each in given)
        as_documents({str(i): each.text for i, each in enumerate(documents)})
        n_characters = sum(len(document.text) for document in documents)
        passages = 0 if _reads_all(asked, n_characters) else asked.passages or AUTOMATIC_PASSAGES
        read = min(n_characters, passages * _CHARACTERS_A_WINDOW) if passages else n_characters
        _check_characters(asked, read)
        index = PassageIndex(documents) if passages else None
        return _checked(self.answerer.prepare(asked.questions, documents, index=index, passages=passages))

    def _prepare_folder(self, asked: AskIn | AskFolderIn, folder: ServedFolder, is_new: bool) -> PreparedQuestions:
        _check_characters(asked, folder.characters_read(asked.passages, _CHARACTERS_A_WINDOW))
        chosen = folder.choose(asked.questions, asked.passages, is_new=is_new)
        return _checked(self.answerer.prepare_chosen(asked.questions, chosen))

    async def answered(
        self, asked: AskIn | AskFolderIn, prepared: PreparedQuestions, job: Job, began: float
    ) -> Answered:
        """Wait for the model while there is time, then read the replies out of what it has read, off the event loop.

        Raises:
            OverloadedError, AnswerTimeoutError: if it has read nothing in that time.

        """
        until = began + self.limits.read_s
        outputs = await outputs_in_time(self.batcher, job, until, self.limits, _LESS)
        loop = asyncio.get_running_loop()
        replies = await loop.run_in_executor(self.threads, self.answerer.replies, prepared, outputs, asked.n_best)
        seconds_for_all = self._seconds_for_all(prepared, replies)
        return Answered(replies, outputs, prepared.documents, seconds_for_all, time.perf_counter() - began)

    def _seconds_for_all(self, prepared: PreparedQuestions, replies: Sequence[Reply]) -> float | None:
        """What reading all texts for all questions would take, reckoned from what the windows cut hold of them."""
        n_cut = sum(len(part.text) for part in prepared.parts)
        n_all = len(prepared.questions) * prepared.n_characters
        if all(reply.read_share >= 1 for reply in replies) or not n_cut:
            return None
        n_tokens = len(prepared.features.features.token_ids) * n_all / n_cut
        return self.batcher.seconds_for(int(n_tokens)) or None


@dataclass(frozen=True, slots=True)
class Answered:
    """Replies, the outputs that they were read out of, the documents that they count, and what they took."""

    replies: Sequence[Reply]
    outputs: Sequence[Output | None]
    documents: Sequence[Document]
    seconds_for_all: float | None
    seconds: float

    def as_out(self, asked: AskIn | AskFolderIn) -> RepliesOut:
        """As JSON."""
        n_read = sum(each is not None for each in self.outputs)
        of_folder = asked.documents is None
        return RepliesOut(
            replies=[reply_out(reply, self.documents, of_folder=of_folder) for reply in self.replies],
            seconds=self.seconds,
            complete=n_read == len(self.outputs),
            windows_read=n_read,
            windows=len(self.outputs),
            seconds_for_all=self.seconds_for_all,
        )


def _reads_all(asked: AskIn | AskFolderIn, n_characters: int) -> bool:
    return n_characters <= AUTOMATIC_CHARACTERS if asked.passages is None else asked.passages == 0


def _check_characters(asked: AskIn | AskFolderIn, n_characters: int) -> None:
    """Check that so many for each question are not far too many, before they are cut into windows.

    Raises:
        TooMuchError: if they are.

    """
    if len(asked.questions) * n_characters > MOST_CHARACTERS:
        raise _too_much()


def _checked(prepared: PreparedQuestions) -> PreparedQuestions:
    if len(prepared.features) > MAX_WINDOWS:
        raise _too_much()
    return prepared


def _too_much() -> TooMuchError:
    return TooMuchError(
        f"That is more than the {MAX_WINDOWS:,} windows that one request may take.",
        where="questions and documents",
        fix="ask fewer questions at once, or leave `passages` out so that only the likeliest passages are read",
    )


def serve(
    model: str,
    name: str,
    limits: Limits,
    batches: BatchSettings,
    settings: Mapping[str, Any],
    folder: ServedFolder | None = None,
) -> FastAPI:
    """What `distiltune serve` serves."""
    return model_app(load_apart(lambda: Answerer(model, **settings)), name, limits, batches, folder)


def question_answering_app(
    answerer: Answerer, name: str, limits: Limits, batches: BatchSettings, folder: ServedFolder | None = None
) -> Site:
    """The page and the API around one model, whole: with limits, health and metrics; arguments as `model_app`."""
    return Site({"": model_app(answerer, name, limits, batches, folder)}, limits)


def model_app(
    answerer: Answerer, name: str, limits: Limits, batches: BatchSettings, folder: ServedFolder | None = None
) -> FastAPI:
    """The routes and the page of one model.

    Args:
        answerer: who answers.
        name: what the model is called on the page.
        limits: what the server takes on.
        batches: how requests are put together.
        folder: asked where a request brings no documents; several models may have the same.

    """
    batcher = DynamicBatcher(answerer.loaded.model, batches, answerer.n_threads)
    service = Service(answerer, batcher, limits, ThreadPoolExecutor(2, "preparing"), folder)
    about_it = ModelOut(
        **about(name, "question-answering", answerer.notes, limits),
        labels=[],
        can_decline=answerer.null_threshold is not None,
        calibrated=answerer.is_calibrated,
        max_window_tokens=answerer.windows.max_length,
        folder_documents=None if folder is None else folder.n_documents,
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
    limits, folder = service.limits, service.folder

    @router.get("/model", summary="What answers, and what the server takes")
    async def model() -> ModelOut:
        return about_it if folder is None else about_it.model_copy(update={"folder_documents": folder.n_documents})

    _add_answers_route(router, service)
    _add_stream_route(router, service)
    if folder is not None:
        _add_folder_routes(router, service, folder)
    add_text_route(router, limits)
    add_corrections_route(router, limits, CORRECTABLE)
    return router


def _example(service: Service) -> dict[str, Any]:
    return json_example(_EXAMPLE if service.folder is None else {"questions": _EXAMPLE["questions"]})


def _add_answers_route(router: APIRouter, service: Service) -> None:
    limits = service.limits

    async def answers(asked: Any, request: Request) -> RepliesOut | HuggingFaceOut:
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
        return hugging_face_out(found.replies[0]) if isinstance(asked, HuggingFaceIn) else found.as_out(ours)

    answers.__annotations__["asked"] = Asked if service.folder is None else AskedOfFolder
    router.post(
        "/answers",
        summary="Ask questions about texts" if service.folder is None else "Ask questions about the folder, or texts",
        responses=PROBLEMS,
        dependencies=[Depends(json_only)],
        openapi_extra=_example(service),
    )(answers)


def _add_stream_route(router: APIRouter, service: Service) -> None:
    async def stream(asked: Any) -> StreamingResponse:
        began = time.perf_counter()
        async with in_time(service.limits, _LESS):
            prepared = await service.prepare(asked)
        job = service.batcher.submit(prepared.features.features)
        lines = _lines(service, asked, prepared, job, began)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    stream.__annotations__["asked"] = AskIn if service.folder is None else AskFolderIn
    router.post(
        "/answers/stream",
        summary="The same, with progress: one JSON object a line",
        dependencies=[Depends(json_only)],
        openapi_extra=_example(service),
        responses={
            **PROBLEMS,
            200: {
                "description": "Lines of kind `progress` (`read`, `of`, `seconds_left`), then one of kind `replies` or "
                "`problem`",
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            },
        },
        response_class=StreamingResponse,
    )(stream)


def _add_folder_routes(router: APIRouter, service: Service, folder: ServedFolder) -> None:
    """What there is in the folder. Names are looked up among those that are indexed: none is ever a path."""
    gone: dict[int | str, dict[str, Any]] = {
        503: {"model": ErrorBody, "description": "The folder is gone, or holds no document"}
    }

    @router.get("/documents", summary="The names of the documents in the folder, in order", responses=gone)
    async def documents(
        first: Annotated[int, Query(ge=0, description=f"Where to begin, from 0; at most {MAX_NAMES:,} are given.")] = 0,
    ) -> DocumentsOut:
        await folder.looked()
        names = await asyncio.get_running_loop().run_in_executor(service.threads, folder.names)
        return DocumentsOut(total=len(names), names=names[first : first + MAX_NAMES])

    @router.get(
        "/document",
        summary="A document of the folder, as answers count in it",
        responses={404: {"model": ErrorBody, "description": "There is none of that name, or not any more"}, **gone},
    )
    async def document(
        name: Annotated[str, Query(max_length=MAX_NAME, description="As an answer or /api/documents names it.")],
    ) -> DocumentTextOut:
        await folder.looked()
        return await asyncio.get_running_loop().run_in_executor(service.threads, _document_out, folder, name)


def _document_out(folder: ServedFolder, name: str) -> DocumentTextOut:
    return document_out(folder.document(name))


async def _lines(
    service: Service, asked: AskIn | AskFolderIn, prepared: PreparedQuestions, job: Job, began: float
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
