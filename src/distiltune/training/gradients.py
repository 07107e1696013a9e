"""From batches to gradients: in one piece on a GPU, shared out to workers on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.model.dropout import draw_seeds, dropout_seed
from distiltune.model.encoder import model_device
from distiltune.tasks.base import Objective
from distiltune.workers import Workers, plan_workers


class Gradients(Protocol):
    """Whoever turns batches into the gradients of a model's parameters."""

    @property
    def n_parts(self) -> int:
        """Into how many parts a batch is best cut."""

    def add(self, parts: Sequence[PackedBatch], n_step_features: int) -> Tensor:
        """Add the gradients of a batch's parts, each feature weighing 1 / ``n_step_features``.

        Returns the objective's metrics, ``(n_metrics,)``, summed over the features.
        """

    def clear(self) -> None:
        """Forget the gradients, after the optimiser's step."""


class WholeBatch:
    """The plain way: one part after the other through the model itself."""

    n_parts = 1

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        self._model, self._objective = model, objective

    def add(self, parts: Sequence[PackedBatch], n_step_features: int) -> Tensor:
        """See ``Gradients``."""
        return torch.stack([_backward(self._model, self._objective, part, n_step_features) for part in parts]).sum(0)

    def clear(self) -> None:
        """See ``Gradients``."""
        self._model.zero_grad(set_to_none=True)


class SharedOut:
    """Each worker takes a part of the batch through a replica of the model that shares its weights.

    The parts' gradients are summed in their order, so that the same seed and the same number of workers give the same
    bits. Gradients of embeddings are kept as the rows touched: of 30,522 word pieces a batch has a few hundred.
    """

    def __init__(self, model: nn.Module, objective: Objective, workers: Workers) -> None:
        self._objective, self._workers = objective, workers
        self._replicas = [_replica(model) for _ in range(workers.plan.n_workers)]
        self._parameters = list(model.parameters())
        self._dense = {
            index: torch.zeros_like(self._parameters[index]) for index in _embedding_indices(model, self._parameters)
        }
        self._rows: dict[int, list[Tensor]] = {index: [] for index in self._dense}

    @property
    def n_parts(self) -> int:
        """One a worker."""
        return len(self._replicas)

    def add(self, parts: Sequence[PackedBatch], n_step_features: int) -> Tensor:
        """See ``Gradients``."""
        seeds = draw_seeds(len(parts))

        def job(replica: nn.Module, part: PackedBatch, seed: int) -> Tensor:
            with dropout_seed(seed):
                return _backward(replica, self._objective, part, n_step_features)

        jobs = [
            lambda replica=replica, part=part, seed=seed: job(replica, part, seed)
            for replica, part, seed in zip(self._replicas, parts, seeds, strict=False)
        ]
        metrics = self._workers.run(jobs)
        for replica in self._replicas[: len(parts)]:
            self._collect(replica)
        return torch.stack(metrics).sum(0)

    def clear(self) -> None:
        """See ``Gradients``."""
        for index, dense in self._dense.items():
            for rows in self._rows[index]:
                dense.index_fill_(0, rows, 0.0)
            self._rows[index].clear()
        for parameter in self._parameters:
            parameter.grad = None

    def _collect(self, replica: nn.Module) -> None:
        """Move or add a replica's gradients to the model's."""
        sums: list[Tensor] = []
        added: list[Tensor] = []
        for index, (ours, theirs) in enumerate(zip(self._parameters, replica.parameters(), strict=True)):
            grad, theirs.grad = theirs.grad, None
            if grad is None:
                continue
            if grad.is_sparse:
                rows = grad._indices()[0]
                self._rows[index].append(rows)
                ours.grad = self._dense[index].index_add_(0, rows, grad._values())
            elif ours.grad is None:
                ours.grad = grad
            else:
                sums.append(ours.grad)
                added.append(grad)
        if sums:
            torch._foreach_add_(sums, added)


@contextmanager
def make_gradients(model: nn.Module, objective: Objective) -> Iterator[Gradients]:
    """The quickest way for the device that the model is on; on the CPU with as many threads as PyTorch was given."""
    if model_device(model).type != "cpu":
        yield WholeBatch(model, objective)
        return
    with Workers(plan_workers(torch.get_num_threads())) as workers:
        yield SharedOut(model, objective, workers)


def _backward(model: nn.Module, objective: Objective, part: PackedBatch, n_step_features: int) -> Tensor:
    sums = objective(model(part), part)
    (sums.loss / n_step_features).backward()  # type: ignore[no-untyped-call]
    return sums.metrics


def _replica(model: nn.Module) -> nn.Module:
    """A copy of the modules whose parameters share the model's memory and have gradients of their own."""
    shared = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
        for parameter in model.parameters()
    }
    replica = copy.deepcopy(model, shared).train()
    for module in replica.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = True
    return replica


def _embedding_indices(model: nn.Module, parameters: Sequence[Tensor]) -> list[int]:
    """Where in the parameters the weights of embeddings stand."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    return [index for index, parameter in enumerate(parameters) if id(parameter) in embeddings]
