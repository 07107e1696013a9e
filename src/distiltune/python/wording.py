"""Messages for who calls from Python: a flag or a command that one names is said as the argument or the call."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Final, ParamSpec, TypeVar

from distiltune.errors import DistiltuneError
from distiltune.python.calls import check_call
from distiltune.recipe.recipe import Recipe

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")

FUNCTIONS: Final = {
    "train": "fine_tune",
    **{
        name: name
        for name in (
            *("evaluate", "predict", "check", "tune", "compare", "distill", "adapt", "convert", "push", "serve"),
            *("embed", "label"),
        )
    },
    "find-lr": "find_lr",
    "make-questions": "make_questions",
    "export": "export_onnx",
}
"""Command → the function that does the same."""

_OWN: Final = frozenset(
    {"output", "overwrite", "recipe", "resume", "against", "fix", "search", "trials", "steps", "int8", "data", "host"}
    | {"labels", "order", "first", "retrain-every"}
    | {"rows", "unanswerable-share", "form", "passages", "documents"}
    | {"questions", "accept-loss", "picture", "private", "encoder", "port", "max-body-mb", "allow-host"}
)
"""Flags of commands that functions have as arguments."""
_SWITCHES: Final = frozenset({"overwrite", "int8", "accept_loss", "private", "encoder"})

_FLAG: Final = r"--(?P<flag>[a-z][a-z0-9-]*)"
_VALUE: Final = (
    r"""(?P<value>'[^']*'|"[^"]*"|[^\s;]*=[^\s;]*?(?=[,.;:?]?(?:\s|$))|[A-Z]+\b|(?:auto|classic|cpu)\b|"""
    r"""\.\.\.|-?\d[\d.e-]*(?<![.]))"""
)
_ALONE: Final = re.compile(rf"{_FLAG}(?:[ ]{_VALUE})?")
_CALL: Final = re.compile(
    rf"`?\bdistiltune (?P<command>{'|'.join(FUNCTIONS)})\b(?P<data>(?: memory:[\w-]+)*)"
    r"(?P<rest>(?: --[a-z][a-z0-9-]*(?: (?!--|or\b|and\b)[^\s;,`]*[^\s;,`?])?)*)`?"
)
_WITH_MORE: Final = re.compile(r"(?P<call>\bdistiltune\.\w+\([^()\n]*)\) with (?P<more>\w+=[^\s,;]+(?: \w+=[^\s,;]+)*)")
_IN_CALL: Final = re.compile(r"--(?P<flag>[a-z][a-z0-9-]*)(?: (?P<value>(?!--)\S+))?")


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, which looks at its arguments first, and whose errors name arguments where they would flags."""

    @functools.wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> R:
        try:
            check_call(function, given, named)
            return function(*given, **named)
        except DistiltuneError as error:
            error.what, error.where, error.fix = map(in_python_terms, (error.what, error.where, error.fix))
            error.args = (error.what,)
            raise

    return called


def in_python_class(kind: type[C], module: str) -> type[C]:
    """The same class, of which making and calling one and its public methods are as `in_python` makes functions.

    Args:
        kind: the class.
        module: the name of the module that it will be found in.

    """
    wrapped = {
        name: in_python(member)
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and (name in ("__init__", "__call__") or not name.startswith("_"))
    }
    return type(kind.__name__, (kind,), {**wrapped, "__doc__": kind.__doc__, "__module__": module})


def in_python_terms(text: str) -> str:
    """``--no-header --columns text=1`` is ``no_header=True columns="text=1"``, ``distiltune train`` a call."""
    return _WITH_MORE.sub(_with_more, _ALONE.sub(_argument, _CALL.sub(_call, text)))


def _with_more(found: re.Match[str]) -> str:
    """The arguments that are named behind a call are among its own."""
    return ", ".join([found["call"], *found["more"].split()]) + ")"


def _call(found: re.Match[str]) -> str:
    command, rest = found["command"], found["rest"]
    if "--help" in rest:
        return f"help(distiltune.{FUNCTIONS[command]})"
    flags = list(_IN_CALL.finditer(rest))
    arguments = [*(["DATA"] if found["data"] else []), *_arguments(flags, command)]
    resumed = next((each["value"] for each in flags if each["flag"] == "resume"), None)
    if resumed is not None:
        return f"distiltune.resume({_said(resumed)})"
    return f"distiltune.{FUNCTIONS[command]}({', '.join(arguments)})"


def _arguments(flags: list[re.Match[str]], command: str) -> Iterator[str]:
    for found in flags:
        name = found["flag"].replace("-", "_")
        if command == "predict" and name == "output":
            name = "predictions"
        yield f"{name}={'True' if _is_switch(name) else _said(found['value'])}"


def _argument(found: re.Match[str]) -> str:
    flag, value = found["flag"], found["value"]
    name = flag.replace("-", "_")
    if name not in Recipe.model_fields and flag not in _OWN:
        return found[0]
    if _is_switch(name):
        return f"{name}=True" + (f" {value}" if value else "")
    return f"{name}={_said(value)}"


def _is_switch(name: str) -> bool:
    return name in _SWITCHES or (name in Recipe.model_fields and Recipe.model_fields[name].annotation is bool)


def _said(value: str | None) -> str:
    """A flag's value as Python writes it; what stands for one stays as it is."""
    if value is None:
        return ""
    if value == "...":
        return value
    if re.fullmatch(r"[A-Z]+|-?\d[\d.e-]*", value) or value[0] in "'\"":
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
