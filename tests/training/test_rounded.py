"""Rounded once and put back together: to the bits of autocast, for every task's step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distiltune.model.encoder import Encoder, Linear, TaskModel
from distiltune.system.device import Precision
from distiltune.tasks.question_answering.head import SpanHead, span_loss
from distiltune.training.backward import add_gradients
from distiltune.training.rounded import RoundedWeights
from tests.helpers import TINY, random_features, tiny_qa_model
from tests.tasks.test_recording import STEPS, batch_for

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [name for name in STEPS if name != "encoder"])  # whose loss is on a GPU in thought
def test_gradients_and_metrics_are_those_of_autocast_bit_for_bit(name: str, precision: Precision) -> None:
    step = STEPS[name]
    torch.manual_seed(0)
    model = step.make_model().train()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    batch = batch_for(step)
    torch.manual_seed(1)  # dropout
    expected_metrics = add_gradients(model, step.objective, batch, 0.5, precision)
    expected = gradients_of(model)
    weights = RoundedWeights(model, precision)
    for _ in range(2):  # written, not added
        torch.manual_seed(1)
        metrics = weights.write_gradients(step.objective, batch, 0.5)
    ours = gradients_of(model)
    torch.testing.assert_close(metrics, expected_metrics, rtol=0, atol=0)
    for place, theirs in expected.items():
        torch.testing.assert_close(ours[place], theirs, rtol=0, atol=0, msg=place)


def test_the_copies_follow_the_weights() -> None:
    model, batch = tiny_qa_model(), random_features(4).batch(np.arange(4))
    weights = RoundedWeights(model, "bfloat16")
    before = weights.write_gradients(span_loss, batch, 1.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    after = weights.write_gradients(span_loss, batch, 1.0)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, add_gradients(model, span_loss, batch, 1.0, "bfloat16"), rtol=0, atol=0)


def test_what_is_frozen_is_left_alone() -> None:
    model = tiny_qa_model()
    model.encoder.layers[0].requires_grad_(False)
    model.encoder.embeddings.requires_grad_(False)
    weights = RoundedWeights(model, "bfloat16")
    weights.write_gradients(span_loss, random_features(4).batch(np.arange(4)), 1.0)
    assert len(weights.gradients) == len([each for each in model.parameters() if each.requires_grad])
    assert all(each.grad is None for each in model.encoder.layers[0].parameters())


def test_a_parameter_that_the_loss_does_not_depend_on_has_a_gradient_of_nought() -> None:
    model = TaskModel(Encoder(TINY), SpanHead(TINY.hidden_size, 0.0))
    model.encoder.spare = Linear(3, 3)
    RoundedWeights(model, "bfloat16").write_gradients(span_loss, random_features(4).batch(np.arange(4)), 1.0)
    grad = model.encoder.spare.weight.grad
    assert grad is not None
    assert not grad.any()
