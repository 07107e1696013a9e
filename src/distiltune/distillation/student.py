"""The student: its shape, and what it starts with from the model that it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from distiltune.errors import RecipeError
from distiltune.model.config import EncoderConfig
from distiltune.model.source import ModelSource


@dataclass(frozen=True, slots=True)
class StudentShape:
    """How the student differs from the model that it is made from; 0 keeps what that has."""

    n_layers: int = 0
    hidden_size: int = 0
    n_heads: int = 0

    def of(self, config: EncoderConfig) -> EncoderConfig:
        """The student's configuration. Of another width, its feed-forward layers are as much wider as the model's.

        Raises:
            RecipeError: if the heads do not divide the width.

        """
        width = self.hidden_size or config.hidden_size
        n_heads = self.n_heads or (config.n_heads if width == config.hidden_size else max(1, width // config.head_size))
        if width % n_heads:
            raise RecipeError(
                f"A width of {width} is not divisible by {n_heads} attention heads.",
                where="recipe: student_width, student_heads",
                fix="choose a width that is a multiple of --student-heads",
            )
        return replace(
            config,
            n_layers=self.n_layers or config.n_layers,
            hidden_size=width,
            n_heads=n_heads,
            intermediate_size=config.intermediate_size * width // config.hidden_size,
        )


def shrink(source: ModelSource, shape: StudentShape) -> ModelSource:
    """The source of a student: its configuration, and those of its tensors that can be taken from ``source``.

    Of the same width, the embeddings are kept and layers are taken at even distances, the last one always (Sanh et
    al. 2019 take one of two). Of another width, the token and position embeddings are projected onto the directions
    in which the token embeddings are longest (a truncated SVD), and the layers start from random weights.
    """
    config = shape.of(source.config)
    if source.is_untrained:  # of random weights, or to be filled from a checkpoint
        return replace(source, config=config)
    if config.hidden_size != source.config.hidden_size:
        tensors = _projected_embeddings(source.tensors, config.hidden_size)
        kept = f"its embeddings, projected from {source.config.hidden_size} to {config.hidden_size} numbers"
    else:
        chosen = [at_same_height(i + 1, config.n_layers, source.config.n_layers) - 1 for i in range(config.n_layers)]
        if config.n_heads != source.config.n_heads:
            chosen = []
        tensors = _with_layers(source.tensors, chosen)
        kept = f"its embeddings and its layers {', '.join(map(str, chosen)) or 'none'} (counted from 0)"
    return replace(source, config=config, tensors=tensors, notes=(*source.notes, f"The student starts with {kept}."))


def at_same_height(layer: int, n_layers: int, n_teacher_layers: int) -> int:
    """The teacher's layer that stands as high as a student's: both are counted from 1. Never below the first."""
    return max(1, (2 * layer * n_teacher_layers + n_layers) // (2 * n_layers))


def _projected_embeddings(tensors: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
    token = tensors["encoder.embeddings.token.weight"]
    # The right singular vectors are the eigenvectors of a small matrix; eigh gives them ascending.
    _, directions = torch.linalg.eigh(token.double().T @ token.double())
    basis = directions[:, -width:].flip(1).to(token.dtype)
    if basis.shape[1] < width:
        basis = torch.cat([basis, basis.new_zeros(basis.shape[0], width - basis.shape[1])], dim=1)
    names = ("encoder.embeddings.token.weight", "encoder.embeddings.position.weight")
    return {name: (tensors[name] @ basis).contiguous() for name in names}


def _with_layers(tensors: Mapping[str, Tensor], chosen: list[int]) -> dict[str, Tensor]:
    taken = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.embeddings.")}
    for ours, theirs in enumerate(chosen):
        before = f"encoder.layers.{theirs}."
        taken |= {
            f"encoder.layers.{ours}.{name.removeprefix(before)}": tensor
            for name, tensor in tensors.items()
            if name.startswith(before)
        }
    return taken
