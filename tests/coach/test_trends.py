from __future__ import annotations

import random
from dataclasses import replace

import pytest

from distiltune.coach.trends import fall_in_words, fall_of_training, fall_of_validation
from distiltune.training.loop import StepReport
from tests.coach.evidence import epoch


def steps(losses: list[float]) -> list[StepReport]:
    n = len(losses)
    return [StepReport(0, i, n, loss, 1e-4 * (1 - i / n), 1.0) for i, loss in enumerate(losses)]


def test_a_rate_that_decays_to_nothing_does_not_hide_that_the_loss_was_falling() -> None:
    """A loss that falls with the way travelled: steep at first, all but level over the last lines."""
    travelled, losses = 0.0, []
    for i in range(60):
        travelled += 1 - i / 60
        losses.append(2.0 - 0.02 * travelled)
    assert losses[-10] - losses[-1] < 0.02
    assert fall_of_training(steps(losses)) > 0.05


def test_noise_is_no_fall() -> None:
    rng = random.Random(1)
    assert fall_of_training(steps([1.6 + rng.gauss(0, 0.1) for _ in range(60)])) == 0.0
    assert fall_of_training(steps([2.0, 1.0])) == 0.0


@pytest.mark.parametrize(
    ("losses", "fall"),
    [((2.0, 1.8), 0.1), ((2.0, 1.99), 0.0), ((1.5, 2.0, 1.8), 0.0), ((1.0,), 0.0), ((0.5, 0.8), 0.0)],
)
def test_the_validation_loss_falls_where_the_last_is_clearly_the_lowest(losses: tuple[float, ...], fall: float) -> None:
    epochs = [epoch(i, 1.0, loss) for i, loss in enumerate(losses)]
    assert fall_of_validation(epochs) == pytest.approx(fall)
    assert bool(fall_in_words((), epochs)) == bool(fall)


def test_without_validation_data_the_training_says_it() -> None:
    epochs = [replace(epoch(0, 1.0, None))]
    assert "training loss" in fall_in_words(steps([3.0 - 0.05 * i for i in range(30)]), epochs)
