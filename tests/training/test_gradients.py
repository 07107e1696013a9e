"""Batches shared out to workers give the gradients of the plain way, bit for bit the same each time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distiltune.data.loader import packed_ahead
from distiltune.data.packing import PackedBatch
from distiltune.system.workers import WorkerPlan, Workers
from distiltune.tasks.question_answering.head import span_loss
from distiltune.training.backward import Gradients
from distiltune.training.gradients import SharedOut
from tests.helpers import random_features, tiny_qa_model
from tests.training.whole_batch import WholeBatch

FEATURES = random_features(16)


def parts(n: int, ids: range = range(16)) -> list[PackedBatch]:
    return next(packed_ahead(FEATURES, [np.array(ids)], n))


def grads_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_close(ours: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-5, atol=1e-6, msg=name)


def plain(model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    model.train()
    metrics = WholeBatch(model, span_loss).add(parts(1), 16)
    grads = grads_of(model)
    model.zero_grad()
    return metrics, grads


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_gradients_and_metrics_are_those_of_the_plain_way(n_workers: int) -> None:
    model = tiny_qa_model()
    expected_metrics, expected = plain(model)
    with Workers(WorkerPlan(n_workers, 1)) as workers:
        gradients = SharedOut(model, span_loss, workers)
        assert gradients.n_parts == n_workers
        for _ in range(3):  # rows of the embeddings are forgotten between steps
            metrics = gradients.add(parts(n_workers), 16)
            torch.testing.assert_close(metrics, expected_metrics)
            assert_close(grads_of(model), expected)
            gradients.clear()
            assert all(p.grad is None for p in model.parameters())


def test_batches_of_a_step_add_up() -> None:
    model = tiny_qa_model()
    _, expected = plain(model)
    with Workers(WorkerPlan(2, 1)) as workers:
        gradients: Gradients = SharedOut(model, span_loss, workers)
        gradients.add(parts(2, range(5)), 16)
        gradients.add(parts(2, range(5, 6)), 16)  # one feature: one part, one worker idle
        gradients.add(parts(2, range(6, 16)), 16)
        assert_close(grads_of(model), expected)


def test_a_step_of_the_optimiser_reaches_the_replicas() -> None:
    model = tiny_qa_model()
    with Workers(WorkerPlan(2, 1)) as workers:
        gradients = SharedOut(model, span_loss, workers)
        before = gradients.add(parts(2), 16)[0]
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        gradients.clear()
        after = gradients.add(parts(2), 16)[0]
        assert after < before
        gradients.clear()
        torch.testing.assert_close(plain(model)[0][0], after)


def test_frozen_parameters_have_no_gradient() -> None:
    model = tiny_qa_model()
    for parameter in model.encoder.embeddings.parameters():
        parameter.requires_grad_(False)
    _, expected = plain(model)
    assert len(expected) < len(list(model.parameters()))
    with Workers(WorkerPlan(2, 1)) as workers:
        gradients = SharedOut(model, span_loss, workers)
        gradients.add(parts(2), 16)
        assert_close(grads_of(model), expected)


def test_dropout_is_the_same_for_the_same_seed_bit_for_bit() -> None:
    results = []
    for seed in (3, 3, 4):
        model = tiny_qa_model()
        for module in model.modules():
            if hasattr(module, "dropout"):
                setattr(module, "dropout", 0.3)  # noqa: B010
        with Workers(WorkerPlan(2, 1)) as workers:
            gradients = SharedOut(model, span_loss, workers)
            torch.manual_seed(seed)
            metrics = [gradients.add(parts(2), 16) for _ in range(4)]
            results.append((torch.stack(metrics), grads_of(model)))
    assert torch.equal(results[0][0], results[1][0])
    assert all(torch.equal(results[1][1][name], value) for name, value in results[0][1].items())
    assert not torch.equal(results[0][0], results[2][0])


def test_an_error_in_a_worker_is_raised() -> None:
    def broken(output: Tensor, batch: PackedBatch) -> object:
        raise ValueError(f"cannot judge {batch.n_features}")

    with Workers(WorkerPlan(2, 1)) as workers, pytest.raises(ValueError, match="cannot judge"):
        SharedOut(tiny_qa_model(), broken, workers).add(parts(2), 16)  # type: ignore[arg-type]
