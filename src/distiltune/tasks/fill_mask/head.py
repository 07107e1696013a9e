"""The head that finds masked words, on the encoder's own word vectors, and its loss."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import NO_LABEL, PackedBatch, required
from distiltune.model.config import Activation
from distiltune.model.encoder import LAYER_NORM_EPSILON, Linear, TaskModel
from distiltune.model.hf_keys import KeyRule
from distiltune.model.products import linear
from distiltune.training.objective import StepSums

METRIC_NAMES = ("loss", "accuracy")

HEAD_RULES = (
    KeyRule("head.inner.weight", ("vocab_transform.weight",), ("hidden_size", "hidden_size")),
    KeyRule("head.inner.bias", ("vocab_transform.bias",), ("hidden_size",)),
    KeyRule("head.norm.weight", ("vocab_layer_norm.weight",), ("hidden_size",)),
    KeyRule("head.norm.bias", ("vocab_layer_norm.bias",), ("hidden_size",)),
    KeyRule("head.bias", ("vocab_projector.bias",), ("vocab_size",)),
)
"""``DistilBertForMaskedLM``'s; its ``vocab_projector.weight`` is the encoder's word vectors, no tensor of its own."""


class MaskedWordsHead(nn.Module):
    """A linear layer, the activation and a norm; then how much the vector is like each word's.

    As ``DistilBertForMaskedLM`` has it (``transformers/models/distilbert/modeling_distilbert.py``).
    """

    def __init__(self, hidden_size: int, vocab_size: int, activation: Activation) -> None:
        super().__init__()
        self.inner = Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPSILON)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.activation = F.gelu if activation == "gelu" else F.relu

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        """``(n, hidden)`` and the encoder's word vectors ``(vocab_size, hidden)`` → ``(n, vocab_size)``."""
        scores: Tensor = linear(self.norm(self.activation(self.inner(hidden))), words, self.bias)
        return scores


class MaskedWordsModel(TaskModel):
    """An encoder and that head; it says of each token what finding it costs.

    Of 4,096 tokens the logits would be half a gigabyte, and six of seven tokens are not asked for: on the CPU these
    are left out, on a GPU, where a recorded step has one shape, they count nothing.
    """

    gives_losses = True

    def logits(self, batch: PackedBatch, rows: Tensor | None = None) -> Tensor:
        """Scores of all words for every token, or for the tokens ``rows``: ``(n, vocab_size)``, in float32."""
        hidden: Tensor = self.encoder(batch, rows)
        words = self.encoder.embeddings.token.weight
        if torch.is_autocast_enabled(hidden.device.type):
            with torch.autocast(hidden.device.type, enabled=False):
                return cast(Tensor, self.head(hidden.float(), words))
        return cast(Tensor, self.head(hidden, words))

    def forward(self, batch: PackedBatch) -> Tensor:
        """→ ``(total_tokens, 2)``: the loss in nats, and 1 if the word is found; zeros where none is asked for."""
        labels = required(batch.token_labels, "token_labels")
        if labels.device.type != "cpu":
            return _costs(self.logits(batch), labels)
        rows = torch.nonzero(labels != NO_LABEL)[:, 0]
        costs = _costs(self.logits(batch, rows), labels[rows])
        return costs.new_zeros(len(labels), 2).index_copy(0, rows, costs)


def _costs(scores: Tensor, labels: Tensor) -> Tensor:
    loss = F.cross_entropy(scores, labels, ignore_index=NO_LABEL, reduction="none")
    found = (scores.detach().argmax(dim=1) == labels).to(loss.dtype)
    return torch.stack([loss, found], dim=1)


def masked_words_loss(costs: Tensor, batch: PackedBatch) -> StepSums:
    """See ``Objective``: the loss of the words asked for and how many are found, each summed."""
    sums = costs.float().sum(dim=0)
    return StepSums(sums[0], sums.detach())
