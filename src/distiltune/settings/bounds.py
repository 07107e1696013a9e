"""What a setting may be, also where it is given outside a recipe, and how a value that it may not be is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from distiltune.errors import RecipeError
from distiltune.system.names import described

_KINDS = {
    "finite": "give a number",
    "float": "give a number",
    "int": "give a whole number",
    "bool": "give true or false",
}
_HELP = "see `distiltune train --help`"
_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def check_values(settings: type[BaseModel], given: Mapping[str, Any], where: str = "argument") -> dict[str, Any]:
    """Check arguments by the bounds of the settings that they are called as; each by itself.

    Args:
        settings: that have fields of these names.
        given: name → value; None: left out.
        where: what they are, for the message.

    Returns:
        Those that are given, as values of the settings' types.

    Raises:
        RecipeError: naming the first that is out of its bounds, its value, and what is allowed.

    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            checked = settings.__pydantic_validator__.validate_assignment(settings.model_construct(), name, value)
        except ValidationError as error:
            raise settings_error(error, settings, where) from None
        except RecipeError as error:  # of a value that is no string
            raise RecipeError(error.what, where=f"{where}: {name}", fix=error.fix) from None
        values[name] = getattr(checked, name)
    return values


def allowed_range(field: FieldInfo) -> str:
    """The allowed range of a setting in words, empty if only its type bounds it."""
    # Where None is allowed too, the bounds stand inside the union: Annotated[float, ...] | None.
    inner = [bound for part in get_args(field.annotation) for bound in getattr(part, "__metadata__", ())]
    flat = [each for bound in (*field.metadata, *inner) for each in getattr(bound, "metadata", (bound,))]
    parts = [f"{word} {getattr(each, name)}" for each in flat for name, word in _WORDS.items() if hasattr(each, name)]
    return " and ".join(parts)


def settings_error(error: ValidationError, settings: type[BaseModel], where: str) -> RecipeError:
    """The first thing that is wrong, with the setting, its value, and what is allowed; ``where``: as in "recipe"."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return RecipeError(message, where=where, fix="change one of the two")
    if first["type"] == "string_type":
        return RecipeError(
            f"{name} is {described(first['input'])}, no string.", where=f"{where}: {name}", fix="give a string"
        )
    expected = allowed_range(settings.model_fields[name])
    if first["type"] == "literal_error":
        fix = f"give {first['ctx']['expected']}"
    else:
        usual = next((said for of, said in _KINDS.items() if first["type"].startswith(of)), _HELP)
        fix = f"give a value {expected}" if expected else usual
    return RecipeError(
        f"{name} is {first['input']!r}: {message[0].lower()}{message[1:]}", where=f"{where}: {name}", fix=fix
    )
