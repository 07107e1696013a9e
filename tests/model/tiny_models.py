"""Tiny random reference models, made offline with transformers, and the files around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)

from distiltune.model.hf_keys import KeyRule

N_LAYERS = 2
VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefghijklmnopqrstuvwxyz",
    "##s",
    "the",
    "cafe",
]

HEAD_RULES = (
    KeyRule("head.output.weight", ("qa_outputs.weight",), (2, "hidden_size")),
    KeyRule("head.output.bias", ("qa_outputs.bias",), (2,)),
)

SHARED = Path(__file__).resolve().parents[3] / "shared"

CLASSES = {
    "bare": AutoModel,
    "question answering": AutoModelForQuestionAnswering,
    "sequence classification": AutoModelForSequenceClassification,
    "masked language": AutoModelForMaskedLM,
}


def tiny_config(model_type: str = "distilbert", **changes: Any) -> Any:
    """A configuration of transformers: 100 tokens, 2 layers, 16 wide, 2 heads."""
    if model_type == "distilbert":
        sizes: dict[str, Any] = {"dim": 16, "n_heads": 2, "n_layers": N_LAYERS, "hidden_dim": 32}
    else:
        sizes = {
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_hidden_layers": N_LAYERS,
            "intermediate_size": 32,
        }
    return AutoConfig.for_model(model_type, **{"vocab_size": 100, "max_position_embeddings": 48, **sizes, **changes})


def tiny_model(kind: str = "question answering", model_type: str = "distilbert", **changes: Any) -> Any:
    """A random model of transformers, not training; biases and norms are random too, so that they count."""
    torch.manual_seed(1)
    model = CLASSES[kind].from_config(tiny_config(model_type, **changes), attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def write_vocabulary(directory: Path, *, lower_case: bool | None = True) -> None:
    """A ``vocab.txt`` and, if something is said on case, a ``tokenizer_config.json``."""
    (directory / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY), encoding="utf-8")
    if lower_case is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower_case}))


def save_tiny(directory: Path, model: Any) -> Path:
    """The model as transformers saves it, with a vocabulary beside it."""
    model.save_pretrained(directory)
    write_vocabulary(directory)
    return directory


def state(model: Any) -> dict[str, Tensor]:
    """Copies of a model's tensors by Hugging Face name."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def saved_tensors(directory: Path) -> dict[str, Tensor]:
    """What ``model.safetensors`` of a directory holds, copied so that the file may be overwritten."""
    return {name: tensor.clone() for name, tensor in load_file(directory / "model.safetensors").items()}


def change_config(directory: Path, **changes: Any) -> None:
    """Overwrite values of a ``config.json``; None removes one."""
    file = directory / "config.json"
    values = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
