"""LoRA in a run: what the recipe says of adapters, and the folder that they are kept in."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from distiltune.model.lora import LoraSettings, merged, peft_files
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.system.durable import write_synced, writing_directory
from distiltune.tasks.base import D, Task


def lora_settings(recipe: Recipe) -> LoraSettings | None:
    """What the recipe says of adapters; None if it has none."""
    if not recipe.lora_rank:
        return None
    targets = tuple(recipe.lora_targets.split(","))
    return LoraSettings(recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout, targets)


def keep_adapter(run: RunDirectory, tensors: Mapping[str, Tensor], recipe: Recipe, task: Task[D]) -> dict[str, Tensor]:
    """Write the adapters of a trained model, if it has some, as `peft` reads them; the model's tensors without them."""
    lora = lora_settings(recipe)
    if lora is None:
        return dict(tensors)
    with writing_directory(run.adapter) as beside:
        for name, content in peft_files(tensors, lora, task.head_rules, task.architecture, recipe.model).items():
            write_synced(beside / name, content)
    return merged(tensors, lora)
