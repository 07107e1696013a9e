"""What a task has whose model may label texts for a second training (self-training): the texts, and the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UnlabelledTexts:
    """Distinct texts that are neither trained nor validated on.

    Attributes:
        texts: in the order in which they were read.
        n_read: how many were read.
        n_repeated: left out, since the same text was read before.
        n_known: left out, since they are in the training or the validation data.
        fingerprints: hashes of these, and of the training and the validation data, by what they are.

    """

    texts: tuple[str, ...]
    n_read: int
    n_repeated: int
    n_known: int
    fingerprints: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OfLabel:
    """Of one label: training texts with it, texts that the model gave it, how many of them may be kept, and were."""

    n_training: int
    n_given: int
    n_allowed: int
    n_kept: int


@dataclass(frozen=True, slots=True)
class OwnLabels:
    """Texts with the labels that a model gave them.

    Attributes:
        rows: those that are kept, as the task reads its training data; beside text and label ``confidence`` and
            ``why``.
        of_label: by name, in the order of the ids.
        temperature: that the confidences are at; 1 where none could be fitted.
        n_calibrated: validation examples that it was fitted on; 0: it was not.

    """

    rows: tuple[Mapping[str, Any], ...]
    of_label: Mapping[str, OfLabel]
    temperature: float
    n_calibrated: int


@dataclass(frozen=True, slots=True)
class Rights:
    """Which examples a model is right about, ``(n,)``; ``held_out``: it has not been trained on them."""

    right: Flags
    held_out: bool


@runtime_checkable
class SelfTaught(Protocol):
    """A training, its data read, whose model may label texts for a second one."""

    def unlabelled(self, sources: Sequence[str], encoding: str) -> UnlabelledTexts:
        """Read the texts of these sources, as `distillation.text.read_texts` does.

        Raises:
            DataError: if a source cannot be read, or all of its texts are left out.
            RecipeError: if a model of this training gives no text one label.

        """

    def own_labels(self, model: str, texts: Sequence[str], most: float, confidence: float) -> OwnLabels:
        """Label the texts.

        Args:
            model: the directory of a model of this training.
            texts: to label.
            most: texts that are kept for each training text with the label.
            confidence: the least, 0 to 1, of a text that is kept.

        """

    def rights(self, model: str) -> Rights:
        """What that model is right about in the validation data; without any, in the training data."""
