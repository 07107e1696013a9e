"""Names that users give: strings, and paths wherever a path may be meant."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Sequence

from distiltune.errors import RecipeError


def as_name(value: object, what: str, where: str = "") -> str:
    """The string that names a model or a data set, from a string or a path.

    A path stays one: ``Path("starter")`` is ``./starter``, never the word or a name on the hub.

    Args:
        value: what the user gave.
        what: what it names, such as ``model``, for the message.
        where: of the message; ``what``, if it is empty.

    Raises:
        RecipeError: if it is neither.

    """
    if isinstance(value, str):
        return value
    if not isinstance(value, os.PathLike):
        raise RecipeError(
            f"{what} is {described(value)}, neither a string nor a path.",
            where=where or what,
            fix="give a path or a name",
        )
    text = os.fsdecode(value)
    return f"./{text}" if not text.startswith((".", "/", "~")) and text.count("/") < 2 else text


def as_names(value: object, what: str, where: str = "") -> tuple[str, ...]:
    """The strings that name several, from one or several of what `as_name` takes.

    Raises:
        RecipeError: if it is no such thing: also a set, whose order is another each time, what can be read only once,
            and data, which a recipe cannot hold.

    """
    if isinstance(value, str | os.PathLike):
        return (as_name(value, what, where),)
    if isinstance(value, bytes | bytearray) or not isinstance(value, Sequence):
        raise RecipeError(
            f"{what} is {described(value)}, neither a string, a path nor a list of such.",
            where=where or what,
            fix="give a path, a name, or a list of them; data in memory are for the functions, such as "
            "distiltune.fine_tune, and not for a recipe",
        )
    return tuple(
        as_name(each, f"{what}, number {number},", where or what) for number, each in enumerate(value, start=1)
    )


def as_text(value: object, what: str, where: str = "") -> str:
    """A string that is no path.

    Raises:
        RecipeError: if it is something else.

    """
    if not isinstance(value, str):
        raise RecipeError(f"{what} is {described(value)}, no string.", where=where or what, fix="give a string")
    return value


def described(value: object) -> str:
    """What was given, cut short where it is long, and its type."""
    shown = " ".join(reprlib.repr(value).split())
    return shown if value is None else f"{shown} (of the type {type(value).__name__})"
