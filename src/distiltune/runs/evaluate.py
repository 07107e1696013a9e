"""Any model directory on any data set: its figures, or its answers as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from distiltune.data.reading import Use
from distiltune.data.row_findings import RowFinding
from distiltune.errors import DataError, DistiltuneError, RecipeError
from distiltune.model.build import LoadedModel, check_window
from distiltune.model.source import PACKAGED
from distiltune.progress import counted
from distiltune.recipe.choose_task import entry_of_model, with_task_of_model
from distiltune.recipe.for_use import FOR_PREDICTING, FOR_USE, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.report.short_html import block, line, listed, metrics_table
from distiltune.runs.directory import RunDirectory
from distiltune.system.device import keep_freed_memory, set_threads
from distiltune.system.durable import writing_set, writing_text, writing_to
from distiltune.system.host import restored
from distiltune.system.names import as_names, as_path
from distiltune.tasks.base import Dataset
from distiltune.tasks.document_files import documents_as_data
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.own import NOTHING_OWN, Metric, Own
from distiltune.tasks.question_answering.names import NAME as QUESTION_ANSWERING
from distiltune.tasks.table import TASKS
from distiltune.tasks.trained import Trained, load_trained

_REJECTED: Final = "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a model is worth on a data set.

    Attributes:
        task: what the model does.
        model: as it was named.
        data: as it was named.
        n_examples: examples evaluated.
        n_features: windows that they make; the loss and the token accuracies are means over these.
        metrics: the task's figures by name; shares from 0 to 1, exact match and F1 in percent.
        rejected: the rows that were left out, and why.
        noted: what else there is to know of rows, such as a gold answer that is not in its text.
        notes: sentences for a person.
        written: the files of predictions.
        guide: the metrics in words.

    """

    task: str
    model: str
    data: tuple[str, ...]
    n_examples: int
    n_features: int
    metrics: dict[str, float]
    rejected: tuple[RowFinding, ...]
    noted: tuple[RowFinding, ...]
    notes: tuple[str, ...]
    written: tuple[str, ...] = ()
    guide: TaskGuide | None = None

    def as_json(self) -> dict[str, Any]:
        """The record as plain values, without the guide."""
        listed = {name: [finding.as_json() for finding in getattr(self, name)] for name in ("rejected", "noted")}
        return {**asdict(replace(self, guide=None)), **listed}

    def __repr__(self) -> str:
        scores = self.guide.scores(self.metrics) if self.guide is not None else ""
        left_out = f", {len(self.rejected):,} rows left out" if self.rejected else ""
        return f"<Evaluated {self.n_examples:,} examples: {scores or 'nothing to compare with'}{left_out}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the figures, what was left out, and what there is to know."""
        out = f"{len(self.rejected):,} rows left out" if self.rejected else ""
        return block(
            (
                line(f"{self.task.replace('-', ' ')} on {', '.join(self.data)}: {counted(self.n_examples, 'example')}"),
                metrics_table(self.metrics, self.guide) if self.guide is not None else "",
                line(out, bold=True) if out else "",
                listed([f"{each.where}: {each.message}" for each in self.rejected], 3),
                listed(self.notes, 5),
                listed([f"written: {path}" for path in self.written]),
            )
        )


@restored()
def evaluate(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    *,
    predictions: str | Path | None = None,
    recipe: Recipe | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    **settings: Any,
) -> Evaluated:
    """Measure a model on data with gold answers.

    Args:
        model: a model directory, a run, or a name on the hub.
        data: files, directories, `starter`, or data set names on the hub.
        predictions: a directory to write the answers into, as `predict` does.
        recipe: settings of reading and of windows; what it leaves to its defaults is as the model was trained. It may
            be that of a training: what is of training is not looked at.
        on_progress: told how many examples are done, of how many.
        metrics: figures of one's own, by name.
        **settings: settings that win over the recipe, such as ``max_answer_tokens=15``; those that would do nothing
            are refused. Products are taken in float32, whatever the precision of the training, unless ``precision`` is
            among them.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    _check_settings(settings, FOR_USE if predictions is None else FOR_PREDICTING, "evaluate", model)
    recipe = (recipe or Recipe()).with_changes(**settings, model=model)
    own = Own(metrics or {})
    recipe.with_changes(**own.settings)  # which says what is wrong with a name
    return _run(recipe, settings, data, "evaluation", predictions, on_progress, own)


@restored()
def predict(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    predictions: str | Path,
    *,
    recipe: Recipe | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Evaluated:
    """Write a model's answers to every example of the data, whether or not it is known what is right.

    What is answered does not depend on gold answers or labels; where the data has some, the metrics are of these.

    Args:
        model: a model directory, a run, or a name on the hub.
        data: files, directories, `starter`, or data set names on the hub; or documents (text, Markdown,
            HTML, PDF, Word), a text each.
        predictions: a directory to write the answers into, and ``rejected.jsonl`` with the rows that cannot be read.
        recipe: as in `evaluate`.
        on_progress: told how many examples are done, of how many.
        **settings: as in `evaluate`, and ``n_best``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    _check_settings(settings, FOR_PREDICTING, "predict", model)
    recipe = (recipe or Recipe()).with_changes(**settings, model=model)
    return _run(recipe, settings, data, "prediction", predictions, on_progress)


def _check_settings(given: Iterable[str], used: Sequence[str], name: str, model: str | Path) -> None:
    """Refuse what does nothing; a model that is here says which task's settings are offered instead."""
    if any(each in Recipe.model_fields and each not in used for each in given):
        task = ""
        if Path(model).is_dir() or str(model) in PACKAGED:
            with suppress(DistiltuneError):
                task = entry_of_model(str(model)).name
        check_does_something(given, used, name, task)


def _run(
    recipe: Recipe,
    given: Iterable[str],
    data: str | Path | Sequence[str | Path],
    use: Use,
    predictions: str | Path | None,
    on_progress: Callable[[int, int], None] | None,
    own: Own = NOTHING_OWN,
) -> Evaluated:
    named = as_names(data, "data", least=1)
    with documents_as_data(named, recipe.encoding) if use == "prediction" else nullcontext((named, ())) as held:
        sources, notes = held
        if sources != named:
            _check_takes_documents(recipe.model)
        found = _run_on(recipe, given, sources, use, predictions, on_progress, own)
        return replace(found, data=named, notes=(*notes, *found.notes))


def _check_takes_documents(model: str) -> None:
    """Check that a model has something to say of a document alone.

    Raises:
        RecipeError: if it answers questions.

    """
    if (entry := entry_of_model(model)).name == QUESTION_ANSWERING:
        raise RecipeError(
            f"Documents have no questions, and the model is one for {entry.name}.",
            where=model,
            fix=f'ask it: distiltune ask {model} --document FOLDER "A question?"',
        )


def _run_on(
    recipe: Recipe,
    given: Iterable[str],
    sources: tuple[str, ...],
    use: Use,
    predictions: str | Path | None,
    on_progress: Callable[[int, int], None] | None,
    own: Own,
) -> Evaluated:
    directory = as_path(predictions, "predictions") if predictions is not None else None
    if directory is not None:
        _check_is_no_run(directory)
    trained = _load(recipe, given, sources)
    task, loaded = trained.task, trained.loaded
    dataset = task.load_data(sources, loaded.tokenizer, use)
    had = _written(directory, task.prediction_files)
    with _predictions(directory, task.prediction_files, dataset) as beside:
        evaluation = task.evaluate(
            loaded.model,
            dataset,
            beside,
            lambda n_done: on_progress(n_done, dataset.n_examples) if on_progress is not None else None,
        )
    return Evaluated(
        task=task.name,
        model=recipe.model,
        data=sources,
        n_examples=dataset.n_examples,
        n_features=len(dataset.features),
        metrics=own.figures(evaluation),
        rejected=tuple(dataset.findings.unused()),
        noted=(*dataset.findings.of("decided"), *dataset.findings.of("noted")),
        notes=(
            *_notes(loaded, dataset),
            *((f"what {directory} had of earlier predictions is replaced",) if had else ()),
        ),
        written=_written(directory, task.prediction_files),
        guide=task.guide(evaluation.metrics),
    )


def _written(directory: Path | None, names: Sequence[str]) -> tuple[str, ...]:
    paths = [directory / name for name in names] if directory is not None else []
    return tuple(str(path) for path in paths if path.is_file())


def _load(recipe: Recipe, given: Iterable[str], sources: Sequence[str]) -> Trained[Any]:
    """The model, which must have a trained head, and the task as it was trained for it.

    Settings ``given`` on purpose must be those of the task.
    """
    keep_freed_memory()
    set_threads(recipe.threads)
    recipe = with_task_of_model(recipe, sources)
    recipe.check_used(given)
    precision = recipe.precision if "precision" in given else "float32"
    trained = load_trained(recipe.model, TASKS[recipe.task](recipe), recipe.device, precision)
    check_window(recipe.max_length, trained.loaded.source.config)
    return trained


@contextmanager
def _predictions(directory: Path | None, names: Sequence[str], dataset: Dataset) -> Iterator[Path | None]:
    """Where the answers are written until all are whole: those of one model get their places as a set.

    Raises:
        DataError: if they cannot be written.

    """
    if directory is None:
        yield None
        return
    with writing_to(directory, DataError), writing_set(directory, (*names, _REJECTED)) as beside:
        with writing_text(beside / _REJECTED) as file:
            for finding in dataset.findings.unused():
                file.write(json.dumps(finding.as_json(), ensure_ascii=False) + "\n")
        yield beside


def _check_is_no_run(directory: Path) -> None:
    """Check that no run's own answers, which its report and `compare` go by, would be replaced.

    Raises:
        DataError: if it is a run's directory.

    """
    if RunDirectory(directory).is_run():
        raise DataError(
            "It is a run's directory, which has the answers of its own validation.",
            where=str(directory),
            fix=f"name another folder, such as {directory / 'answers'}",
        )


def _notes(loaded: LoadedModel, dataset: Dataset) -> tuple[str, ...]:
    told = (*dataset.findings.decisions(), *dataset.findings.told())
    return (*loaded.source.notes, *dataset.notes, *told)
