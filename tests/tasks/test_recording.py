"""Every task's step can be recorded as a CUDA graph, and every way to start a student runs on one device."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.functional import cross_entropy

from distiltune.data.packing import PackedBatch, Rows
from distiltune.distillation.losses import EncoderLoss
from distiltune.distillation.narrowing import narrow
from distiltune.distillation.soft_labels import SoftLabels
from distiltune.distillation.states import Heights, Projections, TaughtStudent
from distiltune.model import encoder
from distiltune.model.encoder import Encoder, TaskModel
from distiltune.model.lora import LoraSettings, adapt
from distiltune.system.device import Precision
from distiltune.tasks.fill_mask.head import MaskedWordsHead, MaskedWordsModel, masked_words_loss
from distiltune.tasks.heads import TokenHead
from distiltune.tasks.own import OwnLoss
from distiltune.tasks.question_answering.head import OwnSpanLoss, SpanHead, span_divergence, span_loss
from distiltune.tasks.text_classification.head import SequenceHead, TextDivergence, TextLoss
from distiltune.tasks.text_classification.pairs import PairsFirst, PairsModel
from distiltune.tasks.text_classification.settings import ProblemType
from distiltune.tasks.token_classification.head import token_divergence, token_loss, weighed_token_loss
from distiltune.training import rounded
from distiltune.training.cuda_graphs import Replayed
from distiltune.training.objective import Objective
from tests.gpu_in_thought import GPU, Operations, recording
from tests.helpers import TINY, random_features

SHAPE = replace(TINY, dropout=0.1, attention_dropout=0.1)
FEATURES = random_features(6)
N_LABELS, LONGEST = 3, 12


@dataclass(frozen=True)
class Step:
    """A model's head, its loss, how many columns labels and targets have, and what the latter are of."""

    make_model: Callable[[], TaskModel]
    objective: Objective
    n_label_columns: int
    n_targets: int = 0
    target_rows: Rows = "token"
    label_type: torch.dtype = torch.int64


def model_of(make_head: Callable[..., torch.nn.Module]) -> Callable[[], TaskModel]:
    return lambda: TaskModel(Encoder(SHAPE), make_head(SHAPE.hidden_size, dropout_probability=0.1))


def text_step(problem: ProblemType, *, soft: bool) -> Step:
    weights = torch.arange(1.0, N_LABELS + 1) if problem != "regression" else None
    hard = TextLoss(problem, 0.1, weights)
    objective = SoftLabels(hard, TextDivergence(problem), 2.0, 0.5) if soft else hard
    n_label_columns = N_LABELS if problem == "multi-label" else 1
    label_type = torch.float32 if problem == "regression" else torch.int64
    make_model = model_of(functools.partial(SequenceHead, n_labels=N_LABELS))
    return Step(make_model, objective, n_label_columns, N_LABELS if soft else 0, "sequence", label_type)


def encoder_step() -> Step:
    width = 2 * SHAPE.hidden_size
    heights = Heights.of(SHAPE.n_layers, SHAPE.n_layers)

    def make_model() -> TaskModel:
        projections = Projections(len(heights.student), SHAPE.hidden_size, width)
        return TaughtStudent(Encoder(SHAPE), projections, heights.student)

    with GPU:
        last = torch.empty(3 * width, width), torch.empty(3 * width)
        loss = EncoderLoss(len(heights.student), width, torch.empty(len(heights.student)), last, 2, 1.0, 1.0)
    return Step(make_model, loss, 2, len(heights.student) * width)


def adapted_model() -> TaskModel:
    model = model_of(SpanHead)()
    adapt(model, LoraSettings(2, dropout=0.1))
    return model


def pairs_model() -> TaskModel:
    return PairsModel(Encoder(SHAPE), SequenceHead(SHAPE.hidden_size, N_LABELS, 0.1))


def masked_model() -> TaskModel:
    return MaskedWordsModel(Encoder(SHAPE), MaskedWordsHead(SHAPE.hidden_size, SHAPE.vocab_size, "gelu"))


def _own_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(scores.transpose(1, 2), labels, reduction="none").mean(dim=1)


STEPS: dict[str, Step] = {
    "spans": Step(model_of(SpanHead), span_loss, 2),
    "spans, adapters": Step(adapted_model, span_loss, 2),
    "spans, own loss": Step(model_of(SpanHead), OwnLoss(span_loss, OwnSpanLoss(_own_loss)), 2),
    "spans, taught": Step(model_of(SpanHead), SoftLabels(span_loss, span_divergence, 2.0, 0.5), 2, 2),
    "tokens": Step(model_of(functools.partial(TokenHead, n_columns=N_LABELS)), token_loss, 0),
    "tokens, weighed": Step(model_of(functools.partial(TokenHead, n_columns=N_LABELS)), weighed_token_loss, 0),
    "tokens, taught": Step(
        model_of(functools.partial(TokenHead, n_columns=N_LABELS)),
        SoftLabels(token_loss, token_divergence, 2.0, 0.5),
        0,
        N_LABELS,
    ),
    **{
        f"{problem}{', taught' if soft else ''}": text_step(problem, soft=soft)
        for problem in ("single-label", "multi-label", "regression")
        for soft in (False, True)
    },
    "pairs": Step(pairs_model, PairsFirst(TextLoss("single-label"), N_LABELS), 2),
    "masked words": Step(masked_model, masked_words_loss, 0),
    "encoder": encoder_step(),
}


@pytest.fixture(autouse=True)
def _no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch cannot say whether it is on for a device in thought."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device_type: False)


def batch_for(step: Step) -> PackedBatch:
    plain = FEATURES.batch(np.arange(6))
    n_rows = sum(plain.row_counts(step.target_rows))
    return replace(
        plain,
        labels=torch.zeros(6, step.n_label_columns, dtype=step.label_type),
        token_labels=torch.zeros(plain.n_tokens, dtype=torch.int64),
        weights=torch.ones(6),
        group_of=torch.tensor([0, 0, 0, 1, 1, 1]),
        targets=torch.zeros(n_rows, step.n_targets, dtype=torch.float16) if step.n_targets else None,
        target_rows=step.target_rows,
    )


@pytest.fixture
def _half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in bfloat16, as autocast would have them: there is none for a device in thought."""

    def linear(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.linear(values.to(weight.dtype), weight, bias)

    monkeypatch.setattr(encoder, "linear", linear)
    monkeypatch.setattr(rounded, "arithmetic", lambda precision, device: contextlib.nullcontext())


@pytest.mark.usefixtures("_half_precision")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_nothing_from_the_host_and_waits_for_nothing(name: str, precision: Precision) -> None:
    step, seen = STEPS[name], list[Operations]()

    def record(run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        with recording() as operations:
            run()
        seen.append(operations)
        return run

    with GPU:
        model = step.make_model().train()
    gradients = Replayed(model, step.objective, precision, LONGEST, record)
    for _ in range(2):  # run, recorded
        gradients.add([batch_for(step)], 6)
    assert seen[0].count > 100
    # Adapted layers are rounded by autocast alone, which there is none of here.
    rounds = precision == "bfloat16" and "adapters" not in name
    assert ("_varlen_attn_backward" in seen[0].names) == rounds, "flash attention, where it may"


def test_cutting_a_student_out_of_its_teacher_mixes_no_devices() -> None:
    with GPU:
        teacher = Encoder(replace(TINY, hidden_size=32, n_heads=4)).eval()
        student = Encoder(TINY).eval()
    batch = FEATURES.batch(np.arange(6)).to(GPU)
    with recording() as operations:
        narrow(teacher, student, batch)
    assert operations.count > 100


def test_what_a_recording_refuses_is_seen() -> None:
    there, here = torch.empty(3, device=GPU), torch.ones(3)
    refused: tuple[Callable[[], object], ...] = (
        lambda: there + here,
        lambda: there[[0, 2]],
        lambda: there[torch.tensor([0, 2])],
        lambda: torch.tensor([1.0], device=GPU),
        lambda: here.to(GPU),
        lambda: there.copy_(here),
        there.cpu,
        lambda: there.sum().item(),
        lambda: there[there > 0],
    )
    for wrong in refused:
        with recording(), pytest.raises((AssertionError, NotImplementedError)):
            wrong()
    with recording() as operations:
        there.mul_(2.0).add_(torch.tensor(1.0))
    assert operations.count == 2
