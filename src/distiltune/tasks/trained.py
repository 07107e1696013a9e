"""A trained model of a task, ready to be asked."""

from __future__ import annotations

from distiltune.device import choose_device
from distiltune.errors import ModelError
from distiltune.model.build import LoadedModel, load_model
from distiltune.model.source import model_config
from distiltune.recipe import Recipe
from distiltune.tasks.table import TASKS


def load_trained(name: str, task_name: str, device: str) -> LoadedModel:
    """Load a model that has a trained head for that task, in evaluation mode.

    Raises:
        ModelError: if the model cannot be read, or has no such head.
        HubError: if a hub name cannot be fetched.

    """
    task = TASKS[task_name](Recipe(task=task_name)).for_model(model_config(name))
    loaded = load_model(name, task.head_rules, task.make_head, choose_device(device))
    if loaded.source.missing:
        raise ModelError(
            f"The model has no trained head for {task_name}, so it cannot be used for it yet.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=f"fine-tune it first: distiltune train --model {name} --train DATA --output RUN",
        )
    loaded.model.eval()
    return loaded
