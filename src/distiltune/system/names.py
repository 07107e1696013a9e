"""Names that users give: strings, and paths wherever a path may be meant."""

from __future__ import annotations

import difflib
import os
import reprlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from distiltune.errors import RecipeError

_NAME_ONE = "name one, or leave it out where it may be; the folder that you are in is ."

RUNS: Final = "runs"
"""Where trainings are written to by default: what begins so is a path, whether or not the folder is there."""
_ALMOST_THE_SAME: Final = 0.8
_ALIKE: Final = 0.6
_MOST_NAMED: Final = 3


def as_name(value: object, what: str, where: str = "") -> str:
    """The string that names a model or a data set, from a string or a path.

    A path stays one: ``Path("starter")`` is ``./starter``, never the word or a name on the hub.

    Args:
        value: what the user gave.
        what: what it names, such as ``model``, for the message.
        where: of the message; ``what``, if it is empty.

    Raises:
        RecipeError: if it is neither, or names nothing.

    """
    if isinstance(value, str):
        return _not_blank(value, what, where)
    if not isinstance(value, os.PathLike):
        raise RecipeError(
            f"{what} is {described(value)}, neither a string nor a path.",
            where=where or what,
            fix="give a path or a name",
        )
    text = _not_blank(os.fsdecode(value), what, where)
    return f"./{text}" if not text.startswith((".", "/", "~")) and text.count("/") < 2 else text


def as_names(value: object, what: str, where: str = "", *, least: int = 0) -> tuple[str, ...]:
    """The strings that name several, from one or several of what `as_name` takes.

    Args:
        value: what the user gave.
        what: what they name, for the message.
        where: of the message; ``what``, if it is empty.
        least: how many there must be.

    Raises:
        RecipeError: if it is no such thing: also a set, whose order is another each time, what can be read only once,
            and data, which a recipe cannot hold; or they are too few.

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
    names = tuple(
        as_name(each, f"{what}, number {number},", where or what) for number, each in enumerate(value, start=1)
    )
    if len(names) < least:
        raise RecipeError(f"{what} is {described(value)}: nothing is named.", where=where or what, fix=_NAME_ONE)
    return names


def as_path(value: object, what: str) -> Path:
    """The place that a user named, from a string or a path, with the home that a ``~`` at its beginning means.

    Raises:
        RecipeError: if it is neither, names nothing, is not UTF-8, or names the home of nobody.

    """
    if not isinstance(value, str | os.PathLike):
        raise RecipeError(f"{what} is {described(value)}, neither a string nor a path.", where=what, fix="give a path")
    text = _not_blank(os.fsdecode(value), what, what)
    if "\0" in text or not _is_utf_8(text):  # several libraries that write cannot take others
        raise RecipeError(
            f"{what} is {described(value)}, which is no name in UTF-8.", where=what, fix="give a path that is UTF-8"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise RecipeError(
            f"{what} is {described(value)}, and there is no such home.", where=what, fix="write the path out"
        ) from error


def _is_utf_8(text: str) -> bool:
    """Whether a name is text; names of files may be other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_blank(text: str, what: str, where: str) -> str:
    if not text.strip():
        raise RecipeError(f"{what} is {text!r}, which names nothing.", where=where or what, fix=_NAME_ONE)
    return text


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


def means_a_path_here(name: str) -> bool:
    """Whether a name that could be one on the hub is rather a path with a slip in it.

    So it is if its first part is a folder here (or `RUNS`), or if it has a suffix and nearly is a file's name here.
    """
    first, slash, _ = name.partition("/")
    try:
        if slash:
            return first == RUNS or Path(first).is_dir()
        here = [each.name for each in Path().iterdir()] if Path(name).suffix else []
        return bool(difflib.get_close_matches(name, here, 1, _ALMOST_THE_SAME))
    except (OSError, ValueError):  # a folder that may not be listed, a null in the name
        return False


def nearly(name: str, words: Iterable[str]) -> str:
    """The one of these words that a mistyped one is meant as, as `starter` by ``starer``; empty if none is."""
    return next(iter(difflib.get_close_matches(name.lower(), list(words), 1, _ALMOST_THE_SAME)), "")


def names_beside(path: Path) -> list[str]:
    """What the folder of a path that does not exist holds under nearly its name, the nearest first."""
    try:
        inside = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    except (OSError, ValueError):  # there is none, or it may not be listed
        return []
    called = {**{Path(name).stem: name for name in inside}, **{name: name for name in inside}}
    near = difflib.get_close_matches(path.name, called, n=_MOST_NAMED, cutoff=_ALIKE)
    return [str(path.parent / name) for name in dict.fromkeys(called[each] for each in near)]


def did_you_mean(names: Sequence[str]) -> str:
    """``did you mean a or b? ``, to go on with in an advice; empty if there is none."""
    return f"did you mean {' or '.join(names)}? " if names else ""
