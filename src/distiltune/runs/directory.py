"""The run directory: where each thing lies."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from distiltune.errors import TrainingError
from distiltune.system import lock
from distiltune.system.durable import find_link, left_over_of, read_file, write_whole
from distiltune.system.toml_text import parse_toml
from distiltune.tasks.table import TASKS

Stage = Literal["first-training", "second-training"]
"""The trainings of a run that learns from texts without labels too: on the labels alone, then on both."""

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

_BEFORE_A_RUN: Final = frozenset({lock.NAME, ".recipe.toml.new"})
"""What a run that was stopped before its recipe was written leaves."""


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The places in a run directory.

    Attributes:
        path: of the directory.
        stage_of: the run whose stage this one is, in a folder of it; None: it is a run by itself.

    """

    path: Path
    stage_of: RunDirectory | None = None

    @property
    def name(self) -> str:
        """What the run is called: a stage as its whole."""
        return (self.stage_of or self).path.resolve().name

    def stage(self, name: Stage) -> RunDirectory:
        """A training that is a stage of this run, which is a run in a folder of it."""
        return RunDirectory(self.path / name, stage_of=self)

    def check_free(self, *, overwrite: bool) -> None:
        """Check that a new run may be made here.

        Raises:
            TrainingError: if something is there already that may not be replaced.

        """
        if not self.path.exists():
            return
        if self.path.is_dir() and self._names() <= _BEFORE_A_RUN:
            return
        if not self.is_run():
            raise TrainingError(
                "The output is not an empty directory, and not a run either: one has a recipe.toml that names versions "
                "and a log.jsonl.",
                where=str(self.path),
                fix="choose another --output",
            )
        if not overwrite:
            raise TrainingError(
                "The output directory holds a run already.",
                where=str(self.path),
                fix="choose another --output, go on with it with --resume, or replace it with --overwrite",
            )

    def check_links(self) -> None:
        """Check that nothing that a run writes, replaces or removes here leads out of the directory.

        Raises:
            TrainingError: if there is a link among it, or what is neither a file nor a folder, or it cannot be listed.

        """
        try:
            link = find_link(self.path, lambda name: name == lock.NAME or self._writes(name))
        except OSError as error:
            raise TrainingError(
                f"The run directory cannot be read: {error.strerror}.",
                where=str(error.filename or self.path),
                fix="give the right to read it, or choose another directory",
            ) from error
        if link is not None:
            raise TrainingError(
                "There is a link where a run writes: what lies elsewhere would be overwritten or removed."
                if link.is_symlink()
                else "There is a pipe or a device where a run writes.",
                where=str(link),
                fix="remove it, or put what it leads to in its place; the run directory itself may be a link",
            )

    def is_run(self) -> bool:
        """Whether a run was begun here: its recipe as run is there, and its log or nothing yet that comes after it."""
        try:
            table = parse_toml(read_file(self.recipe).decode())
        except (OSError, ValueError):
            return False
        begun = _BEFORE_A_RUN | {self.recipe.name, self.checkpoints.name}
        return "versions" in table and (self.log.is_file() or self._names() <= begun)

    def make(self) -> None:
        """Make the directory itself, so that it can be locked.

        Raises:
            TrainingError: if it cannot be made.

        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f"The run directory cannot be made: {error.strerror}.",
                where=str(self.path),
                fix="choose another --output",
            ) from error

    def create(self, *, overwrite: bool, recipe: str = "") -> list[str]:
        """Make the directory for a new run, in place of an old one if that is allowed.

        ``recipe`` is written before the old run goes and before anything else is there, and the old log goes last: a
        directory with something in it is always one that can be resumed or overwritten.

        Returns:
            the names of what is there and no run writes, which stays.

        Raises:
            TrainingError: if something is there already that may not be replaced, or it cannot be made.

        """
        self.check_free(overwrite=overwrite)
        self.make()
        try:
            if recipe:
                write_whole(self.recipe, recipe.encode())
            foreign = []
            for entry in self._entries():
                if entry.name == lock.NAME or (recipe and entry == self.recipe):
                    continue
                if not self._writes(entry.name):
                    foreign.append(entry.name)
                elif entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            self.checkpoints.mkdir()
        except OSError as error:
            raise TrainingError(
                f"The run directory cannot be made: {error.strerror}.",
                where=str(self.path),
                fix="choose another --output",
            ) from error
        return foreign

    def _writes(self, name: str) -> bool:
        """Whether a run writes something of this name, or of this name before it is whole."""
        places = (self.recipe, self.log, self.checkpoints, self.model, self.rejected, self.answers, self.report)
        more = (self.adapter, self.events, self.curves_svg, self.curves_png, self.own_labels, self.self_training)
        names = {path.name for path in (*places, *more)} | set(STAGES)
        names |= _prediction_files()
        begun = {f".{each}.new" for each in names}
        return name in names | begun or left_over_of(Path(name)) in names

    def _names(self) -> set[str]:
        return {path.name for path in self._entries()}

    def _entries(self) -> list[Path]:
        """What is in the directory, checkpoints first and the log last."""
        try:
            return sorted(self.path.iterdir(), key=lambda path: (path != self.checkpoints, path == self.log, path.name))
        except OSError as error:
            raise TrainingError(
                f"The output directory cannot be read: {error.strerror}.",
                where=str(self.path),
                fix="choose another --output",
            ) from error

    @property
    def recipe(self) -> Path:
        """The recipe as run, with what it left open, versions, machine and data fingerprints."""
        return self.path / "recipe.toml"

    @property
    def log(self) -> Path:
        """One JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The last two checkpoints and the best epoch's."""
        return self.path / "checkpoints"

    @property
    def base(self) -> Path:
        """Shape and tokenizer of the model that the run began with, for resuming."""
        return self.checkpoints / "base"

    @property
    def model(self) -> Path:
        """The best epoch as a model directory."""
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """The best epoch's adapters as `peft` reads them, if it was trained with LoRA."""
        return self.path / "adapter"

    @property
    def rejected(self) -> Path:
        """Every input row that was left out, and why."""
        return self.path / "rejected.jsonl"

    @property
    def answers(self) -> Path:
        """Every validation example of the best epoch: asked, given, wanted, scores."""
        return self.path / "answers.jsonl"

    @property
    def report(self) -> Path:
        """The run on one page."""
        return self.path / "report.html"

    @property
    def events(self) -> Path:
        """What trackers keep on this machine, such as TensorBoard's events, if any was asked for."""
        return self.path / "events"

    @property
    def curves_svg(self) -> Path:
        """Losses and accuracies as a picture."""
        return self.path / "curves.svg"

    @property
    def curves_png(self) -> Path:
        """The same as pixels."""
        return self.path / "curves.png"

    @property
    def own_labels(self) -> Path:
        """The texts without labels that a second training learns from, with the labels that the first gave them."""
        return self.path / "self-labels.jsonl"

    @property
    def self_training(self) -> Path:
        """How those were chosen, counted."""
        return self.path / "self-training.json"

    @property
    def new_predictions(self) -> Path:
        """Where an evaluation's answers lie until it is known whether they are the best."""
        return self.checkpoints / "predictions"

    def results(self) -> list[Path]:
        """The files that the best epoch came to, beside the model and the report."""
        names = {self.rejected.name, self.answers.name, self.curves_svg.name, self.curves_png.name}
        return [path for path in self._entries() if path.name in names | _prediction_files()]

    def new_prediction_files(self) -> dict[str, bytes]:
        """The last evaluation's answers, by file name."""
        if not self.new_predictions.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in sorted(self.new_predictions.iterdir())}

    def publish_predictions(self, best: Path) -> None:
        """Put the answers that lie in the best epoch's checkpoint into the run directory itself."""
        for path in best.iterdir():
            if path.name in _prediction_files():
                write_whole(self.path / path.name, path.read_bytes())

    def keep_predictions(self) -> None:
        """Move the last evaluation's answers to the run directory itself."""
        if self.new_predictions.is_dir():
            for path in self.new_predictions.iterdir():
                if path.name in _prediction_files():
                    path.replace(self.path / path.name)

    def drop_new_predictions(self) -> None:
        """Throw away what is left of the last evaluation's answers."""
        shutil.rmtree(self.new_predictions, ignore_errors=True)


def default_run_path(recipe: Path | None, train: Sequence[str]) -> Path:
    """The run directory where none was named: ``runs/NAME``, after the recipe's file, else the first training data.

    A file is without its suffix, ``my.toml`` and ``my.json.gz`` are ``my``; of a path and a name on the hub the last
    part is taken.
    """
    path = recipe if recipe is not None else Path(train[0])
    name = path.absolute().name if path.name != ".." else path.resolve().name
    if recipe is not None or _is_file(path):
        name = Path(name.removesuffix(".gz")).stem
    return Path("runs", name.replace(":", "-") or "train")


def _prediction_files() -> set[str]:
    """The names of all tasks' files of predictions."""
    return {each for entry in TASKS.values() for each in entry.prediction_files}


def _is_file(path: Path) -> bool:
    try:
        return path.expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # which is said when it is read
        return False
