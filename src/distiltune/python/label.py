"""Labelling texts in the browser, with a model that learns beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from distiltune.data.held import Data
from distiltune.errors import DataError, RecipeError, TrainingError
from distiltune.python.arguments import held_data
from distiltune.python.serve import check_installed, check_no_loop
from distiltune.python.settings import LabellingSettings
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_LABELLING, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.settings.engine import AUTO
from distiltune.system.lock import RunLock
from distiltune.system.names import as_names, as_path

if TYPE_CHECKING:
    from distiltune.labelling.desk import Desk
    from distiltune.labelling.offered import LabelTask
    from distiltune.labelling.retraining import How, RunScore
    from distiltune.labelling.service import Room
    from distiltune.labelling.thinking import Vectors

HOST: Final = "127.0.0.1"
_MAX_BODY_BYTES: Final = 8_000_000
_BASES: Final = ("model", "epochs", "learning_rate", "batch_size", "max_length", "stride", "threads", "device")
"""Settings that are handed on to the trainings."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """How it is labelled.

    Attributes:
        labels: names of labels, in the order of their digits; those that the data have are added.
        order: what comes next: ``doubt``, what is typical and then what the model is unsure of; ``random``; or
            ``file``, as the texts stand.
        first: how many are chosen as typical, before a model has an opinion.
        retrain_every: labels after which a model is trained anew; 0: only when the page's button is pressed.

    """

    labels: tuple[str, ...] = ()
    order: str = "doubt"
    first: int = 20
    retrain_every: int = 25

    def __post_init__(self) -> None:
        from distiltune.labelling.choosing import ORDERS

        if self.order not in ORDERS:
            raise RecipeError(f"order is {self.order!r}.", where="--order", fix=f"give one of {', '.join(ORDERS)}")
        for name, value, least in (("first", self.first, 1), ("retrain-every", self.retrain_every, 0)):
            if value < least:
                raise RecipeError(f"{name} is {value}.", where=f"--{name}", fix=f"give {least} or more")
        labels = as_names(self.labels, "labels", "argument: labels")
        if unusable := [label for label in labels if not label.strip() or len(label) > 200]:
            raise RecipeError(f"{unusable[0]!r} cannot be a label.", where="--labels", fix="give 1 to 200 signs")


@in_python
def label(
    texts: Data,
    output: str | Path,
    *,
    labelling: Labelling | None = None,
    port: int = 8_000,
    on_note: Callable[[str], None] = print,
    **settings: Unpack[LabellingSettings],
) -> None:
    """Serve a page on this machine to label texts with, until SIGINT or SIGTERM (extra `serve`); in the main thread.

    Each label is brought to the disk before the next text is shown. Nothing is stored of who labels, or when.

    Args:
        texts: documents (files, folders, patterns), or data as `fine_tune` takes them, with or without labels.
        output: the `.jsonl` file to keep the labels in, which `fine_tune` reads as it is; one that is there is gone on
            with. What belongs to it besides lies beside in a folder of the same name that ends in ``.labelling``.
        labelling: names of labels, what comes next, how often a model is trained.
        port: to listen on; 0: any that is free. Only this machine can reach it, and only with the key in the address
            that is told does it show texts, so that its other accounts do not.
        on_note: told where the page is, and what there is to say.
        **settings: ``task``, where the data do not tell it; how data are read; the ``model`` to begin with and how it
            is trained.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    check_does_something(settings, FOR_LABELLING, "label", "", "labelling")
    with held_data(texts, "texts") as sources:
        label_until_stopped(sources, as_path(output, "output"), labelling or Labelling(), port, on_note, settings)


def label_until_stopped(
    sources: Sequence[str],
    output: Path,
    labelling: Labelling,
    port: int,
    on_note: Callable[[str], None],
    settings: Mapping[str, Any],
) -> None:
    """The same of named texts, with errors in the words of the command.

    Raises:
        DistiltuneError: as `label`.

    """
    check_installed("Labelling")
    check_no_loop("Labelling")
    from distiltune.labelling.own_key import own_key
    from distiltune.labelling.service import LabelSite, label_app
    from distiltune.serving.access import Access
    from distiltune.serving.gate import Limits
    from distiltune.serving.listening import connections_that_fit, run, served_names

    with labelling_room(sources, output, labelling, settings) as room:
        for note in (_begun(room.desk), *room.notes):
            on_note(note)
        key = own_key(_beside(output))
        limits = Limits(
            max_body_bytes=_MAX_BODY_BYTES,
            max_connections=connections_that_fit(0),
            access=Access(served_names(HOST, ()), api_key=key),
        )
        site = LabelSite(label_app(room), limits)
        run(site, (HOST, port), lambda url: on_note(f"label at {url}/#key={key} (stop with Ctrl-C)"))


def _beside(output: Path) -> Path:
    """The folder of what belongs to a file of labels."""
    return output.with_suffix(".labelling")


@contextmanager
def labelling_room(
    sources: Sequence[str], output: Path, labelling: Labelling, settings: Mapping[str, Any]
) -> Iterator[Room]:
    """Everything behind the page, at work until the ``with`` ends.

    Raises:
        DistiltuneError: if texts or file cannot be used, or another process is at the file.

    """
    recipe = _with_task(Recipe.build(settings), sources)
    if output.suffix != ".jsonl":
        raise RecipeError("Labels are kept as JSON lines.", where=f"--output {output}", fix="name a file in .jsonl")
    task = _task(sources, recipe, labelling)
    folder = _beside(output)
    lock = RunLock(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise DataError(
            f"It cannot be written: {error.strerror}.", where=str(folder), fix="name another --output"
        ) from error
    except TrainingError as error:
        raise DataError(
            error.what.replace("Another run is", "Another `distiltune label` is"), where=str(output), fix=error.fix
        ) from error
    try:
        room = furnished(task, output, folder, labelling, recipe)
        room.thinking.start()
        try:
            yield room
        finally:
            room.close()
    finally:
        lock.release()


def _task(sources: Sequence[str], recipe: Recipe, labelling: Labelling) -> LabelTask:
    from distiltune.tasks.table import TASKS

    entry = TASKS[recipe.task]
    recipe.check_used([name for name in recipe.model_fields_set if name in FOR_LABELLING])
    return entry.needed(entry.labeller)(sources, recipe, labelling.labels)


def _with_task(recipe: Recipe, sources: Sequence[str]) -> Recipe:
    """The recipe with its task: as it was said, or as the data or the model plainly tells.

    Raises:
        RecipeError: if nothing tells.

    """
    if recipe.task != AUTO:
        return recipe
    from distiltune.recipe.choose_task import with_task_of_training
    from distiltune.tasks.document_files import document_sources

    if document_sources(sources) is None:
        return recipe.with_changes(task=with_task_of_training(recipe.with_changes(train=tuple(sources))).task)
    raise RecipeError(
        "Plain texts do not tell what they are to be labelled for.",
        where=", ".join(sources),
        fix="say --task question-answering, text-classification or token-classification",
    )


def furnished(task: LabelTask, output: Path, folder: Path, labelling: Labelling, recipe: Recipe) -> Room:
    """The desk of these texts with what works beside it, none of which has begun.

    Raises:
        DataError: if the file is damaged.
        NotKeptError: if it cannot be written.

    """
    from distiltune.labelling.choosing import NextUp, drawn_by
    from distiltune.labelling.desk import Desk
    from distiltune.labelling.items import items_of
    from distiltune.labelling.kept_rows import KeptRows
    from distiltune.labelling.retraining import Retraining
    from distiltune.labelling.service import Room
    from distiltune.labelling.thinking import Thinking

    items, n_repeated = items_of(task.texts.texts)
    by_key = {item.key: item for item in items}
    kept, aside = KeptRows(output), KeptRows(folder / "set-aside.jsonl")
    choice = NextUp(labelling.order, drawn_by(recipe.sample_seed, list(by_key)))  # type: ignore[arg-type]
    desk = Desk(task, by_key, kept, aside, choice, list(task.labels))
    desk.open()
    thinking = Thinking(desk, _vectors(recipe) if labelling.order == "doubt" else None, labelling.first)
    retraining = Retraining(
        desk,
        folder,
        _how(recipe, task, labelling.retrain_every),
        lambda model, n: thinking.use(model, f"trained on {n} labels", n),
    )
    newest = retraining.open()
    if newest is not None:
        n = retraining.points[-1].n_labels if retraining.points else 0
        thinking.use(newest, f"trained on {n} labels", n)
    elif _can_suggest(recipe):
        thinking.use(recipe.model, recipe.model, 0)
    return Room(desk, thinking, retraining, (*task.texts.notes, *_notes(desk, n_repeated)))


def _begun(desk: Desk) -> str:
    """How far it is at the start: for the terminal, as the page counts on."""
    counts = desk.counts()
    return f"{counts.items:,} texts, {counts.labelled:,} of them labelled in {desk.kept.path}"


def _notes(desk: Desk, n_repeated: int) -> list[str]:
    notes = []
    if n_repeated:
        notes.append(f"left out, as they stand there before: {n_repeated:,} texts")
    if desk.kept.n_cut:
        notes.append(f"cut off: {desk.kept.n_cut:,} bytes of a last row that was not finished")
    if desk.kept.n_others:
        notes.append(
            f"{desk.kept.n_others:,} rows of {desk.kept.path} are of none of these texts, and stay as they are"
        )
    return notes


def _can_suggest(recipe: Recipe) -> bool:
    """Whether the model to begin with does the task already."""
    from distiltune.model.source import model_config
    from distiltune.recipe.choose_task import task_of_model

    return task_of_model(model_config(recipe.model)) == recipe.task


_MOST_TOKENS = 256
"""Of a text, by which it is like others."""


def _vectors(recipe: Recipe) -> Vectors:
    """Texts → the mean vectors of the model to begin with, which is loaded when it is first needed."""

    def vectors(texts: Sequence[str], n_at_once: int) -> Iterator[Any]:
        import torch

        from distiltune.inference.sentence_vectors import load_sentence_encoder, sentence_vectors

        loaded = load_sentence_encoder(recipe.model, torch.device("cpu"))
        length = min(_MOST_TOKENS, loaded.max_length)
        for first in range(0, len(texts), n_at_once):
            some = texts[first : first + n_at_once]
            yield sentence_vectors(loaded.encoder, loaded.tokenizer, some, max_length=length)

    return vectors


def _how(recipe: Recipe, task: LabelTask, every: int) -> How:
    from distiltune.labelling.retraining import How
    from distiltune.runs.directory import RunDirectory

    given: dict[str, Any] = {
        name: getattr(recipe, name) for name in _BASES if name in recipe.model_fields_set or name == "model"
    }
    given |= task.training
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]

    def arguments(train: Path, validation: Path | None, run: Path) -> list[str]:
        data = ["--train", str(train), *(["--validation", str(validation)] if validation else [])]
        return ["train", "--task", task.name, *data, "--output", str(run), "--overwrite", *flags]

    return How(every, arguments, _measured, lambda run: RunDirectory(run).model)


def _measured(run: Path) -> RunScore | None:
    """What a run scores on its validation data, with its interval."""
    from distiltune.labelling.retraining import RunScore
    from distiltune.runs.record import read_run
    from distiltune.tasks.statistics import f1_interval, mean_interval, share_interval
    from distiltune.tasks.table import TASKS

    record = read_run(run)
    answers = list(record.answers.values())
    if not answers:
        return None
    counts = [each.counts for each in answers if each.counts is not None]
    if len(counts) == len(answers):
        wanted = [each for each in counts if each.n_given + each.n_wanted]
        if not wanted:
            return None
        metric, interval = "F1", f1_interval(wanted)
    elif "f1" in TASKS[record.task].monitors:
        metric, interval = "F1", mean_interval([each.f1 for each in answers])
    else:
        right = sum(each.exact for each in answers)
        metric, interval = "accuracy", share_interval(right, len(answers)).in_percent()
    return RunScore(metric, interval.value, interval.low, interval.high, len(answers))
