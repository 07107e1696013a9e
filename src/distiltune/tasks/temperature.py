"""The temperature at which a model's confidences are most honest: one number, fitted on validation data.

Guo et al. 2017, "On Calibration of Modern Neural Networks": what a model says is raised to the power 1 / T and shared
out anew. It changes no order among the labels of an example, so no answer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from distiltune.tasks.held_out import FEWEST
from distiltune.tasks.statistics import best_temperature

_LEAST: Final = 1e-12

Values = npt.NDArray[np.float64]


def sharpened(values: Values, temperature: float) -> Values:
    """``(n, n_labels)`` probabilities at another temperature; below 1 they are surer."""
    if temperature == 1.0:
        return values
    scaled = np.log(np.clip(values, _LEAST, None)) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Values = scaled / scaled.sum(axis=1, keepdims=True)
    return shares


def fit_temperature(values: Values, wanted: npt.NDArray[np.int64]) -> float | None:
    """The temperature at which the right labels are likeliest; None with fewer than `FEWEST` examples.

    Also None where all or none of the answers are right, of which nothing can be learnt.

    Args:
        values: ``(n, n_labels)`` probabilities.
        wanted: ``(n,)`` ids of the right labels.

    """
    right = values.argmax(axis=1) == wanted
    if len(wanted) < FEWEST or bool(right.all()) or not bool(right.any()):
        return None
    rows = np.arange(len(wanted))

    def loss(temperature: float) -> float:
        likely = sharpened(values, temperature)[rows, wanted]
        return float(-np.log(np.clip(likely, _LEAST, 1.0)).mean())

    return best_temperature(loss)
