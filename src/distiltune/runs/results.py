"""What a run leaves behind when it ends: predictions, the model of the best epoch with its card, curves, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from distiltune.coach.evidence import ProbeResult
from distiltune.coach.probe import ProbeSettings, overfit_probe, probe_within
from distiltune.coach.watching import Coach
from distiltune.model.encoder import count_parameters
from distiltune.model.save import ModelToWrite, write_model_directory
from distiltune.recipe.recipe import Recipe
from distiltune.report.model_card import model_card
from distiltune.report.run_summary import DataSummary, RecipeEntry, RunSummary, find_hub_names
from distiltune.runs.coaching import CoachFindings, sum_up_run
from distiltune.runs.directory import RunDirectory
from distiltune.runs.keeper import RunKeeper
from distiltune.runs.lora import keep_adapter
from distiltune.runs.prepare import PreparedRun
from distiltune.runs.provenance import versions
from distiltune.system.durable import write_whole
from distiltune.tasks.base import D, Dataset, Rescaled, Task
from distiltune.training.checkpoint import read_weights
from distiltune.training.checkpoint_writer import best_checkpoint


def write_results(
    run: RunDirectory, prepared: PreparedRun, keeper: RunKeeper, coach: Coach, *, may_probe: bool = True
) -> CoachFindings:
    """Write all that a run ends with, for its best epoch so far; and what the coach has to say about it.

    Unless ``may_probe``, the coach makes do with what is recorded, and nothing is trained for it.
    """
    # Here, not above: matplotlib would hold up the first step by half a second.
    from distiltune.report.curves import draw_curves
    from distiltune.report.page import report_page

    best = keeper.best_epoch()
    best_directory = best_checkpoint(run.checkpoints, best)
    # First, since the coach reads them: those lying there may be of another epoch, or lost with the directory.
    run.publish_predictions(best_directory)
    findings = _sum_up(run, prepared, coach, may_probe)
    total_seconds = time.perf_counter() - prepared.began
    summary = replace(
        _summary(run, prepared, keeper, best, total_seconds),
        analysis=findings.analysis,
        advice=findings.advice,
        answers=findings.answers,
        baselines=findings.baselines,
    )
    loaded, task = prepared.loaded, prepared.task
    tensors = keep_adapter(run, _to_keep(read_weights(best_directory), task), prepared.recipe, task)
    write_model_directory(
        run.model,
        ModelToWrite(
            loaded.source.config,
            tensors,
            loaded.tokenizer,
            task.head_rules,
            (task.architecture,),
            task.model_config(loaded.head_dropout, keeper.epochs[best].validation),
        ),
        extra_files={"README.md": model_card(summary).encode()},
    )
    draw_curves(summary, run.curves_svg, run.curves_png)
    page = report_page(summary, run.curves_svg.read_text(encoding="utf-8"))
    write_whole(run.report, page)
    return findings


def _to_keep(tensors: Mapping[str, Tensor], task: Task[D]) -> dict[str, Tensor]:
    """The trained tensors, in their own units, without a head that has no names to be saved under."""
    if isinstance(task, Rescaled):
        tensors = task.in_own_units(tensors)
    return {name: tensor for name, tensor in tensors.items() if task.head_rules or not name.startswith("head.")}


def _sum_up(run: RunDirectory, prepared: PreparedRun, coach: Coach, may_probe: bool) -> CoachFindings:
    """What the coach has to say at the end."""

    def probe() -> ProbeResult | None:
        features, epochs = prepared.lesson.features, coach.evidence.epochs
        n_tokens, seconds = sum(each.n_tokens for each in epochs), sum(each.train_seconds for each in epochs)
        rate = coach.evidence.facts.fitting_rate or ProbeSettings().learning_rate
        settings = probe_within(features, n_tokens, seconds, rate)
        if settings is None:
            return None
        return overfit_probe(prepared.loaded.model, features, prepared.lesson.objective, settings)

    return sum_up_run(
        run,
        prepared.task,
        prepared.validation,
        coach,
        probe if may_probe else None,
    )


def _summary(
    run: RunDirectory, prepared: PreparedRun, keeper: RunKeeper, best: int, total_seconds: float
) -> RunSummary:
    recipe, epochs = prepared.recipe, tuple(keeper.epochs)
    found = versions()
    values = recipe.model_dump(mode="json")
    return RunSummary(
        name=run.name,
        task=prepared.task.name,
        guide=prepared.task.guide(epochs[best].validation),
        architecture=prepared.task.architecture,
        base_model=recipe.model,
        train=_data_summary(prepared.training),
        validation=_data_summary(prepared.validation) if prepared.validation is not None else None,
        warm_up=_data_summary(prepared.lesson.warm_up) if prepared.lesson.warm_up is not None else None,
        recipe=tuple(RecipeEntry(name, values[name], Recipe.describe(name)) for name in recipe.names),
        precision=prepared.precision,
        columns=prepared.table,
        epochs=epochs,
        steps=tuple(keeper.steps),
        plan=prepared.plan,
        best_epoch=best,
        monitor=recipe.monitor,
        epoch_choice=recipe.epoch_choice,
        final_metrics=epochs[best].validation,
        train_seconds=sum(epoch.train_seconds for epoch in epochs),
        validation_seconds=sum(epoch.validation_seconds for epoch in epochs),
        total_seconds=total_seconds,
        machine=prepared.machine,
        versions={name: value for name, value in found.items() if name != "git_revision"},
        git_revision=found.get("git_revision", ""),
        hub_names=find_hub_names(
            (recipe.model, recipe.teacher, *recipe.train, *recipe.validation, *recipe.warm_up_data)
        ),
        notes=(
            *prepared.loaded.source.notes,
            *prepared.lesson.notes,
            *prepared.training.notes,
            *(prepared.validation.notes if prepared.validation is not None else ()),
        ),
        n_parameters=count_parameters(prepared.loaded.model),
    )


def _data_summary(data: Dataset) -> DataSummary:
    return DataSummary(
        sources=data.sources,
        n_rows=data.findings.n_rows,
        n_examples=data.n_examples,
        n_features=len(data.features),
        fingerprint=data.fingerprint,
        findings=data.findings.counts(),
    )
