"""Commands that train: train, distill, adapt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.naming import StartingModel, with_model
from distiltune.commands.options import (
    SETTING_FLAGS,
    JsonOption,
    RecipeOption,
    ReplaceRunOption,
    ResumeOption,
    RunOption,
    settings_as_flags,
    used,
)
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.errors import RecipeError
from distiltune.recipe.for_use import FOR_ADAPTING, for_adapting, for_distilling
from distiltune.recipe.recipe import NAMED, Recipe, named_settings
from distiltune.system.names import as_names
from distiltune.tasks.table import TASKS


@settings_as_flags(*SETTING_FLAGS)
def train(
    named: StartingModel = None,
    output: RunOption = None,
    recipe: RecipeOption = None,
    overwrite: ReplaceRunOption = False,
    resume: ResumeOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Fine-tune a model and write a run directory, or go on with one that was stopped.

    Example: `distiltune train --train train.json --validation dev.json --output runs/mine`
    """
    said = with_model(used(settings), named, "train")
    given = {**(named_settings(recipe) if recipe is not None else {}), **said}
    _run_training(resume, output, recipe, given, overwrite=overwrite, as_json=as_json)


@settings_as_flags(*SETTING_FLAGS)
def distill(
    named: StartingModel = None,
    output: RunOption = None,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="Distil the encoder on plain text, one text a line, before any task.")
    ] = False,
    recipe: RecipeOption = None,
    overwrite: ReplaceRunOption = False,
    resume: ResumeOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Train a student on a teacher, while fine-tuning or, with `--encoder`, on plain text; or go on with a run.

    Example: `distiltune distill --teacher runs/large --model starter --train train.json --output runs/small`

    Example: `distiltune distill --encoder --teacher runs/large --train texts --student-width 160 --output runs/start`
    """
    said = with_model(used(settings), named, "distill")
    given = {**(named_settings(recipe) if recipe is not None else {}), **said}
    if resume is None:
        given = for_distilling(given, encoder=encoder)
    _run_training(resume, output, recipe, given, overwrite=overwrite, as_json=as_json)


@settings_as_flags(*FOR_ADAPTING)
def adapt(
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Text files of one text a line, directories of them, or data files with a column `text`.",
            metavar="TEXTS",
        ),
    ] = None,
    output: RunOption = None,
    recipe: RecipeOption = None,
    overwrite: ReplaceRunOption = False,
    resume: ResumeOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Let a model learn your own texts, without labels, before it is fine-tuned: by words that are masked.

    Example: `distiltune adapt texts.txt --model distilbert-base-uncased --output runs/adapted`
    """
    given = {**(named_settings(recipe) if recipe is not None else {}), **used(settings)}
    if resume is None:
        given = for_adapting(given, as_names(texts or (), "TEXTS"))
    _run_training(resume, output, recipe, given, overwrite=overwrite, as_json=as_json)


def _run_training(
    resume: Path | None,
    output: Path | None,
    recipe: str | None,
    given: dict[str, Any],
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Begin a run, or go on with one, and say what came of it."""
    if output is not None and resume is not None:
        raise RecipeError(
            "--output and --resume exclude each other.",
            fix="give --output DIRECTORY for a new run, or --resume RUN to go on with one",
        )
    built = Recipe.build(given)

    from distiltune.report.console import ConsoleReporter
    from distiltune.runs import self_training
    from distiltune.runs.directory import default_run_path
    from distiltune.studies.folds import begun_recipe, is_cross_validation
    from distiltune.training.distributed import processes

    console = error_console() if as_json else make_console()
    reporter = ConsoleReporter(console)
    of_file = Path(recipe) if recipe is not None and recipe not in NAMED else None
    place = output or resume or default_run_path(of_file, built.train)
    if resume is not None and is_cross_validation(resume):
        _train_folds(begun_recipe(resume).with_changes(**given), resume, overwrite=False, as_json=as_json)
        return
    if resume is None and built.folds and built.fold is None:
        _train_folds(built, place, overwrite=overwrite, as_json=as_json)
        return
    if resume is not None:
        fine_tuned = self_training.resume(resume, reporter=reporter, **given)
    else:
        fine_tuned = self_training.fine_tune(built, place, overwrite=overwrite, reporter=reporter)
    if not processes().writes:  # the first says it for all
        return
    if as_json:
        say_json(fine_tuned.as_json(), indent=None, allow_nan=False)
        return
    console.print()
    if fine_tuned.scores:
        say(console, f"best epoch: {fine_tuned.best_epoch} ({fine_tuned.scores} on the validation data)")
    say(console, f"run:    {fine_tuned.directory}")
    say(console, f"model:  {fine_tuned.model}")
    say(console, f"report: {fine_tuned.directory / 'report.html'}")
    say(console, TASKS[fine_tuned.recipe.task].after_training.format(model=fine_tuned.model))


def _train_folds(recipe: Recipe, place: Path, *, overwrite: bool, as_json: bool) -> None:
    """Train once for each part of the data, and say what all came to."""
    from distiltune.report.console import ConsoleReporter
    from distiltune.studies.folds import cross_validate, folds_lines

    console = error_console() if as_json else make_console()
    found = cross_validate(recipe, place, overwrite=overwrite, make_reporter=lambda: ConsoleReporter(console))
    if as_json:
        say_json(found.as_json(), indent=None, allow_nan=False)
        return
    console.print()
    for line in folds_lines(found):
        say(console, line)
    for path in found.predictions:
        say(console, f"written: {path}")
    say(console, f"runs:   {found.directory}")
