"""What is timed: features with SQuAD's lengths and random tokens, a full-size DistilBERT of random weights.

Speed depends on the lengths of the features and the shape of the model, not on what the tokens say, so that nobody
needs SQuAD or a checkpoint to run this. The batches of every contestant are drawn from the same features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import cumulative_lengths

BATCH_SIZE = 16
MAX_LENGTH = 384
FIRST_WORD_PIECE = 999  # of the uncased BERT vocabulary; below are special and unused ones

LENGTH_QUANTILES = (
    *(36, 84, 107, 117, 124, 130, 135, 141, 147, 153, 159, 166, 173, 181, 190, 201, 214, 231, 255, 293, 384),
)
"""Lengths in tokens of SQuAD v1.1's 88,524 training features at 384/128, at every twentieth (mean 170.8)."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """A DistilBERT's measures."""

    name: str
    hidden: int
    n_layers: int
    n_heads: int
    intermediate: int
    vocab_size: int = 30_522

    def hf_config(self) -> dict[str, object]:
        """As config.json has it."""
        return {
            "model_type": "distilbert",
            "architectures": ["DistilBertForQuestionAnswering"],
            "vocab_size": self.vocab_size,
            "dim": self.hidden,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "hidden_dim": self.intermediate,
            "max_position_embeddings": 512,
            "activation": "gelu",
        }


SHAPES = {
    "full": Shape("full", 768, 6, 12, 3_072),  # distilbert-base-uncased
    "small": Shape("small", 384, 6, 12, 1_536),  # a sixth of the work: MiniLM-L6's measures
}


def features(n: int, seed: int = 0) -> FeatureSet:
    """``n`` features with SQuAD's lengths, random tokens and random spans."""
    rng = np.random.default_rng(seed)
    places = np.linspace(0.0, 1.0, len(LENGTH_QUANTILES))
    lengths = np.interp(rng.random(n), places, LENGTH_QUANTILES).astype(np.int64)
    offsets = cumulative_lengths(lengths)
    tokens = rng.integers(FIRST_WORD_PIECE, SHAPES["full"].vocab_size, offsets[-1]).astype(np.int32)
    labels = np.sort(rng.integers(0, lengths[:, None], (n, 2)), axis=1).astype(np.int32)
    return FeatureSet(tokens, offsets, labels, np.arange(n))


def forward_flops(shape: Shape, lengths: IntArray) -> float:
    """Floating-point operations of the matrix products of one forward pass over real tokens (2 a multiply-add).

    Linear layers: 2 x tokens x weights. Attention: scores and mixing, 4 x hidden x length² a feature and layer.
    """
    weights = 4 * shape.hidden**2 + 2 * shape.hidden * shape.intermediate
    linear = 2.0 * float(lengths.sum()) * weights
    attention = 4.0 * shape.hidden * float((lengths.astype(np.float64) ** 2).sum())
    return shape.n_layers * (linear + attention)


def training_flops(shape: Shape, lengths: IntArray) -> float:
    """The same of a training step: the backward pass has two products for each of the forward pass."""
    return 3.0 * forward_flops(shape, lengths)


def write_model(shape: Shape, directory: Path) -> None:
    """A model directory with random weights and made-up words, the same for every contestant."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.DistilBertForQuestionAnswering(transformers.DistilBertConfig(**_constructor(shape)))
    model.save_pretrained(directory)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [f"word{number}" for number in range(shape.vocab_size - len(special))]
    (directory / "vocab.txt").write_text("\n".join([*special, *words]) + "\n", encoding="utf-8")


def _constructor(shape: Shape) -> dict[str, object]:
    config = shape.hf_config()
    return {name: value for name, value in config.items() if name not in ("model_type", "architectures")}
