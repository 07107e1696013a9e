"""Commands that put a model to work: evaluate, predict, serve; `ask` is in `commands.asking`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.naming import (
    DataOption,
    ModelAndData,
    ModelOption,
    OneModel,
    all_data,
    model_and_rest,
    only_model,
)
from distiltune.commands.options import JsonOption, place, settings_as_flags, used
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.recipe.for_use import FOR_PREDICTING, FOR_SERVING, FOR_USE
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS


@settings_as_flags(*FOR_USE)
def evaluate(
    named: ModelAndData = None,
    model: ModelOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Measure a model: its loss and its task's scores, such as the official exact match and F1 of answers.

    Example: `distiltune evaluate runs/mine dev.json`
    """
    usage = "distiltune evaluate MODEL DATA"
    model, rest = model_and_rest(named, model, usage)
    sources = all_data(rest, data, usage)
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    from distiltune.report.console import counting
    from distiltune.runs.evaluate import evaluate as run

    console = make_console()
    with counting(error_console() if as_json else console, "evaluating", "examples") as on_progress:
        result = run(model, sources, on_progress=on_progress, **given)
    if as_json:
        say_json(result.as_json())
        return
    for note in result.notes:
        say(console, note)
    for name, value in result.metrics.items():
        say(
            console,
            f"{name.replace('_', ' '):<28} {value:.4f}" if value % 1 else f"{name.replace('_', ' '):<28} {value:.0f}",
        )


@settings_as_flags(*FOR_PREDICTING)
def predict(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="Directory for the predictions and rejected.jsonl.",
        ),
    ],
    named: ModelAndData = None,
    model: ModelOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Predict every example of a data set: of questions the official predictions file, and the n-best list beside it.

    Example: `distiltune predict runs/mine questions.jsonl --output answers`
    """
    usage = "distiltune predict MODEL DATA --output DIRECTORY"
    model, rest = model_and_rest(named, model, usage)
    sources = all_data(rest, data, usage)
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    from distiltune.report.console import counting
    from distiltune.runs.evaluate import predict as run

    console = make_console()
    with counting(error_console() if as_json else console, "predicting", "examples") as on_progress:
        result = run(model, sources, output, on_progress=on_progress, **given)
    if as_json:
        say_json(result.as_json())
        return
    for note in result.notes:
        say(console, note)
    written = ", ".join(map(str, result.written))
    say(console, f"{result.n_examples:,} {TASKS[result.task].examples_predicted}: {written}")


@settings_as_flags(*FOR_SERVING)
def serve(
    named: OneModel = None,
    model: ModelOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine need 0.0.0.0 or like.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on (0: any that is free).")] = 8_000,
    max_body_mb: Annotated[float, typer.Option(min=0.001, help="Largest request, in megabytes.")] = 8.0,
    max_requests: Annotated[
        int, typer.Option(min=1, help="Most requests in process at once; files are a quarter of them.")
    ] = 256,
    max_queued_tokens: Annotated[int, typer.Option(min=1, help="Most tokens that wait for the model.")] = 600_000,
    answer_seconds: Annotated[float, typer.Option(min=0.1, help="Longest time for an answer.")] = 60.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that requests may use for this server; on a loopback address others are refused."),
    ] = None,
    **settings: Any,
) -> None:
    """Serve a page and a JSON API: questions about texts answered, texts classified, or entities marked in them.

    Example: `distiltune serve runs/mine --port 8000`
    """
    model = only_model(named, model, "distiltune serve MODEL")
    from distiltune.python.serve import ServingLimits, serve_until_stopped

    console = make_console()
    limits = ServingLimits(max_body_mb, max_requests, max_queued_tokens, answer_seconds, tuple(allow_host or ()))
    serve_until_stopped(model, (host, port), limits, lambda note: say(console, note), used(settings))
