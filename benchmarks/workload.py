"""What is timed: features with real lengths and random tokens, a full-size DistilBERT of random weights.

Speed depends on the lengths of the features and the shape of the model, not on what the tokens say, so that nobody
needs SQuAD or a checkpoint to run this. The batches of every contestant are drawn from the same features.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import cumulative_lengths

BATCH_SIZE = 16
FIRST_WORD_PIECE = 999  # of the uncased BERT vocabulary; below are special and unused ones

IntArray = npt.NDArray[np.int64]
Task = Literal["question-answering", "text-classification", "token-classification"]


@dataclass(frozen=True, slots=True)
class Data:
    """A kind of data, as far as speed depends on it.

    Attributes:
        name: for the table.
        task: of which the model has the head.
        quantiles: lengths of the features in tokens, at every so manieth.
        n_parts: of so many such stretches each feature is made, one special token kept for all.
        n_labels: that the head tells apart; 2 for a start and an end.
        max_length: what padding to the window would fill up to.

    """

    name: str
    task: Task
    quantiles: tuple[int, ...]
    n_labels: int
    n_parts: int = 1
    max_length: int = 384

    def lengths(self, n: int, rng: np.random.Generator) -> IntArray:
        """``n`` lengths in tokens, drawn along the quantiles."""
        places = np.linspace(0.0, 1.0, len(self.quantiles))
        drawn = np.interp(rng.random((n, self.n_parts)), places, self.quantiles).astype(np.int64)
        total: IntArray = drawn.sum(axis=1) - (self.n_parts - 1)
        return total


_SENTENCES = (4, 11, 15, 18, 20, 22, 24, 26, 28, 29, 31, 33, 35, 36, 38, 40, 42, 44, 47, 51, 75)
"""Lengths of WNUT 2017's 3,394 training sentences, at every twentieth (mean 31.3)."""

SQUAD = Data(
    "SQuAD",
    "question-answering",
    (36, 84, 107, 117, 124, 130, 135, 141, 147, 153, 159, 166, 173, 181, 190, 201, 214, 231, 255, 293, 384),
    2,
)
"""SQuAD v1.1's 88,524 training features at 384/128 (mean 170.8)."""

DATA = {
    "squad": SQUAD,
    "emotion": Data(
        "emotion",
        "text-classification",
        (4, 8, 9, 11, 12, 13, 15, 16, 17, 19, 20, 22, 23, 25, 27, 29, 31, 34, 38, 45, 87),
        6,
        max_length=128,
    ),
    "wnut": Data("WNUT 2017", "token-classification", _SENTENCES, 13, max_length=128),
    "long": Data("long documents", "question-answering", (60, 234, *(384,) * 20), 2),
    "pairs": Data("pairs of sentences", "text-classification", _SENTENCES, 3, n_parts=2, max_length=160),
}
"""By the name for the command: `emotion`'s 16,000 training texts (mean 22.3); documents of twenty of SQuAD's passages
in windows of 384, of which only the last is shorter; two sentences as one text."""


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


def features(n: int, seed: int = 0, data: Data = SQUAD) -> FeatureSet:
    """``n`` features with the data's lengths, random tokens and random labels."""
    rng = np.random.default_rng(seed)
    lengths = data.lengths(n, rng)
    offsets = cumulative_lengths(lengths)
    tokens = rng.integers(FIRST_WORD_PIECE, SHAPES["full"].vocab_size, offsets[-1]).astype(np.int32)
    rows = np.arange(n)
    if data.task == "question-answering":
        labels = np.sort(rng.integers(0, lengths[:, None], (n, 2)), axis=1).astype(np.int32)
        return FeatureSet(tokens, offsets, labels, rows)
    if data.task == "text-classification":
        labels = rng.integers(0, data.n_labels, (n, 1)).astype(np.int32)
        return FeatureSet(tokens, offsets, labels, rows, weights=np.ones(n, np.float32))
    token_labels = rng.integers(0, data.n_labels, offsets[-1]).astype(np.int32)
    return FeatureSet(tokens, offsets, no_labels(n), rows, token_labels)


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
