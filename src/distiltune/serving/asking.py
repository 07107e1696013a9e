"""What services that read texts share: waiting for an answer, and the text of a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from distiltune.serving.batching import OverloadedError
from distiltune.serving.files_to_text import FileKind, file_to_text
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, AnswerTimeoutError

NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85]"  # the last ones are white space in Python, not in JSON Schema's expressions

_GONE_S: Final = 2.0  # how often it is checked whether who asked is still there
_PARSERS: Final = 2  # files that are parsed at once
_RETRY_AFTER_S: Final = 5  # an honest file takes less

R = TypeVar("R")


class TextOut(BaseModel):
    """The text of a file."""

    text: str
    characters: int


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


@dataclass(slots=True)
class _FileQuota:
    """How many files are in process, and how many bytes they have: a share of what the server takes on at all."""

    limits: Limits
    n_files: int = 0
    n_bytes: int = 0

    @contextmanager
    def taken(self, n_bytes: int) -> Iterator[None]:
        """Count a file in; a single one is never too large.

        Raises:
            OverloadedError: if there are too many already.

        """
        too_many_bytes = self.n_files > 0 and self.n_bytes + n_bytes > self.limits.max_bytes // 2
        if self.n_files >= self.limits.max_files or too_many_bytes:
            raise OverloadedError(_RETRY_AFTER_S)
        self.n_files, self.n_bytes = self.n_files + 1, self.n_bytes + n_bytes
        try:
            yield
        finally:
            self.n_files, self.n_bytes = self.n_files - 1, self.n_bytes - n_bytes


def add_text_route(router: APIRouter, limits: Limits) -> None:
    """Add the route that makes a text of a file; files have a quota of their own, so that they hold up no answer."""
    quota, parsers = _FileQuota(limits), asyncio.Semaphore(_PARSERS)

    @router.post(
        "/text",
        summary="The text of a file: plain text or Markdown, HTML, PDF",
        responses=PROBLEMS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def text(request: Request, kind: Annotated[FileKind, Query(description="What kind of file.")]) -> TextOut:
        content = await request.body()
        with quota.taken(len(content)):
            async with in_time(limits, fix="paste its text instead"):
                found = await unless_gone(request, file_to_text(content, kind, parsers))
        return TextOut(text=found, characters=len(found))
