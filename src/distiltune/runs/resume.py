"""Going on with a run: the last whole checkpoint, whether recipe and data still fit it, and what it began from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from distiltune.distillation.teacher import Chunks
from distiltune.errors import RecipeError, TrainingError
from distiltune.model.build import LoadedModel
from distiltune.model.encoder import model_device
from distiltune.model.source import UNTRAINED
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.runs.provenance import versions
from distiltune.system.device import Precision, choose_precision, describe_machine, instructions, seed_dropout
from distiltune.system.durable import find_damage, sync, write_whole
from distiltune.system.names import did_you_mean, names_beside
from distiltune.tasks.base import Dataset, Lesson
from distiltune.training.checkpoint import USE_ANOTHER, Position, checkpoints_in, read_checkpoint, read_state, restore
from distiltune.training.checkpoint_writer import best_checkpoint, clear_hidden, remove
from distiltune.training.loop import LoopState
from distiltune.training.optimiser import Adam
from distiltune.training.run_log import count_lines

MAY_CHANGE: Final = frozenset(
    {
        *("device", "threads", "evaluation_tokens", "log_every"),
        *("checkpoint_minutes", "checkpoint_steps", "non_finite", "tracker"),
    }
)
"""Settings that decide neither what is learnt nor in which order; everything else must be as the run was begun."""

_IF_NAMED: Final = frozenset({"precision"})
"""What does decide what is learnt, and is another if whoever resumes the run says so, and only then."""

BY_CONTENT: Final = frozenset({"train", "validation", "teacher", "warm_up_data", "unlabelled"})
"""Settings that name files: the files may have moved as long as they hold the same."""

_BEGIN_AGAIN: Final = "begin again: distiltune train --recipe {run.recipe} --output {run.path} --overwrite"

_BEST_FILES: Final = frozenset({"weights.safetensors", "state.json"})


@dataclass(frozen=True, slots=True)
class Resumed:
    """The checkpoint that a run goes on from.

    Attributes:
        directory: the checkpoint.
        position: how far it had come.
        state: its plain values.
        notes: a sentence for each newer checkpoint that turned out to be damaged.

    """

    directory: Path
    position: Position
    state: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def loop(self) -> LoopState:
        """Where the loop goes on."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.state["loop"].items()
        }
        return LoopState(**values)

    @property
    def came_from(self) -> tuple[Position, int]:
        """The position and the best epoch then, for whoever keeps the checkpoints."""
        return self.position, int(self.state["best"]["epoch"])

    def put_back(self, model: nn.Module, optimiser: Adam, seed: int, rank: int) -> None:
        """Weights, optimiser and random states as they were in the first process, which wrote them.

        The GPU of a process of another ``rank`` draws its dropout anew, from ``seed`` and the steps done: with the
        first one's state it would drop what that one drops.

        Raises:
            TrainingError: if they cannot be read, or are of another model.

        """
        restore(read_checkpoint(self.directory), model, optimiser)
        if rank:
            seed_dropout(model_device(model), seed, rank, self.position.steps_done)


def find_resumable(run: RunDirectory) -> Resumed | None:
    """The last checkpoint of a run that is whole; None if it was stopped before the first one and may begin anew there.

    Raises:
        TrainingError: if there is no run, none of its checkpoints is whole, or it has none and yet something to lose.

    """
    if not run.recipe.is_file():
        raise _no_run(run)
    notes: list[str] = []
    for position in _positions(run):
        directory = run.checkpoints / position.name
        try:
            state = read_state(directory)
            best = int(state["best"]["epoch"])
            damage = find_damage(best_checkpoint(run.checkpoints, best), _BEST_FILES) if best >= 0 else ""
            if damage:
                raise TrainingError(
                    f"The checkpoint's best epoch {best} is damaged: {damage}.", where=str(directory), fix=USE_ANOTHER
                )
            return Resumed(directory, position, state, tuple(notes))
        except TrainingError as error:
            notes.append(f"{error.what} ({directory.name}); the checkpoint before it is used")
    if notes:
        raise TrainingError(
            "None of the run's checkpoints can be used:\n  "
            + "\n  ".join(note.split("; the check")[0] for note in notes),
            where=str(run.checkpoints),
            fix=_BEGIN_AGAIN.format(run=run),
        )
    _check_nothing_to_lose(run)
    return None


def _positions(run: RunDirectory) -> list[Position]:
    try:
        return checkpoints_in(run.checkpoints)
    except OSError as error:
        raise TrainingError(
            f"The run's checkpoints cannot be read: {error.strerror or error}.",
            where=str(run.checkpoints),
            fix="mend that, then resume again",
        ) from error


def _check_nothing_to_lose(run: RunDirectory) -> None:
    """Check that a run without a checkpoint has come to nothing yet, so that it may begin anew in its directory."""
    if not run.is_run():
        raise _no_run(run)
    n_epochs = count_lines(run.log, "epoch")
    if not n_epochs and not run.model.exists():
        return
    what = "a model" if run.model.exists() else f"the log of {n_epochs} epoch(s)"
    raise TrainingError(
        f"The run has no checkpoint to go on from, and it holds {what}, which beginning anew would delete.",
        where=str(run.checkpoints),
        fix=f"put its checkpoints back, or {_BEGIN_AGAIN.format(run=run)}",
    )


def _no_run(run: RunDirectory) -> TrainingError:
    near = did_you_mean([] if run.path.exists() else names_beside(run.path))
    fix = f"{near}give the --output directory of a run"
    return TrainingError("There is no run to resume.", where=str(run.path), fix=fix)


def clear_leftovers(run: RunDirectory, resumed: Resumed) -> None:
    """Remove what a killed process was writing, and checkpoints beyond the one that is resumed."""
    clear_hidden(run.checkpoints)
    for position in checkpoints_in(run.checkpoints):
        if position > resumed.position:
            remove(run.checkpoints / position.name)


def check_recipe(then: Mapping[str, Any], now: Recipe, run: RunDirectory) -> None:
    """Check that a recipe is the one that the run was begun with, apart from what may change or was named to.

    Raises:
        TrainingError: with every difference.

    """
    values = now.model_dump(mode="json")
    free = MAY_CHANGE | BY_CONTENT | _IF_NAMED
    differences = [
        f"{name}: {_shown(then.get(name, Recipe.model_fields[name].default))} in the run, {_shown(value)} now"
        for name, value in values.items()
        if name not in free and then.get(name, Recipe.model_fields[name].default) != value
    ]
    _refuse(differences, "recipe", "leave these settings out", run)


def fingerprints(lesson: Lesson[Any]) -> dict[str, Any]:
    """What the data come to: hashes of the files, of the features made from them, and of what a teacher says of these.

    Of a kind of data that there is none of, None.
    """
    targets = lesson.features.targets
    sets: dict[str, Dataset | None] = {
        "training data": lesson.training,
        "validation data": lesson.validation,
        "warm-up data": lesson.warm_up,
    }
    found = {name: None if data is None else _fingerprint(data) for name, data in sets.items()}
    return {**found, "teacher": {"outputs": targets.fingerprint} if isinstance(targets, Chunks) else None}


def check_data(then: Mapping[str, Any], now: Mapping[str, Any], run: RunDirectory) -> None:
    """Check that the data are those that the run was begun with.

    Raises:
        TrainingError: with every difference.

    """
    differences = []
    for name in now:
        before, after = then.get(name), now[name]
        if before is None or after is None:
            if before is not after:
                differences.append(f"{name}: {'none' if before is None else 'some'} in the run, now the reverse")
            continue
        differences += [
            f"{name}, {what}: {_shown(before.get(what))} in the run, {_shown(after[what])} now"
            for what in after
            if before.get(what) != after[what]
        ]
    fix = "put the same files back, or hand over the same rows; the data of the run are named in its recipe.toml"
    _refuse(differences, "data", fix, run)


BEGAN_FROM: Final = ("source_notes", "source_name", "from_scratch", "is_fine_tuned")
"""Which of the ``surroundings`` are of the base model, and stay those of the run's beginning."""


def surroundings(
    recipe: Recipe,
    data: Mapping[str, Any],
    loaded: LoadedModel,
    n_threads: int,
    n_processes: int,
    precision: Precision,
) -> dict[str, Any]:
    """What every checkpoint says of the run, for the checks above."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data": dict(data),
        "source_notes": list(loaded.source.notes),
        "source_name": loaded.source.directory.name,
        "from_scratch": loaded.source.is_untrained,
        "is_fine_tuned": not loaded.source.missing,
        "same_bits": {
            "threads": n_threads,
            "processes": n_processes,
            "precision": precision,
            **_numerics(model_device(loaded.model)),
        },
    }


def precision_of(then: Mapping[str, Any], named: str, device: torch.device) -> str:
    """The precision to go on in: as named, or else that of the run, which need not be what `auto` is on this device.

    Raises:
        TrainingError: if none is named and the device does not have that of the run.

    """
    if named:
        return named
    before: str = then["same_bits"]["precision"]
    try:
        choose_precision(before, device, 0)
    except RecipeError as error:
        raise TrainingError(
            f"The run was begun in {before}, which this device does not have: {error.what}",
            where="precision",
            fix="resume it on such a device, or go on in another precision, to other results, with --precision float32",
        ) from error
    return before


def notes_on_bits(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs from then that changes the results or may change their last bits, for the user."""
    before, after = then["same_bits"], now["same_bits"]
    changed = {  # what a checkpoint of an earlier version does not tell is not known to differ
        name: f"{before[name]} then, {after[name]} now"
        for name in after
        if name in before and before[name] != after[name]
    }
    notes = []
    if precision := changed.pop("precision", ""):
        notes.append(f"the results will be others than without the stop: precision {precision}, as was asked for")
    if changed:
        listed = ", ".join(f"{name} {values}" for name, values in changed.items())
        notes.append(f"the results may differ in their last bits: {listed}")
    return notes


def write_base(run: RunDirectory, loaded: LoadedModel) -> None:
    """Keep the shape and the tokenizer that the run begins with, so that it can go on without its base model."""
    config = {**loaded.source.config_hf, UNTRAINED: True}
    run.base.mkdir(parents=True, exist_ok=True)
    write_whole(run.base / "tokenizer.json", loaded.tokenizer.to_str().encode())
    write_whole(run.base / "config.json", json.dumps(config).encode())
    sync(run.checkpoints)


def as_in_the_run(loaded: LoadedModel, state: Mapping[str, Any]) -> LoadedModel:
    """A model loaded from what ``write_base`` kept, with what was remarkable about the base model itself."""
    notes = tuple(map(str, state["source_notes"]))
    return replace(loaded, source=replace(loaded.source, missing=(), notes=notes))


def _numerics(device: torch.device) -> dict[str, str]:
    """What computes: other versions and other instructions may round otherwise, or part texts otherwise."""
    found, machine = versions(), describe_machine(device)
    packages = {name: found[name] for name in ("torch", "numpy", "tokenizers", "safetensors", "distiltune")}
    return {**packages, "device": machine.device, "processor": machine.processor, "instructions": instructions()}


def _fingerprint(data: Dataset) -> dict[str, Any]:
    features = data.features
    return {"files": data.fingerprint, "features": len(features), "tokens and labels": features.fingerprint()}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 50 else f"{text[:24]}…{text[-24:]}"


def _refuse(differences: list[str], what: str, fix: str, run: RunDirectory) -> None:
    if differences:
        raise TrainingError(
            f"The run was begun with another {what}:\n  " + "\n  ".join(differences),
            where=str(run.path),
            fix=f"{fix}, or begin a new run with another --output",
        )
