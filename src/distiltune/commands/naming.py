"""How every command names a model and data: by their place, ``MODEL DATA...``, or with ``--model`` and ``--data``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from distiltune.data.files import format_suffix
from distiltune.errors import RecipeError

ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="A model directory, a run, `starter-qa`, or a name on the hub; or name it first."),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="Files, folders, patterns such as 'part-*.jsonl', `starter`, or hub names; several are mixed. Or name "
        "them after the model.",
    ),
]
ModelAndData = Annotated[
    list[str] | None,
    typer.Argument(help="The model, unless --model names it, and then the data.", metavar="MODEL DATA"),
]
OneModel = Annotated[
    list[str] | None,
    typer.Argument(help="A run, a model directory, or a name on the hub; or --model.", metavar="MODEL"),
]


StartingModel = Annotated[
    list[str] | None, typer.Argument(help="The model to start from, as --model names it.", metavar="MODEL")
]


def model_and_rest(named: Sequence[str] | None, model: str | None, usage: str) -> tuple[str, list[str]]:
    """The model, and what else was named by its place.

    Args:
        named: what stands without a flag, in order.
        model: of ``--model``; without it the model is the first of ``named``.
        usage: the whole command as it is meant, for the message.

    Raises:
        RecipeError: if no model is named.

    """
    rest = list(named or ())
    if model is not None:
        return model, rest
    if not rest:
        raise RecipeError("No model is named.", fix=f"name it first, or with --model: {usage}")
    if format_suffix(rest[0]) is not None:
        raise RecipeError(
            f"No model is named: {rest[0]} is data by its name.", fix=f"name it first, or with --model: {usage}"
        )
    return rest[0], rest[1:]


def only_model(named: Sequence[str] | None, model: str | None, usage: str) -> str:
    """The model of a command that takes one only.

    Raises:
        RecipeError: if no model is named, or more than one.

    """
    found, rest = model_and_rest(named, model, usage)
    if rest:
        raise RecipeError(f"One model is meant, and there is {' and '.join([found, *rest])}.", fix=usage)
    return found


def with_model(settings: Mapping[str, Any], named: Sequence[str] | None, command: str) -> dict[str, Any]:
    """A training's settings with the model that was named by its place, if one was.

    Raises:
        RecipeError: if there are two, or it is a data file.

    """
    if not named:
        return dict(settings)
    data = [name for name in named if format_suffix(name) is not None]
    if data:
        raise RecipeError(
            f"{data[0]} stands where a model may, and is data by its name.",
            where=f"distiltune {command}",
            fix=f"did you mean --train {' --train '.join(data)}?",
        )
    model = settings.get("model")
    return {**settings, "model": only_model(named, model, f"distiltune {command} MODEL --train DATA")}


def all_data(named: Sequence[str], data: Sequence[str] | None, usage: str) -> list[str]:
    """The data, by place and by ``--data``.

    Raises:
        RecipeError: if there is none.

    """
    found = [*named, *(data or ())]
    if not found:
        raise RecipeError("No data is named.", fix=f"name it in its place, or with --data: {usage}")
    return found
