"""What a model directory must hold to be used: a trained head, or a graph exported to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from distiltune.errors import ModelError
from distiltune.inference.onnx_model import ONNX_FILE, OnnxModel
from distiltune.model.build import LoadedModel
from distiltune.model.config import EncoderConfig
from distiltune.model.hf_keys import KeyRule
from distiltune.model.small_json import read_json
from distiltune.model.source import PACKAGED, ModelSource, load_source
from distiltune.model.tokenizer import load_tokenizer, tokenizer_file
from distiltune.model.vocabulary_case import case_doubt
from distiltune.model.weights import WEIGHT_FILES

ONNX_ENTRY: Final = "distiltune_onnx"
"""Entry of config.json that says how the graph beside it was made."""


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


def load_onnx(directory: Path, device: torch.device) -> LoadedModel:
    """The graph of a model directory, run by onnxruntime.

    Raises:
        ModelError: if it cannot be read or run.

    """
    config = read_json(directory / "config.json")
    entry = config.get(ONNX_ENTRY)
    precision = str(entry.get("precision", "float32")) if isinstance(entry, dict) else "float32"
    tokenizer = load_tokenizer(directory)
    doubt = case_doubt(directory, tokenizer)
    return LoadedModel(
        model=OnnxModel(directory / ONNX_FILE, device, alone=ranges_are_dynamic(precision)),
        tokenizer=tokenizer,
        source=ModelSource(
            directory=directory,
            config=EncoderConfig.from_hf(config),
            config_hf=config,
            tensors={},
            missing=(),
            unexpected=(),
            notes=(f"ONNX model, {precision}, run by onnxruntime.", *([doubt.note] if doubt else [])),
            tokenizer_file=tokenizer_file(directory),
        ),
        head_dropout=0.0,
    )
