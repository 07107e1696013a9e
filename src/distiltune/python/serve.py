"""Serving a model: a page and a JSON API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from distiltune.errors import DistiltuneError, install_extra
from distiltune.python.settings import ServingSettings
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_SERVING, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.system.names import as_name


@dataclass(frozen=True, slots=True)
class ServingLimits:
    """What a server takes at most.

    Attributes:
        max_body_mb: largest request, in megabytes.
        max_requests: most requests in process at once; files are a quarter of them.
        max_queued_tokens: most tokens that wait for the model.
        answer_seconds: longest time for an answer.
        allow_hosts: names that requests may use for this server; on a loopback address others are refused.

    """

    max_body_mb: float = 8.0
    max_requests: int = 256
    max_queued_tokens: int = 600_000
    answer_seconds: float = 60.0
    allow_hosts: tuple[str, ...] = ()


@in_python
def serve(
    model: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8_000,
    limits: ServingLimits | None = None,
    on_note: Callable[[str], None] = print,
    **settings: Unpack[ServingSettings],
) -> None:
    """Serve a page and a JSON API until SIGINT or SIGTERM (needs the extra `serve`); in the main thread.

    Args:
        model: a run, a model directory, an exported ONNX folder, or a name on the hub.
        host: address to listen on; others than this machine need ``0.0.0.0`` or like.
        port: port to listen on (0: any that is free).
        limits: what it takes at most.
        on_note: told where it is served, and what is remarkable about the model.
        **settings: how texts are read; those that would do nothing are refused.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    check_does_something(settings, FOR_SERVING, "serve", "")
    serve_until_stopped(as_name(model, "model"), (host, port), limits or ServingLimits(), on_note, settings)


def serve_until_stopped(
    model: str,
    address: tuple[str, int],
    limits: ServingLimits,
    on_note: Callable[[str], None],
    settings: Mapping[str, Any],
) -> None:
    """Serve a model at ``(host, port)``; ``settings`` are those that somebody gave.

    Raises:
        DistiltuneError: if a library, the model or the address cannot be had, or a setting is another task's.

    """
    Recipe.build(settings)  # which says what is wrong with a value
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise DistiltuneError(
            f"Serving needs the library {error.name}.", fix=f"install it: {install_extra('serve')}"
        ) from error
    from distiltune.recipe.choose_task import entry_of_model
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits
    from distiltune.serving.server import run, served_names

    host, port = address
    max_body_bytes = int(limits.max_body_mb * 1e6)
    gate = Limits(
        max_body_bytes=max_body_bytes,
        max_requests=limits.max_requests,
        max_bytes=max(64_000_000, max_body_bytes),
        answer_s=limits.answer_seconds,
        hosts=served_names(host, limits.allow_hosts),
    )
    entry = entry_of_model(model)
    Recipe.build({**settings, "task": entry.name}).check_used(settings)
    path = Path(model).resolve()
    name = (path.parent.name if path.name == "model" else path.name) if path.exists() else model
    batches = BatchSettings(max_queued_tokens=limits.max_queued_tokens)
    app = entry.needed(entry.server)(model, name, gate, batches, {"precision": "auto", **settings})
    for note in app.state.notes:
        on_note(note)
    run(app, host, port, gate, lambda url: on_note(f"serving {name} at {url} (stop with Ctrl-C)"))
