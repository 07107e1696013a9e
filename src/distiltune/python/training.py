"""Training: fine-tuning, distilling, adapting, going on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from distiltune.coach.sickness import Advice
from distiltune.data.held import Data
from distiltune.python.arguments import RecipeLike, held, held_data, recipe_of
from distiltune.python.settings import Settings
from distiltune.python.showing import reporter_of_here
from distiltune.python.wording import in_python, in_python_terms
from distiltune.recipe.for_use import for_adapting, for_distilling
from distiltune.recipe.recipe import Recipe, named_settings
from distiltune.runs import fine_tune as runs
from distiltune.runs import self_training
from distiltune.runs.fine_tune import FineTuned, GoOn
from distiltune.tasks.own import Loss, Metric, Own
from distiltune.training.loop import Watcher
from distiltune.training.reporter import Reporter


@in_python
def fine_tune(
    recipe: RecipeLike | None = None,
    *,
    output: str | Path,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    go_on: GoOn | None = None,
    callbacks: Sequence[Watcher] = (),
    metrics: Mapping[str, Metric] | None = None,
    loss: Loss | None = None,
    **settings: Unpack[Settings],
) -> FineTuned:
    """Fine-tune a model and write a run directory.

    Args:
        recipe: every setting, the name of a recipe (`auto`, `classic`), or a TOML file; by default `auto` on the
            starter data.
        output: the run directory to make.
        overwrite: replace a run that is already there.
        reporter: who shows the progress; by default a notebook's cell or IPython's terminal, and in a script nobody.
        go_on: asked after each epoch, when its report is written, whether to train on; in one process only.
        callbacks: objects with ``on_step(report)`` and ``on_epoch(report)``, such as those that inherit from `Watcher`.
        metrics: figures of your own by name, each a function of what is right and what the model says, as
            scikit-learn's; ``monitor`` may name one.
        loss: a loss of your own: scores and labels → a loss each. Those that are shown stay the task's.
        **settings: settings that win over the recipe, such as ``train=frame``, ``epochs=2``.

    Returns:
        The run: its directory, its model, a report an epoch, and what the coach says.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    own = Own(metrics or {}, loss)
    with held(settings) as named:
        run = self_training.fine_tune(
            recipe_of(recipe, {**named, **own.settings}),
            output,
            overwrite=overwrite,
            reporter=reporter or reporter_of_here(),
            go_on=go_on,
            callbacks=callbacks,
            own=own,
        )
    return _advised(run)


@in_python
def resume(
    run: str | Path,
    *,
    reporter: Reporter | None = None,
    callbacks: Sequence[Watcher] = (),
    metrics: Mapping[str, Metric] | None = None,
    loss: Loss | None = None,
    **settings: Unpack[Settings],
) -> FineTuned:
    """Go on with a run that was stopped, however that happened, as if it never had been.

    Data that it had from memory are handed over again: the same rows, as ``train=`` and ``validation=``, and
    ``warm_up_data=`` or ``unlabelled=`` if it had some; so are the functions of ``metrics`` and ``loss``.

    Args:
        run: its run directory.
        reporter: as in `fine_tune`.
        callbacks: told of the steps and epochs from here on.
        metrics: those that the run was begun with.
        loss: that of the run.
        **settings: settings that may differ from then, such as ``threads`` or ``non_finite``; ``precision``, if it is
            named, does, and otherwise stays what it was, whatever `auto` is on this machine.

    Returns:
        The run, as `fine_tune` does.

    Raises:
        DistiltuneError: if there is no run, it is being written, none of its checkpoints is whole, or recipe or data
            are others than it was begun with.

    """
    own = Own(metrics or {}, loss)
    with held(settings) as named:
        shown = reporter or reporter_of_here()
        return _advised(self_training.resume(run, reporter=shown, callbacks=callbacks, own=own, **named))


@in_python
def distill(
    recipe: RecipeLike | None = None,
    *,
    output: str | Path,
    encoder: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **settings: Unpack[Settings],
) -> FineTuned:
    """Train a student on a teacher, while fine-tuning or, with ``encoder``, on plain text.

    Args:
        recipe: as in `fine_tune`.
        output: the run directory to make.
        encoder: distil the encoder on plain text, before any task: text files of one text a line, or rows in memory
            with a column ``text``.
        overwrite: replace a run that is already there.
        reporter: as in `fine_tune`.
        **settings: settings that win over the recipe, such as ``teacher="runs/large"``, ``model="starter"``.

    Returns:
        The student's run, as `fine_tune` does.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do; also if no teacher is named.

    """
    with held(settings) as named:
        given = for_distilling({**_given(recipe), **named}, encoder=encoder)
        shown = reporter or reporter_of_here()
        return _advised(runs.fine_tune(Recipe.build(given), output=output, overwrite=overwrite, reporter=shown))


@in_python
def adapt(
    texts: Data,
    *,
    output: str | Path,
    recipe: RecipeLike | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    **settings: Unpack[Settings],
) -> FineTuned:
    """Let a model learn texts, without labels, before it is fine-tuned: by masked words, or from a ``teacher``.

    Args:
        texts: text files of one text a line, directories of them, data files or rows in memory with a column ``text``.
        output: the run directory to make; ``fine_tune(model=output, ...)`` goes on from it.
        recipe: as in `fine_tune`.
        overwrite: replace a run that is already there.
        reporter: as in `fine_tune`.
        **settings: settings that win over the recipe, such as ``model="distilbert-base-uncased"``, ``epochs=3``.

    Returns:
        The run, as `fine_tune` does: ``run.best.validation["loss"]`` is the masked loss on texts held out.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    with held_data(texts, "texts") as names, held(settings) as named:
        given = for_adapting({**_given(recipe), **named}, names)
        shown = reporter or reporter_of_here()
        return _advised(runs.fine_tune(Recipe.build(given), output=output, overwrite=overwrite, reporter=shown))


def _advised(run: FineTuned) -> FineTuned:
    """The run with what the coach says in Python's terms."""
    return replace(run, advice=tuple(map(_in_python_terms, run.advice)))


def _in_python_terms(said: Advice) -> Advice:
    message, evidence, command = map(in_python_terms, (said.message, said.evidence, said.command))
    return replace(said, message=message, evidence=evidence, command=command)


def _given(recipe: RecipeLike | None) -> dict[str, Any]:
    if isinstance(recipe, Recipe):
        return recipe.model_dump(exclude_unset=True)
    return named_settings(recipe) if recipe else {}
