"""Hidden states of an encoder at several heights: what a student is compared with its teacher in."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.distillation.student import at_same_height
from distiltune.model.encoder import Encoder, Linear, TaskModel


@dataclass(frozen=True, slots=True)
class Heights:
    """Which hidden states are compared: number n is what layer n gives, counted from 1; 0 is the embeddings.

    Attributes:
        student: the student's, ascending; the last two are what goes into its last layer and what comes out.
        teacher: the teacher's, each as high as the student's; the last two likewise.

    """

    student: tuple[int, ...]
    teacher: tuple[int, ...]

    @staticmethod
    def of(n_layers: int, n_teacher_layers: int) -> Heights:
        """The middle, what goes into the last layer, and the last hidden state."""
        middle = (n_layers + 1) // 2
        last = (n_layers - 1, n_layers)
        last_of_teacher = (n_teacher_layers - 1, n_teacher_layers)
        if middle >= n_layers - 1:
            return Heights(last, last_of_teacher)
        return Heights((middle, *last), (at_same_height(middle, n_layers, n_teacher_layers), *last_of_teacher))


def hidden_states(encoder: Encoder, batch: PackedBatch, heights: Container[int]) -> list[Tensor]:
    """The hidden states at these heights (ascending), ``(total_tokens, hidden)`` each."""
    hidden: Tensor = encoder.embeddings(batch.token_ids, batch.position_ids)
    states = [hidden] if 0 in heights else []
    for number, layer in enumerate(encoder.layers, start=1):
        hidden = layer(hidden, batch)
        if number in heights:
            states.append(hidden)
    return states


class TeacherStates(nn.Module):
    """A teacher that gives its hidden states side by side."""

    def __init__(self, encoder: Encoder, heights: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heights = heights

    def forward(self, batch: PackedBatch) -> Tensor:
        """→ ``(total_tokens, n_heights * hidden)``."""
        return torch.cat(hidden_states(self.encoder, batch, self.heights), dim=1)


class Projections(nn.Module):
    """From the student's hidden states to the teacher's width, one linear map a height; thrown away in the end."""

    def __init__(self, n_heights: int, hidden_size: int, teacher_size: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            Linear(hidden_size, teacher_size) if hidden_size != teacher_size else nn.Identity()
            for _ in range(n_heights)
        )

    @torch.no_grad()
    def start_from(self, basis: Tensor, means: Tensor) -> None:
        """Begin with the directions ``(teacher_hidden, hidden)`` and means ``(n_heights, teacher_hidden)``."""
        for project, mean in zip(self.maps, means, strict=True):
            if isinstance(project, Linear):
                project.weight.copy_(basis)
                project.bias.copy_(mean)


class TaughtStudent(TaskModel):
    """A student that shows what it is compared in: projected hidden states, and its last layer's projections."""

    def __init__(self, encoder: Encoder, head: nn.Module, heights: tuple[int, ...]) -> None:
        super().__init__(encoder, head)
        self.heights = heights

    def forward(self, batch: PackedBatch) -> Tensor:
        """→ ``(total_tokens, n_heights * teacher_hidden + 3 * hidden)``."""
        states = hidden_states(self.encoder, batch, self.heights)
        last: Tensor = self.encoder.layers[-1].attention.qkv(states[-2])  # type: ignore[operator, union-attr]
        maps = cast(Projections, self.head).maps
        return torch.cat([*(project(state) for project, state in zip(maps, states, strict=True)), last], dim=1)
