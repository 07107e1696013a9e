"""The picture: written, the same every time, and drawn whatever the run was like."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest

from distiltune.report.curves import _figure, describe_curves, draw_curves, step_curve
from distiltune.report.run_summary import RunSummary
from distiltune.training.loop import StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan

from .a_run import COLUMNS, a_run


def without_numbers() -> RunSummary:
    """A run in which everything is NaN."""
    run = a_run(2)
    epochs = (
        replace(report, train=dict.fromkeys(report.train, math.nan), validation={"loss": math.inf})
        for report in run.epochs
    )
    return replace(
        run, steps=tuple(replace(step, loss=math.nan) for step in run.steps), epochs=tuple(epochs), final_metrics={}
    )


RUNS = {
    "one epoch": a_run(1),
    "no validation": a_run(2, validation=False),
    "nothing but NaN": without_numbers(),
    "no log lines": a_run(2, steps=()),
    "one log line": a_run(1, steps=a_run(1).steps[-1:], validation=False),
    "losses only": a_run(2, columns=tuple(column for column in COLUMNS if column.metric == "loss")),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", RUNS)
def test_every_run_can_be_drawn(name: str, tmp_path: Path) -> None:
    draw_curves(RUNS[name], tmp_path / "curves.svg", tmp_path / "curves.png")
    assert "<svg" in (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_shares_have_an_axis_beside_that_of_percentages() -> None:
    """On one axis to 70 accuracies of 0.4 and 0.6 both lie at 0."""
    run = a_run(2)
    epochs = tuple(replace(report, validation={**report.validation, "f1": 68.2}) for report in run.epochs)
    columns = (*COLUMNS, TableColumn("Validation F1", "validation", "f1"))
    loss, shares, percentages, _rate = _figure(replace(run, epochs=epochs, columns=columns)).axes
    assert shares.get_ylim()[1] < 2
    assert percentages.get_ylim()[1] > 60
    assert len(_figure(run).axes) == 3
    assert "Loss" in loss.get_ylabel()


def test_the_same_run_gives_the_same_bytes_whatever_the_user_has_set(tmp_path: Path) -> None:
    def draw(name: str) -> tuple[bytes, bytes]:
        svg, png = tmp_path / f"{name}.svg", tmp_path / f"{name}.png"
        draw_curves(a_run(2), svg, png)
        return svg.read_bytes(), png.read_bytes()

    first = draw("first")
    with mpl.rc_context({"font.size": 30.0, "svg.hashsalt": "another", "lines.linewidth": 9.0, "savefig.dpi": 30}):
        before = dict(mpl.rcParams)
        assert draw("second") == first
        assert dict(mpl.rcParams) == before
    assert b"<dc:date>" not in first[0]


def steps(losses: list[float], log_every: int = 10, steps_per_epoch: int = 25) -> list[StepReport]:
    """Log lines at every tenth step and at the end of each epoch."""
    n_steps = len(losses)
    lines = [step for step in range(n_steps) if not (step + 1) % log_every or not (step + 1) % steps_per_epoch]
    return [StepReport(step // steps_per_epoch, step, n_steps, losses[step], 1e-5, 1.0) for step in lines]


def test_a_short_run_is_drawn_line_by_line() -> None:
    x, y, n_steps = step_curve(steps([float(step) for step in range(50)]), StepPlan.of([25, 25]))
    assert x == [10 / 25, 20 / 25, 25 / 25, 30 / 25, 40 / 25, 50 / 25]
    assert y == [9.0, 19.0, 24.0, 29.0, 39.0, 49.0]
    assert n_steps == 10  # as most lines; the last of an epoch and the first after it cover five


def test_a_long_run_is_averaged_over_steps_and_never_across_epochs() -> None:
    reports = [StepReport(step // 600, step, 1_200, float(step), 1e-5, 1.0) for step in range(1_200)]
    x, y, n_steps = step_curve(reports, StepPlan.of([600, 600]))
    assert n_steps == 3
    assert len(x) == len(y) == 400
    assert y[:2] == [1.0, 4.0]
    assert x[199:201] == [1.0, 603 / 600]


def test_nan_is_not_averaged_away() -> None:
    reports = [StepReport(0, step, 900, math.nan if step == 4 else 1.0, 1e-5, 1.0) for step in range(900)]
    _, y, _ = step_curve(reports, StepPlan.of([900]))
    assert math.isnan(y[1])
    assert y[0] == y[2] == 1.0


def test_the_picture_is_put_into_words() -> None:
    assert describe_curves(a_run(5)) == (
        "Curves over 5 epochs. Training loss: from 1.8000 in the first epoch to 0.6834 in the last. "
        "Validation loss: from 1.3000 in the first epoch to 1.3000 in the last. "
        "Epoch 2 is marked as the one that the model is from."
    )
    assert describe_curves(a_run(1, validation=False)) == (
        "Curves over 1 epoch. Training loss: 1.8000. Epoch 0 is marked as the one that the model is from."
    )
