"""The temperature of confidences: found again where it is known, and no order changed by it."""

from __future__ import annotations

import numpy as np
import pytest

from distiltune.tasks.temperature import Values, fit_temperature, sharpened


def drawn(n: int = 4_000) -> tuple[Values, np.ndarray]:
    """Honest probabilities, and labels drawn by them."""
    random = np.random.default_rng(0)
    honest = random.dirichlet([2.0, 2.0, 2.0], n)
    return honest, np.array([random.choice(3, p=row) for row in honest])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
def test_a_temperature_that_is_known_is_found_again(factor: float) -> None:
    honest, wanted = drawn()
    too_sure = sharpened(honest, 1 / factor)
    assert fit_temperature(too_sure, wanted) == pytest.approx(factor, rel=0.08)
    assert np.allclose(sharpened(too_sure, factor), honest, atol=1e-9)


def test_the_order_of_the_labels_stays() -> None:
    honest, _ = drawn(50)
    for temperature in (0.3, 4.0):
        changed = sharpened(honest, temperature)
        assert np.allclose(changed.sum(axis=1), 1.0)
        assert (changed.argsort(axis=1) == honest.argsort(axis=1)).all()
        assert ((changed.max(axis=1) >= honest.max(axis=1)) == (temperature < 1)).all()
    assert sharpened(np.array([[1.0, 0.0]]), 2.0)[0, 0] > 0.99, "also of what is said to be impossible"


def test_too_little_tells_no_temperature() -> None:
    honest, wanted = drawn(200)
    assert fit_temperature(honest[:29], wanted[:29]) is None
    right = honest.argmax(axis=1)
    assert fit_temperature(honest, right) is None
    assert fit_temperature(honest, (right + 1) % 3) is None
