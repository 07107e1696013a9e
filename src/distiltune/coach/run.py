"""The coach's part in a run: what it knows before the first step, and what it sums up after the last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from distiltune.coach.advice import Advice, advise, needs_probe
from distiltune.coach.concerns import Concern
from distiltune.coach.evidence import ProbeResult, TrainingFacts
from distiltune.coach.known_concerns import concerns_of
from distiltune.coach.watching import CoachedWatcher
from distiltune.model.build import LoadedModel
from distiltune.recipe import STORED_SETTINGS, Recipe
from distiltune.run_directory import RunDirectory
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Coached, Dataset, Task


@dataclass(frozen=True, slots=True)
class CoachFindings:
    """What the coach has to say about a run that has ended."""

    advice: tuple[Advice, ...]
    analysis: Analysis | None


def training_facts(
    recipe: Recipe,
    task: Task,
    loaded: LoadedModel,
    training: Dataset,
    validation: Dataset | None,
    steps_per_epoch: int,
) -> TrainingFacts:
    """What is known before the first step."""
    parameters = list(loaded.model.parameters())
    n_frozen = sum(parameter.numel() for parameter in parameters if not parameter.requires_grad)
    config = loaded.source.config
    uniform, blind = 0.0, 0.0
    concerns: tuple[Concern, ...] = ()
    if isinstance(task, Coached):
        uniform, blind = task.chance_losses(training.features)
        read_so = {name: getattr(recipe, name) for name in STORED_SETTINGS}
        concerns = concerns_of(task, training, validation, loaded.tokenizer, read_so)
    return TrainingFacts(
        planned_epochs=recipe.epochs,
        steps_per_epoch=steps_per_epoch,
        learning_rate=recipe.learning_rate,
        dropout=max(config.dropout, config.attention_dropout, loaded.head_dropout),
        n_train=training.n_examples,
        n_validation=validation.n_examples if validation is not None else 0,
        uniform_loss=uniform,
        blind_loss=blind,
        frozen_share=n_frozen / max(1, sum(parameter.numel() for parameter in parameters)),
        from_scratch=not loaded.source.tensors,
        concerns=concerns,
    )


def sum_up_run(
    run: RunDirectory,
    task: Task,
    validation: Dataset | None,
    coached: CoachedWatcher,
    probe: Callable[[], ProbeResult] | None,
) -> CoachFindings:
    """Look at the best epoch's answers, say what is left to say, and write ``answers.jsonl``.

    ``probe``, if there may be one, is only called if what is known leaves the cause open.
    """
    analysis = None
    evidence = replace(coached.evidence, ended=True)
    if validation is not None and isinstance(task, Coached) and (run.path / task.prediction_files[0]).is_file():
        analysis, scored = task.analyse(validation, run.path)
        write_answers(run, scored)
        evidence = replace(evidence, answers=analysis.facts)
    if probe is not None and needs_probe(evidence):
        evidence = replace(evidence, probe=probe())
    coached.end(evidence)
    return CoachFindings(advise(evidence), analysis)


def write_answers(run: RunDirectory, scored: tuple[ScoredAnswer, ...]) -> None:
    """Write ``answers.jsonl``, which `distiltune compare` reads."""
    with run.answers.open("w", encoding="utf-8") as file:
        for each in scored:
            file.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
