"""A task's model beside the class of transformers that has the same head: one packed batch, one padded batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from distiltune.data.cache import Arrays
from distiltune.data.packing import PackedBatch, cumulative_lengths
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel
from distiltune.model.hf_keys import encoder_rules, from_hf, to_hf
from distiltune.tasks.base import Task
from distiltune.tasks.dataset import labelled
from tests.model.tiny_models import state, tiny_config

LENGTHS = (7, 3, 12, 5)


def reference_of(kind: Any, **changes: Any) -> Any:
    """A random model of transformers without dropout; every tensor is random, so that it counts."""
    torch.manual_seed(1)
    sizes = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0, **changes}
    model = kind.from_config(tiny_config(**sizes), attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def ours_of(reference: Any, task: Task[Any]) -> TaskModel:
    """Our model with the reference's weights; fails if a tensor has no place on either side."""
    config = EncoderConfig.from_hf(reference.config.to_dict())
    model = TaskModel(Encoder(config), task.make_head(config.hidden_size, 0.0))
    rules = (*encoder_rules(config.n_layers), *task.head_rules)
    model.load_state_dict(from_hf(state(reference), rules))
    assert to_hf(model.state_dict(), rules).keys() == state(reference).keys()
    return model.eval()


def packed(
    labels: np.ndarray[Any, Any] | None = None,
    weights: np.ndarray[Any, Any] | None = None,
    token_labels: np.ndarray[Any, Any] | None = None,
) -> tuple[PackedBatch, float]:
    """Features of `LENGTHS` random tokens with these labels as one batch, and what they weigh together."""
    arrays: Arrays = {
        "token_ids": np.random.default_rng(0).integers(1, 100, sum(LENGTHS)).astype(np.int32),
        "offsets": cumulative_lengths(LENGTHS),
        "example_of": np.arange(len(LENGTHS)),
    }
    features = labelled(arrays, labels, weights, token_labels)
    ids = np.arange(len(LENGTHS))
    return features.batch(ids), features.weight(ids)


def padded(batch: PackedBatch) -> dict[str, Tensor]:
    """The same features as rows, for the reference."""
    ids = torch.zeros(batch.n_features, max(LENGTHS), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, part in enumerate(torch.split(batch.token_ids, list(LENGTHS))):
        ids[row, : len(part)] = part
        mask[row, : len(part)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def assert_same_gradients(model: TaskModel, reference: Any, task: Task[Any]) -> None:
    """Every gradient within 1e-5, by their names. Token 0 is padding there, whose embedding is never trained."""
    rules = (*encoder_rules(model.encoder.config.n_layers), *task.head_rules)
    ours = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    theirs = {name: each.grad for name, each in reference.named_parameters()}
    for name, gradient in to_hf(ours, rules).items():
        torch.testing.assert_close(gradient, theirs.pop(name), atol=1e-5, rtol=1e-4, msg=name)
    assert not theirs
