"""A narrower student cut out of its teacher, so that each layer does on a sample of text what the teacher's does.

The student's hidden states are the teacher's, less their mean, in the directions in which they vary most. Of each
layer the heads and the feed-forward neurons that contribute most are kept; what leaves them is fitted by least squares
to what the teacher's whole layer gives, as in layer-wise reconstruction (He et al. 2017, "Channel Pruning"). It is a
start that beats random weights, not a student: the errors of the layers add up, and the distillation has to mend them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch
from distiltune.distillation.states import hidden_states
from distiltune.distillation.student import at_same_height
from distiltune.model.attention import packed_attention
from distiltune.model.encoder import Encoder, Layer

RIDGE = 1e-3
"""Added to the diagonal of the normal equations, as a share of its mean."""


@dataclass(frozen=True, slots=True)
class Directions:
    """Where the student's hidden states lie in the teacher's.

    Attributes:
        basis: ``(teacher_hidden, hidden)``, orthonormal columns.
        means: ``(n_teacher_layers + 1, teacher_hidden)``, the teacher's mean hidden state at every height.

    """

    basis: Tensor
    means: Tensor


@dataclass(frozen=True, slots=True)
class _Traced:
    """What goes on in one layer of the teacher, ``(total_tokens, hidden)`` each."""

    attended: Tensor  # attention's output added to its input
    middle: Tensor  # the same, normalised
    neurons: Tensor  # (total_tokens, intermediate), after the activation
    fed: Tensor  # feed-forward's output added to its input
    out: Tensor


def can_be_narrowed(teacher: Encoder, student: Encoder) -> bool:
    """Whether the student is narrower, with heads of the same size and no part that the teacher has fewer of."""
    ours, theirs = student.config, teacher.config
    return (
        ours.hidden_size < theirs.hidden_size
        and ours.head_size == theirs.head_size
        and ours.n_layers <= theirs.n_layers
        and ours.intermediate_size <= theirs.intermediate_size
        and ours.activation == theirs.activation
    )


@torch.no_grad()
def narrow(teacher: Encoder, student: Encoder, batch: PackedBatch) -> Directions:
    """Set the student's weights from the teacher's and a sample of text.

    Args:
        teacher: not in training.
        student: narrower, see ``can_be_narrowed``; is changed.
        batch: the sample; a few ten thousand tokens are enough.

    """
    states = hidden_states(teacher, batch, range(len(teacher.layers) + 1))
    found = _directions(states, student.config.hidden_size)
    ours = _narrow_embeddings(teacher, student, batch, states[0], found)
    before = 0
    for number, layer in enumerate(student.layers, start=1):
        height = at_same_height(number, len(student.layers), len(teacher.layers))
        theirs = cast(Layer, teacher.layers[height - 1])
        traced = _trace(theirs, states[height - 1], batch)
        ours = _LayerNarrowing(theirs, cast(Layer, layer), found.basis, batch).fit(ours, found.means[before], traced)
        before = height
    return found


def _trace(layer: Layer, hidden: Tensor, batch: PackedBatch) -> _Traced:
    attended = layer.attention(hidden, batch) + hidden
    middle = layer.attention_norm(attended)
    feed = layer.feed_forward
    neurons = feed.activation(feed.up(middle))
    fed = feed.down(neurons) + middle
    return _Traced(attended, middle, neurons, fed, layer.feed_forward_norm(fed))


def _directions(states: list[Tensor], width: int) -> Directions:
    """The leading principal directions of all hidden states together, each height weighing the same."""
    means = torch.stack([state.mean(dim=0) for state in states])
    total = means.new_zeros(means.shape[1], means.shape[1], dtype=torch.float64)
    for state, mean in zip(states, means, strict=True):
        centred = (state - mean).double()
        covariance = centred.T @ centred
        total += covariance / covariance.trace()
    _, vectors = torch.linalg.eigh(total)  # ascending
    return Directions(vectors[:, -width:].flip(1).to(means.dtype).contiguous(), means)


def _narrow_embeddings(
    teacher: Encoder, student: Encoder, batch: PackedBatch, states: Tensor, found: Directions
) -> Tensor:
    """Token and position embeddings as the teacher's norm scales them, projected; the norm fitted to the states."""
    theirs, ours = teacher.embeddings, student.embeddings
    scaled_basis = theirs.norm.weight[:, None] * found.basis
    # A norm takes the mean over the numbers of a vector away, so the projection must not see it.
    for source, target in ((theirs.token, ours.token), (theirs.position, ours.position)):
        weight = source.weight - source.weight.mean(dim=1, keepdim=True)
        target.weight.copy_(weight @ scaled_basis)
    shift = (theirs.norm.bias - found.means[0]) @ found.basis
    spread = (theirs.token(batch.token_ids) + theirs.position(batch.position_ids)).std(dim=1).mean()
    ours.position.weight.add_(shift * spread)
    summed = ours.token(batch.token_ids) + ours.position(batch.position_ids)
    return _fit_norm(ours.norm, summed, (states - found.means[0]) @ found.basis)


@dataclass(frozen=True, slots=True)
class _LayerNarrowing:
    """One layer of the teacher, the student's that is made from it, the directions, and the sample."""

    theirs: Layer
    ours: Layer
    basis: Tensor
    batch: PackedBatch

    def fit(self, hidden: Tensor, mean: Tensor, traced: _Traced) -> Tensor:
        """Set the student's layer, which is given ``hidden``, the teacher's less ``mean``; what it makes of it."""
        attention = self.ours.attention
        self._copy_heads(mean)
        mixed = packed_attention(
            attention.qkv(hidden), self.batch.cu_seqlens, self.batch.lengths, self.batch.max_length,
            attention.n_heads, 0.0,
        )  # fmt: skip
        _fit_linear(attention.output, mixed, self._project(traced.attended) - hidden)
        middle = _fit_norm(self.ours.attention_norm, attention.output(mixed) + hidden, self._project(traced.middle))

        feed, theirs = self.ours.feed_forward, self.theirs.feed_forward
        use = traced.neurons.std(dim=0) * theirs.down.weight.norm(dim=0)
        kept = use.topk(feed.up.out_features).indices.sort().values
        feed.up.weight.copy_(theirs.up.weight[kept] @ self.basis)
        feed.up.bias.copy_(theirs.up.bias[kept] + theirs.up.weight[kept] @ traced.middle.mean(dim=0))
        neurons = feed.activation(feed.up(middle))
        _fit_linear(feed.down, neurons, self._project(traced.fed) - middle)
        return _fit_norm(self.ours.feed_forward_norm, feed.down(neurons) + middle, self._project(traced.out))

    def _copy_heads(self, mean: Tensor) -> None:
        """Queries, keys and values of the heads that the teacher's layer would miss most."""
        theirs, ours = self.theirs.attention, self.ours.attention
        size = theirs.qkv.in_features // theirs.n_heads
        weight = theirs.qkv.weight.view(3, theirs.n_heads, size, -1)
        bias = theirs.qkv.bias.view(3, theirs.n_heads, size)
        # A head contributes what its values vary by, seen through the output.
        output = (theirs.output.weight.T @ self.basis).view(theirs.n_heads, size, -1)
        use = torch.stack([(output[head].T @ weight[2, head]).norm() for head in range(theirs.n_heads)])
        kept = use.topk(ours.n_heads).indices.sort().values
        ours.qkv.weight.copy_((weight[:, kept] @ self.basis).flatten(0, 2))
        ours.qkv.bias.copy_((bias[:, kept] + weight[:, kept] @ mean).flatten())

    def _project(self, states: Tensor) -> Tensor:
        return (states - states.mean(dim=0)) @ self.basis


def _fit_linear(layer: nn.Linear, given: Tensor, wanted: Tensor) -> None:
    """Set weight and bias by ridge regression."""
    mean, target = given.mean(dim=0), wanted.mean(dim=0)
    centred = (given - mean).double()
    square = centred.T @ centred
    square.diagonal().add_(RIDGE * square.diagonal().mean())
    solved = torch.linalg.solve(square, centred.T @ (wanted - target).double()).to(given.dtype)
    layer.weight.copy_(solved.T)
    layer.bias.copy_(target - mean @ solved)


def _fit_norm(norm: nn.LayerNorm, given: Tensor, wanted: Tensor) -> Tensor:
    """Set scale and shift, number by number, by least squares; what the norm then makes of ``given``."""
    plain = F.layer_norm(given, norm.normalized_shape, eps=norm.eps)
    mean, target = plain.mean(dim=0), wanted.mean(dim=0)
    centred = plain - mean
    scale = (centred * (wanted - target)).sum(dim=0) / centred.square().sum(dim=0).clamp(min=1e-12)
    norm.weight.copy_(scale)
    norm.bias.copy_(target - mean * scale)
    out: Tensor = norm(given)
    return out
