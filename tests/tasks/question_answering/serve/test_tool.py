"""The tool asked by the protocol's own client: in this process, and over standard input and output."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from distiltune.errors import ModelError
from distiltune.system.background import in_background
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.search.folder import Folder
from distiltune.tasks.question_answering.serve.tool import make_tool_server
from tests.helpers import people

mcp = pytest.importorskip("mcp", reason="needs the extra `mcp`")


ABOUT = {each.context.split()[0]: each.context for each in people().examples}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("ada", "bob"):
        (folder / f"{name}.txt").write_text(ABOUT[name])
    return folder


async def asked(server: Any, *questions: str) -> list[Any]:
    async with mcp.Client(server) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["ask_documents"]
        return [await client.call_tool("ask_documents", {"question": each}) for each in questions]


def test_it_answers_from_the_folder_as_it_is_now(people_model: Path, docs: Path, tmp_path: Path) -> None:
    folder = Folder(docs, search="words", index=tmp_path / "index.sqlite")
    server = make_tool_server(in_background(lambda: (Answerer(people_model, threads=1), folder), "opening"), passages=1)
    first, empty = asyncio.run(asked(server, "what likes ada", "  "))
    said = first.structured_content
    assert said["answer"]["text"] == "chess"
    assert Path(said["answer"]["document"]).name == "ada.txt"
    assert said["answer"]["line"] == 1
    assert "1 of 2 passages were read, the likeliest by words." in said["notes"]
    assert empty.is_error
    assert "ask something" in empty.content[0].text
    (docs / "ada.txt").write_text(ABOUT["cem"])
    (again,) = asyncio.run(asked(server, "what likes cem"))
    assert again.structured_content["answer"]["text"] == "jazz"
    assert "index: 0 documents new, 1 changed, 0 gone, 1 as before" in again.structured_content["notes"]


def test_it_introduces_itself_before_the_folder_is_open(people_model: Path, docs: Path, tmp_path: Path) -> None:
    opened: Future[tuple[Answerer, Folder]] = Future()

    async def spoken() -> Any:
        async with mcp.Client(make_tool_server(opened)) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["ask_documents"]
            folder = Folder(docs, search="words", index=tmp_path / "index.sqlite")
            opened.set_result((Answerer(people_model, threads=1), folder))
            return await client.call_tool("ask_documents", {"question": "what likes bob"})

    assert asyncio.run(spoken()).structured_content["answer"]["text"] == "golf"


def test_what_is_wrong_with_the_model_is_the_answer() -> None:
    opened: Future[tuple[Answerer, Folder]] = Future()
    opened.set_exception(ModelError("No model lies there.", fix="train one"))
    (reply,) = asyncio.run(asked(make_tool_server(opened), "who?"))
    assert reply.is_error
    assert "No model lies there." in reply.content[0].text


def test_the_command_speaks_it_on_standard_input_and_output(people_model: Path, docs: Path, tmp_path: Path) -> None:
    arguments = ["-m", "distiltune", "mcp", str(people_model), "--documents", str(docs), "--threads", "1"]
    arguments += ["--index", str(tmp_path / "index.sqlite"), "--search", "words", "--passages", "1"]
    start = mcp.StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
    (reply,) = asyncio.run(asked(start, "what likes bob"))
    assert reply.structured_content["answer"]["text"] == "golf"
