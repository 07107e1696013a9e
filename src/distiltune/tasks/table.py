"""The table of tasks: what the recipe's `task` names."""

from __future__ import annotations

from collections.abc import Callable

from distiltune.distillation import encoder_task
from distiltune.recipe import Recipe
from distiltune.tasks import question_answering
from distiltune.tasks.base import Task

TASKS: dict[str, Callable[[Recipe], Task]] = {
    "question-answering": question_answering.from_recipe,
    "encoder": encoder_task.from_recipe,
}
"""From the recipe's ``task`` to what builds it."""
