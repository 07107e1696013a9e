"""Commands of the coach: check, compare, find-lr, tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.naming import StartingModel, all_data, with_model
from distiltune.commands.options import JsonOption, RecipeOption, place, settings_as_flags, used
from distiltune.commands.output import EXIT_FAILED, error_console, make_console, say, say_json
from distiltune.recipe.for_use import FOR_CHECKING
from distiltune.recipe.recipe import IN_PYTHON, Recipe, named_settings
from distiltune.system.names import as_names

_RUN_SETTINGS = tuple(name for name in Recipe.model_fields if name not in ("tracker", "folds", "fold", *IN_PYTHON))
_RATE_SETTINGS = tuple(name for name in _RUN_SETTINGS if not name.startswith("warm_up_"))


@settings_as_flags(*FOR_CHECKING)
def check(
    named: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, patterns such as 'part-*.jsonl', `starter`, or hub names; or documents.",
            metavar="DATA",
        ),
    ] = None,
    data: Annotated[list[str] | None, typer.Option("--data", help="The same, by a flag.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="The other set, usually the validation data: what do the two share?"),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            "--fix",
            parser=place("--fix"),
            metavar="PATH",
            help="Write a cleaned data set here (.json or .jsonl), and what was changed.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            parser=place("--recipe"),
            metavar="PATH",
            help="A recipe in TOML, or a run's, for its settings; flags win over it.",
        ),
    ] = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Say what is wrong with a data set before anything is trained on it. The exit status is 1 if an error is found.

    Example: `distiltune check train.json --against dev.json --fix clean.json`
    """
    sources = all_data(named or [], data, "distiltune check DATA")
    built = Recipe.build(
        {**(named_settings(recipe) if recipe is not None else {}), **used(settings), "train": tuple(sources)}
    )
    from distiltune.report.console import working

    console = make_console()
    with working(error_console() if as_json else console):
        from distiltune.python.check import checked  # not before: it brings PyTorch along

        found = checked(built, as_names(against or (), "--against"), fix)
    if as_json:
        say_json(found.values)
    else:
        for line in found.lines:
            say(console, line)
    if found.has_errors:
        raise typer.Exit(EXIT_FAILED)


def compare(
    runs: Annotated[list[str], typer.Argument(help="Two run directories or more; the first is compared with.")],
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture", parser=place("--picture"), metavar="PATH", help="Draw the runs' curves here, as .svg or .png."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put runs side by side: scores, what differs, whether the difference is real, which answers changed.

    Example: `distiltune compare runs/one runs/other --picture curves.svg`
    """
    from distiltune.studies.compare import compare_runs
    from distiltune.studies.comparison_report import check_picture, comparison_lines, draw_comparison

    if picture is not None:
        check_picture(picture)
    comparison = compare_runs(runs)
    if picture is not None:
        draw_comparison(comparison, picture)
    if as_json:
        say_json(comparison.as_json())
        return
    console = make_console()
    for line in comparison_lines(comparison):
        say(console, line)


@settings_as_flags(*_RATE_SETTINGS)
def find_lr(
    named: StartingModel = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="Directory for learning_rate.json and learning_rate.svg.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the range test, at least 30.")] = 100,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Find a learning rate: see with rising rates where the loss falls, then try a few for a short stretch each.

    Example: `distiltune find-lr --train train.json --model distilbert-base-uncased --output lr`
    """
    said = with_model(used(settings), named, "find-lr")
    built = Recipe.build({**(named_settings(recipe) if recipe is not None else {}), **said})
    from distiltune.report.console import working
    from distiltune.studies.find_rate import find_learning_rate
    from distiltune.studies.found_rate import check_output, rate_lines, write_rate
    from distiltune.training.distributed import processes

    writes = processes().writes  # of several processes the first says it for all
    if output is not None and writes:
        check_output(output)
    console = make_console()
    with working(error_console() if as_json else console):
        found = find_learning_rate(built, n_steps=steps)
    if not writes:
        return
    written = write_rate(found, output) if output is not None else ()
    if as_json:
        say_json(found.as_json(), allow_nan=False)
        return
    for line in rate_lines(found):
        say(console, line)
    for path in written:
        say(console, f"written: {path}")


@settings_as_flags(*_RUN_SETTINGS)
def tune(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="Directory of the search; one that is there goes on.",
        ),
    ],
    named: StartingModel = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            "--search",
            help="What to try: `learning_rate=1e-5:3e-4:log`, `dropout=0:0.3`, `epochs=2,3,4`; once a setting.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many to try, earlier ones included.")] = 20,
    recipe: RecipeOption = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Search settings: train again and again, stop what is behind, keep the best (needs the extra `tune`).

    Example: `distiltune tune --train train.json --search learning_rate=1e-5:3e-4:log --trials 12 --output runs/search`
    """
    said = with_model(used(settings), named, "tune")
    built = Recipe.build({**(named_settings(recipe) if recipe is not None else {}), **said})
    from distiltune.studies.search_space import DEFAULT_SEARCH, parse_space

    space = parse_space(search or DEFAULT_SEARCH, built)
    from distiltune.report.console import ConsoleReporter
    from distiltune.studies.tune import search_lines, write_search
    from distiltune.studies.tune import tune as run

    console = error_console() if as_json else make_console()
    found = run(built, space, output, n_trials=trials, make_reporter=lambda: ConsoleReporter(console))
    written = write_search(found, output)
    if as_json:
        say_json(found.as_json())
        return
    console.print()
    for line in search_lines(found):
        say(console, line)
    for path in written:
        say(console, f"written: {path}")
    if found.best is not None:
        say(console, f"train with it: distiltune train --recipe {output / 'best.toml'} --output RUN")
