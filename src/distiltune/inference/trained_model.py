"""A model that is ready to be used: one of ours with a trained head, or one exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from distiltune.errors import ModelError
from distiltune.inference.onnx_model import ONNX_FILE, OnnxModel
from distiltune.model.build import LoadedModel, MakeHead, load_model
from distiltune.model.config import EncoderConfig
from distiltune.model.hf_keys import KeyRule
from distiltune.model.small_json import read_json
from distiltune.model.source import PACKAGED, ModelSource, load_source, resolve_model
from distiltune.model.tokenizer import load_tokenizer, tokenizer_file
from distiltune.model.weights import WEIGHT_FILES

ONNX_ENTRY: Final = "distiltune_onnx"
"""Entry of config.json that says how the graph beside it was made."""


def load_trained_model(
    name: str, task: str, head_rules: Sequence[KeyRule], make_head: MakeHead, device: torch.device
) -> LoadedModel:
    """Load a model whose head is trained; a directory with ``model.onnx`` and no weights is run by onnxruntime.

    Raises:
        ModelError: if it cannot be read, or has no trained head for the task.
        HubError: if a hub name cannot be fetched.

    """
    directory = resolve_model(name)
    if is_onnx(directory):
        return _load_onnx(directory, device)
    loaded = load_model(str(directory), head_rules, make_head, device)
    if loaded.source.missing:
        raise ModelError(
            f"The model has no trained {task} head, so it cannot be used for that yet.",
            where=f"{loaded.source.directory}: {', '.join(loaded.source.missing)}",
            fix=ways_to_a_head(name, head_rules),
        )
    return loaded


def ways_to_a_head(name: str, head_rules: Sequence[KeyRule]) -> str:
    """What to do about a model without a trained head: fine-tune it, or take a packaged one that has it."""
    fix = f"fine-tune it first: distiltune train --model {name} --train DATA --output RUN"
    for packaged in PACKAGED:
        with suppress(ModelError):  # of an installation without it
            if not load_source(packaged, head_rules).missing:
                return f"use `{packaged}`, whose head is trained; or {fix}"
    return fix


def is_onnx(directory: Path) -> bool:
    """Whether a model directory holds a graph and no weights of ours to prefer."""
    return (directory / ONNX_FILE).is_file() and not any((directory / name).is_file() for name in WEIGHT_FILES)


def ranges_are_dynamic(precision: str) -> bool:
    """Whether a graph that was made so takes the ranges of its 8-bit numbers from its input."""
    return "dynamic" in precision


def _load_onnx(directory: Path, device: torch.device) -> LoadedModel:
    config = read_json(directory / "config.json")
    entry = config.get(ONNX_ENTRY)
    precision = str(entry.get("precision", "float32")) if isinstance(entry, dict) else "float32"
    return LoadedModel(
        model=OnnxModel(directory / ONNX_FILE, device, alone=ranges_are_dynamic(precision)),
        tokenizer=load_tokenizer(directory),
        source=ModelSource(
            directory=directory,
            config=EncoderConfig.from_hf(config),
            config_hf=config,
            tensors={},
            missing=(),
            unexpected=(),
            notes=(f"ONNX model, {precision}, run by onnxruntime.",),
            tokenizer_file=tokenizer_file(directory),
        ),
        head_dropout=0.0,
    )
