"""The command that serves models to others: serve."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distiltune.commands.naming import ModelOption
from distiltune.commands.options import place, settings_as_flags, used
from distiltune.commands.output import make_console, say
from distiltune.commands.searching import EncoderOption, IndexOption, Searching, SearchOption
from distiltune.errors import RecipeError
from distiltune.recipe.for_use import FOR_SERVING
from distiltune.recipe.recipe import Recipe

if TYPE_CHECKING:
    from distiltune.python.serve import ServingDocuments

ENVIRONMENT = "DISTILTUNE_SERVE"
"""Each flag can be given as an environment variable that begins so, as ``DISTILTUNE_SERVE_PORT``."""

_NAMED = re.compile(r"([A-Za-z0-9_-]+)=(.+)", re.DOTALL)


ModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="A run, a model directory, an exported ONNX folder, or a name on the hub; several as NAME=RUN, each "
        "served below its name.",
        metavar="RUN",
        envvar=f"{ENVIRONMENT}_RUNS",
        show_envvar=False,
    ),
]
HostOption = Annotated[str, typer.Option(help="Address to listen on; others than this machine need 0.0.0.0 or like.")]
PortOption = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on (0: any that is free).")]
KeyOption = Annotated[
    str, typer.Option(help="What requests to the API must bring, as `Authorization: Bearer KEY`.", show_default=False)
]
NoKeyOption = Annotated[
    bool, typer.Option("--no-api-key", help="Let everybody ask who can reach an address that others can.")
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(help="A name that requests may use for this server; on a loopback address others are refused."),
]
MetricsOption = Annotated[bool, typer.Option("--metrics-on-loopback", help="Let only this machine read /metrics.")]
BodyOption = Annotated[float, typer.Option(min=0.001, help="Largest request, in megabytes.")]
RequestsOption = Annotated[
    int, typer.Option(min=1, help="Most requests in process at once; files are a quarter of them.")
]
ConnectionsOption = Annotated[
    int, typer.Option(min=0, help="Most connections at once (0: what the system allows, at most 1,000).")
]
QueueOption = Annotated[int, typer.Option(min=1, help="Most tokens that wait for the model.")]
AnswerOption = Annotated[float, typer.Option(min=0.1, help="Longest time for an answer.")]
LogsOption = Annotated[
    bool, typer.Option("--json-logs", help="Say everything as JSON lines, and a line for each request.")
]


DocumentsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Let a folder, a file or a pattern be asked, with nothing to paste; repeatable.",
    ),
]
PassagesOption = Annotated[
    int, typer.Option(min=0, help="Passages of it read for a question (0: all of a small folder, 10 of others).")
]
CorrectionsOption = Annotated[
    Path | None,
    typer.Option(
        parser=place("--corrections"),
        metavar="FILE",
        help="Let answers be set right on the page, and append them, with their texts, to this file, as `right.jsonl`, "
        "which `train` reads. Without it nothing is stored.",
    ),
]


@settings_as_flags(*FOR_SERVING, "encoding")
def serve(
    context: typer.Context,
    models: ModelsArgument = None,
    model: ModelOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8_000,
    api_key: KeyOption = "",
    no_api_key: NoKeyOption = False,
    allow_host: AllowHostOption = None,
    metrics_on_loopback: MetricsOption = False,
    max_body_mb: BodyOption = 8.0,
    max_requests: RequestsOption = 256,
    max_connections: ConnectionsOption = 0,
    max_queued_tokens: QueueOption = 600_000,
    answer_seconds: AnswerOption = 60.0,
    json_logs: LogsOption = False,
    corrections: CorrectionsOption = None,
    documents: DocumentsOption = None,
    search: SearchOption = "auto",
    encoder: EncoderOption = None,
    index: IndexOption = None,
    passages: PassagesOption = 0,
    **settings: Any,
) -> None:
    """Serve a page and a JSON API: questions about texts answered, texts classified, or entities marked in them.

    Each flag can be an environment variable, such as `DISTILTUNE_SERVE_PORT`; SIGHUP loads the models again.

    Example: `distiltune serve runs/mine --port 8000`
    """
    named = [*(models or []), *([model] if model is not None else [])]
    if not named:
        raise RecipeError("No model is named.", fix="name it first, or with --model: distiltune serve MODEL")
    from distiltune.python.serve import ServingAccess, ServingLimits, serve_until_stopped

    if json_logs:
        _log_as_json()
    console = make_console()

    def note(text: str) -> None:
        if json_logs:
            logging.getLogger("distiltune.serving.notes").info(text)
        else:
            say(console, text)

    if unknown := unknown_variables(os.environ, [each.name for each in context.command.params if each.name]):
        note(f"no flag has these environment variables, which do nothing: {', '.join(unknown)}")
    limits = ServingLimits(max_body_mb, max_requests, max_queued_tokens, answer_seconds, max_connections, corrections)
    access = ServingAccess(tuple(allow_host or ()), api_key, no_api_key, metrics_on_loopback)
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    searching = Searching(search, encoder, index, given.get("threads", 0))
    asked = _documents(documents or [], passages, given.pop("encoding", ""), searching, note)
    serve_until_stopped(by_name(named), (host, port), limits, access, note, given, asked)


def _documents(
    documents: list[str], passages: int, encoding: str, searching: Searching, note: Callable[[str], None]
) -> ServingDocuments | None:
    """What opens the documents, once all else is known to be right.

    Raises:
        RecipeError: if flags do not go together, or say how documents are read where there are none.

    """
    from distiltune.python.serve import ServingDocuments

    idle = searching.given() | ({"--passages"} if passages else set()) | ({"--encoding"} if encoding else set())
    if not documents and idle:
        raise RecipeError(
            "There are no documents to search.", where=", ".join(sorted(idle)), fix="name them: --documents FOLDER"
        )
    searching.check(documents, passages)
    return ServingDocuments(lambda: searching.open(documents, encoding, note), passages) if documents else None


def by_name(models: Iterable[str]) -> dict[str, str]:
    """Models by the names that they are served below: ``NAME=RUN``, or one alone without a name.

    Raises:
        RecipeError: if a name is given twice.

    """
    found: dict[str, str] = {}
    for each in models:
        match = None if Path(each).exists() else _NAMED.fullmatch(each)
        name, model = match.groups() if match else ("", each)
        if name in found:
            what = f"Two models are called {name!r}." if name else "Several models are served below a name each."
            raise RecipeError(what, where="RUN", fix="give them as NAME=RUN, each with a name of its own")
        found[name] = model
    return found


def unknown_variables(environment: Iterable[str], flags: Iterable[str]) -> list[str]:
    """The environment variables that look like a flag of `serve` and are none."""
    known = {f"{ENVIRONMENT}_{flag.upper()}" for flag in flags} | {f"{ENVIRONMENT}_RUNS"}
    return sorted(name for name in environment if name.startswith(f"{ENVIRONMENT}_") and name not in known)


class _AsJson(logging.Formatter):
    """A line of JSON for each record: when, how grave, what; of a request what it came to."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        said: Mapping[str, Any] = getattr(record, "said", {})
        line = {"time": f"{when}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        return json.dumps({**line, "message": record.getMessage(), **said}, ensure_ascii=False)


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_AsJson())
    logging.getLogger().addHandler(handler)
    logging.getLogger("distiltune.serving").setLevel(logging.INFO)
