"""The DistilBERT encoder on packed tokens (Sanh et al. 2019): embeddings and n post-norm transformer layers."""

from __future__ import annotations

import hashlib
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import PackedBatch, Rows
from distiltune.errors import ModelError
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


def rows_of(module: nn.Module) -> Rows:
    """Whether a head or a model gives a row a token or a row a sequence: its attribute ``rows``, by default a token.

    Raises:
        ModelError: if it says something else.

    """
    rows: Rows = getattr(module, "rows", "token")
    if rows not in get_args(Rows):
        raise ModelError(
            f"{type(module).__name__} gives a row of {rows!r}.",
            where="the attribute `rows` of a head",
            fix=f"say one of {', '.join(get_args(Rows))}",
        )
    return rows


class TaskModel(nn.Module):
    """An encoder and the head of a task; what the head's rows mean is between it and its task.

    A head whose ``rows`` are "sequence" is given the vector of the first token of every feature, and no other is worked
    out in the last layer; else it is given every token's. It makes one row of each.
    """

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        """Put the two together.

        Raises:
            ModelError: if the head's ``rows`` are neither of the two.

        """
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.rows = rows_of(head)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Encode a packed batch and apply the head: ``(total_tokens, n_columns)`` or ``(n_features, n_columns)``.

        The head works in float32 also where the encoder does not: it has few products, and eight bits are too few to
        tell one logit from the next.

        Raises:
            ModelError: if the head gives another number of rows.

        """
        if self.rows == "token":
            return self._apply_head(self.encoder(batch))
        return self._apply_head(self.encoder(batch, batch.cu_seqlens[: batch.n_features].long()))

    def _apply_head(self, hidden: Tensor) -> Tensor:
        out: Tensor
        if torch.is_autocast_enabled(hidden.device.type):
            with torch.autocast(hidden.device.type, enabled=False):
                out = self.head(hidden.float())
        else:
            out = self.head(hidden)
        if len(out) != len(hidden):
            raise ModelError(
                f"{type(self.head).__name__} gives {len(out)} rows for {len(hidden)} vectors.",
                where=f"a head with rows = {self.rows!r}",
                fix="return one row of each vector",
            )
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
    """How many numbers a module has, trained or not."""
    return sum(parameter.numel() for parameter in module.parameters())


def fingerprint(module: nn.Module) -> str:
    """Hash of a module's weights."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def model_device(module: nn.Module) -> torch.device:
    """The device of a module's first parameter."""
    return next(module.parameters()).device
