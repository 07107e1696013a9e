"""What services that read texts share: waiting for an answer, and the text of a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from distiltune.inference.certainty import CERTAINTIES
from distiltune.serving.batching import DynamicBatcher, Job, Output, OverloadedError
from distiltune.serving.corrections import Correctable, SavedOut
from distiltune.serving.files_to_text import TIMEOUT_S, file_to_text
from distiltune.serving.gate import Limits
from distiltune.serving.pace import Pace
from distiltune.serving.readers import KIND_OF_ENDING, FileKind
from distiltune.serving.server import PROBLEMS, AnswerTimeoutError, ErrorBody, WrongContentTypeError, json_only
from distiltune.version import __version__

NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85]"  # the last ones are white space in Python, not in JSON Schema's expressions

CHARACTERS_A_TOKEN: Final = 8
"""More than there are in any language on average: for what a text takes at least."""

_GONE_S: Final = 2.0  # how often it is checked whether who asked is still there
_PARSERS: Final = 2  # files that are parsed at once
_RETRY_AFTER_S: Final = 5  # an honest file takes less
_LONGEST_RETRY_S: Final = 60
_PACE_BYTES: Final = 2_000_000
_SAMPLE_TEXTS, _SAMPLE_WORDS = 16, 300

R = TypeVar("R")


class TextOut(BaseModel):
    """The text of a file."""

    text: str
    characters: int
    pages: Annotated[list[int], Field(description="Where each page begins, in code points; empty without pages.")]
    notes: Annotated[list[str], Field(description="What was left out or guessed, in sentences.")]


class AboutOut(BaseModel):
    """What answers, and what the server takes."""

    name: str
    task: str
    labels: Annotated[list[str], Field(description="What it can say; empty where that is a part of the text.")]
    version: Annotated[str, Field(description="Of distiltune.")]
    notes: list[str]
    can_decline: Annotated[bool, Field(description="Whether it may say that there is nothing to say.")]
    certainties: Annotated[
        dict[str, float], Field(description="Word for a confidence → the least, from 0 to 1, that it is said of.")
    ]
    takes_corrections: Annotated[bool, Field(description="Whether answers can be set right, by /api/corrections.")]
    max_body_bytes: int
    max_answer_seconds: float
    file_kinds: Annotated[dict[str, FileKind], Field(description="Ending of a file's name → its kind, for /api/text.")]


def about(name: str, task: str, notes: Sequence[str], limits: Limits) -> dict[str, Any]:
    """What is the same for every task in `AboutOut`."""
    return {
        "name": name,
        "task": task,
        "version": __version__,
        "notes": list(notes),
        "certainties": dict(CERTAINTIES),
        "takes_corrections": limits.corrections is not None,
        "max_body_bytes": limits.max_body_bytes,
        "max_answer_seconds": limits.answer_s,
        "file_kinds": dict(KIND_OF_ENDING),
    }


def json_example(example: Any) -> dict[str, Any]:
    """What adds an example of a route's body to its description."""
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


def sample_texts() -> list[str]:
    """Texts that a model reads before it is served, to learn how fast that is."""
    return ["word " * _SAMPLE_WORDS] * _SAMPLE_TEXTS


def load_apart(load: Callable[[], R]) -> R:
    """Load a model on a thread that ends, and its OpenMP threads with it: with those there would be too many later."""
    with ThreadPoolExecutor(1) as loading:
        return loading.submit(load).result()


async def unless_gone(request: Request, work: Awaitable[R]) -> R:
    """Do the work, unless whoever asked goes away meanwhile.

    Raises:
        AnswerTimeoutError: if they do.

    """
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=_GONE_S)
            if done:
                return task.result()
            if await request.is_disconnected():
                raise AnswerTimeoutError("Nobody waits for the answer any more.", fix="ask again")
    finally:
        task.cancel()


def took_too_long(limits: Limits, fix: str) -> AnswerTimeoutError:
    """The error for whoever still waits, who is told ``fix``."""
    return AnswerTimeoutError(f"The answer took over {limits.answer_s:g} s.", fix=fix)


@asynccontextmanager
async def in_time(limits: Limits, fix: str) -> AsyncIterator[None]:
    """Bound the time of what is done for an answer.

    Raises:
        AnswerTimeoutError: with ``fix``, if it takes longer than an answer may.

    """
    try:
        async with asyncio.timeout(limits.answer_s):
            yield
    except TimeoutError:
        raise took_too_long(limits, fix) from None


async def outputs_in_time(
    batcher: DynamicBatcher, job: Job, until: float, limits: Limits, fix: str
) -> list[Output | None]:
    """The model's outputs of a request's windows; None for those that it has not read when the time is up.

    Args:
        batcher: which reads them.
        job: the request's windows on their way.
        until: when the time is up, on the clock of `time.perf_counter`.
        limits: of the server.
        fix: what to do if it has read none.

    Raises:
        OverloadedError: if nothing has been read, and its turn has not come for half of the time: others took longer
            than was reckoned.
        AnswerTimeoutError: if nothing has been read though its turn had come.

    """
    try:
        async with asyncio.timeout(max(0.0, until - time.perf_counter())):
            return [*await asyncio.wrap_future(job.future)]
    except TimeoutError:
        outputs = job.stop()
        if any(each is not None for each in outputs):
            return outputs
        if job.taken_at > until - limits.read_s / 2:
            raise OverloadedError(batcher.retry_after()) from None
        raise took_too_long(limits, fix) from None


@dataclass(slots=True)
class _FileDesk:
    """Files in process, a share of all that is taken: how many, how many bytes, and how fast they are read."""

    limits: Limits
    n_files: int = 0
    n_bytes: int = 0
    pace: Pace = field(default_factory=lambda: Pace(_PACE_BYTES))
    parsers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PARSERS))

    @property
    def longest_wait_s(self) -> float:
        """How long a file may wait for its turn, so that there is time left to read it."""
        return max(self.limits.answer_s / 3, self.limits.answer_s - TIMEOUT_S)

    @contextmanager
    def taken(self, n_bytes: int) -> Iterator[None]:
        """Count a file in; a single one is never too large.

        Raises:
            OverloadedError: if there are too many already, or they will take too long.

        """
        too_many_bytes = self.n_files > 0 and self.n_bytes + n_bytes > self.limits.max_bytes // 2
        seconds = self.pace.seconds_for(self.n_bytes) / _PARSERS
        if self.n_files >= self.limits.max_files or too_many_bytes or seconds > self.longest_wait_s:
            raise OverloadedError(min(_LONGEST_RETRY_S, max(_RETRY_AFTER_S, round(seconds / 2))))
        self.n_files, self.n_bytes = self.n_files + 1, self.n_bytes + n_bytes
        try:
            yield
        finally:
            self.n_files, self.n_bytes = self.n_files - 1, self.n_bytes - n_bytes

    @asynccontextmanager
    async def turn(self, n_bytes: int) -> AsyncIterator[None]:
        """Wait for a parser, the oldest file first, and measure how long it is used.

        Raises:
            OverloadedError: if none is free in time to read the file in the time that an answer may take.

        """
        try:
            async with asyncio.timeout(self.longest_wait_s):
                await self.parsers.acquire()
        except TimeoutError:
            raise OverloadedError(_RETRY_AFTER_S) from None
        began = time.perf_counter()
        try:
            yield
        finally:
            self.parsers.release()
            self.pace.add(n_bytes, time.perf_counter() - began)


def add_text_route(router: APIRouter, limits: Limits) -> None:
    """Add the route that makes a text of a file; files have a quota of their own, so that they hold up no answer."""
    desk = _FileDesk(limits)

    @router.post(
        "/text",
        summary="The text of a file, whose kind is said: plain text, Markdown, HTML, PDF, docx, epub, CSV, JSON",
        responses=PROBLEMS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def text(request: Request, kind: Annotated[FileKind, Query(description="What kind of file.")]) -> TextOut:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise WrongContentTypeError(
                "The file came in a form.",
                where="header Content-Type",
                fix="send the file itself as the body: curl --data-binary @FILE",
            )
        content = await request.body()
        with desk.taken(len(content)):
            async with in_time(limits, fix="paste its text instead"):
                found = await unless_gone(request, file_to_text(content, kind, lambda: desk.turn(len(content))))
        return TextOut(text=found.text, characters=len(found.text), pages=list(found.pages), notes=list(found.notes))


def add_corrections_route(router: APIRouter, limits: Limits, correctable: Correctable) -> None:
    """Add the route that takes an answer set right, if the server has a file for these."""
    corrections = limits.corrections
    if corrections is None:
        return

    async def correct(correction: Any) -> SavedOut:
        rows = correctable.rows(correction)
        return SavedOut(saved=await asyncio.get_running_loop().run_in_executor(None, corrections.append, rows))

    correct.__annotations__ = {"correction": correctable.form, "return": SavedOut}
    router.post(
        "/corrections",
        summary="Set an answer right: it is appended to the server's file of corrections, for a training to come",
        responses={**PROBLEMS, 507: {"model": ErrorBody, "description": "It could not be written"}},
        dependencies=[Depends(json_only)],
        openapi_extra=json_example(dict(correctable.example)),
    )(correct)
