"""A made-up run, the same every time, with whatever a test wants changed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from distiltune.coach.sickness import Advice
from distiltune.report.run_summary import DataSummary, RecipeEntry, RunSummary
from distiltune.system.device import Machine
from distiltune.tasks.analysis import (
    Analysis,
    Breakdown,
    BreakdownRow,
    CalibrationBin,
    Interval,
    ShownAnswer,
    Stretch,
)
from distiltune.tasks.question_answering.guide import question_answering_guide
from distiltune.training.loop import EpochReport, StepReport
from distiltune.training.objective import TableColumn
from distiltune.training.plan import StepPlan

COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train End Logits Accuracy", "train", "end_accuracy"),
    TableColumn("Train Start Logits Accuracy", "train", "start_accuracy"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation End Logits Accuracy", "validation", "end_accuracy"),
    TableColumn("Validation Start Logits Accuracy", "validation", "start_accuracy"),
)

SCORES = {"n": 1000.0, "exact_match": 77.2345, "f1": 85.4567, "n_answerable": 1000.0, "n_unanswerable": 0.0}


def epoch_report(epoch: int, *, validation: bool = True) -> EpochReport:
    fade = math.exp(-epoch / 1.5)
    measured = {
        "loss": 1.1 + 0.05 * (epoch - 2) ** 2,
        "end_accuracy": 0.71 - 0.11 * fade,
        "start_accuracy": 0.68 - 0.12 * fade,
    }
    return EpochReport(
        epoch=epoch,
        train={
            "loss": 0.6 + 1.2 * fade,
            "end_accuracy": 0.82 - 0.3 * fade,
            "start_accuracy": 0.79 - 0.31 * fade,
        },
        validation={**measured, **SCORES} if validation else {},
        learning_rate=2e-5 * (1 - (epoch + 1) / 5),
        train_seconds=600.0,
        validation_seconds=30.5,
        n_features=8000,
        n_tokens=1_400_000,
    )


def step_reports(n_epochs: int, steps_per_epoch: int, log_every: int) -> tuple[StepReport, ...]:
    n_steps = n_epochs * steps_per_epoch
    reports = []
    for step in range(n_steps):
        if (step + 1) % log_every and (step + 1) % steps_per_epoch:
            continue
        x = step / steps_per_epoch
        wobble = 0.16 * math.sin(step * 12.9898) + 0.1 * math.sin(step * 78.233)
        loss = 0.55 + 1.2 * math.exp(-x / 1.2) + 3.6 * math.exp(-x * 14) + wobble
        rate = 2e-5 * (1 - step / n_steps)
        reports.append(StepReport(step // steps_per_epoch, step, n_steps, loss, rate, 2300.0))
    return tuple(reports)


ADVICE = (
    Advice("warning", "overfitting", "overfitting from epoch 3 on", "1.10 → 1.30", "--epochs 3, or distiltune find-lr"),
    Advice("note", "validation_too_small", "few questions", "±8 points"),
)


def an_analysis() -> Analysis:
    """Scores of two kinds of question, a calibration of two bins, one wrong answer."""
    rows = (
        BreakdownRow("who", 40, {"Exact match": Interval(75.0, 60.0, 86.0), "F1": Interval(80.0, 70.0, 90.0)}),
        BreakdownRow("when", 10, {"Exact match": Interval(0.0, 0.0, 27.8), "F1": Interval(100.0, 72.2, 100.0)}),
    )
    passage = (
        Stretch("It was built by "),
        Stretch("Ada", frozenset({"gold"})),
        Stretch(", and not by "),
        Stretch("Bob", frozenset({"given"})),
        Stretch("."),
    )
    return Analysis(
        breakdowns=(Breakdown("By question", rows),),
        calibration=(
            CalibrationBin(30, 0.31, Interval(0.4, 0.25, 0.57)),
            CalibrationBin(20, 0.9, Interval(0.8, 0.58, 0.92)),
        ),
        calibration_error=0.094,
        wrong=(ShownAnswer("Who built it?", "Bob", "Ada", 0.93, passage),),
    )


def a_run(n_epochs: int = 5, *, validation: bool = True, max_window_tokens: int = 384, **changes: Any) -> RunSummary:
    """A run of so many epochs, 500 steps each, logged every 10 steps."""
    epochs = tuple(epoch_report(epoch, validation=validation) for epoch in range(n_epochs))
    best = min(2, n_epochs - 1) if validation else n_epochs - 1
    training = DataSummary(
        sources=("data/train.json",),
        n_rows=8012,
        n_examples=8000,
        n_features=8100,
        fingerprint="5f" * 32,
        findings={"repaired/answer_moved": 7, "rejected/answer_not_found": 12},
    )
    summary = RunSummary(
        name="squad",
        task="question-answering",
        guide=question_answering_guide(
            changes.get("final_metrics", epochs[best].validation), max_window_tokens, max_answer_tokens=30
        ),
        architecture="DistilBertForQuestionAnswering",
        base_model="distilbert-base-uncased",
        train=training,
        validation=replace(training, sources=("data/dev.json",), n_rows=1000, n_examples=1000, findings={})
        if validation
        else None,
        recipe=(
            RecipeEntry("epochs", n_epochs, "Passes over the training data."),
            RecipeEntry("learning_rate", 2e-5, "Learning rate at the start of the decay."),
            RecipeEntry("train", ("data/train.json",), "Training data: files or `starter`."),
            RecipeEntry("dropout", None, "Dropout of the embeddings and layers."),
        ),
        precision="float32",
        columns=COLUMNS,
        epochs=epochs,
        steps=step_reports(n_epochs, steps_per_epoch=500, log_every=10),
        plan=StepPlan.of([500] * n_epochs),
        best_epoch=best,
        monitor="validation_loss",
        epoch_choice="best",
        final_metrics=epochs[best].validation,
        train_seconds=600.0 * n_epochs,
        validation_seconds=30.5 * n_epochs,
        total_seconds=700.0 * n_epochs,
        machine=Machine("cpu", "AMD EPYC 7763 64-Core Processor", 2, 7.8, "Linux x86_64", "3.11.7"),
        versions={"distiltune": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.3.0"},
        git_revision="0123abc",
        hub_names=frozenset({"distilbert-base-uncased"}),
        n_parameters=66_364_418,
    )
    return replace(summary, **changes)
