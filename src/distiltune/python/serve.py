"""Serving a model: a page and a JSON API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from distiltune.errors import DistiltuneError, RecipeError, install_extra
from distiltune.progress import counted
from distiltune.python.settings import ServingSettings
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_SERVING, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.system.names import as_name, described

if TYPE_CHECKING:
    from distiltune.serving.gate import Limits
    from distiltune.tasks.question_answering.search.folder import Folder
    from distiltune.tasks.question_answering.serve.served_folder import ServedFolder


@dataclass(frozen=True, slots=True)
class ServingLimits:
    """What a server takes.

    Attributes:
        max_body_mb: largest request, in megabytes.
        max_requests: most requests in process at once; files are a quarter of them.
        max_queued_tokens: most tokens that wait for the model.
        answer_seconds: longest time for an answer; what has been read by then is answered from, and requests that would
            wait longer than three quarters of it are refused when they come.
        max_connections: most connections at once; 0: as many as the system lets the process have, at most 1,000.
        corrections: a file, as ``right.jsonl``, that answers set right on the page are appended to, in the form that
            training reads; None: they are not taken, and nothing is stored.

    """

    max_body_mb: float = 8.0
    max_requests: int = 256
    max_queued_tokens: int = 600_000
    answer_seconds: float = 60.0
    max_connections: int = 0
    corrections: str | Path | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= least:
                raise RecipeError(
                    f"{name} is {described(value)}; it must be a number of at least {least:,}.",
                    where=f"ServingLimits: {name}",
                    fix=f"give {least:,} or more, or leave it out",
                )


_LEAST: Final = {
    "max_body_mb": 0.001,
    "max_requests": 1,
    "max_queued_tokens": 1,
    "answer_seconds": 0.1,
    "max_connections": 0,
}
"""The least that each limit may be; the flags have the same bounds."""

_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class ServingAccess:
    """Who may ask a server.

    Attributes:
        allow_hosts: names that requests may use for this server; on a loopback address others are refused.
        api_key: what requests to the API must bring as ``Authorization: Bearer KEY``; empty: nothing.
        no_api_key: whether everybody who can reach it may ask, to be said for an address that others can reach.
        metrics_on_loopback: whether only this machine may read ``/metrics``.

    """

    allow_hosts: tuple[str, ...] = ()
    api_key: str = field(default="", repr=False)
    no_api_key: bool = False
    metrics_on_loopback: bool = False


@dataclass(frozen=True, slots=True)
class ServingDocuments:
    """Documents that are asked where a request brings none.

    Attributes:
        open: what finds them and brings their index up to date, which is done when all else is known to be right.
        passages: how many are read for a question; 0: as the folder finds right.

    """

    open: Callable[[], Folder]
    passages: int = 0


@in_python
def serve(
    model: str | Path | Mapping[str, str | Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8_000,
    limits: ServingLimits | None = None,
    access: ServingAccess | None = None,
    documents: str | Path | Sequence[str | Path] | Folder | None = None,
    passages: int = 0,
    on_note: Callable[[str], None] = print,
    **settings: Unpack[ServingSettings],
) -> None:
    """Serve a page and a JSON API until SIGINT or SIGTERM (needs the extra `serve`); in the main thread.

    On SIGHUP, where the system has that, the models are loaded again, and no request is lost.

    Args:
        model: a run, a model directory, an exported ONNX folder, or a name on the hub; or several, each by the path
            that it is to be found below, as in ``{"qa": "runs/a", "mood": "runs/b"}``.
        host: address to listen on; others than this machine need ``0.0.0.0`` or like.
        port: port to listen on (0: any that is free).
        limits: what it takes.
        access: who may ask.
        documents: a `Folder`, or what one is made of: a folder, a file, a pattern or several. They are asked where a
            request brings no texts, and the page opens with them; of several models each asks them that answers
            questions.
        passages: how many of their passages are read for a question; 0: all of a small folder, 10 of others.
        on_note: told where it is served, and what is remarkable about the model.
        **settings: how texts are read; those that would do nothing are refused.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    check_does_something(settings, FOR_SERVING, "serve", "")
    if not 0 <= port <= _MAX_PORT:
        raise RecipeError(f"There is no port {port}.", where="port=", fix=f"give a number from 0 to {_MAX_PORT:,}")
    models = model if isinstance(model, Mapping) else {"": model}
    if documents is None and passages:
        raise RecipeError("Nothing is searched.", where="--passages", fix="name what is: documents=FOLDER")
    serve_until_stopped(
        {name: as_name(each, "model") for name, each in models.items()},
        (host, port),
        limits or ServingLimits(),
        access or ServingAccess(),
        on_note,
        settings,
        None if documents is None else ServingDocuments(partial(_opened, documents, on_note), passages),
    )


def serve_until_stopped(
    models: Mapping[str, str],
    address: tuple[str, int],
    limits: ServingLimits,
    access: ServingAccess,
    on_note: Callable[[str], None],
    settings: Mapping[str, Any],
    documents: ServingDocuments | None = None,
) -> None:
    """Serve models, by the paths that they are below, at ``(host, port)``; ``settings`` are those that somebody gave.

    Raises:
        DistiltuneError: if a library, a model or the address cannot be had, nobody said who may ask, a name cannot be a
            path, or a setting is another task's.

    """
    Recipe.build(settings)  # which says what is wrong with a value
    check_installed("Serving")
    check_no_loop("Serving")
    from distiltune.serving.access import is_loopback
    from distiltune.serving.listening import run
    from distiltune.serving.site import Site, check_paths

    check_paths(models)
    if documents is not None:
        _check_who_asks(models, on_note)
    if limits.corrections is not None:
        _check_one_task(models)
    host = address[0]
    if not is_loopback(host):
        _check_said_who_may_ask(host, access)
        if not access.allow_hosts:
            on_note("it answers by any name; --allow-host names those that it is to answer by")
    gate = _gate(host, limits, access, on_note)
    folder = None if documents is None else _served(documents, on_note)
    load = partial(_load_all, models, gate, limits, settings, folder)
    site = Site(load(), gate)
    for note in site.notes:
        on_note(note)
    names = ", ".join(f"{name}={model}" if name else _shown(model) for name, model in models.items())

    def say_ready(url: str) -> None:
        on_note(f"serving {names} at {url} (stop with Ctrl-C)")

    run(site, address, say_ready, lambda: site.exchange(load()), on_note)


def _gate(host: str, limits: ServingLimits, access: ServingAccess, on_note: Callable[[str], None]) -> Limits:
    """What the server takes on and from whom; a file for corrections is tried."""
    from distiltune.serving.access import Access
    from distiltune.serving.corrections import CorrectionsFile
    from distiltune.serving.gate import Limits
    from distiltune.serving.listening import connections_that_fit, served_names

    corrections = None if limits.corrections is None else CorrectionsFile(Path(limits.corrections))
    if corrections is not None:
        corrections.check()
        on_note(f"answers set right on the page are appended to {corrections.path}, with the texts that they are of")
    max_body_bytes = int(limits.max_body_mb * 1e6)
    n_connections = connections_that_fit(limits.max_connections)
    n_requests = min(limits.max_requests, max(1, n_connections * 3 // 4))
    if n_requests < limits.max_requests:
        on_note(f"{n_requests} requests at once are taken, as the system allows {n_connections} connections")
    return Limits(
        max_body_bytes=max_body_bytes,
        max_requests=n_requests,
        max_bytes=max(64_000_000, max_body_bytes),
        answer_s=limits.answer_seconds,
        max_connections=n_connections,
        access=Access(served_names(host, access.allow_hosts), access.api_key, access.metrics_on_loopback),
        corrections=corrections,
    )


def _opened(documents: str | Path | Sequence[str | Path] | Folder, on_note: Callable[[str], None]) -> Folder:
    """The folder, with what there is to say of its files said; one that is open already has told whoever opened it."""
    from distiltune.tasks.question_answering.search.folder import Folder

    if isinstance(documents, Folder):
        return documents
    folder = Folder(documents)
    for note in folder.notes:
        on_note(note)
    return folder


def _check_who_asks(models: Mapping[str, str], on_note: Callable[[str], None]) -> None:
    """Check that one of the models asks documents; of those that do not it is said.

    Raises:
        RecipeError: if none does.

    """
    from distiltune.recipe.choose_task import entry_of_model

    entries = {name: entry_of_model(model) for name, model in models.items()}
    others = {name: entry.name for name, entry in entries.items() if not entry.asks_documents}
    if len(others) == len(models):
        raise RecipeError(
            f"Documents are asked by models that answer questions, and this is one for {', '.join(others.values())}.",
            where="--documents",
            fix="leave it out, or serve a model that answers questions, such as starter-qa",
        )
    for name, task in others.items():
        on_note(f"{name}: does not ask the documents, as it is for {task}; it is served as without them")


def _served(documents: ServingDocuments, on_note: Callable[[str], None]) -> ServedFolder:
    """The folder, ready to be asked; how much there is of it is said.

    Raises:
        RecipeError: if everything is to be read for each question, and that is more than a request may ask for.

    """
    from distiltune.tasks.question_answering.serve.served_folder import ServedFolder
    from distiltune.tasks.question_answering.serve.service import MOST_CHARACTERS

    folder = documents.open()
    if folder.way == "all" and folder.n_characters > MOST_CHARACTERS:
        raise RecipeError(
            f"The documents have {folder.n_characters:,} characters, and at most {MOST_CHARACTERS:,} are read at once.",
            where="--search",
            fix="leave it out, so that the likeliest passages are read",
        )
    on_note(f"{counted(folder.n_documents, 'document')} can be asked, of {folder.n_characters:,} characters")
    return ServedFolder(folder, documents.passages, on_note)


def _load_all(
    models: Mapping[str, str],
    gate: Any,
    limits: ServingLimits,
    settings: Mapping[str, Any],
    folder: ServedFolder | None,
) -> dict[str, Any]:
    return {name: _load(name, model, gate, limits, settings, folder) for name, model in models.items()}


def _load(
    name: str,
    model: str,
    gate: Any,
    limits: ServingLimits,
    settings: Mapping[str, Any],
    folder: ServedFolder | None,
) -> Any:
    """The application of a model, which has read a little, so that it is known how fast that is."""
    from distiltune.recipe.choose_task import entry_of_model
    from distiltune.serving.batching import RECKONED_SHARE, BatchSettings

    entry = entry_of_model(model)
    Recipe.build({**settings, "task": entry.name}).check_used(settings)
    batches = BatchSettings(
        max_queued_tokens=limits.max_queued_tokens, max_reckoned_s=RECKONED_SHARE * limits.answer_seconds
    )
    given = (model, name or _shown(model), gate, batches, {"precision": "auto", **settings})
    app = entry.needed(entry.server)(*given, *((folder,) if entry.asks_documents else ()))
    app.state.batcher.warm_up(app.state.sample())
    return app


def _shown(model: str) -> str:
    """What a model is called on the page."""
    path = Path(model).resolve()
    return (path.parent.name if path.name == "model" else path.name) if path.exists() else model


def check_installed(what: str) -> None:
    """Check that the libraries of the extra `serve` are there.

    Raises:
        DistiltuneError: naming the one that is not, and who needs it.

    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise DistiltuneError(
            f"{what} needs the library {error.name}.", fix=f"install it: {install_extra('serve')}"
        ) from error


def check_no_loop(what: str) -> None:
    """Check that the thread has no event loop that runs, as a notebook's has: a server needs its own.

    Raises:
        DistiltuneError: if it has one.

    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise DistiltuneError(
        f"{what} needs an event loop of its own, and one runs here already, as in a notebook.",
        fix="start it in a terminal, or in a process of its own; in a cell the model itself can be asked",
    )


def _check_one_task(models: Mapping[str, str]) -> None:
    if len(models) > 1:
        raise RecipeError(
            "Corrections of several models would stand in one file, which no training could read.",
            where="--corrections",
            fix="serve the model whose answers are to be set right by itself",
        )


def _check_said_who_may_ask(host: str, access: ServingAccess) -> None:
    if access.api_key and access.no_api_key:
        raise RecipeError("A key and none were asked for.", where="--api-key, --no-api-key", fix="give one of the two")
    if not access.api_key and not access.no_api_key:
        raise RecipeError(
            f"Others can reach {host}, and it is not said who may ask.",
            where="--host",
            fix="give --api-key KEY, better in the environment as DISTILTUNE_SERVE_API_KEY, or --no-api-key",
        )
