"""Questions about a folder as a tool that assistants call: the Model Context Protocol, by its own library."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from distiltune.errors import DistiltuneError, install_extra
from distiltune.inference.certainty import certainty
from distiltune.tasks.question_answering.answerer import Answerer, Reply
from distiltune.tasks.question_answering.search.folder import Folder
from distiltune.version import __version__

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

_OTHERS: Final = 3
_ABOUT: Final = (
    "Answer a question from the user's own documents. The answer is a stretch of one of them, word for word, with its "
    "place; ask one plain question at a time, in the words of the documents."
)


class Found(BaseModel):
    """A stretch of a document that may answer."""

    text: str
    document: str
    line: int = Field(description="Line of the document that it begins on, from 1.")
    sentence: str = Field(description="The sentence around it.")
    confidence: float = Field(description="From 0 to 1.")


class ToolReply(BaseModel):
    """What the documents say to a question."""

    answer: Found | None = Field(description="None: the documents do not tell.")
    sure: str = Field(description="How sure the model is, in words.")
    others: list[Found] = Field(description="Other candidates, the likeliest first.")
    notes: list[str]


def make_tool_server(opened: Future[tuple[Answerer, Folder]], passages: int = 0) -> MCPServer:
    """A server with the one tool ``ask_documents``; what has changed in the folder is indexed before each answer.

    It can be spoken to while model and folder are still being opened, since assistants give up a server that does not
    introduce itself: the first question waits for them, and has what was wrong with them for its answer.

    Raises:
        DistiltuneError: if the library is not installed.

    """
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
    except ImportError as error:
        fix = f"install it: {install_extra('mcp')}"
        raise DistiltuneError("Serving a tool needs the library mcp.", fix=fix) from error
    one_at_a_time = threading.Lock()
    server = MCPServer("distiltune", version=__version__, log_level="WARNING")

    @server.tool(description=_ABOUT)
    def ask_documents(question: str) -> ToolReply:
        try:
            with one_at_a_time:
                answerer, folder = opened.result()
                folder.refresh()
                return _as_out(answerer(question, folder, n_best=1 + _OTHERS, passages=passages), folder.notes)
        except DistiltuneError as error:
            raise ToolError(str(error)) from error

    return server


def _as_out(reply: Reply, notes: tuple[str, ...]) -> ToolReply:
    found = [
        Found(
            text=each.text,
            document=each.document_name,
            line=each.line,
            sentence=each.sentence,
            confidence=each.confidence,
        )
        for each in reply.candidates
    ]
    is_answered = reply.answer is not None
    sure = certainty(found[0].confidence if is_answered else reply.no_answer_confidence)
    return ToolReply(
        answer=found[0] if is_answered else None,
        sure=sure,
        others=found[1:] if is_answered else found,
        notes=[*notes, *reply.notes],
    )
