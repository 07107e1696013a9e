"""Putting a model to work: measuring it, and having it answer a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Unpack

from distiltune.data.held import Data
from distiltune.progress import tell
from distiltune.python.arguments import held_data
from distiltune.python.settings import UsingSettings
from distiltune.python.showing import shown_here
from distiltune.python.wording import in_python
from distiltune.recipe.recipe import Recipe
from distiltune.runs import evaluate as runs
from distiltune.runs.evaluate import Evaluated
from distiltune.tasks.own import Metric


@in_python
def evaluate(
    model: str | Path,
    data: Data,
    *,
    predictions: str | Path | None = None,
    recipe: Recipe | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    **settings: Unpack[UsingSettings],
) -> Evaluated:
    """Measure a model on data with gold answers.

    Args:
        model: a model directory, a run, or a name on the hub.
        data: files, directories, `starter`, data set names on the hub, or data in memory.
        predictions: a directory to write the answers into, as `predict` does.
        recipe: settings of reading and of windows; what it leaves to its defaults is as the model was trained. It may
            be that of a training: what is of training is not looked at.
        on_progress: told how many examples are done, of how many; by default a notebook shows it.
        metrics: figures of your own by name, as in `fine_tune`.
        **settings: settings that win over the recipe, such as ``max_answer_tokens=15``; those that would do nothing
            are refused. Products are taken in float32, whatever the precision of the training, unless ``precision`` is
            among them.

    Returns:
        The figures, and the rows that were left out.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    with shown_here(), held_data(data, "data") as names:
        told = on_progress or _told
        return runs.evaluate(
            model, names, predictions=predictions, recipe=recipe, on_progress=told, metrics=metrics, **settings
        )


@in_python
def predict(
    model: str | Path,
    data: Data,
    predictions: str | Path,
    *,
    recipe: Recipe | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **settings: Unpack[UsingSettings],
) -> Evaluated:
    """Write a model's answers to every example of the data, whether or not it is known what is right.

    What is answered does not depend on gold answers or labels; where the data has some, the metrics are of these.

    Args:
        model: a model directory, a run, or a name on the hub.
        data: as in `evaluate`; texts alone, in a list, as ``(texts, None)``.
        predictions: a directory to write the answers into, and ``rejected.jsonl`` with the rows that cannot be read.
        recipe: as in `evaluate`.
        on_progress: told how many examples are done, of how many; by default a notebook shows it.
        **settings: as in `evaluate`, and ``n_best``.

    Returns:
        The same as `evaluate`, and the files that were ``written``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    with shown_here(), held_data(data, "data") as names:
        return runs.predict(model, names, predictions, recipe=recipe, on_progress=on_progress or _told, **settings)


def _told(n_done: int, n_all: int) -> None:
    """Tell whoever listens here."""
    tell("evaluating", "examples", n_done, n_all)
