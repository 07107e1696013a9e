"""Commands that put a model to work: evaluate, predict, embed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.naming import (
    DataOption,
    ModelAndData,
    ModelOption,
    all_data,
    model_and_rest,
)
from distiltune.commands.options import JsonOption, place, settings_as_flags, used
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.recipe.for_use import FOR_EMBEDDING, FOR_PREDICTING, FOR_USE
from distiltune.recipe.recipe import Recipe
from distiltune.system.names import as_names
from distiltune.tasks.table import TASKS


@settings_as_flags(*FOR_USE, precision="float32")
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


@settings_as_flags(*FOR_PREDICTING, precision="float32")
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


@settings_as_flags(*FOR_EMBEDDING)
def embed(
    texts: Annotated[
        list[str],
        typer.Argument(
            help="Files with a text a row, documents (a text each), folders of them, `starter`, or hub names.",
            metavar="TEXTS",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="The file to write: .npy, an array with a row a text; or .parquet, with id and text beside each.",
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", help="A model directory, a run, a packaged model, or a name on the hub.")
    ],
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Make each vector of length 1, so that a dot product is a cosine.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is already there.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Write a vector for each text, the mean of its tokens' vectors, as sentence-transformers pools them.

    Example: `distiltune embed notes.csv --model runs/mine --output vectors.npy`
    """
    given = used(settings)
    recipe = Recipe.build({name: value for name, value in given.items() if name != "max_length"})
    from distiltune.report.console import working
    from distiltune.runs.embed import embed as run

    console = error_console() if as_json else make_console()
    names = as_names(texts, "TEXTS")
    with working(console):
        made = run(
            model,
            names,
            output,
            normalise=normalise,
            overwrite=overwrite,
            recipe=recipe,
            max_length=given.get("max_length"),
        )
    if as_json:
        say_json(made.as_json())
        return
    for note in made.notes:
        say(console, note)
    say(console, f"{len(made):,} vectors of {made.vectors.shape[1]:,} numbers: {made.written}")
