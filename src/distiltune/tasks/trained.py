"""A trained model of a task, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic

import torch
from torch import Tensor, nn

from distiltune.data.held import as_list
from distiltune.data.values import MAX_TEXT_CHARACTERS, text_problem
from distiltune.errors import DataError, ModelError, RecipeError
from distiltune.inference.precision import in_precision
from distiltune.inference.trained_model import is_onnx, load_onnx, ways_to_a_head
from distiltune.model.build import LoadedModel, load_model
from distiltune.model.source import model_config, resolve_model
from distiltune.settings.engine import EngineSettings
from distiltune.settings.stored import fill_windows, stored_settings
from distiltune.system.device import choose_device, give_back_freed_memory
from distiltune.tasks.base import D, Task, TaskSpec


@dataclass(frozen=True, slots=True)
class Trained(Generic[D]):
    """A trained model, in evaluation mode, and the task with what the model's config.json says of it."""

    task: Task[D]
    loaded: LoadedModel


def load_trained(name: str, spec: TaskSpec[D], device: str, precision: str = "float32") -> Trained[D]:
    """Load a model that has a trained head for that task; also one exported to ONNX.

    Args:
        name: a model directory, a run, or a name on the hub; a directory with ``model.onnx`` and no weights is run by
            onnxruntime.
        spec: the task's, with settings that say how it is used.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: of the matrix products, as `Answerer` has it.

    Raises:
        ModelError: if the model cannot be read, or has no such head.
        HubError: if a hub name cannot be fetched.
        RecipeError: if no trained model can do the task, or the device or the precision cannot be had.

    """
    directory = resolve_model(name)
    config = model_config(str(directory))
    task, on = spec.open_model(config), choose_device(device)
    _check_head(name, task.name, task.architecture, config)
    if is_onnx(directory):
        loaded = load_onnx(directory, on)
    else:
        loaded = load_model(str(directory), task.head_rules, task.make_head, on)
    if loaded.source.missing:
        raise ModelError(
            f"The model has no trained {task.name} head, so it cannot be used for that yet.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=ways_to_a_head(name, task.head_rules),
        )
    give_back_freed_memory()  # the files' tensors, which the model has copies of
    loaded.model.eval()
    loaded = in_precision(loaded, precision)
    loaded.model.register_forward_hook(partial(_check_finite, name))
    return Trained(task, loaded)


def _check_finite(name: str, model: nn.Module, given: object, output: Tensor) -> None:
    """Check that scores are numbers: finite weights may still overflow.

    Raises:
        ModelError: if they are not.

    """
    if not torch.compiler.is_compiling() and not bool(output.isfinite().all()):
        raise ModelError(
            "The model gives NaN or infinity.",
            where=name,
            fix="its weights are damaged, or too large to compute with: use another model, or train it again",
        )


_HEADS: Final = frozenset({"QuestionAnswering", "SequenceClassification", "TokenClassification", "MultipleChoice"})
"""What follows ``For`` in the names of architectures with a task's head."""


def _check_head(name: str, task: str, architecture: str, config: Mapping[str, object]) -> None:
    """Check that a head is not another task's: some have tensors of the same names, and other shapes at most."""
    listed = config.get("architectures")
    heads = {str(each).partition("For")[2] for each in (listed if isinstance(listed, list) else [])} & _HEADS
    if heads and architecture.partition("For")[2] not in heads:
        raise ModelError(
            f"The model is one with a head for {', '.join(sorted(heads))}, and {task} is asked of it.",
            where=name,
            fix="use it for what it was trained for, or fine-tune it for this: distiltune train --model MODEL",
        )


def texts_to_read(texts: object, *, or_pairs: bool = False) -> list[Any]:
    """What a model is asked to read, checked: a list or a column of texts, and where it says so of pairs of texts.

    Raises:
        DataError: if it is one bare text, whose letters would be read each by itself; no list or column, naming its
            type; or if one of them is no text, is empty, or has over `MAX_TEXT_CHARACTERS`, naming which.

    """
    if isinstance(texts, str | bytes):
        raise DataError(
            "One text was given where a list of texts is meant.",
            where="argument: texts",
            fix="put it into a list: [text]",
        )
    listed = as_list(texts, "texts", 'give a list of texts, or a column of them, as frame["text"]')
    for number, given in enumerate(listed, start=1):
        is_pair = or_pairs and isinstance(given, tuple | list) and len(given) == 2
        for text in given if is_pair else (given,):
            problem = text_problem(text, "text")
            if problem is not None:
                is_too_long = isinstance(text, str) and len(text) > MAX_TEXT_CHARACTERS
                fix = "cut it into several texts" if is_too_long else "give something to read"
                raise DataError(problem.message, where=f"text {number}", fix=fix)
    return listed


def windows_of(loaded: LoadedModel, given: Mapping[str, int]) -> tuple[int, int]:
    """Most tokens in a window and tokens shared: as given, else as trained, else the recipe's, within the model's.

    Raises:
        RecipeError: if the stride that is given is as long as what a window holds.

    """
    stored, limit = (
        stored_settings(loaded.source.config_hf, EngineSettings),
        loaded.source.config.max_position_embeddings,
    )
    windows = fill_windows(given, stored, limit)
    room = windows["max_length"] - 2  # [CLS] text [SEP]
    if "stride" in given and windows["stride"] >= room:
        raise RecipeError(
            f"stride is {windows['stride']}, and windows of {windows['max_length']} tokens hold {room} of a text.",
            where="argument: stride",
            fix=f"give a value below {room}, or a longer max_length",
        )
    return windows["max_length"], windows["stride"]
