"""What can be learnt without reading a word: the loss that a fall must go below before it says anything of a rate.

Half of what a loss falls by at first is the prior: how often each class occurs, that nearly all words are no entity,
that answers stand early in a text. Any rate learns that, also one that destroys the model. So a `Blind` model, which
sees only where a token stands, is fitted to the task's own loss, whatever that is, and its loss is the bar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import epoch_order, token_batches
from distiltune.data.packing import PackedBatch, Rows, required, token_positions
from distiltune.training.objective import Objective

MOST_FEATURES: Final = 512
"""As many as say what the prior is, drawn by the seed."""
_N_TENTHS = 10
_N_OCTAVES = 16  # of the place in the feature: 2 ** 16 tokens are more than any model reads
_BATCH_TOKENS = 16_384
_MOST_ITERATIONS = 60
_MOST_HALVINGS = 20
_N_PAIRS = 10
_FLAT = 1e-9  # nats that a step could gain


class Blind(nn.Module):
    """Gives every row the same output, whatever its text.

    One that ``sees_places`` knows of a token how far from the start it stands, in which tenth of the feature, and
    whether before or behind the first separator.
    """

    def __init__(self, rows: Rows, n_columns: int, separator: int | None, *, sees_places: bool) -> None:
        """Begin with zeros; ``separator`` is the id of the token that parts a feature, None if there is none."""
        super().__init__()
        self.rows = rows
        self.separator = separator
        self.bias = nn.Parameter(torch.zeros(n_columns))
        n_places = 2 * (_N_OCTAVES + _N_TENTHS) if sees_places else 0
        self.places = nn.Parameter(torch.zeros(n_places, n_columns))

    def forward(self, batch: PackedBatch) -> Tensor:
        """``(total_tokens, n_columns)`` or ``(n_features, n_columns)``."""
        if self.rows == "sequence":
            return self.bias.expand(batch.n_features, -1)
        if not len(self.places):
            return self.bias.expand(batch.n_tokens, -1)
        octave, tenth = self._places_of(batch)
        return self.bias + self.places[octave] + self.places[tenth]

    def _places_of(self, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """``(total_tokens,)`` each: the rows of ``places`` that a token's output is made of."""
        sequence, within = token_positions(batch.cu_seqlens, batch.n_tokens)
        length = batch.cu_seqlens.diff().long()[sequence]
        behind = torch.zeros_like(within)
        if self.separator is not None:
            n_before = (batch.token_ids == self.separator).long().cumsum(0)
            n_before = torch.cat([n_before.new_zeros(1), n_before])[:-1]  # in front of each token
            behind = (n_before > n_before[batch.cu_seqlens[:-1].long()][sequence]).long()
        octave = (within + 1).float().log2().floor().long().clamp(max=_N_OCTAVES - 1)
        tenth = within * _N_TENTHS // length
        n_each = _N_OCTAVES + _N_TENTHS
        return octave + behind * n_each, _N_OCTAVES + tenth + behind * n_each


def fit_blind(model: Blind, features: FeatureSet, objective: Objective, seed: int) -> float:
    """Fit it in place to the features, and return its mean loss on them, as a step of training would count it.

    Args:
        model: on the device that it is to be fitted on.
        features: at most `MOST_FEATURES` of them are used.
        objective: the training's own, with whatever weights, smoothing or teacher it has.
        seed: of the draw.

    """
    drawn = features.of_epoch(seed, 0)
    ids = epoch_order(len(drawn), seed, 0, drawn.group_of)[:MOST_FEATURES]
    if drawn.group_of is not None:
        ids = ids[drawn.group_of[ids] != drawn.group_of[ids[-1]]] if len(ids) == MOST_FEATURES else ids
    device, weight = model.bias.device, drawn.weight(ids) or 1.0
    batches = [drawn.batch(part).to(device) for part in token_batches(drawn, ids, _BATCH_TOKENS)]
    parameters = [parameter for parameter in model.parameters() if parameter.numel()]

    def loss_at(point: Tensor) -> tuple[float, Tensor]:
        """The loss with these numbers for parameters, laid end to end, and its gradient."""
        nn.utils.vector_to_parameters(point, parameters)
        model.zero_grad()
        loss = float(_add_gradients(model, batches, objective, weight))
        return loss, torch.cat([required(each.grad, "gradient").flatten() for each in parameters])

    best = minimise(loss_at, nn.utils.parameters_to_vector(parameters).detach())
    loss, _ = loss_at(best)
    model.requires_grad_(False)  # as whoever evaluates a model expects of one that is done
    return loss if math.isfinite(loss) else math.inf


def _add_gradients(model: Blind, batches: Sequence[PackedBatch], objective: Objective, weight: float) -> Tensor:
    """The mean loss, whose gradient is added to the parameters'."""
    total = torch.zeros((), device=model.bias.device)
    for batch in batches:
        loss = objective(model(batch), batch).loss / weight
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


def minimise(loss_at: Callable[[Tensor], tuple[float, Tensor]], point: Tensor) -> Tensor:
    """Where a smooth function is lowest, from a point ``(n,)`` on: L-BFGS (Nocedal & Wright 2006, algorithm 7.4).

    With steps halved until they lead down. Not `torch.optim.LBFGS`, which imports PyTorch's compiler: seconds, and
    changes of the process's environment.
    """
    pairs: list[tuple[Tensor, Tensor]] = []  # steps taken, and what they changed in the gradient
    loss, gradient = loss_at(point)
    for _ in range(_MOST_ITERATIONS):
        direction = -_times_inverse_hessian(gradient, pairs)
        slope, size = float(gradient @ direction), 1.0 if pairs else 1.0 / (1.0 + float(gradient.abs().sum()))
        if not slope < -_FLAT:
            break
        for _ in range(_MOST_HALVINGS):
            lower, its_gradient = loss_at(point + size * direction)
            if lower <= loss + 1e-4 * size * slope:
                break
            size /= 2
        else:
            break
        pairs = [*pairs, (size * direction, its_gradient - gradient)][-_N_PAIRS:]
        pairs = [pair for pair in pairs if float(pair[0] @ pair[1]) > 0.0]
        point, loss, gradient = point + size * direction, lower, its_gradient
    return point


def _times_inverse_hessian(gradient: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    out, shares = gradient.clone(), []
    for step, change in reversed(pairs):
        shares.append(float(step @ out) / float(step @ change))
        out -= shares[-1] * change
    if pairs:
        step, change = pairs[-1]
        out *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(pairs, reversed(shares), strict=True):
        out += (share - float(change @ out) / float(step @ change)) * step
    return out
