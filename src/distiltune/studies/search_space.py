"""What a search tries: ranges and choices of the recipe's settings, as a person writes them on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distiltune.errors import RecipeError
from distiltune.recipe.recipe import IN_PYTHON, Recipe
from distiltune.system.names import as_text

DEFAULT_SEARCH = ("learning_rate=1e-5:3e-4:log", "epochs=2,3,4", "batch_size=8,16,32", "warmup_share=0:0.2")
_FIXED = frozenset({"task", "train", "validation", "device", "threads", "monitor", "patience", "tracker"}) | {
    "folds",
    "fold",
    *IN_PYTHON,
}
_FORMS = "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=VALUE,VALUE,..."


@dataclass(frozen=True, slots=True)
class Range:
    """Every number between two; ``log`` if it is the order of magnitude that counts."""

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def as_json(self) -> dict[str, Any]:
        """The range as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values."""

    name: str
    values: tuple[Any, ...]

    def as_json(self) -> dict[str, Any]:
        """The choice as plain values."""
        return {"name": self.name, "values": list(self.values)}


SearchSpace = tuple[Range | Choice, ...]


def parse_space(texts: Sequence[str], recipe: Recipe) -> SearchSpace:
    """The space that these texts describe, each as ``NAME=LOW:HIGH[:log]`` or ``NAME=VALUE,VALUE``.

    Raises:
        RecipeError: naming the setting, if there is none of that name or a value of it is not allowed.

    """
    space = tuple(_parse(as_text(text, "search", "--search"), recipe) for text in texts)
    if not space:
        raise RecipeError("Nothing is to be searched.", where="--search", fix=f"write {_FORMS}")
    names = [part.name for part in space]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{name} is to be searched twice.", where="--search", fix="name it once")
    return space


def _parse(text: str, recipe: Recipe) -> Range | Choice:
    name, sign, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not sign or not values.strip():
        raise RecipeError(f"{text!r} is nothing to search.", where="--search", fix=f"write {_FORMS}")
    if name in _FIXED:
        raise RecipeError(f"{name} cannot be searched.", where="--search", fix="choose a setting of the training")
    return _range(name, values, recipe) if ":" in values else _choice(name, values, recipe)


def _range(name: str, values: str, recipe: Recipe) -> Range:
    bounds = values.split(":")
    log = len(bounds) == 3 and bounds[2].strip() == "log"
    if len(bounds) != 3 - (not log):
        raise RecipeError(f"{name}={values} is no range.", where="--search", fix=f"write {_FORMS}")
    low, high = (_checked(name, bound, recipe) for bound in bounds[:2])
    if isinstance(low, bool) or not isinstance(low, int | float) or not isinstance(high, int | float):
        raise RecipeError(f"{name} is no number, so it has no range.", where="--search", fix="list its values")
    if not low < high or (log and low <= 0):
        what = "ends before it begins" if not low < high else "is logarithmic and begins at 0"
        raise RecipeError(f"The range {name}={values} {what}.", where="--search", fix=f"write {_FORMS}")
    return Range(name, low, high, log, whole=isinstance(low, int))


def _choice(name: str, values: str, recipe: Recipe) -> Choice:
    return Choice(name, tuple(_checked(name, value, recipe) for value in values.split(",")))


def _checked(name: str, value: str, recipe: Recipe) -> Any:
    """The value as the recipe's type has it; numbers are read from text as TOML would."""
    text = value.strip()
    for read in (int, float):
        try:
            return getattr(recipe.with_changes(**{name: read(text)}), name)
        except ValueError:
            continue
        except RecipeError:
            if name not in Recipe.model_fields or _is_number(text):
                raise
    return getattr(recipe.with_changes(**{name: text}), name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
