"""From a model source to a model that can be trained or asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.errors import ModelError, RecipeError
from distiltune.model.config import EncoderConfig, shown
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import ModelSource, load_source, load_tokenizer

MakeHead = Callable[[int, float], nn.Module]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready for use, its tokenizer, and where both came from."""

    model: nn.Module
    tokenizer: Tokenizer
    source: ModelSource
    head_dropout: float


@dataclass(frozen=True, slots=True)
class Dropouts:
    """Dropout probabilities that replace those of the model's config.json; None keeps them."""

    hidden: float | None = None
    attention: float | None = None
    head: float | None = None


@dataclass(frozen=True, slots=True)
class HeadDropout:
    """Where a model's config.json keeps the dropout of a head, and what it is where it does not."""

    name: str = "dropout"
    usual: float = 0.1

    def of(self, config_hf: Mapping[str, object]) -> float:
        """The probability.

        Raises:
            ModelError: if it is none.

        """
        value = config_hf.get(self.name, self.usual)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self.usual
        if not 0.0 <= value < 1.0:
            raise ModelError(
                f"{self.name} is {shown(value)}; it must be at least 0 and below 1.",
                where="config.json",
                fix="mend the number there",
            )
        return float(value)


def load_model(
    name: str,
    head_rules: Sequence[KeyRule],
    make_head: MakeHead,
    device: torch.device,
    dropouts: Dropouts = Dropouts(),
    head_dropout: HeadDropout = HeadDropout(),
) -> LoadedModel:
    """Load a model by name and put a task's head on it; what the checkpoint lacks starts from random weights.

    The random weights are drawn from PyTorch's global generator: seed it before. They are drawn for the whole model,
    so that they do not depend on what the checkpoint holds.

    Raises:
        ModelError: if the source cannot be read or does not fit.
        HubError: if a hub name cannot be fetched.

    """
    return build_model(load_source(name, head_rules), make_head, device, dropouts, head_dropout)


def build_model(
    source: ModelSource,
    make_head: MakeHead,
    device: torch.device,
    dropouts: Dropouts = Dropouts(),
    head_dropout: HeadDropout = HeadDropout(),
    put_together: Callable[[Encoder, nn.Module], TaskModel] = TaskModel,
) -> LoadedModel:
    """The model of a source that was read, as ``load_model`` makes it; ``put_together`` joins encoder and head.

    The source beside the model has no tensors, which would take the memory of all its weights a second time.
    """
    config = with_dropouts(source.config, dropouts)
    probability = dropouts.head if dropouts.head is not None else head_dropout.of(source.config_hf)
    model = put_together(Encoder(config), make_head(config.hidden_size, probability))
    initialise(model, config.initializer_range)
    model.load_state_dict(source.tensors, strict=False)
    without_tensors = replace(source, config=config, tensors={})
    return LoadedModel(model.to(device), load_tokenizer(source.directory), without_tensors, probability)


def frozen_encoder(source: ModelSource, device: torch.device) -> Encoder:
    """The encoder of a source that was read, alone and frozen."""
    encoder = Encoder(source.config)
    encoder.load_state_dict(
        {n.removeprefix("encoder."): t for n, t in source.tensors.items() if n.startswith("encoder.")}
    )
    return encoder.to(device).eval().requires_grad_(False)


def check_window(max_length: int, config: EncoderConfig) -> None:
    """Check that the model has positions for windows of that many tokens.

    Raises:
        RecipeError: if it has fewer.

    """
    if max_length > config.max_position_embeddings:
        raise RecipeError(
            f"max_length is {max_length}, and the model has positions for {config.max_position_embeddings} tokens.",
            where="recipe: max_length",
            fix=f"use --max-length {config.max_position_embeddings} or less, and a smaller --stride with it",
        )


def with_dropouts(config: EncoderConfig, dropouts: Dropouts) -> EncoderConfig:
    """The shape with its dropout probabilities replaced where others are given."""
    return replace(
        config,
        dropout=config.dropout if dropouts.hidden is None else dropouts.hidden,
        attention_dropout=config.attention_dropout if dropouts.attention is None else dropouts.attention,
    )
