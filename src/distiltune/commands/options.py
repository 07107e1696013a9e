"""Flags that several commands have, and those made of the recipe's settings."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS

_PANELS = {
    "task": "Model and data",
    "max_length": "Windows",
    "epochs": "Training",
    "teacher": "Distillation",
    "monitor": "Choosing the best epoch",
    "evaluation_tokens": "Machine",
    **{
        name: f"Only {entry.name.replace('-', ' ')}" for entry in TASKS.values() for name in entry.settings.model_fields
    },
}
"""Under which heading the settings from this one on are listed by `--help`."""

READING = (
    "task",
    "columns",
    "max_rejected_share",
    "validation_examples",
    "sample_seed",
    "max_length",
    "stride",
    *(name for entry in TASKS.values() for name in entry.reading),
    "device",
    "threads",
)
"""Settings of the recipe that matter for using a trained model."""

ModelOption = Annotated[
    str, typer.Option("--model", help="A model directory, a run, `starter-qa`, or a name on the hub.")
]
DataOption = Annotated[
    list[str], typer.Option("--data", help="Files, directories, `starter`, or hub names; several are mixed.")
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="The run directory to make; without it, `runs/NAME`, after the recipe's file or else the training data.",
    ),
]
RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="A recipe in TOML; flags win over it.")]
ReplaceRunOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already there.")]
ResumeOption = Annotated[
    Path | None, typer.Option("--resume", help="Go on with this run, from its last checkpoint.", metavar="RUN")
]
ReplaceModelOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model that is already there, weights and all.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def settings_as_flags(*names: str) -> Callable[[Any], Any]:
    """Give ``command(flags, **settings)`` a flag for each of these settings of the recipe, with its sentence as help.

    A flag that is not used is None, so that what was said can be told from what was left to the recipe.
    """

    def decorate(command: Any) -> Any:
        parameters = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        hints = typing.get_type_hints(command, include_extras=True)
        panel = "Settings"
        for name, field in Recipe.model_fields.items():
            panel = _PANELS.get(name, panel)
            if name not in names:
                continue
            default = "" if field.default is None else f" [default: {_shown(field.default)}]"
            option = typer.Option(
                f"--{name.replace('_', '-')}",
                help=Recipe.describe(name) + default,
                rich_help_panel=panel,
                show_default=False,
            )
            hints[name] = Annotated[_flag_type(field.annotation) | None, option]
            parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None))
        command.__signature__ = inspect.Signature([p.replace(annotation=hints[p.name]) for p in parameters])
        command.__annotations__ = hints
        return command

    return decorate


def _flag_type(annotation: Any) -> Any:
    """The plain type that a flag takes for a setting of this type."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _flag_type(next(part for part in typing.get_args(annotation) if part is not type(None)))
    if origin is Annotated:
        return _flag_type(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return str
    return list[str] if origin is tuple else annotation


def _shown(default: object) -> str:
    return (" ".join(default) or "none") if isinstance(default, tuple) else str(default) or "none"


def used(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings whose flags were used."""
    return {name: value for name, value in settings.items() if value is not None}
