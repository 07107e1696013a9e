from __future__ import annotations

from typing import Any

import pytest
import torch

from distiltune.checks import cost
from tests.helpers import TINY

SPEEDS = {"float32": 1e9, "bfloat16": 2e9}


def estimate(monkeypatch: pytest.MonkeyPatch, precision: Any) -> cost.Estimate:
    monkeypatch.setattr(cost, "probe_products", lambda config, device, precision: SPEEDS[precision])
    work = cost.Work(n_tokens=1_000, n_validation_tokens=1_000, n_features=10, longest=100)
    return cost.estimate_training(TINY, work, cost.TrainingPlan(2, 4, torch.device("cpu"), precision))


def test_training_is_estimated_in_its_own_arithmetic_and_validation_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, narrow = (estimate(monkeypatch, precision) for precision in ("float32", "bfloat16"))
    assert plain.precision == "float32"
    assert narrow.precision == "bfloat16"
    # Twice as quick are the products only.
    assert 1.5 < plain.train_seconds / narrow.train_seconds < 2.0
    assert plain.validation_seconds == pytest.approx(plain.train_seconds / 3)
    assert narrow.validation_seconds == pytest.approx(plain.validation_seconds)
    assert narrow.gflops_measured == 2.0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_products_are_those_of_the_arithmetic(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[torch.dtype] = set()

    def product(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        seen.update(each.dtype for each in (left, right, out))
        return out

    monkeypatch.setattr(cost, "product", product)
    monkeypatch.setattr(cost, "_PROBE_SECONDS", 0.001)
    assert cost.probe_products(TINY, torch.device("cpu"), precision) > 0.0
    assert seen == {getattr(torch, precision)}
