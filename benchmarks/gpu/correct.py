"""Before anything is timed: the GPU's numbers are the CPU's, replays are the plain steps, packing is padding.

Every check has a measure and a bar. In float32 the bar is 1e-4. What bfloat16 may be off is five times what
the CPU in bfloat16 is off from float32 on the same batch: on a GPU attention is rounded too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.contestant import Rows, padded
from benchmarks.gpu.work import DISTILBERT, MODELS, Say, Work
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, cumulative_lengths
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel, initialise, model_device
from distiltune.system.device import Precision, allow_tf32, arithmetic
from distiltune.tasks.heads import TokenHead
from distiltune.tasks.question_answering.head import SpanHead, span_loss
from distiltune.tasks.token_classification.head import token_loss
from distiltune.training import backward
from distiltune.training.backward import Gradients
from distiltune.training.cuda_graphs import Replayed
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam

CPU: Final = torch.device("cpu")
EXACT: Final = 1e-4
"""Of float32: largest difference of logits, and of losses and gradients the share of their size."""

TIMES_THE_CPU: Final = 5.0
FLOOR: Final = 4e-3
"""Of bfloat16: a unit in its last place; no bar is below."""

SHAPE: Final = EncoderConfig(
    vocab_size=1_000,
    hidden_size=128,
    n_layers=3,
    n_heads=2,
    intermediate_size=256,
    max_position_embeddings=128,
    dropout=0.0,
    attention_dropout=0.0,
    initializer_range=0.05,
)
N_LABELS: Final = 4


class WrongError(Exception):
    """A check failed: no time that was taken of wrong numbers is worth anything."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a model said of a batch, on the host."""

    logits: Tensor
    loss: Tensor
    gradients: Tensor


@dataclass(frozen=True, slots=True)
class Case:
    """A model, a batch and a loss."""

    name: str
    make_model: Callable[[], TaskModel]
    objective: Objective
    batch: PackedBatch


def correctness(work: Work, say: Say) -> None:
    """Run all checks, and say of each what it came to; WrongError names those that failed."""
    allow_tf32(False)
    if not _has_pydantic():
        say({"note": "texts: not checked, since pydantic is not installed, which their settings need"})
    wrong = []
    for check in (_devices, _graphs, _padding, _one_by_one):
        for name, measured, bar in check(work):
            right = bool(measured <= bar)  # not a number is not right
            say({"check": name, "measured": measured, "bar": bar, "right": right})
            if not right:
                wrong.append(f"{name}: {measured:.2e} where {bar:.0e} is allowed")
    if wrong:
        raise WrongError("; ".join(wrong))


Checks = Iterator[tuple[str, float, float]]


def _devices(work: Work) -> Checks:
    for case in _cases(work):
        plain = _found(case, CPU, "float32")
        there = _found(case, work.device, "float32")
        yield f"{case.name}: float32 logits", _largest(there.logits, plain.logits), EXACT
        yield f"{case.name}: float32 loss", _share(there.loss, plain.loss), EXACT
        yield f"{case.name}: float32 gradients", _share(there.gradients, plain.gradients), EXACT
        rounded = _found(case, CPU, "bfloat16")
        half = _found(case, work.device, "bfloat16")
        for what in ("logits", "loss", "gradients"):
            exact = getattr(plain, what)
            bar = max(FLOOR, TIMES_THE_CPU * _share(getattr(rounded, what), exact))
            yield f"{case.name}: bfloat16 {what}", _share(getattr(half, what), exact), bar


def _cases(work: Work) -> Iterator[Case]:
    """Every task on a small model, then spans on both large ones with a batch of SQuAD."""
    batch = _small_features().batch(np.arange(work.n(24, 3)))
    yield Case("spans", _made(SpanHead), span_loss, batch)
    yield Case("tokens", _made(lambda size, dropout: TokenHead(size, dropout, N_LABELS)), token_loss, batch)
    if _has_pydantic():
        yield from _text_cases(batch)
    for name in MODELS:
        ids = work.batches()[0][:4]  # a processor without bfloat16 takes long over them

        def make_model(name: str = name) -> TaskModel:
            return work.model(name, dropout=False).cpu()

        yield Case(f"spans, {name}", make_model, span_loss, work.features.batch(ids))


def _has_pydantic() -> bool:
    return importlib.util.find_spec("pydantic") is not None


def _text_cases(batch: PackedBatch) -> Iterator[Case]:
    # Imported here: a lent machine may lack what it needs, and all else does without.
    from distiltune.tasks.text_classification.head import SequenceHead, TextLoss
    from distiltune.tasks.text_classification.settings import ProblemType

    rng = np.random.default_rng(1)
    n = batch.n_features
    labels: dict[ProblemType, Any] = {
        "single-label": rng.integers(0, N_LABELS, (n, 1)),
        "multi-label": rng.integers(0, 2, (n, N_LABELS)),
        "regression": rng.standard_normal((n, N_LABELS)).astype(np.float32),
    }
    for problem, columns in labels.items():
        make_model = _made(lambda size, dropout: SequenceHead(size, N_LABELS, dropout))
        yield Case(problem, make_model, TextLoss(problem), replace(batch, labels=torch.from_numpy(columns)))


def _made(make_head: Callable[[int, float], nn.Module]) -> Callable[[], TaskModel]:
    def make() -> TaskModel:
        torch.manual_seed(0)
        model = TaskModel(Encoder(SHAPE), make_head(SHAPE.hidden_size, 0.0))
        initialise(model, SHAPE.initializer_range)
        return model

    return make


def _small_features(n: int = 192) -> FeatureSet:
    rng = np.random.default_rng(0)
    lengths = rng.integers(8, 97, n)
    tokens = rng.integers(5, SHAPE.vocab_size, lengths.sum()).astype(np.int32)
    spans = np.sort(rng.integers(0, lengths[:, None], (n, 2)), axis=1).astype(np.int32)
    tags = rng.integers(0, N_LABELS, lengths.sum()).astype(np.int32)
    return FeatureSet(
        tokens, cumulative_lengths(lengths), spans, np.arange(n), token_labels=tags, weights=np.ones(n, np.float32)
    )


def _found(case: Case, device: torch.device, precision: Precision) -> Found:
    model, batch = case.make_model().to(device).train(), case.batch.to(device)
    with arithmetic(precision, device):
        logits = model(batch)
    sums = case.objective(logits, batch)
    (sums.loss / batch.n_features).backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad.flatten().cpu() for parameter in model.parameters() if parameter.grad is not None]
    return Found(logits.detach().float().cpu(), sums.loss.detach().float().cpu(), torch.cat(gradients))


def _graphs(work: Work) -> Checks:
    """Steps that are recorded and replayed beside plain ones; sizes come often enough for both."""
    bars: dict[Precision, tuple[float, float]] = {"float32": (EXACT, 1e-3), "bfloat16": (2e-2, 3e-2)}
    for precision, (gradient_bar, loss_bar) in bars.items():
        plain, replayed = (_trained(work, precision, by_graphs) for by_graphs in (False, True))
        yield f"graphs, {precision}: a batch's gradients", _share(replayed.gradients, plain.gradients), gradient_bar
        yield f"graphs, {precision}: losses of steps", _share(replayed.loss, plain.loss), loss_bar


def _trained(work: Work, precision: Precision, by_graphs: bool) -> Found:
    """Losses of some steps, and the gradients of one batch before the first of them."""
    features, n_batches = _small_features(), work.n(12)
    batches = [features.batch(np.arange(16) + number * 16) for number in range(n_batches)]
    model = _made(SpanHead)().to(work.device).train()
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-4, weight_decay=0.0)
    optimiser.learning_rate = 1e-3
    if by_graphs and work.device.type == "cuda":
        gradients: Gradients = Replayed(model, span_loss, precision, int(features.lengths.max()))
    else:
        gradients = _Plain(model, precision)
    for _ in range(3):  # run, recorded, replayed
        gradients.add([batches[0]], 16)
        gradients.finish()
        found = [parameter.grad.flatten().cpu() for parameter in model.parameters() if parameter.grad is not None]
        gradients.clear()
    losses = []
    for step in range(work.n(48)):
        losses.append(gradients.add([batches[step % n_batches]], 16)[0])
        gradients.finish()
        optimiser.step()
        gradients.clear()
    return Found(torch.empty(0), torch.stack(losses).float().cpu(), torch.cat(found))


class _Plain:
    """Gradients without recordings."""

    n_parts = 1

    def __init__(self, model: TaskModel, precision: Precision) -> None:
        self._model, self._precision = model, precision

    def add(self, parts: Sequence[PackedBatch], step_weight: float) -> Tensor:
        (part,) = parts
        there = part.to(model_device(self._model))
        return backward.add_gradients(self._model, span_loss, there, 1 / step_weight, self._precision)

    def finish(self) -> None:
        """Nothing is left to do."""

    def clear(self) -> None:
        self._model.zero_grad(set_to_none=True)


def _padding(work: Work) -> Checks:
    """Packed features beside the same ones padded, in `transformers`."""
    ids = work.batches()[0]
    rows = Rows(work.features)
    batch = padded([rows[index] for index in ids.tolist()], 0)
    real = batch["attention_mask"].bool()
    theirs_model, ours_model = work.hf_model(DISTILBERT, dropout=False).to(work.device).eval(), work.model(DISTILBERT)
    packed = work.features.batch(ids).to(work.device)
    with torch.inference_mode():
        theirs = theirs_model(**{key: batch[key].to(work.device) for key in ("input_ids", "attention_mask")})
        ours = ours_model.eval()(packed).cpu()
        with arithmetic("bfloat16", work.device):
            half = ours_model(packed).float().cpu()
    expected = torch.stack([theirs.start_logits, theirs.end_logits], dim=-1).cpu()[real]
    yield "packed beside padded: float32 logits", _largest(ours, expected), EXACT
    yield "packed beside padded: bfloat16 logits", _share(half, expected), 3e-2


def _one_by_one(work: Work) -> Checks:
    """A feature's logits do not depend on what lies beside it."""
    model = work.model(DISTILBERT).eval()
    ids = work.batches()[1][:4]
    precisions: tuple[tuple[Precision, float], ...] = (("float32", EXACT), ("bfloat16", 3e-2))
    for precision, bar in precisions:
        with torch.inference_mode(), arithmetic(precision, work.device):
            together = model(work.features.batch(ids).to(work.device)).float().cpu()
            alone = [model(work.features.batch(ids[n : n + 1]).to(work.device)).float().cpu() for n in range(len(ids))]
        yield f"features alone and together: {precision} logits", _share(torch.cat(alone), together), bar


def _largest(ours: Tensor, expected: Tensor) -> float:
    return float((ours - expected).abs().max())


def _share(ours: Tensor, expected: Tensor) -> float:
    """Length of the difference over that of what is expected."""
    return float((ours - expected).norm() / expected.norm().clamp(min=1e-12))
