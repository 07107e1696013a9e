"""The head that tasks share: some scores for every token; and where new heads begin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distiltune.model.dropout import dropout

FloatArray = npt.NDArray[np.float64]


class TokenHead(nn.Module):
    """Dropout and one linear layer, as the heads of ``transformers`` for questions and for tokens have them."""

    def __init__(self, hidden_size: int, dropout_probability: float, n_columns: int) -> None:
        super().__init__()
        self.output = nn.Linear(hidden_size, n_columns)
        self.dropout = dropout_probability

    def forward(self, hidden: Tensor) -> Tensor:
        """``(total_tokens, hidden)`` → ``(total_tokens, n_columns)``."""
        out: Tensor = self.output(dropout(hidden, self.dropout, self.training))
        return out


def log_shares(counts: FloatArray) -> FloatArray:
    """``(n_labels,)`` → logarithms of their shares, each counted once more so that none is 0."""
    shares: FloatArray = np.log((counts + 1.0) / (counts.sum() + len(counts)))
    return shares


def log_odds(counts: FloatArray, total: float) -> FloatArray:
    """``(n_labels,)`` of so many in all, each there or not → logarithms of their odds, likewise."""
    odds: FloatArray = np.log((counts + 1.0) / (total - counts + 1.0))
    return odds


def begin_at(output: nn.Linear, scores: FloatArray) -> None:
    """Let a new head say before its first step how common the labels are (Lin et al. 2017, section 3.3).

    From random weights and no bias the first some hundred steps do little else than learn that, and with few rows there
    are no more: of words, nineteen of twenty have no label.

    Args:
        output: the head's last layer, ``(n_labels,)`` its bias, which is set.
        scores: ``(n_labels,)`` logits.

    """
    with torch.no_grad():
        output.bias.copy_(torch.from_numpy(scores))
