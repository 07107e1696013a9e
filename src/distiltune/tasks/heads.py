"""The head that tasks share: some scores for every token."""

from __future__ import annotations

from torch import Tensor, nn

from distiltune.model.dropout import dropout


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
