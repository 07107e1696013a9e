"""Features through a model without gradients, batched by tokens rather than by rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import FeatureIds, packed_ahead, token_batches
from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import model_device
from distiltune.workers import Workers, plan_workers


def outputs(
    model: nn.Module, features: FeatureSet, feature_ids: FeatureIds, max_tokens: int
) -> Iterator[tuple[PackedBatch, Tensor]]:
    """Run the features ``feature_ids`` in batches of at most ``max_tokens`` tokens, dropout off.

    Yields each packed batch with the head's output, both on the model's device. The order is by length: a batch's
    ``feature_ids`` say which features it holds. The model is left in evaluation mode. On the CPU several batches run
    side by side.
    """
    device = model_device(model)
    model.eval()
    batches = token_batches(feature_ids, features.lengths, max_tokens)

    def run(packed: list[PackedBatch]) -> tuple[PackedBatch, Tensor]:
        (batch,) = packed
        batch = batch.to(device)
        with torch.inference_mode():
            return batch, model(batch)

    packed = packed_ahead(features, batches)
    plan = plan_workers(torch.get_num_threads())
    if device.type != "cpu" or plan.n_workers == 1 or len(batches) == 1:
        yield from map(run, packed)
        return
    with Workers(plan) as workers:
        yield from workers.map(run, packed)
