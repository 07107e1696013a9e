"""What services that read texts share: waiting for an answer, and the text of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from distiltune.serving.files_to_text import FileKind, file_to_text
from distiltune.serving.gate import Limits
from distiltune.serving.server import PROBLEMS, AnswerTimeoutError

NOT_BLANK: Final = r"[^\s\x1c-\x1f\x85]"  # the last ones are white space in Python, not in JSON Schema's expressions

_GONE_S: Final = 2.0  # how often it is checked whether who asked is still there

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
                raise AnswerTimeoutError("Nobody waits for the answer any more.")
    finally:
        task.cancel()


def took_too_long(limits: Limits) -> AnswerTimeoutError:
    """The error for whoever still waits."""
    return AnswerTimeoutError(
        f"The answer took over {limits.answer_s:g} s.", fix="send less text, or have only some passages read"
    )


def add_text_route(router: APIRouter, threads: ThreadPoolExecutor) -> None:
    """Add the route that makes a text of a file; ``threads`` are its own, so that slow files hold up no answer."""

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
        found = await asyncio.get_running_loop().run_in_executor(threads, file_to_text, content, kind)
        return TextOut(text=found, characters=len(found))
