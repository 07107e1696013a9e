"""A fine-tuned teacher in a run: its answers to the training features, and the loss that has them in it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.distillation.soft_labels import SoftLabels
from distiltune.distillation.teacher import Teacher, TeacherSays, check_same_tokens, with_targets
from distiltune.errors import ModelError, RecipeError
from distiltune.inference.trained_model import ways_to_a_head
from distiltune.model.build import LoadedModel, check_window, load_model
from distiltune.model.encoder import fingerprint
from distiltune.tasks.base import D, Lesson, Task, Teachable


@dataclass(frozen=True, slots=True)
class Teaching:
    """What the recipe says of a teacher: its name, the two numbers of `SoftLabels`, and how it is run."""

    teacher: str
    temperature: float
    weight: float
    max_tokens: int


def with_teacher(lesson: Lesson[D], teaching: Teaching, tokenizer: Tokenizer, device: torch.device) -> Lesson[D]:
    """The lesson with a teacher in it: its answers to the features, run once and kept, and the loss that counts them.

    Args:
        lesson: without a teacher.
        teaching: who teaches, and how.
        tokenizer: the student's.
        device: where the teacher runs.

    Raises:
        RecipeError: if the task cannot be taught so, or a window is longer than the teacher has positions for.
        ModelError: if the teacher has no trained head for the task, other labels, or cuts texts into other tokens.

    """
    task = lesson.task
    if not isinstance(task, Teachable):
        raise RecipeError(
            f"The task {task.name} cannot learn from a teacher's answers.", where="recipe: teacher", fix="leave it out"
        )
    began = time.perf_counter()
    teacher = _load_teacher(teaching.teacher, task, device)
    if not task.means_the_same(teacher.source.config_hf):
        raise ModelError(
            "The teacher has other labels than the training data, so what it says of one would be learnt of another.",
            where=f"{teacher.source.directory}: config.json: id2label",
            fix="fine-tune a teacher on data with these labels",
        )
    check_same_tokens(teacher.source, tokenizer)
    check_window(int(lesson.features.lengths.max(initial=0)), teacher.source.config)
    says = _answers(teaching, teacher.model, lesson.features, device)
    how = "taken from the cache" if says.from_cache else f"computed in {time.perf_counter() - began:.0f} s"
    path = Path(teaching.teacher)
    name = path.parent.name if path.name == "model" else path.name
    note = f"teacher: {name}, its answers {how}; losses are shown against the labels, without the teacher's part"
    objective = SoftLabels(lesson.objective, task.divergence, teaching.temperature, teaching.weight)
    return replace(lesson, features=says.features, objective=objective, notes=(*lesson.notes, note, *says.problems))


def _load_teacher(name: str, task: Task[D], device: torch.device) -> LoadedModel:
    loaded = load_model(name, task.head_rules, task.make_head, device)
    if loaded.source.missing:
        raise ModelError(
            f"The teacher has no trained head for {task.name}, so it has no answers to learn from.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=ways_to_a_head(name, task.head_rules),
        )
    return loaded


def _answers(teaching: Teaching, teacher: nn.Module, features: FeatureSet, device: torch.device) -> TeacherSays:
    """The features with what the teacher answers to each; it reads the very same windows as the student."""
    model = teacher.requires_grad_(False)
    one = features.batch(torch.zeros(1, dtype=torch.int64).numpy()).to(device)
    with torch.inference_mode():
        width = int(model.eval()(one).shape[1])
    # In single precision: a number that is predicted may be of any size, and its last digits may matter.
    made = Teacher(teaching.teacher, model, fingerprint(model), width, np.float32)
    return with_targets(made, features, teaching.max_tokens)
