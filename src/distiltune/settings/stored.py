"""What a model directory keeps of the settings that it was trained with, and windows as it was trained in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from distiltune.errors import ModelError, RecipeError
from distiltune.settings.bounds import allowed_range, check_values
from distiltune.settings.engine import EngineSettings
from distiltune.settings.marks import Stored, mark_of

STORED_UNDER: Final = "distiltune"
"""The entry of config.json that holds these, and what else a task stores."""


def stored_names(settings: type[EngineSettings]) -> tuple[str, ...]:
    """The settings of that type that a model directory keeps."""
    return tuple(name for name, field in settings.model_fields.items() if mark_of(field, Stored) is not None)


def stored_settings(config: Mapping[str, object], settings: type[EngineSettings]) -> dict[str, Any]:
    """Those that a model's config.json keeps from its training.

    Raises:
        ModelError: if one of them is what that setting cannot be.

    """
    entry = stored_entry(config)
    found = {name: entry[name] for name in stored_names(settings) if entry.get(name) is not None}
    for name, value in found.items():
        options = get_args(settings.model_fields[name].annotation)
        if not (value in options if options else type(value) is int):
            raise _unfit(name, value, f"is one of {', '.join(map(str, options))}" if options else "is a whole number")
        try:
            check_values(settings, {name: value})
        except RecipeError:
            raise _unfit(name, value, f"is {allowed_range(settings.model_fields[name])}") from None
    return found


def stored_entry(config: Mapping[str, object]) -> Mapping[str, Any]:
    """What a model's config.json keeps for us; nothing if it keeps something else under that name."""
    entry = config.get(STORED_UNDER)
    return entry if isinstance(entry, Mapping) else {}


def stored_number(entry: Mapping[str, object], name: str, *, least: float, most: float) -> float | None:
    """A number of a model's config.json, None if it has none of that name.

    Raises:
        ModelError: if it is no number between the two, themselves left out.

    """
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least < value < most:
        raise _unfit(name, value, f"is a number above {least:g} and below {most:g}")
    return float(value)


def _unfit(name: str, value: object, allowed: str) -> ModelError:
    return ModelError(
        f"The model's config.json keeps {name} = {str(value)[:60]!s}, which no training writes: it {allowed}.",
        where=f"config.json: {name}",
        fix="take that entry out, or train again",
    )


def trained_windows(stored: Mapping[str, Any]) -> tuple[int, int]:
    """Most tokens in a window and tokens shared, as a model was trained; what is not stored is as in ``classic``."""
    classic = EngineSettings()
    return stored.get("max_length", classic.max_length), stored.get("stride", classic.stride)


def fill_windows(given: Mapping[str, Any], stored: Mapping[str, Any], limit: int | None = None) -> dict[str, int]:
    """``max_length`` and ``stride``: those given, and the others as a model was trained, fitted to them.

    A stride that is not given is at most a third of a window that is shorter than the model's own. Whether windows can
    move on is not checked.

    Args:
        given: settings that somebody gave.
        stored: as `stored_settings` has them; what is missing is as in the recipe ``classic``.
        limit: most tokens that the model can read; a longer window is cut down, and its stride as if not given.

    """
    own_length, own_stride = trained_windows(stored)
    wanted = given.get("max_length", own_length)
    length = wanted if limit is None else min(wanted, limit)
    stride = given.get("stride", own_stride)
    if length < wanted or ("stride" not in given and length < own_length):
        stride = min(stride, length // 3)
    return {"max_length": length, "stride": stride}
