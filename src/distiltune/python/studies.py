"""Several trainings, or a short one, looked at together: the learning rate, a search, folds, a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from distiltune.python.arguments import RecipeLike, held, recipe_of
from distiltune.python.settings import Settings
from distiltune.python.showing import reporter_of_here, shown_here
from distiltune.python.wording import in_python
from distiltune.studies import folds as folds_module
from distiltune.studies import tune as search_module
from distiltune.studies.compare import RunComparison, compare_runs
from distiltune.studies.comparison_report import check_picture, draw_comparison
from distiltune.studies.find_rate import find_learning_rate
from distiltune.studies.folds import USUAL_FOLDS, CrossValidated
from distiltune.studies.found_rate import FoundRate, check_output, write_rate
from distiltune.studies.search import Search
from distiltune.studies.search_space import DEFAULT_SEARCH, parse_space
from distiltune.tasks.own import Loss, Metric, Own
from distiltune.training.distributed import processes
from distiltune.training.loop import Watcher
from distiltune.training.reporter import Reporter


@in_python
def find_lr(
    recipe: RecipeLike | None = None,
    *,
    output: str | Path | None = None,
    steps: int = 100,
    **settings: Unpack[Settings],
) -> FoundRate:
    """Find a learning rate: see with rising rates where the loss falls, then try a few for a short stretch each.

    Args:
        recipe: of the training that the rate is for; as in `fine_tune`.
        output: a directory for ``learning_rate.json`` and ``learning_rate.svg``.
        steps: of the range test, at least 30.
        **settings: settings that win over the recipe.

    Returns:
        The ``suggestion``, None if nothing can be said, the ``reason``, and what was seen.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    place = Path(output) if output is not None and processes().writes else None
    with shown_here(), held(settings) as named:
        built = recipe_of(recipe, named)
        if place is not None:
            check_output(place)
        found = find_learning_rate(built, n_steps=steps)
    if place is not None:
        write_rate(found, place)
    return found


@in_python
def tune(
    recipe: RecipeLike | None = None,
    *,
    output: str | Path,
    search: Sequence[str] = DEFAULT_SEARCH,
    trials: int = 20,
    make_reporter: Callable[[], Reporter] = reporter_of_here,
    **settings: Unpack[Settings],
) -> Search:
    """Search settings: train again and again, stop what is behind, keep the best (needs the extra `tune`).

    Args:
        recipe: what all trials have in common; as in `fine_tune`.
        output: the directory of the search; one that is there goes on.
        search: what to try, once a setting: ``"learning_rate=1e-5:3e-4:log"``, ``"epochs=2,3,4"``.
        trials: how many to try, earlier ones included.
        make_reporter: gives who shows a trial's progress; by default as in `fine_tune`.
        **settings: settings that win over the recipe.

    Returns:
        The trials, the ``best`` of them, and its recipe, which is also in ``best.toml``.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    texts = (search,) if isinstance(search, str) else search
    with held(settings) as named:
        built = recipe_of(recipe, named)
        space = parse_space(texts, built)
        found = search_module.tune(built, space, Path(output), n_trials=trials, make_reporter=make_reporter)
    search_module.write_search(found, Path(output))
    return found


@in_python
def cross_validate(
    recipe: RecipeLike | None = None,
    *,
    output: str | Path,
    overwrite: bool = False,
    make_reporter: Callable[[], Reporter] = reporter_of_here,
    callbacks: Sequence[Watcher] = (),
    metrics: Mapping[str, Metric] | None = None,
    loss: Loss | None = None,
    **settings: Unpack[Settings],
) -> CrossValidated:
    """Train once for each of ``folds`` parts of the data, without it, and evaluate on it.

    Args:
        recipe: of each training; as in `fine_tune`.
        output: the directory for the runs; a cross-validation that was stopped there goes on.
        overwrite: begin anew where runs are already there.
        make_reporter: gives who shows a training's progress; by default as in `fine_tune`.
        callbacks: as in `fine_tune`.
        metrics: as in `fine_tune`.
        loss: as in `fine_tune`.
        **settings: settings that win over the recipe, such as ``folds=5``, which it is without any.

    Returns:
        The runs, each figure's mean and interval, and the files of predictions that no model had seen the gold of.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    with held(settings) as named:
        built = recipe_of(recipe, named)
        if not built.folds:
            built = built.with_changes(folds=USUAL_FOLDS)
        return folds_module.cross_validate(
            built,
            Path(output),
            overwrite=overwrite,
            make_reporter=make_reporter,
            callbacks=callbacks,
            own=Own(metrics or {}, loss),
        )


@in_python
def compare(runs: Sequence[str | Path], *, picture: str | Path | None = None) -> RunComparison:
    """Put runs side by side: scores, what differs, whether the difference is real, which answers changed.

    Args:
        runs: two run directories or more; the first is compared with.
        picture: draw the runs' curves here, as ``.svg`` or ``.png``.

    Returns:
        The runs, the settings that differ, and every further run against the first.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    if picture is not None:
        check_picture(Path(picture))
    comparison = compare_runs((runs,) if isinstance(runs, str | Path) else runs)
    if picture is not None:
        draw_comparison(comparison, Path(picture))
    return comparison
