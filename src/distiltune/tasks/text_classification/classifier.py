"""Using a trained model: texts in, labels or numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distiltune.data.findings import Findings
from distiltune.data.reading import ReadSet, text_problem
from distiltune.device import set_threads
from distiltune.errors import DataError
from distiltune.tasks.text_classification.evaluation import prediction, score_texts
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextWindows, featurise
from distiltune.tasks.text_classification.targets import UNKNOWN, targets_of
from distiltune.tasks.trained import load_trained

BATCH_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class Classified:
    """What the model says of one text.

    Attributes:
        labels: the label, or all labels given; none for a number.
        scores: each label's probability, by name, the likeliest first; of a number only that.

    """

    labels: tuple[str, ...]
    scores: Mapping[str, float]

    @property
    def label(self) -> str:
        """The first label, empty if there is none."""
        return next(iter(self.labels), "")


class TextClassifier:
    """Classifies texts of any length, and pairs of texts.

    >>> classifier = TextClassifier("runs/mine")
    >>> classifier(["What a lovely day."])[0].label
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        threads: int = 0,
        max_length: int = 384,
        stride: int = 128,
        truncate: bool = False,
    ) -> None:
        """Load a model directory, a run, or a name on the hub.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.

        """
        set_threads(threads)
        self._loaded = load_trained(str(model), "text-classification", device)
        self.targets = targets_of(self._loaded.source.config_hf) or UNKNOWN
        limit = self._loaded.source.config.max_position_embeddings
        self._windows = TextWindows(min(max_length, limit), stride, truncate)

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[Classified]:
        """Classify texts, or pairs of texts.

        Raises:
            DataError: if a text is empty.

        """
        examples = tuple(_example(i, text) for i, text in enumerate(texts))
        read = ReadSet(examples, Findings(), "", ())
        weights = np.ones(len(self.targets.labels))
        data = featurise(read, self._loaded.tokenizer, self._windows, self.targets, weights, cached=False)
        scores = score_texts(self._loaded.model, data, self.targets, BATCH_TOKENS)
        return [self._classified(values) for values in scores.values.tolist()]

    def _classified(self, values: list[float]) -> Classified:
        said: dict[str, Any] = prediction(self.targets, values)
        if self.targets.is_regression:
            return Classified((), {self.targets.labels[0]: values[0]})
        ranked = sorted(zip(self.targets.labels, values, strict=True), key=lambda pair: -pair[1])
        labels = said["labels"] if "labels" in said else (said["label"],)
        return Classified(tuple(labels), dict(ranked))


def _example(number: int, text: str | tuple[str, str]) -> TextExample:
    first, second = (text, None) if isinstance(text, str) else text
    for part in (first, second):
        problem = text_problem(part, "text") if part is not None else None
        if problem is not None:
            raise DataError(problem.message, where=f"text {number + 1}", fix="give something to read")
    return TextExample(str(number), first, second, None)
