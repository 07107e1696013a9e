"""A trained model of a task, ready to be asked."""

from __future__ import annotations

from collections.abc import Sequence

from distiltune.data.reading import MAX_TEXT_CHARACTERS, text_problem
from distiltune.errors import DataError
from distiltune.inference.precision import in_precision
from distiltune.inference.trained_model import load_trained_model
from distiltune.model.build import LoadedModel
from distiltune.model.source import model_config
from distiltune.settings.engine import EngineSettings
from distiltune.settings.stored import fill_windows, stored_settings
from distiltune.system.device import choose_device
from distiltune.tasks.base import Task


def load_trained(name: str, task: Task, device: str, precision: str) -> LoadedModel:
    """Load a model that has a trained head for that task, in evaluation mode; also one exported to ONNX.

    ``precision`` is of the matrix products, as `Answerer` has it.

    Raises:
        ModelError: if the model cannot be read, or has no such head.
        HubError: if a hub name cannot be fetched.

    """
    task = task.for_model(model_config(name))
    loaded = load_trained_model(name, task.name, task.head_rules, task.make_head, choose_device(device))
    loaded.model.eval()
    return in_precision(loaded, precision)


def check_texts(texts: Sequence[object], *, or_pairs: bool = False) -> None:
    """Check what a model is asked to read: a list of texts, and where it says so pairs of texts.

    Raises:
        DataError: if it is one bare text, whose letters would be read each by itself, or if one of them is no text, is
            empty, or has over `MAX_TEXT_CHARACTERS`; naming which.

    """
    if isinstance(texts, str | bytes):
        raise DataError("One text was given where a list of texts is meant.", fix="put it into a list: [text]")
    for number, given in enumerate(texts, start=1):
        is_pair = or_pairs and isinstance(given, tuple | list) and len(given) == 2
        for text in given if is_pair else (given,):  # type: ignore[attr-defined]
            problem = text_problem(text, "text")
            if problem is not None:
                is_too_long = isinstance(text, str) and len(text) > MAX_TEXT_CHARACTERS
                fix = "cut it into several texts" if is_too_long else "give something to read"
                raise DataError(problem.message, where=f"text {number}", fix=fix)


def windows_of(loaded: LoadedModel, max_length: int | None, stride: int | None) -> tuple[int, int]:
    """Most tokens in a window and tokens shared: as given, else as trained, else the recipe's, within the model's."""
    asked = {"max_length": max_length, "stride": stride}
    given = {name: value for name, value in asked.items() if value is not None}
    stored, limit = (
        stored_settings(loaded.source.config_hf, EngineSettings),
        loaded.source.config.max_position_embeddings,
    )
    windows = fill_windows(given, stored, limit)
    return windows["max_length"], windows["stride"]
