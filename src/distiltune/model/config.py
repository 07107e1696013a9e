"""The shape of an encoder, and its names in a Hugging Face ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from distiltune.errors import ModelError

Activation = Literal["gelu", "relu"]

# Bounds on what a config.json may claim, so that a hostile one is refused before anything is allocated.
MAX_SIZES = {
    "vocab_size": 1_000_000,
    "dim": 16_384,
    "n_layers": 256,
    "n_heads": 1_024,
    "hidden_dim": 131_072,
    "max_position_embeddings": 131_072,
}

_USE_ITS_OWN = "use the config.json that was saved with these weights"

MAX_PARAMETERS = 2_000_000_000
"""Of a whole encoder: six times BERT large, and 8 GB as float32."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The shape of a DistilBERT encoder (Sanh et al. 2019); the sizes default to the published model's."""

    vocab_size: int = 30_522
    hidden_size: int = 768
    n_layers: int = 6
    n_heads: int = 12
    intermediate_size: int = 3_072
    max_position_embeddings: int = 512
    activation: Activation = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    pad_token_id: int = 0
    sinusoidal_position_embeddings: bool = False

    def __post_init__(self) -> None:
        """Check that the parts fit together.

        Raises:
            ModelError: if the heads do not divide the width, or a probability lies outside [0, 1).

        """
        if self.hidden_size % self.n_heads:
            raise ModelError(
                f"The width {self.hidden_size} is not divisible by {self.n_heads} attention heads.",
                where="config.json: dim, n_heads",
                fix=_USE_ITS_OWN,
            )
        if self.n_parameters > MAX_PARAMETERS:
            raise ModelError(
                f"The model would have {self.n_parameters:,} parameters; at most {MAX_PARAMETERS:,} are allowed.",
                where="config.json: vocab_size, dim, n_layers, hidden_dim, max_position_embeddings",
                fix="take a smaller model; if it is smaller, use the config.json that was saved with its weights",
            )
        for name, value in (("dropout", self.dropout), ("attention_dropout", self.attention_dropout)):
            if not 0.0 <= value < 1.0:
                raise ModelError(
                    f"{name} is {value}; it must be at least 0 and below 1.",
                    where="config.json",
                    fix="mend the number there",
                )

    @property
    def n_parameters(self) -> int:
        """Numbers in the weights' matrices; biases and norms are little beside them."""
        embeddings = (self.vocab_size + self.max_position_embeddings) * self.hidden_size
        layer = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size
        return embeddings + self.n_layers * layer

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.n_heads

    @staticmethod
    def from_hf(config: Mapping[str, object]) -> EncoderConfig:
        """Read the DistilBERT names of a Hugging Face ``config.json``; absent ones take the published values.

        Raises:
            ModelError: if a value is missing its type, lies outside its bounds, or is not supported.

        """
        activation = config.get("activation", "gelu")
        if activation not in ("gelu", "relu"):
            raise ModelError(
                f"The activation {shown(activation)} is not one that DistilBERT has.",
                where="config.json: activation",
                fix="use a model with 'gelu' or 'relu'",
            )
        return EncoderConfig(
            vocab_size=_size(config, "vocab_size", 30_522),
            hidden_size=_size(config, "dim", 768),
            n_layers=_size(config, "n_layers", 6),
            n_heads=_size(config, "n_heads", 12),
            intermediate_size=_size(config, "hidden_dim", 3_072),
            max_position_embeddings=_size(config, "max_position_embeddings", 512),
            activation="gelu" if activation == "gelu" else "relu",
            dropout=_number(config, "dropout", 0.1),
            attention_dropout=_number(config, "attention_dropout", 0.1),
            initializer_range=_number(config, "initializer_range", 0.02, 0.0, 10.0),
            pad_token_id=int(_number(config, "pad_token_id", 0, 0, MAX_SIZES["vocab_size"])),
            sinusoidal_position_embeddings=bool(config.get("sinusoidal_pos_embds", False)),
        )

    def to_hf(self) -> dict[str, object]:
        """The same shape under the names that Hugging Face ``DistilBertConfig`` uses."""
        return {
            "model_type": "distilbert",
            "vocab_size": self.vocab_size,
            "dim": self.hidden_size,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "hidden_dim": self.intermediate_size,
            "max_position_embeddings": self.max_position_embeddings,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "initializer_range": self.initializer_range,
            "pad_token_id": self.pad_token_id,
            "sinusoidal_pos_embds": self.sinusoidal_position_embeddings,
        }


def _size(config: Mapping[str, object], name: str, default: int) -> int:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIZES[name]:
        raise ModelError(
            f"{name} is {shown(value)}; a whole number from 1 to {MAX_SIZES[name]:,} is needed.",
            where=f"config.json: {name}",
            fix=_USE_ITS_OWN,
        )
    return value


def _number(
    config: Mapping[str, object], name: str, default: float, lowest: float = -1e30, highest: float = 1e30
) -> float:
    value = config.get(name, default)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not lowest <= cast(float, value) <= highest:  # NaN is in no range
        raise ModelError(
            f"{name} is {shown(value)}; a number is needed, from {lowest:g} to {highest:g}.",
            where=f"config.json: {name}",
            fix=_USE_ITS_OWN,
        )
    return float(cast(float, value))


def shown(value: object) -> str:
    """A value of a stranger's file for a message, cut short."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of too many digits
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def list_some(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
