"""The command that lets an assistant ask about documents: mcp."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Final

import typer

from distiltune.commands.naming import ModelOption, OneModel, only_model
from distiltune.commands.options import settings_as_flags, used
from distiltune.commands.searching import EncoderOption, IndexOption, Searching, SearchOption
from distiltune.recipe.recipe import Recipe

_PATIENCE_S: Final = 5.0
"""What is wrong with model or documents ends the command if it shows so soon; later the first question is told."""


@settings_as_flags("encoding", "null_threshold", "threads")
def mcp(
    documents: Annotated[
        list[str], typer.Option("--documents", metavar="PATH", help="A folder, a file or a pattern; repeatable.")
    ],
    named: OneModel = None,
    model: ModelOption = None,
    search: SearchOption = "auto",
    encoder: EncoderOption = None,
    index: IndexOption = None,
    passages: Annotated[int, typer.Option(min=0, help="Passages read for a question (0: as `ask` does).")] = 0,
    **settings: Any,
) -> None:
    """Let an assistant ask about documents: a tool of the Model Context Protocol on standard input and output.

    Example: `distiltune mcp starter-qa --documents handbooks`
    """
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    encoding, threads = given.pop("encoding", ""), given.get("threads", 0)
    model = only_model(named, model, "distiltune mcp MODEL --documents FOLDER")
    from distiltune.system.background import in_background
    from distiltune.tasks.question_answering.answerer import Answerer
    from distiltune.tasks.question_answering.serve.tool import make_tool_server

    searching = Searching(search, encoder, index, threads)
    opened = in_background(lambda: (Answerer(model, **given), searching.open(documents, encoding)), "opening")
    with suppress(TimeoutError):
        opened.result(_PATIENCE_S)
    make_tool_server(opened, passages).run("stdio")
