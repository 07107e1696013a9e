"""What keeping checkpoints costs: `python -m benchmarks.checkpoint_cost [--shape small|full] [--rounds 3]`.

A stretch of steps is timed with one checkpoint taken at its beginning and written beside it, and without, in turns.
The difference is what one checkpoint costs, stall and competition for the cores together; at the default interval one
is taken every five minutes (half of `checkpoint_minutes`).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch

from benchmarks import workload
from distiltune.model.build import load_model
from distiltune.recipe.recipe import Recipe
from distiltune.system.device import keep_freed_memory, set_threads
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.tasks.question_answering.task import HEAD_RULES, make_span_head
from distiltune.training.checkpoint import Position
from distiltune.training.checkpoint_writer import CheckpointFolder, CheckpointInterval, CheckpointWriter
from distiltune.training.loop import LoopState, NothingKept, train
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup

WARM_UP_STEPS = 3


class Timed(NothingKept):
    """Times stretches of steps, every second one with a checkpoint at its beginning."""

    def __init__(self, checkpointer: CheckpointWriter, n_steps: int, n_rounds: int) -> None:
        self._checkpointer, self._n_steps, self._n_rounds = checkpointer, n_steps, n_rounds
        self.seconds: dict[bool, list[float]] = {False: [], True: []}
        self.stalls: list[float] = []
        self._began = 0.0

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        """Close a stretch and begin the next."""
        if step < WARM_UP_STEPS or (step - WARM_UP_STEPS) % self._n_steps:
            return
        number = (step - WARM_UP_STEPS) // self._n_steps
        now = time.perf_counter()
        if number:
            with_one = number % 2 == 0  # the stretch that ends here
            self.seconds[with_one].append(now - self._began)
        self._checkpointer.wait()
        if number == 2 * self._n_rounds:
            raise KeyboardInterrupt
        self._began = time.perf_counter()
        if number % 2:
            self._checkpointer.save(Position(step, 0), -1, {})
            self.stalls.append(time.perf_counter() - self._began)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=tuple(workload.SHAPES), default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="of a stretch; enough that the writing ends in it")
    parser.add_argument("--folder", type=Path, help="where the checkpoints go; a temporary directory by default")
    wanted = parser.parse_args()
    keep_freed_memory()
    set_threads(0)
    with tempfile.TemporaryDirectory(dir=wanted.folder) as directory:
        folder = Path(directory)
        workload.write_model(workload.SHAPES[wanted.shape], folder / "model")
        model = load_model(str(folder / "model"), HEAD_RULES, make_span_head, torch.device("cpu")).model
        optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
        (folder / "checkpoints").mkdir()
        checkpointer = CheckpointWriter(
            CheckpointFolder(folder / "checkpoints"), model, optimiser, CheckpointInterval()
        )
        timed = Timed(checkpointer, wanted.steps, wanted.rounds)
        features = workload.features(16 * (WARM_UP_STEPS + 2 * wanted.rounds * wanted.steps + 1))
        settings = LoopSettings(1, 16, 1, 0.0, 0, 10)
        schedule = PolynomialDecay(2e-5, 0.0, 1.0, 0, 1_000)
        setup = TrainingSetup(model, features, span_loss, METRIC_NAMES, optimiser, schedule, settings)
        with suppress(KeyboardInterrupt):
            train(setup, dict, timed)
        size = sum(path.stat().st_size for path in (folder / "checkpoints").rglob("*") if path.is_file())
    plain, kept = median(timed.seconds[False]), median(timed.seconds[True])
    minutes = Recipe().checkpoint_minutes / 2
    result = {
        "shape": wanted.shape,
        "threads": torch.get_num_threads(),
        "mib_on_disk": round(size / 2**20, 1),
        "seconds_of_a_stretch": round(plain, 3),
        "seconds_with_a_checkpoint": round(kept, 3),
        "stall_seconds": round(median(timed.stalls), 3),
        "share_at_the_default_interval": round((kept - plain) / (60 * minutes), 5),
        "stretches": {str(name): [round(value, 3) for value in values] for name, values in timed.seconds.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
