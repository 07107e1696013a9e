"""Scores of choices beside transformers: logits, loss and gradients within 1e-5."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from distiltune.data.packing import required
from distiltune.settings.engine import EngineSettings
from distiltune.tasks.multiple_choice.head import choice_divergence, choice_loss, log_shares
from distiltune.tasks.multiple_choice.task import MultipleChoice, from_settings
from tests.tasks.parity import LENGTHS, assert_same_gradients, ours_of, packed, padded, reference_of

transformers = pytest.importorskip("transformers", reason="needs the extra `dev`")

RIGHT = np.array([[0], [1], [1], [0]], dtype=np.int32)  # two questions of two choices each


def test_logits_loss_and_gradients_are_those_of_transformers() -> None:
    task: MultipleChoice = from_settings(EngineSettings()).open_model({})
    reference = reference_of(transformers.AutoModelForMultipleChoice)
    ours = ours_of(reference, task)
    batch, _ = packed(RIGHT, np.full(4, 0.5, dtype=np.float32))
    batch = replace(batch, group_of=torch.tensor([0, 0, 1, 1]))
    rows = {name: each.view(2, 2, max(LENGTHS)) for name, each in padded(batch).items()}
    theirs = reference(**rows, labels=torch.tensor([1, 0]))
    logits = ours(batch)
    torch.testing.assert_close(logits[:, 0].view(2, 2), theirs.logits, atol=1e-5, rtol=0)
    sums = choice_loss(logits, batch)
    assert sums.loss.item() / 2 == pytest.approx(theirs.loss.item(), abs=1e-5)
    assert float(sums.metrics[1]) == float((theirs.logits.argmax(1) == torch.tensor([1, 0])).sum())
    (sums.loss / 2).backward()  # type: ignore[no-untyped-call]
    theirs.loss.backward()
    assert_same_gradients(ours, reference, task)


def test_a_question_that_weighs_more_counts_so_much_more() -> None:
    batch, _ = packed(RIGHT, np.array([0.5, 0.5, 1.5, 1.5], dtype=np.float32))
    batch = replace(batch, group_of=torch.tensor([0, 0, 1, 1]))
    scores = torch.tensor([[0.3], [-0.2], [1.0], [0.1]])
    shares = log_shares(scores[:, 0], required(batch.group_of, "groups"))
    sums = choice_loss(scores, batch)
    assert float(sums.loss) == pytest.approx(float(-shares[1] - 3 * shares[2]))
    assert sums.metrics.tolist() == pytest.approx([float(sums.loss), 3.0])  # the first question is wrong


def test_a_student_that_says_the_same_is_not_apart_from_its_teacher() -> None:
    batch, _ = packed(RIGHT, np.full(4, 0.5, dtype=np.float32))
    batch = replace(batch, group_of=torch.tensor([0, 0, 1, 1]))
    scores = torch.tensor([[0.3], [-0.2], [1.0], [0.1]])
    assert float(choice_divergence(scores + 4.0, scores, batch, 2.0)) == pytest.approx(0.0, abs=1e-6)
    other = torch.tensor([[0.0], [2.0], [0.0], [0.0]])
    plain = torch.nn.functional.kl_div(
        (scores.view(2, 2) / 2).log_softmax(1), (other.view(2, 2) / 2).log_softmax(1), log_target=True, reduction="sum"
    )
    assert float(choice_divergence(scores, other, batch, 2.0)) == pytest.approx(4 * float(plain), abs=1e-6)
