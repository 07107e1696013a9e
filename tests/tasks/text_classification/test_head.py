from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from distiltune.recipe.recipe import Recipe
from distiltune.tasks.text_classification.head import TextDivergence, TextLoss
from distiltune.tasks.text_classification.settings import ProblemType
from distiltune.tasks.text_classification.targets import Targets
from distiltune.tasks.text_classification.task import TextClassification, from_settings
from tests.tasks.parity import LENGTHS, assert_same_gradients, ours_of, packed, padded, reference_of

N = len(LENGTHS)
ONES = np.ones(N, dtype=np.float32)


def labels_of(problem: ProblemType, n_labels: int) -> tuple[np.ndarray[Any, Any], torch.Tensor]:
    """Random labels as our columns and as the reference's tensor."""
    rng = np.random.default_rng(3)
    if problem == "regression":
        values = rng.normal(size=(N, 1)).astype(np.float32)
        return values, torch.from_numpy(values)[:, 0]
    if problem == "multi-label":
        many = rng.integers(0, 2, (N, n_labels))
        return many, torch.from_numpy(many).float()
    one = rng.integers(0, n_labels, (N, 1))
    return one, torch.from_numpy(one)[:, 0]


@pytest.mark.parametrize(("problem", "n_labels"), [("single-label", 5), ("multi-label", 4), ("regression", 1)])
def test_parity_with_transformers(problem: ProblemType, n_labels: int) -> None:
    """Logits, loss and gradients of a packed batch beside a padded one of ``DistilBertForSequenceClassification``."""
    from transformers import AutoModelForSequenceClassification

    targets = Targets(problem, tuple(f"l{i}" for i in range(n_labels)))
    hf_problem = targets.config()
    reference = reference_of(AutoModelForSequenceClassification, num_labels=n_labels, problem_type=hf_problem)
    task = TextClassification(from_settings(Recipe()), targets)
    model = ours_of(reference, task)
    ours, theirs = labels_of(problem, n_labels)
    batch, weight = packed(ours, ONES)
    logits = model(batch)
    expected = reference(**padded(batch), labels=theirs)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=0)

    sums = TextLoss(problem, 0.0)(logits, batch)
    torch.testing.assert_close(sums.loss / weight, expected.loss, atol=1e-5, rtol=0)
    (sums.loss / weight).backward()  # type: ignore[no-untyped-call]
    expected.loss.backward()
    assert_same_gradients(model, reference, task)


def test_weights_and_smoothing_are_as_in_pytorch() -> None:
    scores, (ours, theirs) = torch.randn(N, 3), labels_of("single-label", 3)
    weights = np.array([0.5, 2.0, 1.2])
    batch, weight = packed(ours, weights[ours[:, 0]])
    loss = TextLoss("single-label")(scores, batch).loss / weight
    expected = F.cross_entropy(scores, theirs, weight=torch.from_numpy(weights).float())
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)

    batch, weight = packed(ours, ONES)
    smooth = TextLoss("single-label", 0.1)(scores, batch).loss / weight
    torch.testing.assert_close(smooth, F.cross_entropy(scores, theirs, label_smoothing=0.1), atol=1e-6, rtol=0)

    many, wanted = labels_of("multi-label", 3)
    batch, weight = packed(many, ONES)
    positive = torch.tensor([1.0, 3.0, 0.2])
    heavy = TextLoss("multi-label", 0.0, positive)(scores, batch).loss / weight
    expected = F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=positive)
    torch.testing.assert_close(heavy, expected, atol=1e-6, rtol=0)


def test_accuracy_counts_texts_whatever_they_weigh() -> None:
    ours, theirs = labels_of("single-label", 3)
    weights, share = np.array([9.0, 2.0, 0.5]), np.array([0.25, 1.0, 1.0, 1.0])
    batch, _ = packed(ours, weights[ours[:, 0]] * share)
    right, wrong = F.one_hot(theirs, 3).float(), F.one_hot((theirs + 1) % 3, 3).float()
    loss = TextLoss("single-label", label_weights=torch.from_numpy(weights).float())
    assert loss(torch.cat([right[:1], wrong[1:]]), batch).metrics[1] == 0.25
    assert loss(right, batch).metrics[1] == 3.25


@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
def test_a_teacher_is_no_distance_from_itself_and_some_from_others(problem: ProblemType) -> None:
    ours, _ = labels_of(problem, 1 if problem == "regression" else 3)
    batch, _ = packed(ours, ONES)
    logits = torch.randn(N, ours.shape[1] if problem != "single-label" else 3)
    divergence = TextDivergence(problem)
    assert float(divergence(logits, logits, batch, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(divergence(logits, logits.flip(0), batch, 2.0)) > 0.01
