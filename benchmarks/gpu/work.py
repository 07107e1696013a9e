"""What every stage works with: the device, SQuAD's features, the two models, a clock that waits for the device."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks import workload
from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, epoch_order, split_batches
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.model.hf_keys import KeyRule, encoder_rules, to_hf
from distiltune.model.source import load_source
from distiltune.tasks.question_answering.head import SpanHead

EPOCHS: Final = 5
SEED: Final = 0
DISTILBERT, MINILM = "distilbert-66m", "minilm-l6"
MODELS: Final = (DISTILBERT, MINILM)
TRAINING_FILE, VALIDATION_FILE = "train.npz", "validation.npz"

HEAD_RULES: Final = (
    KeyRule("head.output.weight", ("qa_outputs.weight",)),
    KeyRule("head.output.bias", ("qa_outputs.bias",)),
)
"""As the task has them; not taken from there, since that needs packages that a lent machine may lack."""

REHEARSED_WORDS: Final = 1_000

Say = Callable[[dict[str, Any]], None]
"""Hands a result on, which is then kept whatever becomes of the stage."""


@dataclass(frozen=True)
class Work:
    """A stage's surroundings.

    Attributes:
        device: a GPU; the CPU in a rehearsal.
        folder: for what one stage leaves to the next.
        shared: holds SQuAD and the small model.
        rehearses: everything tiny, to find mistakes where there is no GPU; its figures mean nothing.

    """

    device: torch.device
    folder: Path
    shared: Path
    rehearses: bool = False

    def n(self, usual: int, rehearsed: int = 2) -> int:
        """How many there are of something: fewer in a rehearsal."""
        return rehearsed if self.rehearses else usual

    @cached_property
    def features(self) -> FeatureSet:
        """SQuAD's training features at 384/128, as the first stage left them."""
        return load_features(self.folder / TRAINING_FILE)

    @cached_property
    def validation(self) -> FeatureSet:
        """Those of its validation set."""
        return load_features(self.folder / VALIDATION_FILE)

    def batches(self, epoch: int = 0) -> list[FeatureIds]:
        """The batches of an epoch in their order: the same for every contestant."""
        return split_batches(epoch_order(len(self.features), SEED, epoch), workload.BATCH_SIZE)

    def model(self, name: str, *, dropout: bool = True) -> TaskModel:
        """One of the two, on the device: its weights are the same at every call."""
        config, tensors = self._source(name)
        if not dropout:
            config = replace(config, dropout=0.0, attention_dropout=0.0)
        torch.manual_seed(SEED)
        model = TaskModel(Encoder(config), SpanHead(config.hidden_size, 0.1 if dropout else 0.0))
        initialise(model, config.initializer_range)
        model.load_state_dict(tensors, strict=False)
        return model.to(self.device)

    def hf_model(self, name: str, *, dropout: bool = True) -> Any:
        """The same model, the same weights, of `transformers`; on the CPU."""
        import transformers

        config = self._source(name)[0]
        probability = 0.1 if dropout else 0.0
        theirs = transformers.DistilBertForQuestionAnswering(
            transformers.DistilBertConfig(
                vocab_size=config.vocab_size,
                dim=config.hidden_size,
                n_layers=config.n_layers,
                n_heads=config.n_heads,
                hidden_dim=config.intermediate_size,
                max_position_embeddings=config.max_position_embeddings,
                dropout=probability,
                attention_dropout=probability,
                qa_dropout=probability,
            )
        )
        state = {key: value.cpu() for key, value in self.model(name).state_dict().items()}
        theirs.load_state_dict(to_hf(state, (*encoder_rules(config.n_layers), *HEAD_RULES)))
        return theirs

    def shape(self, name: str) -> workload.Shape:
        """For counting operations."""
        config = self._source(name)[0]
        return workload.Shape(
            name, config.hidden_size, config.n_layers, config.n_heads, config.intermediate_size, config.vocab_size
        )

    def _source(self, name: str) -> tuple[EncoderConfig, dict[str, torch.Tensor]]:
        if self.rehearses:
            wide = 64 if name == DISTILBERT else 32
            return EncoderConfig(REHEARSED_WORDS, wide, n_layers=2, n_heads=2, intermediate_size=2 * wide), {}
        if name == DISTILBERT:
            return EncoderConfig(), {}
        source = load_source(str(self.shared / "models" / "minilm-l6-distilbert"))
        return source.config, source.tensors


def save_features(path: Path, features: FeatureSet) -> None:
    """Keep the columns that spans need."""
    np.savez(
        path,
        token_ids=features.token_ids,
        offsets=features.offsets,
        labels=features.labels,
        example_of=features.example_of,
    )


def load_features(path: Path) -> FeatureSet:
    """What `save_features` kept."""
    with np.load(path) as kept:
        return FeatureSet(**{name: kept[name] for name in ("token_ids", "offsets", "labels", "example_of")})


def now(device: torch.device) -> float:
    """Seconds, when the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A timed stretch of training steps."""

    seconds: float
    steps: int
    features: int
    tokens: int


def stretch_of(features: FeatureSet, batches: Sequence[FeatureIds], seconds: float) -> Stretch:
    """The stretch of these batches."""
    ids = np.concatenate(batches)
    return Stretch(seconds, len(batches), len(ids), int(features.lengths[ids].sum()))


def speed(work: Work, model: str, stretches: Sequence[Stretch]) -> dict[str, Any]:
    """Medians over the stretches; TFLOP/s are the products of the real tokens, and SQuAD's epochs are extrapolated."""
    lengths = work.features.lengths
    per_token = workload.training_flops(work.shape(model), lengths) / float(lengths.sum())
    tokens = statistics.median(each.tokens / each.seconds for each in stretches)
    return {
        "tokens_per_second": tokens,
        "features_per_second": statistics.median(each.features / each.seconds for each in stretches),
        "steps_per_second": statistics.median(each.steps / each.seconds for each in stretches),
        "tflops": tokens * per_token / 1e12,
        "extrapolated_squad_seconds": EPOCHS * float(lengths.sum()) / tokens,
        "stretches": [asdict(each) for each in stretches],
    }


def say_line(result: dict[str, Any]) -> str:
    """A result as the referee reads it."""
    return RESULT + json.dumps(result)


RESULT: Final = "RESULT "
