"""The coach's part in a run: what it knows before the first step, and what it sums up after the last."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from distiltune.checks.concerns import Concern, for_model
from distiltune.coach.advice import advise, needs_probe
from distiltune.coach.evidence import ProbeResult, TrainingFacts
from distiltune.coach.scores import BlindScore
from distiltune.coach.sickness import Advice
from distiltune.coach.watching import Coach
from distiltune.data.held import is_held_name
from distiltune.progress import tell
from distiltune.recipe.auto import fitting_rate
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.runs.known_concerns import concerns_of
from distiltune.runs.prepare import PreparedRun
from distiltune.runs.stages import stages
from distiltune.settings.stored import stored_names
from distiltune.system.durable import writing_text
from distiltune.tasks.analysis import Analysis, ScoredAnswer
from distiltune.tasks.base import Coached, D, Task
from distiltune.training.vitals import frozen_share, still_parts


@dataclass(frozen=True, slots=True)
class CoachFindings:
    """What the coach has to say about a run that has ended, and what there is to see in its answers."""

    advice: tuple[Advice, ...]
    analysis: Analysis | None
    answers: tuple[ScoredAnswer, ...]
    baselines: tuple[BlindScore, ...]


def training_facts(prepared: PreparedRun, run: RunDirectory) -> TrainingFacts:
    """What is known before the first step."""
    recipe, task, loaded = prepared.recipe, prepared.task, prepared.loaded
    run = run.stage_of or run  # what is to be run is always the whole
    training, validation = prepared.training, prepared.validation
    config, meant = loaded.source.config, bool(recipe.freeze or recipe.lora_rank)
    uniform, blind = 0.0, 0.0
    concerns: tuple[Concern, ...] = ()
    blind_scores: tuple[BlindScore, ...] = ()
    blind_in_training: tuple[BlindScore, ...] = ()
    is_fine_tuned = bool(task.head_rules) and prepared.surroundings["is_fine_tuned"]
    if isinstance(task, Coached):
        uniform, blind = task.chance_losses(training.features)
        read_so = {name: getattr(recipe, name) for name in (*stored_names(Recipe), "max_rejected_share")}
        tell("checking the data")
        concerns = for_model(concerns_of(task, training, validation, loaded.tokenizer, read_so), is_fine_tuned)
        if validation is not None:
            blind_scores = task.blind_scores(training, validation)
        else:
            blind_in_training = task.blind_scores(training, training)
    return TrainingFacts(
        planned_epochs=recipe.epochs,
        steps_per_epoch=prepared.plan.usual,
        learning_rate=recipe.learning_rate,
        dropout=max(config.dropout, config.attention_dropout, loaded.head_dropout),
        n_train=training.n_examples,
        n_validation=validation.n_examples if validation is not None else 0,
        uniform_loss=uniform,
        blind_loss=blind,
        frozen_share=0.0 if meant else frozen_share(loaded.model),
        still_parts=still_parts(loaded.model) if meant else (),
        fitting_rate=fitting_rate(
            task.name,
            config.hidden_size,
            stages(prepared.plan, prepared.warm_up, recipe)[-1],
            adapters=recipe.lora_rank > 0,
        )
        if uniform or blind
        else None,
        blind_scores=blind_scores,
        blind_in_training=blind_in_training,
        from_scratch=prepared.surroundings["from_scratch"],
        is_fine_tuned=is_fine_tuned,
        concerns=concerns,
        monitor=recipe.monitor,
        choice=prepared.choice,
        find_lr=_other_command(recipe, "find-lr", "find_lr", run).removesuffix(" with"),
        check=_check_command(recipe, run),
        again=_other_command(recipe, "train", "fine_tune", run, "--output", f"{run.path}-2"),
    )


def _other_command(recipe: Recipe, name: str, function: str, run: RunDirectory, *more: str) -> str:
    """Another command on the same recipe; where its data were in memory, the function to hand them to again."""
    held = _held_data(recipe)
    if not held:
        return shlex.join(("distiltune", name, "--recipe", str(run.recipe), *more))
    output = [f"output={more[1]!r}"] if more else []
    arguments = [repr(str(run.recipe)), *output, *held]
    return f"distiltune.{function}({', '.join(arguments)}) with"


def resume_command(recipe: Recipe, run: RunDirectory) -> str:
    """How a run that was stopped goes on; data that were in memory have to be handed over again."""
    held = _held_data(recipe)
    if not held:
        return f"distiltune train --resume {run.path}"
    return f"distiltune.resume({', '.join([repr(str(run.path)), *held])})"


def _held_data(recipe: Recipe) -> list[str]:
    """The arguments by which data that were in memory are handed over again."""
    names = ("train", "validation", "warm_up_data", "unlabelled")
    return [f"{name}={name.upper()}" for name in names if any(map(is_held_name, getattr(recipe, name)))]


def _check_command(recipe: Recipe, run: RunDirectory) -> str:
    """Check what the run trains on; what was set aside of it has no name to be checked against."""
    if any(map(is_held_name, (*recipe.train, *recipe.validation))):
        return f"distiltune.check(TRAIN{', against=VALIDATION' if recipe.validation else ''})"
    against = [part for name in recipe.validation for part in ("--against", name)]
    return shlex.join(("distiltune", "check", *recipe.train, *against, "--recipe", str(run.recipe)))


def sum_up_run(
    run: RunDirectory,
    task: Task[D],
    validation: D | None,
    coach: Coach,
    probe: Callable[[], ProbeResult | None] | None,
) -> CoachFindings:
    """Look at the best epoch's answers, say what is left to say, and write ``answers.jsonl``.

    ``probe``, if there may be one, is only called if what is known leaves the cause open; it gives None if the run
    is too short to pay for it.
    """
    analysis = None
    scored: tuple[ScoredAnswer, ...] = ()
    evidence = replace(coach.evidence, ended=True)
    if validation is not None and isinstance(task, Coached) and (run.path / task.prediction_files[0]).is_file():
        analysis, scored = task.analyse(validation, run.path)
        write_answers(run, scored)
        evidence = replace(evidence, answers=analysis.facts)
    if probe is not None and needs_probe(evidence):
        evidence = replace(evidence, probe=probe())
    coach.end(evidence)
    return CoachFindings(advise(evidence), analysis, scored, evidence.facts.blind_scores)


def write_answers(run: RunDirectory, scored: tuple[ScoredAnswer, ...]) -> None:
    """Write ``answers.jsonl``, which `distiltune compare` reads."""
    with writing_text(run.answers) as file:
        file.writelines(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in scored)
