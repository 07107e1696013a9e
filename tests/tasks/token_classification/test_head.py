from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from distiltune.data.packing import NO_LABEL, fill_up, required
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS
from distiltune.tasks.token_classification.head import token_divergence, token_loss, token_losses
from tests.tasks.parity import LENGTHS, assert_same_gradients, ours_of, packed, padded, reference_of

N_TAGS = 5


def labels_of() -> np.ndarray:
    """Random tags at some tokens, `NO_LABEL` at the others and behind the ends."""
    rng = np.random.default_rng(5)
    labels = np.full((len(LENGTHS), max(LENGTHS)), NO_LABEL)
    for row, length in zip(labels, LENGTHS, strict=True):
        row[1 : length - 1] = np.where(rng.random(length - 2) < 0.7, rng.integers(0, N_TAGS, length - 2), NO_LABEL)
    return labels


def flat(labels: np.ndarray) -> np.ndarray:
    return np.concatenate([row[:length] for row, length in zip(labels, LENGTHS, strict=True)])


def test_parity_with_transformers() -> None:
    """Logits, loss and gradients of a packed batch beside a padded one of ``DistilBertForTokenClassification``."""
    from transformers import AutoModelForTokenClassification

    reference = reference_of(AutoModelForTokenClassification, num_labels=N_TAGS)
    task = TASKS["token-classification"](Recipe()).open_model({"num_labels": N_TAGS})
    model = ours_of(reference, task)
    labels = labels_of()
    batch, weight = packed(token_labels=flat(labels), weights=(labels != NO_LABEL).sum(axis=1))
    logits = model(batch)
    expected = reference(**padded(batch), labels=torch.from_numpy(labels))
    rows = [row[:length] for row, length in zip(expected.logits, LENGTHS, strict=True)]
    torch.testing.assert_close(logits, torch.cat(rows), atol=1e-5, rtol=0)

    sums = token_loss(logits, batch)
    torch.testing.assert_close(sums.loss / weight, expected.loss, atol=1e-5, rtol=0)
    (sums.loss / weight).backward()  # type: ignore[no-untyped-call]
    expected.loss.backward()
    assert_same_gradients(model, reference, task)


def test_parts_of_a_batch_add_up_and_filler_counts_nothing() -> None:
    labels = labels_of()
    batch, _ = packed(token_labels=flat(labels))
    logits = torch.randn(batch.n_tokens, N_TAGS)
    whole = token_loss(logits, batch)
    filled = fill_up(batch, batch.n_tokens + 5, 20)
    more = torch.cat([logits, torch.randn(5, N_TAGS)])
    torch.testing.assert_close(token_loss(more, filled).metrics, whole.metrics)
    assert required(filled.token_labels, "")[-5:].tolist() == [NO_LABEL] * 5
    parts = [replace_rows(labels, i) for i in range(len(LENGTHS))]
    alone = [token_loss(logits, packed(token_labels=flat(part))[0]).metrics for part in parts]
    torch.testing.assert_close(torch.stack(alone).sum(dim=0), whole.metrics)
    each = torch.stack(alone)[:, 0]
    torch.testing.assert_close(token_losses(logits, batch), each)
    torch.testing.assert_close(token_losses(more, filled), each)


def replace_rows(labels: np.ndarray, kept: int) -> np.ndarray:
    out = np.full_like(labels, NO_LABEL)
    out[kept] = labels[kept]
    return out


def test_accuracy_is_of_the_labelled_words() -> None:
    labels = labels_of()
    batch, weight = packed(token_labels=flat(labels), weights=(labels != NO_LABEL).sum(axis=1))
    logits = torch.nn.functional.one_hot(required(batch.token_labels, "").clamp(min=0), N_TAGS).float()
    assert float(token_loss(logits, batch).metrics[1]) == weight


def test_a_teacher_is_no_distance_from_itself() -> None:
    batch, _ = packed(token_labels=flat(labels_of()))
    logits = torch.randn(batch.n_tokens, N_TAGS)
    assert float(token_divergence(logits, logits, batch, 2.0)) == pytest.approx(0.0, abs=1e-6)
    assert float(token_divergence(logits, logits.flip(0), batch, 2.0)) > 0.01
    none = replace(batch, token_labels=torch.full_like(required(batch.token_labels, ""), NO_LABEL))
    assert float(token_divergence(logits, logits.flip(0), none, 2.0)) == 0.0
