"""The DistilBERT encoder on packed tokens (Sanh et al. 2019): embeddings and n post-norm transformer layers."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch
from distiltune.model.attention import packed_attention
from distiltune.model.config import Activation, EncoderConfig
from distiltune.model.dropout import dropout
from distiltune.model.products import linear

LAYER_NORM_EPSILON = 1e-12  # as in the published DistilBERT and BERT


class Linear(nn.Linear):
    """A linear layer multiplied by the quickest library at hand."""

    def forward(self, values: Tensor) -> Tensor:
        """``(n, n_in)`` → ``(n, n_out)``."""
        return linear(values, self.weight, self.bias)


class Embeddings(nn.Module):
    """Token and position embeddings, summed, normalised, dropped out."""

    def __init__(self, vocab_size: int, n_positions: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.token = nn.Embedding(vocab_size, hidden_size)
        self.position = nn.Embedding(n_positions, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPSILON)
        self.dropout = dropout

    def forward(self, token_ids: Tensor, position_ids: Tensor) -> Tensor:
        """``(total_tokens,)`` twice → ``(total_tokens, hidden)``."""
        summed = self.token(token_ids) + self.position(position_ids)
        return dropout(self.norm(summed), self.dropout, self.training)


class SelfAttention(nn.Module):
    """Multi-head self-attention; query, key and value come from one product."""

    def __init__(self, hidden_size: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.qkv = Linear(hidden_size, 3 * hidden_size)
        self.output = Linear(hidden_size, hidden_size)
        self.n_heads = n_heads
        self.dropout = dropout

    def forward(self, hidden: Tensor, batch: PackedBatch, rows: Tensor | None = None) -> Tensor:
        """``(total_tokens, hidden)`` → the same shape, or of the tokens ``rows`` only ``(n_rows, hidden)``."""
        probability = self.dropout if self.training else 0.0
        mixed = packed_attention(
            self.qkv(hidden), batch.cu_seqlens, batch.lengths, batch.max_length, self.n_heads, probability
        )
        out: Tensor = self.output(_taken(mixed, rows))
        return out


class FeedForward(nn.Module):
    """Two linear layers with the activation between, dropout after."""

    def __init__(self, hidden_size: int, intermediate_size: int, activation: Activation, dropout: float) -> None:
        super().__init__()
        self.up = Linear(hidden_size, intermediate_size)
        self.down = Linear(intermediate_size, hidden_size)
        self.activation = F.gelu if activation == "gelu" else F.relu
        self.dropout = dropout

    def forward(self, hidden: Tensor) -> Tensor:
        """``(total_tokens, hidden)`` → ``(total_tokens, hidden)``."""
        return dropout(self.down(self.activation(self.up(hidden))), self.dropout, self.training)


class Layer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised after (post-norm)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config.hidden_size, config.n_heads, config.attention_dropout)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPSILON)
        self.feed_forward = FeedForward(config.hidden_size, config.intermediate_size, config.activation, config.dropout)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPSILON)

    def forward(self, hidden: Tensor, batch: PackedBatch, rows: Tensor | None = None) -> Tensor:
        """``(total_tokens, hidden)`` → the same shape, or of the tokens ``rows`` only ``(n_rows, hidden)``."""
        hidden = self.attention_norm(self.attention(hidden, batch, rows) + _taken(hidden, rows))
        out: Tensor = self.feed_forward_norm(self.feed_forward(hidden) + hidden)
        return out


class Encoder(nn.Module):
    """DistilBERT without a head: packed token ids to one vector a token."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(
            config.vocab_size, config.max_position_embeddings, config.hidden_size, config.dropout
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))

    def forward(self, batch: PackedBatch, rows: Tensor | None = None) -> Tensor:
        """Encode a packed batch: → ``(total_tokens, hidden)``.

        Of ``rows``, ``(n_rows,)`` int64, only these tokens' vectors, ``(n_rows, hidden)``: the last layer is then
        worked out for them alone, which of six layers saves an eighth of the products.
        """
        hidden: Tensor = self.embeddings(batch.token_ids, batch.position_ids)
        for number, layer in enumerate(self.layers, start=1):
            hidden = layer(hidden, batch, rows if number == len(self.layers) else None)
        return hidden


def _taken(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values.index_select(0, rows)


@runtime_checkable
class ReadsFirstToken(Protocol):
    """A head that is read at the first token of every sequence, so that no other's vector is needed."""

    reads_first_token: Literal[True]


class TaskModel(nn.Module):
    """An encoder and the head of a task; what the head returns is between it and its task."""

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    @property
    def reads_first_token(self) -> bool:
        """Whether only what is said of the first token of every sequence means something; of the others it is 0."""
        return isinstance(self.head, ReadsFirstToken)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Encode a packed batch and apply the head, ``(total_tokens, n_columns)``.

        The head works in float32 also where the encoder does not: it has few products, and eight bits are too few to
        tell one logit from the next.
        """
        if not self.reads_first_token:
            return self._apply_head(self.encoder(batch))
        rows = batch.cu_seqlens[: batch.n_features].long()
        scores = self._apply_head(self.encoder(batch, rows))
        return scores.new_zeros(batch.n_tokens, scores.shape[1]).index_copy(0, rows, scores)

    def _apply_head(self, hidden: Tensor) -> Tensor:
        if torch.is_autocast_enabled(hidden.device.type):
            with torch.autocast(hidden.device.type, enabled=False):
                exact: Tensor = self.head(hidden.float())
            return exact
        out: Tensor = self.head(hidden)
        return out


def initialise(module: nn.Module, standard_deviation: float) -> None:
    """Set every weight as the published model was: normal(0, std), biases 0, norms 1 and 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=standard_deviation)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=standard_deviation)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)


def count_parameters(module: nn.Module) -> int:
    """How many trainable numbers a module has."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def model_device(module: nn.Module) -> torch.device:
    """The device of a module's first parameter."""
    return next(module.parameters()).device
