"""Features through a model without gradients, batched by tokens rather than by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, packed_ahead, token_batches
from distiltune.data.packing import PackedBatch, Rows
from distiltune.model.encoder import model_device, rows_of
from distiltune.system.workers import Workers, plan_workers


def outputs(
    model: nn.Module, features: FeatureSet, feature_ids: FeatureIds, max_tokens: int, *, alone: bool = False
) -> Iterator[tuple[PackedBatch, Tensor]]:
    """Run the features ``feature_ids`` in batches of at most ``max_tokens`` tokens, dropout off.

    Yields each packed batch with the head's output, both on the model's device. The order is by length: a batch's
    ``feature_ids`` say which features it holds. The model is left in evaluation mode. On the CPU several batches run
    side by side. Of several processes each runs its share, unless it does so ``alone``.
    """
    device = model_device(model)
    model.eval()
    batches = token_batches(features, feature_ids, max_tokens)

    def run(packed: list[PackedBatch]) -> tuple[PackedBatch, Tensor]:
        (batch,) = packed
        batch = batch.to(device)
        with torch.inference_mode():
            return batch, model(batch)

    if not alone and dist.is_available() and dist.is_initialized():
        yield from _shared_outputs(run, features, batches, rows_of(model))
        return
    packed = packed_ahead(features, batches)
    plan = plan_workers(torch.get_num_threads())
    if device.type != "cpu" or plan.n_workers == 1 or len(batches) == 1:
        yield from map(run, packed)
        return
    with Workers(plan) as workers:
        yield from workers.map(run, packed)


def _shared_outputs(
    run: Callable[[list[PackedBatch]], tuple[PackedBatch, Tensor]],
    features: FeatureSet,
    batches: list[FeatureIds],
    rows: Rows,
) -> Iterator[tuple[PackedBatch, Tensor]]:
    """Every process runs each n-th batch and receives what the others made of theirs: all yield all, in order."""
    rank, world_size = dist.get_rank(), dist.get_world_size()
    for first in range(0, len(batches), world_size):
        rounds = [features.batch(ids) for ids in batches[first : first + world_size]]
        # With too few batches left, the last is run more than once and its copies are not looked at.
        mine = rounds[min(rank, len(rounds) - 1)]
        _, output = run([mine])
        sizes = [sum(rounds[min(other, len(rounds) - 1)].row_counts(rows)) for other in range(world_size)]
        padded = output.new_zeros(max(sizes), output.shape[1])
        padded[: len(output)] = output
        gathered = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(gathered, padded)
        for other, theirs, size in zip(rounds, gathered, sizes, strict=False):
            yield other.to(output.device), theirs[:size]
