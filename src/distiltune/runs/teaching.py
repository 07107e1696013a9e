"""A fine-tuned teacher in a run: its answers to the training features, and the loss that has them in it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from distiltune.data.feature_set import FeatureSet
from distiltune.distillation.soft_labels import SoftLabels
from distiltune.distillation.teacher import Teacher, TeacherSays, check_same_tokens, fingerprint, with_targets
from distiltune.errors import ModelError, RecipeError
from distiltune.inference.trained_model import ways_to_a_head
from distiltune.model.build import check_window, load_model
from distiltune.tasks.base import Task, Teachable
from distiltune.training.objective import Objective


@dataclass(frozen=True, slots=True)
class Teaching:
    """What the recipe says of a teacher: its name, the two numbers of `SoftLabels`, and how it is run."""

    teacher: str
    temperature: float
    weight: float
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student is trained on and towards, and what to say of it."""

    features: FeatureSet
    objective: Objective
    notes: tuple[str, ...] = ()


def find_lesson(
    task: Task, features: FeatureSet, tokenizer: Tokenizer, device: torch.device, teaching: Teaching | None
) -> Lesson:
    """The task's own loss on its training features; with a teacher in both, if there is one that is not in yet.

    Raises:
        RecipeError: if the task cannot be taught so, or a window is longer than the teacher has positions for.
        ModelError: if the teacher has no trained head for the task, or cuts texts into other tokens.

    """
    if teaching is None or features.targets is not None:  # the task asked its teacher itself
        return Lesson(features, task.objective)
    began = time.perf_counter()
    objective = soft_labels(task, teaching.temperature, teaching.weight)
    says = taught(teaching.teacher, task, features, tokenizer, device, teaching.max_tokens)
    how = "taken from the cache" if says.from_cache else f"computed in {time.perf_counter() - began:.0f} s"
    path = Path(teaching.teacher)
    name = path.parent.name if path.name == "model" else path.name
    note = f"teacher: {name}, its answers {how}; losses are shown against the labels, without the teacher's part"
    return Lesson(says.features, objective, (note, *says.problems))


def soft_labels(task: Task, temperature: float, weight: float) -> SoftLabels:
    """The task's loss with a teacher in it.

    Raises:
        RecipeError: if the task cannot be taught so.

    """
    if not isinstance(task, Teachable):
        raise RecipeError(
            f"The task {task.name} cannot learn from a teacher's answers.", where="recipe: teacher", fix="leave it out"
        )
    return SoftLabels(task.objective, task.divergence, temperature, weight)


def taught(
    teacher: str,
    task: Task,
    features: FeatureSet,
    tokenizer: Tokenizer,
    device: torch.device,
    max_tokens: int,
) -> TeacherSays:
    """The features with what a fine-tuned teacher answers to each, run once and kept.

    Args:
        teacher: its name: a model directory, a run, or a name on the hub.
        task: whose head it has.
        features: those that the student is trained on; the teacher reads the very same windows.
        tokenizer: the student's.
        device: where the teacher runs.
        max_tokens: most tokens in a batch of the teacher.

    Raises:
        ModelError: if it has no trained head for the task, other labels, or cuts texts into other tokens.
        RecipeError: if a window is longer than the teacher has positions for.

    """
    loaded = load_model(teacher, task.head_rules, task.make_head, device)
    if loaded.source.missing:
        raise ModelError(
            f"The teacher has no trained head for {task.name}, so it has no answers to learn from.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=ways_to_a_head(teacher, task.head_rules),
        )
    if isinstance(task, Teachable) and not task.means_the_same(loaded.source.config_hf):
        raise ModelError(
            "The teacher has other labels than the training data, so what it says of one would be learnt of another.",
            where=f"{loaded.source.directory}: config.json: id2label",
            fix="fine-tune a teacher on data with these labels",
        )
    check_same_tokens(loaded.source, tokenizer)
    check_window(int(features.lengths.max(initial=0)), loaded.source.config)
    model = loaded.model.requires_grad_(False)
    one = features.batch(torch.zeros(1, dtype=torch.int64).numpy()).to(device)
    with torch.inference_mode():
        width = int(model.eval()(one).shape[1])
    # In single precision: a number that is predicted may be of any size, and its last digits may matter.
    return with_targets(Teacher(teacher, model, fingerprint(model), width, np.float32), features, max_tokens)
