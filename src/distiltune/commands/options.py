"""Flags that several commands have, and those made of the recipe's settings."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from distiltune.recipe.recipe import BY_RULE, IN_PYTHON, MONITORS, Recipe
from distiltune.settings.engine import AUTO
from distiltune.settings.marks import Panel, mark_of
from distiltune.system.names import as_name, as_path
from distiltune.tasks.table import TASKS

_OF_A_TASK = {name: f"Only {entry.name.replace('-', ' ')}" for entry in TASKS.values() for name in entry.own_settings}
"""Under which heading `--help` lists a task's own settings."""


def place(flag: str) -> Callable[[str], Path]:
    """What reads a flag's path: one that names nothing is refused, and ``~`` is the user's home in any shell."""

    def path(value: str) -> Path:
        return as_path(value, flag)

    return path


def name(flag: str) -> Callable[[str], str]:
    """What reads a flag's name, which may be a path: one that names nothing is refused."""

    def text(value: str) -> str:
        return as_name(value, flag)

    return text


RunOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        parser=place("--output"),
        metavar="PATH",
        help="The run directory to make; without it, `runs/NAME`, after the recipe's file or else the training data.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        parser=name("--recipe"),
        help="`auto`, what a published rule makes of model, task and data [default]; `classic`, the numbers of the "
        "2022 Keras tutorial; or a file in TOML, as is a run's recipe.toml. Flags win over it.",
        metavar="NAME|FILE",
    ),
]
SETTING_FLAGS = tuple(name for name in Recipe.model_fields if name not in ("base", *IN_PYTHON))
"""The settings that a training has a flag for each; ``--recipe`` gives the base, and functions are Python's."""
ReplaceRunOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already there.")]
ResumeOption = Annotated[
    Path | None,
    typer.Option(
        "--resume", parser=place("--resume"), help="Go on with this run, from its last checkpoint.", metavar="RUN"
    ),
]
ReplaceModelOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace a model that is already there, weights and all.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


HELP_ALL = "--help-all"
"""Instead of ``--help``: it shows all flags, not only the common ones."""


def settings_as_flags(*names: str, **other_defaults: str) -> Callable[[Any], Any]:
    """Give ``command(flags, **settings)`` a flag for each of these settings of the recipe, with its sentence as help.

    A flag that is not used is None, so that what was said can be told from what was left to the recipe. The help shows
    the recipe's default, or that of ``other_defaults`` where the command has another.
    """

    def decorate(command: Any) -> Any:
        parameters = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        hints = typing.get_type_hints(command, include_extras=True)
        for name, field in Recipe.model_fields.items():
            if name not in names:
                continue
            shown = other_defaults.get(name) or (_default(name, field) if field.default is not None else "")
            default = f" [default: {shown}]" if shown else ""
            option = typer.Option(
                f"--{name.replace('_', '-')}",
                help=Recipe.describe(name) + default,
                rich_help_panel=_panel(name, field),
                show_default=False,
                autocompletion=_completion(name, field),
            )
            hints[name] = Annotated[_flag_type(field.annotation) | None, option]
            parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None))
        # `commands.flags` has seen to it before; here so that it is listed, completed and never a slip
        hints["help_all"] = Annotated[bool | None, typer.Option(HELP_ALL, help="Show every flag and leave.")]
        parameters.append(inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=None))
        command.__signature__ = inspect.Signature([p.replace(annotation=hints[p.name]) for p in parameters])
        command.__annotations__ = hints
        return command

    return decorate


def _default(name: str, field: FieldInfo) -> str:
    shown = _shown(field.default)
    return f"by the rule; {shown} in classic" if name in BY_RULE else shown


def _panel(name: str, field: FieldInfo) -> str:
    """Under which heading `--help` lists a setting."""
    panel = mark_of(field, Panel)
    return panel.title if panel is not None else _OF_A_TASK[name]


def _completion(name: str, field: FieldInfo) -> Callable[[str], list[str]] | None:
    """What a shell may complete a setting's value to; None: names of files, or nothing."""
    words = {"task": (AUTO, *TASKS), "monitor": tuple(MONITORS), "device": (AUTO, "cpu", "cuda")}.get(name, ())
    if not words and typing.get_origin(field.annotation) is typing.Literal:
        words = typing.get_args(field.annotation)
    return (lambda incomplete: [word for word in words if word.startswith(incomplete)]) if words else None


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
