"""`distiltune find-lr`: the range test with a recipe's own data, model and settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from distiltune.errors import TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.prepare import prepare
from distiltune.runs.setup import make_optimiser, training_setup
from distiltune.studies.learning_rate import RangeTest, Rates, range_test
from distiltune.studies.range_picture import draw_range
from distiltune.system.device import choose_device
from distiltune.system.durable import try_writing, write_whole, writing_to
from distiltune.system.host import restored
from distiltune.training.distributed import Processes


@restored()
def find_learning_rate(
    recipe: Recipe, *, n_steps: int = 100, on_step: Callable[[int], None] = lambda n_done: None
) -> RangeTest:
    """Test rising learning rates on the recipe's training data; no run directory, no validation.

    Raises:
        DistiltuneError: if data or model cannot be read.

    """
    prepared = prepare(recipe, Processes(), choose_device(recipe.device))
    setup = training_setup(prepared, make_optimiser(recipe, prepared.loaded.model))
    return range_test(setup, Rates(n_steps=n_steps), recipe.learning_rate, on_step)


def check_output(output: Path) -> None:
    """Check, before the test, that it can be written there.

    Raises:
        TrainingError: if it cannot.

    """
    with writing_to(output, TrainingError):
        try_writing(output)


def write_range(test: RangeTest, output: Path) -> tuple[Path, Path]:
    """Write the test as ``learning_rate.json`` and ``learning_rate.svg`` into the directory; returns both.

    Raises:
        TrainingError: if that cannot be done.

    """
    data, picture = output / "learning_rate.json", output / "learning_rate.svg"
    with writing_to(output, TrainingError):
        output.mkdir(parents=True, exist_ok=True)
        write_whole(data, json.dumps(test.as_json(), indent=1) + "\n")
        draw_range(test, picture)
    return data, picture


def range_lines(test: RangeTest) -> list[str]:
    """The test for a terminal."""
    if test.suggestion is None:
        return [f"no suggestion: {test.reason}"]
    lines = [f"learning rate: {test.suggestion:g}", f"why: {test.reason}"]
    if test.default_is_right:
        lines.append(f"the recipe's {test.default:g} is close enough: leave it")
    else:
        lines.append(f"use it: --learning-rate {test.suggestion:g} (the recipe has {test.default:g})")
    return lines
