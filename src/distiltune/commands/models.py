"""Commands that give a model another form or another place: convert, export, push."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from distiltune.commands.naming import ModelOption, OneModel, model_and_rest, only_model
from distiltune.commands.options import JsonOption, ReplaceModelOption, place
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.errors import RecipeError


def convert(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", parser=place("--output"), metavar="PATH", help="The model directory to make."),
    ],
    named: OneModel = None,
    model: ModelOption = None,
    overwrite: ReplaceModelOption = False,
    sentence_transformers: Annotated[
        bool,
        typer.Option(
            "--sentence-transformers", help="Add the files by which that library reads it, with mean pooling."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a modern model directory from an older checkpoint: TensorFlow, PyTorch, sharded, or BERT.

    Example: `distiltune convert old-tf-model --output modern-model`
    """
    model = only_model(named, model, "distiltune convert MODEL --output DIRECTORY")
    from distiltune.export.modernise import modernise

    converted = modernise(model, output, overwrite=overwrite, sentence_transformers=sentence_transformers)
    if as_json:
        say_json(converted.as_json(), indent=None)
        return
    console = make_console()
    for note in converted.notes:
        say(console, note)
    say(console, f"model: {output}")


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=place("--output"), metavar="PATH", help="The folder to make.")
    ],
    named: OneModel = None,
    model: ModelOption = None,
    overwrite: ReplaceModelOption = False,
    form: Annotated[str, typer.Option("--format", help="`onnx`.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Weights and products in 8 bits: smaller and quicker.")] = False,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Data to check with; by default the run's validation data.")
    ] = None,
    questions: Annotated[int, typer.Option(min=0, help="Check with at most so many of them (0: all).")] = 500,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Write it even if --int8 costs over 1 point of the score.")
    ] = False,
    threads: Annotated[int, typer.Option(min=0, help="Threads (0: as many as there are usable cores).")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a model as an ONNX folder, checked against the original on real examples.

    Example: `distiltune export runs/mine --format onnx --output runs/mine/onnx`
    """
    model = only_model(named, model, "distiltune export MODEL --output DIRECTORY")
    if form != "onnx":
        raise RecipeError(f"There is no format called {form!r}.", fix="use --format onnx")
    from distiltune.export.onnx import export_onnx
    from distiltune.recipe.choose_task import entry_of_model
    from distiltune.report.console import working

    console = error_console() if as_json else make_console()
    with working(console):
        exported = export_onnx(
            model,
            output,
            overwrite=overwrite,
            int8=int8,
            data=tuple(data or ()),
            questions=questions,
            accept_loss=accept_loss,
            threads=threads,
            on_note=lambda note: say(console, note),
        )
    if as_json:
        say_json(exported.as_json(), allow_nan=False)
        return
    say(console, f"model:  {exported.directory} ({exported.precision})")
    say(console, entry_of_model(model).after_training.format(model=exported.directory))


def push(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            help="A run, a model directory, or an exported folder, unless --model names it; and its name on the "
            "Hugging Face hub, as `owner/name`.",
            metavar="MODEL NAME",
        ),
    ] = None,
    model: ModelOption = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository a private one.")] = False,
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "Model made with distiltune",
    as_json: JsonOption = False,
) -> None:
    """Put a model on the Hugging Face hub, once its card is checked; log in first with `hf auth login`.

    Example: `distiltune push runs/mine my-name/lease-questions --private`
    """
    usage = "distiltune push MODEL owner/name"
    model, names = model_and_rest(named, model, usage)
    if len(names) != 1:
        raise RecipeError(f"One name on the hub is needed, and there {_are(names)}.", fix=usage)
    name = names[0]
    from distiltune.export.push import push as run
    from distiltune.recipe.choose_task import entry_of_model

    pushed = run(model, name, private=private, message=message)
    if as_json:
        say_json(asdict(pushed))
        return
    console = make_console()
    say(console, f"{len(pushed.files)} files are at {pushed.url}: {', '.join(pushed.files)}")
    say(console, entry_of_model(model).after_training.format(model=pushed.name))


def _are(names: list[str]) -> str:
    return f"are {' and '.join(names)}" if names else "is none"
