"""Which settings of a recipe matter where no model is fine-tuned, and which where one learns from a teacher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.encoder.names import NAME as ENCODER
from distiltune.tasks.table import TASKS

FOR_USE: Final[Sequence[str]] = (
    "task",
    "columns",
    "quoting",
    "no_header",
    "encoding",
    "max_rejected_share",
    "validation_examples",
    "sample_seed",
    "max_length",
    "stride",
    *(name for entry in TASKS.values() for name in entry.for_use),
    "evaluation_tokens",
    "device",
    "precision",
    "threads",
)
"""Settings that matter for measuring a trained model."""

FOR_PREDICTING: Final[Sequence[str]] = (*FOR_USE, "n_best")
"""Settings that matter where its answers are written."""


FOR_CHECKING: Final[Sequence[str]] = (
    *("task", "model", "columns", "quoting", "no_header", "encoding", "max_length", "stride", "epochs", "batch_size"),
    *("device", "precision", "threads"),
    *(name for entry in TASKS.values() for name in entry.for_checking),
)
"""Settings that matter for checking data."""

FOR_READING_TEXTS: Final[Sequence[str]] = ("columns", "quoting", "no_header", "encoding", "max_rejected_share")
"""Settings that matter where plain texts are read."""

FOR_EMBEDDING: Final[Sequence[str]] = (
    *("columns", "quoting", "no_header", "encoding"),
    *("max_length", "device", "threads"),
)
"""Settings that matter where texts are given vectors."""

FOR_LABELLING: Final[Sequence[str]] = (
    *("task", "model", "columns", "quoting", "no_header", "encoding", "max_rejected_share", "max_length", "stride"),
    *("epochs", "learning_rate", "batch_size", "sample_seed", "device", "threads"),
    *(name for entry in TASKS.values() for name in entry.for_labelling),
)
"""Settings that matter where texts are labelled, and a model is trained beside."""

FOR_SERVING: Final[Sequence[str]] = (
    *("max_length", "stride"),
    *(name for entry in TASKS.values() for name in entry.for_serving),
    *("device", "threads", "precision"),
)
"""Settings that matter for serving a model."""


def check_does_something(
    given: Iterable[str], used: Sequence[str], name: str, task: str, of: str = "a trained model"
) -> None:
    """Check that settings which somebody gave on purpose do something.

    Args:
        given: their names; those that are no settings at all are left to `Recipe.build`.
        used: the names of those that do.
        name: of the function that they were given to.
        task: of the model, empty if that is not known; settings of other tasks are not offered.
        of: what does not depend on the others.

    Raises:
        RecipeError: naming those that do nothing, and those that matter.

    """
    idle = [name for name in given if name not in used and name in Recipe.model_fields]
    if idle:
        own = TASKS[task].own_settings if task else ()
        others = {setting for entry in TASKS.values() for setting in entry.own_settings} - set(own)
        takes = [setting for setting in used if setting not in others]
        raise RecipeError(
            f"{name} takes no {' and no '.join(idle)}: nothing of {of} depends on that.",
            where=f"argument: {', '.join(idle)}",
            fix=f"leave it out; of {task or 'any model'} {name} takes {', '.join(takes)}",
        )


def for_distilling(given: Mapping[str, Any], *, encoder: bool) -> dict[str, Any]:
    """The settings ``given`` for a training that learns from a teacher; of an encoder on plain text if it says so.

    Raises:
        RecipeError: if they name no teacher.

    """
    if not given.get("teacher"):
        raise RecipeError("There is no teacher to learn from.", fix="name one, as --model is named: --teacher MODEL")
    return {**given, "task": ENCODER} if encoder else dict(given)
