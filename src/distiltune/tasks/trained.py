"""A trained model of a task, ready to be asked."""

from __future__ import annotations

from distiltune.device import choose_device
from distiltune.inference.precision import in_precision
from distiltune.inference.trained_model import load_trained_model
from distiltune.model.build import LoadedModel
from distiltune.model.source import model_config
from distiltune.recipe import Recipe, fill_windows, stored_settings
from distiltune.tasks.table import TASKS


def load_trained(name: str, task_name: str, device: str, precision: str) -> LoadedModel:
    """Load a model that has a trained head for that task, in evaluation mode; also one exported to ONNX.

    ``precision`` is of the matrix products, as `Answerer` has it.

    Raises:
        ModelError: if the model cannot be read, or has no such head.
        HubError: if a hub name cannot be fetched.

    """
    task = TASKS[task_name](Recipe(task=task_name)).for_model(model_config(name))
    loaded = load_trained_model(name, task.name, task.head_rules, task.make_head, choose_device(device))
    loaded.model.eval()
    return in_precision(loaded, precision)


def windows_of(loaded: LoadedModel, max_length: int | None, stride: int | None) -> tuple[int, int]:
    """Most tokens in a window and tokens shared: as given, else as trained, else the recipe's, within the model's."""
    asked = {"max_length": max_length, "stride": stride}
    given = {name: value for name, value in asked.items() if value is not None}
    stored, limit = stored_settings(loaded.source.config_hf), loaded.source.config.max_position_embeddings
    windows = fill_windows(given, stored, limit)
    return windows["max_length"], windows["stride"]
