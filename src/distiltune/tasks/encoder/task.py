"""Distilling an encoder on plain text as a task: the same loop, log, checkpoints and report as fine-tuning."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.data.array_cache import Arrays, cache_directory, cache_key, load_or_make
from distiltune.data.reading import Use
from distiltune.distillation.losses import METRIC_NAMES, EncoderLoss
from distiltune.distillation.narrowing import can_be_narrowed, narrow
from distiltune.distillation.states import Heights, Projections, TaughtStudent, TeacherStates
from distiltune.distillation.student import StudentShape, shrink
from distiltune.distillation.teacher import check_same_tokens, fingerprint, teacher_encoder, variances, with_targets
from distiltune.distillation.text import TextData, Texts, cached_features, ignore, part_texts, read_texts, text_features
from distiltune.errors import RecipeError
from distiltune.inference.predictor import outputs
from distiltune.model.build import Dropouts, LoadedModel, build_model
from distiltune.model.encoder import Encoder, Layer
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import ModelSource, load_source, load_tokenizer
from distiltune.progress import tell
from distiltune.tasks.base import Dataset, OnProgress, ignore_progress
from distiltune.tasks.encoder.guide import encoder_guide
from distiltune.tasks.encoder.names import ARCHITECTURE, NAME
from distiltune.tasks.encoder.settings import EncoderSettings
from distiltune.tasks.guide import TaskGuide
from distiltune.training.objective import Objective, TableColumn

MAX_RELATION_HEADS = 12
SAMPLE_TEXTS = 128
"""That a narrower student is fitted on; of the starter, 21,000 tokens."""

SAMPLE_TOKENS = 30_000
"""More of them are not taken, however long the texts: every hidden state and twice the widest layer are held at once,
which for DistilBERT's measures is 2 GB."""

_STUDENT = "student."

EPOCH_COLUMNS = (
    TableColumn("Train Loss", "train", "loss"),
    TableColumn("Train Hidden", "train", "hidden"),
    TableColumn("Train Relations", "train", "relations"),
    TableColumn("Validation Loss", "validation", "loss"),
    TableColumn("Validation Hidden", "validation", "hidden"),
    TableColumn("Validation Relations", "validation", "relations"),
)


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Which texts, read how; the recipe says what each means."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    validation_share: float
    sample_seed: int
    max_length: int
    stride: int
    evaluation_tokens: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of the loss weighs, and how the relations are cut."""

    hidden: float
    relation: float
    n_relation_heads: int


@dataclass(frozen=True, slots=True)
class TextEvaluation:
    """What a student is worth on a set of texts."""

    metrics: Mapping[str, float]


class EncoderDistillation:
    """The task. The teacher is read when the student is loaded, and the loss is known once it has seen the texts."""

    name = NAME
    architecture = ARCHITECTURE
    head_rules: Sequence[KeyRule] = ()
    metric_names = METRIC_NAMES
    output_names: tuple[str, ...] = ()
    table = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = ()

    def __init__(self, teacher: str, shape: StudentShape, texts: TextSettings, weights: Weights) -> None:
        self._teacher_name, self._shape, self._texts, self._weights = teacher, shape, texts, weights
        self._teacher: ModelSource | None = None
        self._encoder: Encoder | None = None
        self._fingerprint = ""
        self._heights: Heights | None = None
        self._device = torch.device("cpu")
        self._width = 0
        self._loss: EncoderLoss | None = None

    def ready(self) -> EncoderDistillation:
        """The task itself: nothing of the texts shapes the student."""
        return self

    def load_model(self, name: str, device: torch.device, dropouts: Dropouts) -> LoadedModel:
        """The student, made from the model ``name`` in the shape asked for, on the device.

        Raises:
            ModelError: if the student's or the teacher's source cannot be read, or their tokens differ.
            RecipeError: if the student cannot have this shape, or is deeper than its teacher.

        """
        source = shrink(load_source(name), self._shape)
        self._teacher = load_source(self._teacher_name)
        _check_depth(source.config.n_layers, self._teacher.config.n_layers)
        self._encoder = teacher_encoder(self._teacher, device)
        self._fingerprint = fingerprint(self._encoder)
        self._device = device
        self._teacher = replace(self._teacher, tensors={})  # the encoder has copies of them
        check_same_tokens(self._teacher, load_tokenizer(source.directory))
        config, theirs = source.config, self._teacher.config
        self._width = config.hidden_size
        heights = self._heights = Heights.of(config.n_layers, theirs.n_layers)
        size = theirs.hidden_size
        loaded = build_model(
            source,
            lambda width, _: Projections(len(heights.student), width, size),
            device,
            dropouts,
            put_together=lambda encoder, head: TaughtStudent(encoder, head, heights.student),
        )
        # A model of its own, and the student of a run that is resumed, have weights that are better than this start.
        return self._narrowed(loaded) if source.directory == self._teacher.directory else loaded

    def load_training(self, tokenizer: Tokenizer) -> tuple[TextData, TextData | None]:
        """Read the texts and what the teacher says of them.

        Raises:
            DataError: if a text cannot be read, or the teacher's outputs cannot be kept.

        """
        train, validation = read_texts(self._texts.train), None
        if self._texts.validation:
            validation = read_texts(self._texts.validation)
        elif self._texts.validation_share > 0:
            train, validation = part_texts(train, self._texts.validation_share, self._texts.sample_seed)
        training = self._with_teacher(train, tokenizer)
        self._loss = self._make_loss(training)
        return training, self._with_teacher(validation, tokenizer) if validation is not None else None

    def load_validation(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> TextData:
        """Read texts and what the teacher says of them."""
        return self._with_teacher(read_texts(sources), tokenizer)

    @property
    def objective(self) -> Objective:
        """The loss; known once the training texts are loaded."""
        assert self._loss is not None, "load_training comes first"
        return self._loss

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """What the student is thrown away with: its projections onto the teacher's width."""
        assert self._teacher is not None, "load_model comes first"
        assert self._heights is not None, "load_model comes first"
        return Projections(len(self._heights.student), hidden_size, self._teacher.config.hidden_size)

    def for_model(self, config: Mapping[str, object]) -> EncoderDistillation:
        """The same task."""
        return self

    def model_config(self, training: Dataset, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """Nothing beside the encoder's own."""
        return {}

    def evaluate(
        self,
        model: nn.Module,
        data: Dataset,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> TextEvaluation:
        """The loss and its parts over all features, dropout off."""
        sums = torch.zeros(len(METRIC_NAMES), dtype=torch.float64)
        n_done = 0
        for batch, output in outputs(
            model, data.features, np.arange(len(data.features)), self._texts.evaluation_tokens
        ):
            sums += self.objective(output, batch).metrics.double().cpu()
            n_done += batch.n_features
            on_progress(n_done)
        return TextEvaluation(dict(zip(METRIC_NAMES, (sums / n_done).tolist(), strict=True)))

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return encoder_guide(self._teacher_name)

    def _narrowed(self, loaded: LoadedModel) -> LoadedModel:
        """The student cut out of the teacher, where it is a narrower one of the same make."""
        assert self._teacher is not None
        assert self._heights is not None
        assert self._encoder is not None
        teacher, student = self._encoder, cast(Encoder, loaded.model.encoder)
        if not can_be_narrowed(teacher, student):
            return loaded
        texts = read_texts(self._texts.train).texts
        sample = random.Random(self._texts.sample_seed).sample(texts, min(len(texts), SAMPLE_TEXTS))
        features = text_features(sample, loaded.tokenizer, self._texts.max_length, self._texts.stride)
        batch = features.batch(sample_windows(features.lengths, self._texts.sample_seed))
        student.eval()

        def make() -> Arrays:
            tell("narrowing")
            found = narrow(teacher, student, batch.to(self._device))
            made = {"basis": found.basis, "means": found.means}
            made |= {f"{_STUDENT}{name}": tensor for name, tensor in student.state_dict().items()}
            return {name: tensor.cpu().numpy() for name, tensor in made.items()}

        key = cache_key(
            {
                "narrowed": self._fingerprint,
                "student": repr(student.config),
                "tokens": hashlib.sha256(
                    batch.token_ids.numpy().tobytes() + batch.cu_seqlens.numpy().tobytes()
                ).hexdigest(),
                "device": self._device.type,
            }
        )
        arrays, _ = load_or_make(cache_directory(), key, make, ignore)
        tensors = {name: torch.tensor(array, device=self._device) for name, array in arrays.items()}
        student.load_state_dict(
            {name.removeprefix(_STUDENT): tensor for name, tensor in tensors.items() if name.startswith(_STUDENT)}
        )
        means = tensors["means"][list(self._heights.teacher)]
        cast(Projections, loaded.model.head).start_from(tensors["basis"], means)
        source = loaded.source
        notes = (*source.notes[:-1], "The student starts cut out of its teacher, layer by layer.")
        return replace(loaded, source=replace(source, notes=notes))

    def _with_teacher(self, texts: Texts, tokenizer: Tokenizer) -> TextData:
        assert self._teacher is not None, "load_model comes first"
        assert self._heights is not None, "load_model comes first"
        cache = cache_directory()
        features = cached_features(texts, tokenizer, self._texts.max_length, self._texts.stride, cache)
        assert self._encoder is not None
        heights = self._heights.teacher
        says = with_targets(
            TeacherStates(self._encoder, heights),
            f"{self._fingerprint}/states-{heights}",
            features,
            len(heights) * self._teacher.config.hidden_size,
            cache,
            self._texts.evaluation_tokens,
            name=self._teacher_name,
            dtype=np.float16,
        )
        note = "the teacher's outputs were taken from the cache" if says.from_cache else "the teacher was run"
        return TextData(says.features, texts.findings, texts.fingerprint, texts.sources, texts.numbers, (note,))

    def _make_loss(self, training: TextData) -> EncoderLoss:
        assert self._teacher is not None
        assert self._heights is not None
        assert self._encoder is not None
        config, features, targets = self._teacher.config, training.features, training.features.targets
        assert targets is not None
        last = cast(Layer, self._encoder.layers[-1]).attention.qkv
        return EncoderLoss(
            n_heights=len(self._heights.student),
            teacher_size=config.hidden_size,
            variances=variances(targets, int(features.offsets[-1]), config.hidden_size).to(self._device),
            query_key_value=(
                last.weight.detach(),
                last.bias.detach(),
            ),
            n_relation_heads=relation_heads(self._weights.n_relation_heads, self._width, config.hidden_size),
            hidden_weight=self._weights.hidden,
            relation_weight=self._weights.relation,
        )


def sample_windows(lengths: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """Which windows, of ``lengths (n_windows,)`` tokens, a student is fitted on, ascending.

    All, or of more than ``SAMPLE_TOKENS`` tokens as many as these, drawn by ``seed``; one in any case.
    """
    order = np.arange(len(lengths))
    if lengths.sum() > SAMPLE_TOKENS:
        order = np.random.default_rng(seed).permutation(len(lengths))
    n_taken = int(np.searchsorted(lengths[order].cumsum(), SAMPLE_TOKENS, side="right"))
    return np.sort(order[: max(1, n_taken)])


def _check_depth(n_layers: int, n_teacher_layers: int) -> None:
    """Check that each of the student's layers has one of the teacher's to be compared with."""
    if n_layers > n_teacher_layers:
        raise RecipeError(
            f"The student has {n_layers} layers and its teacher {n_teacher_layers}; it cannot be the deeper one.",
            where="recipe: student_layers",
            fix=f"choose --student-layers up to {n_teacher_layers}, or a deeper teacher",
        )


def relation_heads(wanted: int, width: int, teacher_width: int) -> int:
    """How many heads the relations are cut into: as wanted, or the most up to 12 that divide both widths.

    Raises:
        RecipeError: if the number wanted does not divide both widths.

    """
    common = math.gcd(width, teacher_width)
    if wanted and common % wanted:
        raise RecipeError(
            f"relation_heads is {wanted}, which does not divide both widths, {width} and {teacher_width}.",
            where="recipe: relation_heads",
            fix=f"choose a divisor of {common}, or 0",
        )
    return wanted or max(n for n in range(1, MAX_RELATION_HEADS + 1) if common % n == 0)


def from_settings(settings: EncoderSettings) -> EncoderDistillation:
    """The task with its settings."""
    return EncoderDistillation(
        teacher=settings.teacher,
        shape=StudentShape(settings.student_layers, settings.student_width, settings.student_heads),
        texts=TextSettings(
            train=settings.train,
            validation=settings.validation,
            validation_share=settings.validation_share,
            sample_seed=settings.sample_seed,
            max_length=settings.max_length,
            stride=settings.stride,
            evaluation_tokens=settings.evaluation_tokens,
        ),
        weights=Weights(settings.hidden_weight, settings.relation_weight, settings.relation_heads),
    )
