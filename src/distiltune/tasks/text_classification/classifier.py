"""Using a trained model: texts in, labels or numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distiltune.data.example_set import ExampleSet
from distiltune.data.row_findings import RowFindings
from distiltune.settings.bounds import check_values
from distiltune.settings.stored import stored_settings
from distiltune.system.device import set_threads
from distiltune.system.host import restored, with_threads
from distiltune.system.names import as_name
from distiltune.tasks.text_classification.evaluation import prediction, score_texts
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextData, TextWindows, featurise
from distiltune.tasks.text_classification.head import probabilities
from distiltune.tasks.text_classification.settings import TextClassificationSettings
from distiltune.tasks.text_classification.targets import UNKNOWN, targets_of
from distiltune.tasks.text_classification.task import from_settings
from distiltune.tasks.trained import check_texts, load_trained, windows_of

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
    """Classifies texts of up to 1,000,000 characters, and pairs of texts.

    >>> classifier = TextClassifier("runs/mine")
    >>> classifier(["What a lovely day."])[0].label
    """

    @restored()
    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        threads: int = 0,
        precision: str = "float32",
        max_length: int | None = None,
        stride: int | None = None,
        truncate: bool | None = None,
    ) -> None:
        """Load a model directory, a run, or a name on the hub; windows that are not given are as it was trained.

        ``truncate`` says whether longer texts are cut off, else they are read in windows; by default as it was trained.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.
            RecipeError: if an argument is out of the bounds of the setting of its name.

        """
        asked = {"max_length": max_length, "stride": stride}
        given = check_values(TextClassificationSettings, asked)
        check_values(TextClassificationSettings, {"threads": threads, "precision": precision, "device": device})
        self._n_threads = set_threads(threads)
        spec = from_settings(TextClassificationSettings())
        self._loaded = load_trained(as_name(model, "model"), spec, device, precision).loaded
        self.targets = targets_of(self._loaded.source.config_hf) or UNKNOWN
        if truncate is None:
            truncate = (
                stored_settings(self._loaded.source.config_hf, TextClassificationSettings).get("long_texts")
                == "truncate"
            )
        self._windows = TextWindows(*windows_of(self._loaded, given), truncate)

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[Classified]:
        """Classify a list of texts, or of pairs of texts.

        Raises:
            DataError: if it is no list, or a text is empty or too long.

        """
        with with_threads(self.n_threads):
            scores = score_texts(self._loaded.model, self.prepare(texts), self.targets, BATCH_TOKENS)
            return [self._classified(values) for values in scores.values.tolist()]

    @property
    def n_threads(self) -> int:
        """Threads that tensor work on the CPU has while this one is asked; elsewhere they are as they were."""
        return self._n_threads

    @property
    def model(self) -> nn.Module:
        """Packed batches in, a row of scores a window out."""
        return self._loaded.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the model."""
        return self._loaded.source.notes

    def prepare(self, texts: Sequence[str | tuple[str, str]]) -> TextData:
        """The texts' windows.

        Raises:
            DataError: as `check_texts` does.

        """
        check_texts(texts, or_pairs=True)
        examples = tuple(_example(i, text) for i, text in enumerate(texts))
        read = ExampleSet(examples, RowFindings(), "", ())
        weights = np.ones(len(self.targets.labels))
        return featurise(read, self._loaded.tokenizer, self._windows, self.targets, weights, cached=False)

    def classified(self, data: TextData, outputs: Sequence[npt.NDArray[np.float32]]) -> list[Classified]:
        """What the model's outputs of these windows, ``(1, n_labels)`` each, say of every text."""
        scores = torch.from_numpy(np.concatenate(list(outputs)))
        values = probabilities(self.targets.problem)(scores).double().numpy()
        example_of = data.features.example_of
        sums = np.zeros((data.n_examples, values.shape[1]))
        np.add.at(sums, example_of, values)
        means = sums / np.bincount(example_of, minlength=data.n_examples)[:, None]
        return [self._classified(each) for each in means.tolist()]

    def _classified(self, values: list[float]) -> Classified:
        said: dict[str, Any] = prediction(self.targets, values)
        if self.targets.is_regression:
            return Classified((), {self.targets.labels[0]: values[0]})
        ranked = sorted(zip(self.targets.labels, values, strict=True), key=lambda pair: -pair[1])
        labels = said["labels"] if "labels" in said else (said["label"],)
        return Classified(tuple(labels), dict(ranked))


def _example(number: int, text: str | tuple[str, str]) -> TextExample:
    first, second = (text, None) if isinstance(text, str) else text
    return TextExample(str(number), first, second, None)
