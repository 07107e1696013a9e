"""Whether a call is one that a function takes: its arguments are there, are its own, and are of the kind that they say.

What they mean is checked further below, by whom they are for; this is what Python itself would tell by a TypeError, or
not before something breaks far inside.
"""

from __future__ import annotations

import collections.abc
import difflib
import functools
import inspect
import numbers
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from distiltune.errors import CallError
from distiltune.system.names import described

_WORDS: Final[Mapping[Any, tuple[str, str]]] = {
    bool: ("neither True nor False", "give True or False"),
    int: ("no whole number", "give a whole number"),
    float: ("no number", "give a number"),
    str: ("no string", "give a string"),
    Path: ("neither a string nor a path", "give a path or a name"),
    collections.abc.Callable: ("no function", "give a function"),
    collections.abc.Mapping: ("no dictionary", "give a dictionary"),
    collections.abc.Sequence: ("no list", "give a list"),
}
"""Kind → what a value of another is not, and what to do."""


def check_call(function: Callable[..., Any], given: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Check a call before it is made.

    Args:
        function: that is called, with annotations.
        given: its arguments by place.
        named: those by name.

    Raises:
        CallError: if one is missing, is none of the function's, or is of another kind than its annotation says. Kinds
            that are not told apart at a glance, such as data, are left to whom they are for.

    """
    signature = inspect.signature(function)
    name = _name(function)
    try:
        bound = signature.bind(*given, **named)
    except TypeError as error:
        raise _unbound(name, signature, given, named, str(error)) from None
    hints = _hints(function)
    for argument, value in bound.arguments.items():
        kinds = _kinds(hints.get(argument, Any))
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            words = next((_WORDS[kind] for kind in (Path, *kinds) if kind in kinds and kind in _WORDS), None)
            wrong, fix = words or (f"no {kinds[0].__name__}", f"give a {kinds[0].__name__}")
            if fix == "give a string" and isinstance(value, list | tuple):
                fix = f"give one string; how several are given: help(distiltune.{name.partition('.')[0]})"
            if argument == "recipe" and not isinstance(value, str | int | float):
                fix = "data are given by name, as train=DATA; a recipe is a path, a name or a Recipe"
            fix += ", or leave it out" if signature.parameters[argument].default is not inspect.Parameter.empty else ""
            raise CallError(f"{argument} is {described(value)}, {wrong}.", where=f"argument: {argument}", fix=fix)


def _name(function: Callable[..., Any]) -> str:
    """``fine_tune``, ``Answerer``, ``Answerer.ask``."""
    return function.__qualname__.removesuffix(".__init__").removesuffix(".__call__")


def _unbound(
    name: str, signature: inspect.Signature, given: Sequence[Any], named: Mapping[str, Any], message: str
) -> CallError:
    """What is wrong with a call that Python itself would refuse."""
    known = [each for each in signature.parameters if each != "self"]
    help_of = f"help(distiltune.{name}) lists them"
    unknown = next((each for each in named if each not in known), None)
    takes_any = any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values())
    if unknown is not None and not takes_any:
        near = difflib.get_close_matches(unknown, known, n=1)
        return CallError(
            f"{name} takes no argument {unknown!r}.",
            where=f"{name}: {unknown}=",
            fix=f"did you mean {near[0]!r}? {help_of}" if near else f"it takes {', '.join(known)}; {help_of}",
        )
    required = [each for each in signature.parameters.values() if each.default is each.empty and each.name != "self"]
    by_place = [each for each in signature.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    placed = {each.name for each, _ in zip(by_place, given, strict=False)}
    plain = [each.name for each in required if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    missing = [each for each in plain if each not in named and each not in placed]
    if missing:
        return CallError(
            f"{name} needs {missing[0]}=, and it is not given.", where=f"{name}: {missing[0]}=", fix=help_of
        )
    return CallError(f"{name} cannot be called so: {message}.", where=name, fix=f"name the arguments; {help_of}")


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations as types; what is known to type checkers only is left out."""
    plain = inspect.unwrap(function)
    hints: dict[str, Any] = {}
    for name, annotation in getattr(plain, "__annotations__", {}).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            hints |= typing.get_type_hints(holder, vars(inspect.getmodule(plain)), {})
        except NameError:
            continue
    return hints


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The kinds that an annotation allows; none if one of them is not told at a glance."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(part) or part for part in parts)
    if len(kinds) > 2 and any(_is_protocol(kind) for kind in kinds):  # data, texts and columns of tables
        return ()
    return kinds if all(kind in _WORDS or _is_ours(kind) or kind is types.NoneType for kind in kinds) else ()


def _is_ours(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__.startswith("distiltune.")


def _is_protocol(kind: Any) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value is of one kind; NumPy's numbers are numbers, and True is none."""
    if kind in (int, float):
        return isinstance(value, numbers.Integral if kind is int else numbers.Real) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, os.PathLike)
    if kind is collections.abc.Callable:
        return callable(value)
    if kind is collections.abc.Sequence:  # also a column of a table
        return hasattr(value, "__len__") and hasattr(value, "__iter__")
    if _is_protocol(kind):
        return all(hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
    return isinstance(value, kind)
