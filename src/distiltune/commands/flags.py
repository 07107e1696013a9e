"""The flags of a command line as they were written: which are none, and what `--help` shows of those that there are.

Looked at before typer parses anything, so that a slip is told in the words of all our messages, and so that the help
can go by `--task`, which stands elsewhere on the line.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from distiltune.commands.options import HELP_ALL
from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.settings.engine import AUTO
from distiltune.settings.other_names import OTHER_NAMES
from distiltune.system.names import did_you_mean
from distiltune.tasks.table import TASKS

COMMON: Final[Mapping[str, Sequence[str]]] = {
    "train": (
        "train",
        "validation",
        "model",
        "output",
        "task",
        "columns",
        "recipe",
        "epochs",
        "learning-rate",
        "resume",
    ),
    "distill": ("teacher", "model", "train", "validation", "output", "encoder", "task", "epochs", "recipe", "resume"),
    "adapt": ("model", "output", "validation", "epochs", "learning-rate", "mask-share", "teacher", "recipe", "resume"),
    "evaluate": ("model", "data", "columns", "task", "max-length", "device", "threads", "json"),
    "predict": ("model", "data", "output", "columns", "task", "max-length", "device", "threads", "json"),
    "ask": (
        *("model", "document", "text", "questions-file", "passages", "show-others", "null-threshold", "encoding"),
        *("threads", "json"),
    ),
    "serve": (
        *("model", "documents", "host", "port", "api-key", "allow-host", "answer-seconds", "max-body-mb"),
        *("device", "threads"),
    ),
    "label": (
        *("task", "output", "labels", "model", "order", "retrain-every", "port", "columns", "epochs", "threads"),
    ),
    "check": ("data", "against", "fix", "model", "task", "columns", "recipe", "encoding", "json"),
    "find-lr": ("train", "validation", "model", "output", "task", "columns", "recipe", "steps", "threads", "json"),
    "tune": ("train", "validation", "model", "output", "search", "trials", "task", "columns", "recipe", "json"),
}
"""Command → the flags that `--help` shows, ten at most; the others stand under `--help-all`. A command that is not
listed shows the first ten that it has."""

MOST_COMMON: Final = 10

_ALIKE: Final = 0.6
_WHOLE_WORDS: Final[Mapping[str, Any]] = {"break_long_words": False, "break_on_hyphens": False}
NARROW: Final = 60
"""Columns of a terminal below which help is no table."""
_TASK: Final = "--task"


def check_flags(command: Any, arguments: Sequence[str]) -> None:
    """Check that a command has the flags that were written.

    Args:
        command: typer's.
        arguments: what follows its name on the command line.

    Raises:
        RecipeError: naming the first that it does not have, and the one that was meant.

    """
    for flag, _ in _written(command, arguments):
        if flag in _known(command):
            continue
        meant = _meant(flag.removeprefix("--"), _known(command))
        whose = _whose(flag)
        raise RecipeError(
            f"{command.name} has no flag {flag}.",
            where=f"distiltune {command.name}",
            fix=f"{did_you_mean(meant)}{whose}distiltune {command.name} {HELP_ALL} lists them all",
        )


def written_task(command: Any, arguments: Sequence[str]) -> str:
    """The task that `--task` names on the command line; empty if it names none that there is."""
    named = [value for flag, value in _written(command, arguments) if flag == _TASK]
    return named[-1] if named and named[-1] in TASKS else ""


def show_for_help(command: Any, task: str, *, everything: bool) -> None:
    """Have a command's help show its common flags first, then the others if ``everything`` is wanted, by headings.

    A task's own flags are shown where the ``task`` is that one. Only for a process that prints the help and ends.
    """
    flags = [_long(each) for each in command.params if each.param_type_name != "argument"]
    common = COMMON.get(command.name) or flags[:MOST_COMMON]
    own = set(TASKS[task].own_settings) if task else set()
    foreign = {name for entry in TASKS.values() for name in entry.own_settings} - own
    n_hidden = 0
    for each in command.params:
        name = _long(each)
        is_common = name in common or each.param_type_name == "argument" or name in ("help", HELP_ALL.strip("-"))
        setting = name.replace("-", "_")
        each.hidden = not (is_common or setting in own or (everything and setting not in foreign))
        n_hidden += each.hidden
        if is_common:
            each.rich_help_panel = None
    order = {name: place for place, name in enumerate(common)}
    command.params.sort(key=lambda each: order.get(_long(each), len(order)))
    here = foreign.intersection(_long(each).replace("-", "_") for each in command.params)
    tasks = [entry.name for entry in TASKS.values() if here.intersection(entry.own_settings)]
    more = [f"{n_hidden} more: distiltune {command.name} {HELP_ALL}"] * (n_hidden > 0 and not everything)
    if tasks and _TASK in _known(command):
        more.append(f"a task's own: --task {'|'.join(tasks)} --help")
    command.epilog = "; ".join(more) or command.epilog


def _long(parameter: Any) -> str:
    """A parameter's long name without its dashes; of an argument that of its place."""
    return str(max(parameter.opts, key=len)).removeprefix("--")


def narrow_help(command: Any, usage: str, width: int) -> list[str]:
    """A command's help for a terminal too narrow for a table: each flag on a line, what it means under it."""
    lines = [usage, "", *_paragraphs(command.help or "", width, "")]
    for each in command.params:
        if not getattr(each, "hidden", False):
            is_argument = each.param_type_name == "argument"
            value = "" if is_argument or each.is_flag else f" {each.metavar or 'VALUE'}"
            lines += ["", f"{each.metavar or each.name.upper()}" if is_argument else f"{', '.join(each.opts)}{value}"]
            lines += _paragraphs(each.help or "", width, "  ")
    return [*lines, "", *_paragraphs(command.epilog or "", width, "")]


def _paragraphs(text: str, width: int, indent: str) -> list[str]:
    """A text, without the marks of Markdown, in lines that are broken between words."""
    parts = [" ".join(part.split()).replace("`", "") for part in text.split("\n\n")]
    lines = [
        [*textwrap.wrap(part, width, initial_indent=indent, subsequent_indent=indent, **_WHOLE_WORDS), ""]
        for part in parts
        if part
    ]
    return [line for each in lines for line in each][:-1]


def _known(command: Any) -> dict[str, Any]:
    """Flag → parameter."""
    known = {flag: each for each in command.params for flag in (*each.opts, *each.secondary_opts) if flag[:1] == "-"}
    return {**known, "--help": None, "-h": None}


def _written(command: Any, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The long flags on the command line with their values; what follows a flag that takes a value is no flag."""
    known = _known(command)
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return
        flag, equals, value = argument.partition("=")
        takes_one = known.get(flag) is not None and not known[flag].is_flag
        if takes_one and not equals:
            value = next(rest, "")
        if flag.startswith("--"):
            yield flag, value


def _meant(name: str, known: Iterable[str]) -> list[str]:
    """The flags that a slip may stand for, the likeliest first."""
    names = [flag.removeprefix("--") for flag in known if flag.startswith("--")]
    name = name.lower().replace("_", "-")
    if name in names:
        return [f"--{name}"]
    same = OTHER_NAMES.get(name.replace("-", "_"), "").replace("_", "-")
    if same in names:
        return [f"--{same}"]
    return [f"--{near}" for near in difflib.get_close_matches(name, names, n=2, cutoff=_ALIKE)]


def _whose(flag: str) -> str:
    """Which commands have a setting that this one has not."""
    name = flag.removeprefix("--").replace("-", "_")
    return f"{flag} is a setting of trainings; " if name in Recipe.model_fields and name != AUTO else ""
