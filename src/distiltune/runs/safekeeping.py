"""What a run needs so that nothing is lost, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from distiltune.model.build import LoadedModel
from distiltune.runs.directory import RunDirectory
from distiltune.runs.keeper import BadSteps
from distiltune.runs.resume import Resumed, notes_on_bits, write_base
from distiltune.runs.warming import names_of
from distiltune.system.durable import write_whole
from distiltune.tasks.base import Lesson
from distiltune.training.reporter import Reporter
from distiltune.training.run_log import RunLog


def make_again(run: RunDirectory, recipe: str, loaded: LoadedModel) -> None:
    """Make a run directory that has vanished anew, so that what is in memory is not lost too."""
    run.checkpoints.mkdir(parents=True)
    write_whole(run.recipe, recipe.encode())
    write_base(run, loaded)


def make_bad_steps(lesson: Lesson[Any], skip: bool, where: str) -> BadSteps:
    """What happens at steps that are not finite, told with the ids that the data have; ``where`` is for the message."""
    return BadSteps(skip, partial(names_of, lesson), where)


def tell_resumed(
    reporter: Reporter, log: RunLog, resumed: Resumed, resolved: Mapping[str, Any], surroundings: Mapping[str, Any]
) -> None:
    """Where the run goes on, and what is not as it was; ``resolved`` is what the recipe left open, as it is now."""
    notes = [*resumed.notes, *notes_on_bits(resumed.state, surroundings)]
    if log.n_missing:
        notes.append(f"the log lacks {log.n_missing} bytes that it had at the checkpoint; its last lines are lost")
    log.write(
        "event",
        event="resumed",
        step=resumed.position.steps_done,
        epoch=resumed.position.epochs_done,
        resolved=resolved,
        notes=notes,
    )
    reporter.note(f"resumed after step {resumed.position.steps_done}, epoch {resumed.position.epochs_done}")
    for note in notes:
        reporter.note(note)
