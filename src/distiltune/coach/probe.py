"""The overfit probe: whether a model can learn a few examples by heart, which wrong labels cannot keep it from."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

from torch import nn

from distiltune.coach.evidence import BY_HEART, ProbeResult
from distiltune.data.feature_set import FeatureSet
from distiltune.data.loader import shortest
from distiltune.model.encoder import model_device
from distiltune.progress import tell
from distiltune.training.objective import Objective
from distiltune.training.optimiser import Adam

MAX_SHARE = 0.2
"""Of the run's own training time: more the probe never takes."""
MIN_STEPS, MAX_STEPS = 10, 200
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How hard the probe tries."""

    n_features: int = 32
    n_steps: int = 40
    learning_rate: float = 3e-4
    max_seconds: float = math.inf


def probe_within(features: FeatureSet, n_tokens: int, seconds: float, learning_rate: float) -> ProbeSettings | None:
    """As many steps as `MAX_SHARE` of a training on these features pays for; None if these are too few to tell.

    Args:
        features: of the run.
        n_tokens: that the run has worked through.
        seconds: that these took.
        learning_rate: that fits the model.

    """
    n_features = ProbeSettings().n_features
    a_step = int(features.lengths_of(shortest(features, n_features)).sum())
    n_steps = min(MAX_STEPS, int(MAX_SHARE * n_tokens / max(1, a_step)))
    if n_steps < MIN_STEPS:
        return None
    return ProbeSettings(n_features, n_steps, learning_rate, MAX_SHARE * seconds)


def overfit_probe(
    model: nn.Module, features: FeatureSet, objective: Objective, settings: ProbeSettings = ProbeSettings()
) -> ProbeResult:
    """Train a copy of ``model`` on the shortest features, dropout off; the model itself stays as it is.

    It ends early where all is learned. Losses are means over what the features weigh, as those of an epoch are.
    """
    began = time.perf_counter()
    copied = copy.deepcopy(model).eval()
    for parameter in copied.parameters():
        parameter.requires_grad_(True)
    drawn = features.of_epoch(seed=0, epoch=0)
    chosen = shortest(drawn, settings.n_features)
    batch, weight = drawn.batch(chosen).to(model_device(model)), drawn.weight(chosen) or 1.0
    optimiser = Adam(copied, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    losses: list[float] = []
    for step in range(settings.n_steps + 1):
        tell("can it learn a few examples by heart?", "steps", step, settings.n_steps)
        loss = objective(copied(batch), batch).loss / weight
        losses.append(float(loss.detach()))
        is_done = step == settings.n_steps or losses[-1] < 0.1 * BY_HEART * losses[0]
        if is_done or not math.isfinite(losses[-1]) or time.perf_counter() - began > settings.max_seconds:
            break
        # a short warm-up keeps Adam's first, full-sized steps from throwing the weights about
        optimiser.learning_rate = settings.learning_rate * min(1.0, (step + 1) / _WARM_UP)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        copied.zero_grad(set_to_none=True)
    return ProbeResult(batch.n_features, tuple(losses), time.perf_counter() - began)
