"""LoRA (Hu et al. 2021, arXiv:2106.09685): layers that stay as they are, with narrow products beside them that learn.

The tensors of the layers keep their names, so that checkpoints, the merged model and Hugging Face's names are what they
are without adapters; those of an adapter are called ``….down`` and ``….up`` beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.errors import ModelError
from distiltune.model.dropout import dropout
from distiltune.model.encoder import Encoder
from distiltune.model.hf_keys import KeyRule, encoder_rules, to_hf
from distiltune.model.products import linear

_PLACES: Final[Mapping[str, tuple[str, int, int]]] = {
    "q_lin": ("attention.qkv", 0, 3),
    "k_lin": ("attention.qkv", 1, 3),
    "v_lin": ("attention.qkv", 2, 3),
    "out_lin": ("attention.output", 0, 1),
    "lin1": ("feed_forward.up", 0, 1),
    "lin2": ("feed_forward.down", 0, 1),
}
"""``transformers``' name of a layer's linear layer → ours, which part of it, of how many."""

TARGETS: Final = tuple(_PLACES)
"""What can have an adapter."""

_PEFT_TASKS: Final = {
    "DistilBertForQuestionAnswering": "QUESTION_ANS",
    "DistilBertForSequenceClassification": "SEQ_CLS",
    "DistilBertForTokenClassification": "TOKEN_CLS",
}
"""The class that a model is loaded into → what `peft` calls its task; of others it is told nothing."""


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """What adapters are like.

    Attributes:
        rank: width of the narrow product.
        alpha: the product is multiplied by ``alpha / rank``.
        dropout: of what goes into it.
        targets: which layers have one, as ``transformers`` calls them.

    """

    rank: int
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ("q_lin", "v_lin")

    @property
    def scale(self) -> float:
        """What the narrow product is multiplied by."""
        return self.alpha / self.rank


class Adapted(nn.Module):
    """A linear layer that stays as it is, plus ``scale * up @ down`` for some of the equal parts of its output."""

    def __init__(self, layer: nn.Linear, parts: tuple[int, ...], n_parts: int, settings: LoraSettings) -> None:
        """Begin as the layer alone: ``up`` is 0, ``down`` drawn from PyTorch's global generator as `peft` draws it."""
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.parts, self.n_parts = parts, n_parts
        self.scale, self.dropout = settings.scale, settings.dropout
        n_out, n_in = layer.weight.shape
        down = torch.empty(len(parts), settings.rank, n_in)
        nn.init.uniform_(down, -1 / math.sqrt(n_in), 1 / math.sqrt(n_in))  # Kaiming's with a = √5
        self.down = nn.Parameter(down.to(layer.weight.device))
        self.up = nn.Parameter(torch.zeros(len(parts), n_out // n_parts, settings.rank, device=layer.weight.device))

    def forward(self, values: Tensor) -> Tensor:
        """``(n, n_in)`` → ``(n, n_out)``."""
        usual = linear(values, self.weight, self.bias)
        narrow = F.linear(dropout(values, self.dropout, self.training), self.down.flatten(0, 1))
        of_part = dict(zip(self.parts, narrow.chunk(len(self.parts), dim=1), strict=True))
        width = usual.shape[1] // self.n_parts
        more = [
            F.linear(of_part[part], self.up[self.parts.index(part)])
            if part in of_part
            else usual.new_zeros(len(usual), width)
            for part in range(self.n_parts)
        ]
        return torch.add(usual, torch.cat(more, dim=1), alpha=self.scale)


def adapt(model: nn.Module, settings: LoraSettings) -> None:
    """Give the encoder's layers adapters, and let nothing else of the encoder be trained.

    Raises:
        ModelError: if the model has no encoder of ours.

    """
    encoder = model.get_submodule("encoder")
    if not isinstance(encoder, Encoder):
        raise ModelError("Only an encoder can have adapters.", where=type(encoder).__name__, fix="leave out lora_rank")
    encoder.requires_grad_(False)
    for name, parts, n_parts in _places(settings.targets):
        owner, _, attribute = name.rpartition(".")
        for layer in encoder.layers:
            inside = layer.get_submodule(owner)
            setattr(inside, attribute, Adapted(getattr(inside, attribute), parts, n_parts, settings))


def merged(tensors: Mapping[str, Tensor], settings: LoraSettings) -> dict[str, Tensor]:
    """The tensors of a model without adapters that says the same as one with these."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith((".down", ".up"))}
    for name, parts, n_parts in _places(settings.targets):
        for layer in _layers_of(tensors, name):
            before = f"encoder.layers.{layer}.{name}"
            weight = found[f"{before}.weight"].clone()
            of_part = dict(enumerate(weight.chunk(n_parts, dim=0)))  # views
            down, up = tensors[f"{before}.down"].double(), tensors[f"{before}.up"].double()
            for i, part in enumerate(parts):
                of_part[part].add_((settings.scale * (up[i] @ down[i])).to(weight.dtype))
            found[f"{before}.weight"] = weight
    return found


def peft_files(
    tensors: Mapping[str, Tensor],
    settings: LoraSettings,
    head_rules: Sequence[KeyRule],
    architecture: str,
    base_model: str,
) -> dict[str, bytes]:
    """The adapters and the head as `peft` saves and reads them: ``adapter_config.json``, ``adapter_model.safetensors``.

    Args:
        tensors: of the trained model.
        settings: of its adapters.
        head_rules: the head's names.
        architecture: the class of ``transformers`` that the model is loaded into.
        base_model: what the training began with, as the user named it.

    """
    places = list(_places(settings.targets))
    n_layers = 1 + max(_layers_of(tensors, places[0][0]))
    rules = {rule.ours: rule for rule in encoder_rules(n_layers)}
    found: dict[str, Tensor] = {}
    for name, parts, _ in places:
        for layer in _layers_of(tensors, name):
            before = f"encoder.layers.{layer}.{name}"
            for i, part in enumerate(parts):
                theirs = rules[f"{before}.weight"].theirs[part].removesuffix(".weight")
                found[f"{theirs}.lora_A.weight"] = tensors[f"{before}.down"][i]
                found[f"{theirs}.lora_B.weight"] = tensors[f"{before}.up"][i]
    head = to_hf({rule.ours: tensors[rule.ours] for rule in head_rules}, head_rules)
    config = {
        "peft_type": "LORA",
        "task_type": _PEFT_TASKS.get(architecture),
        "base_model_name_or_path": base_model,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": list(settings.targets),
        "modules_to_save": sorted({name.rpartition(".")[0] for name in head}),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    named = {f"base_model.model.{name}": tensor.contiguous().clone() for name, tensor in {**found, **head}.items()}
    return {
        "adapter_config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "adapter_model.safetensors": save(named, metadata={"format": "pt"}),
    }


def _places(targets: Sequence[str]) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Our name of each linear layer that has adapters, which of its parts, of how many."""
    chosen = [_PLACES[name] for name in TARGETS if name in targets]
    for name in dict.fromkeys(place[0] for place in chosen):
        parts = tuple(part for each, part, _ in chosen if each == name)
        yield name, parts, next(n for each, _, n in chosen if each == name)


def _layers_of(tensors: Mapping[str, Tensor], name: str) -> list[int]:
    """The numbers of the layers that have adapters there."""
    return sorted(int(each.split(".")[2]) for each in tensors if each.endswith(f".{name}.down"))
