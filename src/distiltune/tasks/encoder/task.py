"""Distilling an encoder on plain text as a task: the same loop, log, checkpoints and report as fine-tuning."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from distiltune.data.cache import Arrays, load_or_make
from distiltune.data.feature_set import FeatureSet
from distiltune.data.reading import Use
from distiltune.distillation.losses import METRIC_NAMES, EncoderLoss
from distiltune.distillation.narrowing import can_be_narrowed, narrow
from distiltune.distillation.states import Heights, Projections, TaughtStudent, TeacherStates
from distiltune.distillation.student import StudentShape, shrink
from distiltune.distillation.teacher import (
    Teacher,
    check_same_tokens,
    variances,
    with_targets,
)
from distiltune.distillation.text import PlainTextData, Texts, cached_features, text_features
from distiltune.errors import RecipeError
from distiltune.inference.predictor import outputs
from distiltune.model.build import Dropouts, LoadedModel, build_model, frozen_encoder
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, fingerprint
from distiltune.model.hf_keys import KeyRule
from distiltune.model.source import ModelSource, load_source, load_tokenizer
from distiltune.progress import tell
from distiltune.tasks.base import Lesson, OnProgress, ignore_progress
from distiltune.tasks.encoder.guide import encoder_guide
from distiltune.tasks.encoder.names import ARCHITECTURE, NAME
from distiltune.tasks.encoder.settings import EncoderSettings
from distiltune.tasks.guide import TaskGuide
from distiltune.tasks.plain_texts import TextSettings
from distiltune.training.objective import TableColumn

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
class Weights:
    """What each part of the loss weighs, and how the relations are cut."""

    hidden: float
    relation: float
    n_relation_heads: int


@dataclass(frozen=True, slots=True)
class EncoderEvaluation:
    """What a student is worth on a set of texts."""

    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class LoadedTeacher:
    """The model that a student is compared with.

    Attributes:
        name: as the recipe names it.
        source: where it came from; without its tensors, of which the encoder has copies.
        encoder: frozen.
        fingerprint: of its weights.
        device: where it is.

    """

    name: str
    source: ModelSource
    encoder: Encoder
    fingerprint: str
    device: torch.device

    @staticmethod
    def load(name: str, device: torch.device) -> LoadedTeacher:
        """The encoder of the model of that name, on the device.

        Raises:
            ModelError, HubError: if it cannot be read.

        """
        source = load_source(name)
        encoder = frozen_encoder(source, device)
        return LoadedTeacher(name, replace(source, tensors={}), encoder, fingerprint(encoder), device)

    @property
    def hidden_size(self) -> int:
        """Its width."""
        return self.source.config.hidden_size

    def query_key_value(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of its last layer's projections."""
        last = f"layers.{self.source.config.n_layers - 1}.attention.qkv"
        return self.encoder.get_parameter(f"{last}.weight"), self.encoder.get_parameter(f"{last}.bias")

    def with_states(
        self, texts: Texts, tokenizer: Tokenizer, heights: tuple[int, ...], settings: TextSettings
    ) -> PlainTextData:
        """The texts with their features, whose targets are its hidden states at these heights.

        Raises:
            DataError: if these cannot be kept.

        """
        asked = Teacher(
            self.name,
            TeacherStates(self.encoder, heights),
            f"{self.fingerprint}/states-{heights}",
            len(heights) * self.hidden_size,
            np.float16,
        )
        features = cached_features(texts, tokenizer, settings.max_length, settings.stride)
        says = with_targets(asked, features, settings.evaluation_tokens)
        note = "the teacher's outputs were taken from the cache" if says.from_cache else "the teacher was run"
        notes = (note, *says.problems)
        return PlainTextData(says.features, texts.findings, texts.fingerprint, texts.sources, texts.numbers, notes)


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The settings that this task alone understands: teacher, student, texts, and what the loss is made of."""

    teacher: str
    shape: StudentShape
    texts: TextSettings
    weights: Weights

    def open_training(self, device: torch.device) -> EncoderTraining:
        """Read the teacher and the texts.

        Raises:
            ModelError, HubError: if the teacher cannot be read.
            DataError: if a text cannot be read.

        """
        teacher = LoadedTeacher.load(self.teacher, device)
        texts, train, validation = self.texts.open()
        n_sampled = min(len(texts.texts), SAMPLE_TEXTS)
        sample = random.Random(self.texts.sample_seed).sample(texts.texts, n_sampled)
        return EncoderTraining(self, teacher, train, validation, tuple(sample))

    def open_model(self, config: Mapping[str, Any]) -> EncoderDistillation:
        """Not possible: what this task trains is an encoder without a head.

        Raises:
            RecipeError: always.

        """
        raise RecipeError(
            "An encoder has no head, so there is nothing that it could be asked or measured by.",
            where="--task encoder",
            fix="fine-tune it for a task first: distiltune train --model MODEL --train DATA --output RUN",
        )


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """The task with its teacher and its texts read.

    Attributes:
        spec: its settings.
        teacher: what is learnt from.
        train: the texts to train on.
        validation: those to validate on, None if there are none.
        sample: the texts that a narrower student is fitted on before the training.

    """

    spec: EncoderSpec
    teacher: LoadedTeacher
    train: Texts
    validation: Texts | None
    sample: tuple[str, ...]

    def load_model(self, name: str, dropouts: Dropouts) -> LoadedModel:
        """The student, made from the model ``name`` in the shape asked for.

        Raises:
            ModelError: if the student's source cannot be read, or it has other tokens than the teacher.
            RecipeError: if the student cannot have this shape, or is deeper than its teacher.

        """
        source, teacher = shrink(load_source(name), self.spec.shape), self.teacher
        _check_depth(source.config.n_layers, teacher.source.config.n_layers)
        check_same_tokens(teacher.source, load_tokenizer(source.directory))
        heights = self._heights(source.config)
        loaded = build_model(
            source,
            lambda width, _: Projections(len(heights.student), width, teacher.hidden_size),
            teacher.device,
            dropouts,
            put_together=lambda encoder, head: TaughtStudent(encoder, head, heights.student),
        )
        # A model of its own, and the student of a run that is resumed, have weights that are better than this start.
        if source.directory != teacher.source.directory:
            return loaded
        return _narrowed(loaded, teacher, heights, self.sample, self.spec.texts)

    def lesson(self, loaded: LoadedModel) -> Lesson[PlainTextData]:
        """The texts with what the teacher says of them, run now or taken from the cache, and the loss beside it.

        Raises:
            RecipeError: if the relations cannot be cut into the heads asked for.
            DataError: if the teacher's outputs cannot be kept.

        """
        teacher, spec = self.teacher, self.spec
        heights = self._heights(loaded.source.config)
        n_heads = relation_heads(spec.weights.n_relation_heads, loaded.source.config.hidden_size, teacher.hidden_size)
        training = teacher.with_states(self.train, loaded.tokenizer, heights.teacher, spec.texts)
        loss = _make_loss(teacher, heights, training.features, n_heads, spec.weights)
        validation = None
        if self.validation is not None:
            validation = teacher.with_states(self.validation, loaded.tokenizer, heights.teacher, spec.texts)
        task = EncoderDistillation(spec, teacher, heights, loss)
        return Lesson(task, training, validation, loss, training.features)

    def _heights(self, student: EncoderConfig) -> Heights:
        return Heights.of(student.n_layers, self.teacher.source.config.n_layers)


@dataclass(frozen=True, slots=True)
class EncoderDistillation:
    """The task: to say at these heights what the teacher says, by this loss."""

    spec: EncoderSpec
    teacher: LoadedTeacher
    heights: Heights
    loss: EncoderLoss

    name: str = NAME
    architecture: str = ARCHITECTURE
    head_rules: Sequence[KeyRule] = ()
    metric_names: tuple[str, ...] = METRIC_NAMES
    output_names: tuple[str, ...] = ()
    table: tuple[TableColumn, ...] = EPOCH_COLUMNS
    prediction_files: tuple[str, ...] = ()

    def make_head(self, hidden_size: int, dropout: float) -> nn.Module:
        """What the student is thrown away with: its projections onto the teacher's width."""
        return Projections(len(self.heights.student), hidden_size, self.teacher.hidden_size)

    def load_data(self, sources: Sequence[str], tokenizer: Tokenizer, use: Use = "evaluation") -> PlainTextData:
        """Read texts and what the teacher says of them."""
        texts = self.spec.texts.read(sources)
        return self.teacher.with_states(texts, tokenizer, self.heights.teacher, self.spec.texts)

    def model_config(self, head_dropout: float, metrics: Mapping[str, float]) -> dict[str, object]:
        """Nothing beside the encoder's own."""
        return {}

    def guide(self, metrics: Mapping[str, float]) -> TaskGuide:
        """Words for the model card and the report."""
        return encoder_guide(self.teacher.name)

    def evaluate(
        self,
        model: nn.Module,
        data: PlainTextData,
        predictions: Path | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> EncoderEvaluation:
        """The loss and its parts over all features, dropout off."""
        sums = torch.zeros(len(METRIC_NAMES), dtype=torch.float64)
        n_done = 0
        ids = np.arange(len(data.features))
        for batch, output in outputs(model, data.features, ids, self.spec.texts.evaluation_tokens):
            sums += self.loss(output, batch).metrics.cpu().double()
            n_done += batch.n_features
            on_progress(n_done)
        return EncoderEvaluation(dict(zip(METRIC_NAMES, (sums / n_done).tolist(), strict=True)))


def _narrowed(
    loaded: LoadedModel, teacher: LoadedTeacher, heights: Heights, sample: Sequence[str], settings: TextSettings
) -> LoadedModel:
    """The student cut out of the teacher, where it is a narrower one of the same make."""
    student = cast(Encoder, loaded.model.encoder)
    if not can_be_narrowed(teacher.encoder, student):
        return loaded
    features = text_features(sample, loaded.tokenizer, settings.max_length, settings.stride)
    batch = features.batch(sample_windows(features.lengths, settings.sample_seed))
    student.eval()

    def make() -> Arrays:
        tell("narrowing")
        found = narrow(teacher.encoder, student, batch.to(teacher.device))
        made = {"basis": found.basis, "means": found.means}
        made |= {f"{_STUDENT}{name}": tensor for name, tensor in student.state_dict().items()}
        return {name: tensor.cpu().numpy() for name, tensor in made.items()}

    tokens = batch.token_ids.numpy().tobytes() + batch.cu_seqlens.numpy().tobytes()
    parts = {
        "narrowed": teacher.fingerprint,
        "student": repr(student.config),
        "tokens": hashlib.sha256(tokens).hexdigest(),
        "device": teacher.device.type,
    }
    arrays, _ = load_or_make(parts, make)
    tensors = {name: torch.tensor(array, device=teacher.device) for name, array in arrays.items()}
    student.load_state_dict(
        {name.removeprefix(_STUDENT): tensor for name, tensor in tensors.items() if name.startswith(_STUDENT)}
    )
    means = tensors["means"][list(heights.teacher)]
    cast(Projections, loaded.model.head).start_from(tensors["basis"], means)
    source = loaded.source
    notes = (*source.notes[:-1], "The student starts cut out of its teacher, layer by layer.")
    return replace(loaded, source=replace(source, notes=notes))


def _make_loss(
    teacher: LoadedTeacher, heights: Heights, features: FeatureSet, n_relation_heads: int, weights: Weights
) -> EncoderLoss:
    """The loss, once the teacher has seen the texts: its states' variances are the unit of the errors."""
    assert features.targets is not None  # which `LoadedTeacher.with_states` has set
    n_tokens = int(features.offsets[-1])
    return EncoderLoss(
        n_heights=len(heights.student),
        teacher_size=teacher.hidden_size,
        variances=variances(features.targets, n_tokens, teacher.hidden_size).to(teacher.device),
        query_key_value=teacher.query_key_value(),
        n_relation_heads=n_relation_heads,
        hidden_weight=weights.hidden,
        relation_weight=weights.relation,
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


def from_settings(settings: EncoderSettings) -> EncoderSpec:
    """The task's specification, with its settings."""
    return EncoderSpec(
        teacher=settings.teacher,
        shape=StudentShape(settings.student_layers, settings.student_width, settings.student_heads),
        texts=TextSettings.of(settings),
        weights=Weights(settings.hidden_weight, settings.relation_weight, settings.relation_heads),
    )
