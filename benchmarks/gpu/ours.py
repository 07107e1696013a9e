"""distiltune's own loop, a stretch of it and the whole of SQuAD."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import torch

from benchmarks import workload
from benchmarks.gpu.work import (
    DISTILBERT,
    EPOCHS,
    MINILM,
    MODELS,
    SEED,
    Say,
    Stretch,
    Work,
    now,
    speed,
    stretch_of,
)
from distiltune.model.encoder import TaskModel
from distiltune.system.device import Precision, allow_tf32
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.loop import EpochReport, LoopState, NothingKept, StepReport, train
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup

LOG_EVERY: Final = 10
CLIP: Final = 1.0
"""The default of both sides."""

STRETCHES: Final = 3
RATE: Final = {DISTILBERT: 4e-5, MINILM: 1.1e-4}
"""What `--recipe auto` takes for models of their widths on SQuAD."""

STEPS: Final[dict[Precision, tuple[int, int]]] = {"bfloat16": (200, 100), "tf32": (100, 40), "float32": (60, 30)}
"""Of the warm-up, in which nearly all sizes of batches are recorded, and of each stretch."""


class Enough(Exception):  # noqa: N818 (no error)
    """All stretches are timed."""


class _Timer(NothingKept):
    """Stops the time at the end of the warm-up and of each stretch; the loop has waited for the device there."""

    def __init__(self, device: torch.device, warm_up: int, steps: int, n_stretches: int) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []
        self._device = device
        self._marks = [warm_up + number * steps for number in range(n_stretches + 1)]

    def on_step(self, report: StepReport) -> None:
        self.losses.append(report.loss)
        if report.step + 1 == self._marks[len(self.times)]:
            self.times.append(now(self._device))

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        if len(self.times) == len(self._marks):
            raise Enough


class _Epochs(NothingKept):
    """Tells of every epoch as it ends."""

    def __init__(self, say: Say, model: str) -> None:
        self._say, self._model = say, model

    def on_epoch(self, report: EpochReport) -> None:
        self._say(
            {
                "model": self._model,
                "epoch": report.epoch,
                "train_seconds": report.train_seconds,
                "train_loss": report.train["loss"],
                "n_skipped": report.n_skipped,
            }
        )


def setup_of(
    work: Work, name: str, model: TaskModel, precision: Precision, log_every: int = LOG_EVERY
) -> TrainingSetup:
    """A training on SQuAD with what `--recipe auto` takes."""
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    n_steps = EPOCHS * len(work.batches())
    epochs = work.n(EPOCHS)
    settings = LoopSettings(epochs, workload.BATCH_SIZE, 1, CLIP, SEED, log_every)
    rate = PolynomialDecay(RATE[name], 0.0, 1.0, n_steps // 20, n_steps)
    return TrainingSetup(model, work.features, span_loss, METRIC_NAMES, optimiser, rate, settings, precision)


def stretches(work: Work, say: Say) -> None:
    """Time stretches of training: both models, every precision."""
    precisions: tuple[Precision, ...] = ("float32",) if work.rehearses else ("bfloat16", "tf32", "float32")
    for precision in precisions:
        for name in MODELS:
            warm_up, steps = (2, 2) if work.rehearses else STEPS[precision]
            say(_one(work, name, precision, warm_up, steps))


def _one(work: Work, name: str, precision: Precision, warm_up: int, steps: int) -> dict[str, Any]:
    allow_tf32(precision == "tf32")
    _forget_peak(work.device)
    model = work.model(name)
    timer = _Timer(work.device, warm_up, steps, STRETCHES)
    began = now(work.device)
    with contextlib.suppress(Enough):
        train(setup_of(work, name, model, precision, min(LOG_EVERY, steps)), dict, timer)
    batches = work.batches()
    timed: list[Stretch] = []
    for number, (before, after) in enumerate(zip(timer.times, timer.times[1:], strict=False)):
        first = warm_up + number * steps
        timed.append(stretch_of(work.features, batches[first : first + steps], after - before))
    return {
        "model": name,
        "contestant": f"distiltune {precision}",
        **speed(work, name, timed),
        "warm_up_seconds": timer.times[0] - began,
        "loss": timer.losses[-1],
        "peak_gib": _peak(work.device),
    }


def whole(work: Work, say: Say, name: str = DISTILBERT) -> None:
    """SQuAD, all epochs, for real, and then one validation as the product does it, which is timed apart."""
    precision: Precision = "float32" if work.device.type == "cpu" else "bfloat16"
    model = work.model(name)
    began = now(work.device)
    train(setup_of(work, name, model, precision), dict, _Epochs(say, name))
    seconds = now(work.device) - began
    steps = work.n(EPOCHS) * len(work.batches())
    say(
        {
            "model": name,
            "whole": f"SQuAD x {work.n(EPOCHS)} epochs, {precision}, batches of {workload.BATCH_SIZE}",
            "seconds": seconds,
            "steps": steps,
            "milliseconds_a_step": 1000 * seconds / steps,
            "tokens_per_second": work.n(EPOCHS) * float(work.features.lengths.sum()) / seconds,
            "peak_gib": _peak(work.device),
        }
    )
    say({"model": name, **_validated(work, model)})


def whole_small(work: Work, say: Say) -> None:
    """The same of the small model, whose weights are trained: its scores mean something."""
    whole(work, say, MINILM)


def _validated(work: Work, model: TaskModel) -> dict[str, Any]:
    """Loss and accuracies, and where SQuAD is at hand exact match and F1, by the product's own evaluation."""
    if work.rehearses:
        return {}
    from distiltune.model.tokenizer import load_tokenizer
    from distiltune.tasks.question_answering.evaluation import evaluate_questions
    from distiltune.tasks.question_answering.features import WindowSettings, make_features
    from distiltune.tasks.question_answering.inference import DecodingSettings
    from distiltune.tasks.question_answering.read import read_examples

    examples = read_examples([str(work.folder / "dev.json")], split="validation", use="evaluation").examples
    tokenizer = load_tokenizer(work.shared / "models" / "minilm-l6-distilbert")
    made = make_features(examples, tokenizer, WindowSettings())
    began = now(work.device)
    scores = evaluate_questions(model, examples, made, DecodingSettings())
    return {"validation_seconds_float32": now(work.device) - began, **scores.metrics}


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.zeros(1, device=device)  # before a first tensor there is no account of memory to reset, and it refuses
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
