"""Putting a model to work: measuring it, having it answer a data set, texts as vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Unpack

from distiltune.data.held import Data, as_list, holding
from distiltune.errors import DataError
from distiltune.progress import tell
from distiltune.python.arguments import held_data
from distiltune.python.settings import EmbeddingSettings, UsingSettings
from distiltune.python.showing import shown_here
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_EMBEDDING, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.runs import embed as embedding
from distiltune.runs import evaluate as runs
from distiltune.runs.embed import Embedded
from distiltune.runs.evaluate import Evaluated
from distiltune.tasks.own import Metric

_LONGEST_NAME: Final = 4_096


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


@in_python
def embed(
    texts: Data,
    model: str | Path,
    output: str | Path | None = None,
    *,
    normalise: bool = False,
    overwrite: bool = False,
    **settings: Unpack[EmbeddingSettings],
) -> Embedded:
    """The vector of each text: the mean of the encoder's token vectors, as sentence-transformers pools them.

    Args:
        texts: a list or a column of texts, or rows in memory with a column ``text``; or the name of a file, a
            directory, a data set on the hub, `starter`. Several files: a list of ``pathlib.Path``.
        model: a model directory, a run, or a name on the hub; its head, if it has one, is not looked at.
        output: a file to write as well: ``.npy``, or ``.parquet`` with ids and texts beside the vectors.
        normalise: make each vector of length 1, so that a dot product is a cosine.
        overwrite: replace a file that is already there.
        **settings: how files are read, ``max_length`` (most tokens of a text; by default as many as the model reads),
            ``device`` and ``threads``.

    Returns:
        The ``vectors``, ``(n_texts, hidden)`` float32, with ids, texts and notes; ``numpy.asarray`` makes an array of
        it.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    check_does_something(settings, FOR_EMBEDDING, "embed", "", "vectors")
    plain: dict[str, Any] = dict(settings)
    max_length = plain.pop("max_length", None)
    with shown_here(), holding(_as_rows(texts), "texts") as names:
        return embedding.embed(
            model,
            names,
            output,
            normalise=normalise,
            overwrite=overwrite,
            recipe=Recipe.build(plain),
            max_length=max_length,
        )


def _as_rows(texts: object) -> Any:
    """A list or a column of plain texts as rows; all else as it is.

    Raises:
        DataError: if these are names of files.

    """
    if isinstance(texts, str) or not isinstance(texts, list | tuple) or not all(isinstance(x, str) for x in texts):
        is_column = not isinstance(texts, str | list | tuple | dict) and getattr(texts, "ndim", 0) == 1
        return [{"text": text} for text in as_list(texts, "texts", "")] if is_column else texts
    if texts and all(len(text) < _LONGEST_NAME and Path(text).is_file() for text in texts):
        raise DataError(
            "These are names of files, and a list of strings is read as texts.",
            where="argument: texts",
            fix="give paths: [pathlib.Path(name), ...]",
        )
    return [{"text": text} for text in texts]
