"""Texts without labels, and the labels that a model gives them: for a second training on both (self-training).

Which texts are kept decides whether it helps. A model that takes a class for another gives that label to ever more
texts (it drifts). So the labels of the texts that are kept have about the shares that they have in the training data,
and of each label it is the texts that the model is surest of (the surest first: Yarowsky 1995; of each class its share:
Zou et al. 2018, "Class-Balanced Self-Training").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.data.cache import fingerprint_of
from distiltune.data.column_names import mapping_text
from distiltune.data.row_findings import RowFindings
from distiltune.distillation.text import read_texts
from distiltune.errors import DataError
from distiltune.progress import tell
from distiltune.tasks.self_taught import Flags, OfLabel, OwnLabels, UnlabelledTexts
from distiltune.tasks.temperature import fit_temperature, sharpened
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.evaluation import score_texts
from distiltune.tasks.text_classification.examples import TextExample, TextSet
from distiltune.tasks.text_classification.features import TextData, TextWindows, featurise
from distiltune.tasks.text_classification.targets import Targets
from distiltune.tasks.trained import Trained

Values = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

MOST_OVER: Final = 1.5
"""A label's share among the texts that are kept over its share among the training texts, at most."""

_DECIMALS: Final = 6


def read_unlabelled(
    sources: Sequence[str], encoding: str, columns: TextColumns, train: TextSet, validation: TextSet | None
) -> UnlabelledTexts:
    """The distinct texts of these sources that are in neither of the sets; labels beside them are not looked at.

    Raises:
        DataError: if a source cannot be read, or no text is left.

    """
    read = read_texts(sources, encoding, mapping_text({"text": columns.text}))
    sets = {"training data": train, "validation data": validation}
    known = {name: read for name, read in sets.items() if read is not None}
    labelled = {example.text.strip() for each in known.values() for example in each.examples}
    texts = tuple(text for text in read.texts if text not in labelled)
    if not texts:
        raise DataError(
            "All of the texts without labels are in the training or the validation data.",
            where=", ".join(sources),
            fix="give others, or leave --unlabelled out",
        )
    n_repeated = len(read.findings.of("rejected"))
    n_known = len(read.texts) - len(texts)
    prints = {**{name: each.fingerprint for name, each in known.items()}, "unlabelled texts": fingerprint_of(texts)}
    return UnlabelledTexts(texts, read.findings.n_rows, n_repeated, n_known, prints)


def in_proportion(there: Ids, counts: Ids) -> Ids:
    """``(n_labels,)`` how many texts of each label are kept of those that are there and allowed.

    As many as there are, but no label has more than `MOST_OVER` times the share among all that are kept that it has
    among the training texts; of a model that gives one label to everything, hardly anything is left.

    Args:
        there: ``(n_labels,)``.
        counts: ``(n_labels,)`` training texts with each label.

    """
    shares = counts / counts.sum()
    while True:
        fewer = np.minimum(there, np.floor(MOST_OVER * shares * there.sum()).astype(np.int64))
        if (fewer == there).all():
            return there
        there = fewer


def kept_of(values: Values, allowed: Ids, confidence: float) -> Ids:
    """Which texts are kept, the surest first: of each label so many as are allowed.

    Args:
        values: ``(n_texts, n_labels)`` confidences; of equal ones the text that was read first comes first.
        allowed: ``(n_labels,)``.
        confidence: the least of a text that is kept.

    Returns:
        ``(n_kept,)`` their numbers.

    """
    given, sure = values.argmax(axis=1), values.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    ranks = np.zeros(len(values), dtype=np.int64)
    for label in range(values.shape[1]):
        of_it = order[given[order] == label]
        ranks[of_it] = np.arange(len(of_it))
    kept: Ids = order[(ranks[order] < allowed[given[order]]) & (sure[order] >= confidence)]
    return kept


@dataclass(frozen=True, slots=True)
class Labeller:
    """A trained model that labels texts, read as those were that it was trained on.

    Attributes:
        trained: the model.
        targets: its labels.
        windows: how long texts are read.
        batch_tokens: most tokens in a batch.

    """

    trained: Trained[TextData]
    targets: Targets
    windows: TextWindows
    batch_tokens: int

    def values(self, read: TextSet) -> Values:
        """``(n_examples, n_labels)`` probabilities."""
        loaded, plain = self.trained.loaded, np.ones(len(self.targets.labels))
        data = featurise(read, loaded.tokenizer, self.windows, self.targets, plain)

        def on_progress(n_done: int) -> None:
            tell("labelling", "texts", n_done, data.n_examples)

        return score_texts(loaded.model, data, self.targets, self.batch_tokens, on_progress).values

    def right(self, read: TextSet) -> Flags:
        """``(n_examples,)`` which of them are given the label that they have."""
        right: Flags = self.values(read).argmax(axis=1) == ids_of(read, self.targets)
        return right

    def said_of(self, texts: Sequence[str], validation: TextSet | None) -> tuple[Values, float, int]:
        """What the model says of texts, calibrated.

        Returns:
            ``(n_texts, n_labels)`` confidences, the temperature that they are at, and the number of validation texts
            that it was fitted on; 1 and 0 where there are too few.

        """
        examples = tuple(TextExample(str(i), text, None, None) for i, text in enumerate(texts))
        said = self.values(TextSet(examples, RowFindings(), "", ()))
        fitted = None
        if validation is not None:
            wanted = ids_of(validation, self.targets)
            fitted = fit_temperature(self.values(validation), wanted)
            if fitted is not None:
                return sharpened(said, fitted), fitted, len(wanted)
        return said, 1.0, 0


def ids_of(read: TextSet, targets: Targets) -> Ids:
    """``(n_examples,)`` of their labels, of which each has one."""
    return np.array([targets.ids(example)[0] for example in read.examples], dtype=np.int64)


def choose(
    texts: Sequence[str], said: tuple[Values, float, int], counts: Ids, most: float, confidence: float
) -> KeptTexts:
    """Which texts are kept.

    Args:
        texts: all of them.
        said: of these, as `Labeller.said_of` gives it.
        counts: ``(n_labels,)`` training texts with each label.
        most: texts that are kept for each of these.
        confidence: the least of a text that is kept.

    """
    values, temperature, n_calibrated = said
    allowed = np.floor(most * counts).astype(np.int64)
    of_each = np.bincount(values.argmax(axis=1)[kept_of(values, allowed, confidence)], minlength=len(counts))
    kept = kept_of(values, in_proportion(of_each, counts), confidence)
    return KeptTexts(tuple(texts), values, counts, allowed, kept, temperature, n_calibrated)


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """What a model says of texts, and which of them are kept.

    Attributes:
        texts: ``n_texts``.
        values: ``(n_texts, n_labels)`` confidences.
        counts: ``(n_labels,)`` training texts with each label.
        allowed: ``(n_labels,)`` texts that may be kept of each.
        kept: ``(n_kept,)`` the numbers of those that are, the surest first.
        temperature: that the confidences are at.
        n_calibrated: validation texts that it was fitted on.

    """

    texts: tuple[str, ...]
    values: Values
    counts: Ids
    allowed: Ids
    kept: Ids
    temperature: float
    n_calibrated: int

    def as_labels(self, names: Sequence[str], columns: TextColumns) -> OwnLabels:
        """The texts that are kept as rows of training data, and what there is of each label."""
        given = self.values.argmax(axis=1)
        n_given, n_kept = (np.bincount(given[which], minlength=len(names)) for which in (slice(None), self.kept))
        of_label = {
            name: OfLabel(*map(int, (self.counts[i], n_given[i], self.allowed[i], n_kept[i])))
            for i, name in enumerate(names)
        }
        return OwnLabels(tuple(self._rows(names, columns, n_given)), of_label, self.temperature, self.n_calibrated)

    def _rows(self, names: Sequence[str], columns: TextColumns, n_given: Ids) -> Iterator[Mapping[str, Any]]:
        ranks = np.zeros(len(names), dtype=np.int64)
        for place in self.kept.tolist():
            label = int(self.values[place].argmax())
            ranks[label] += 1
            why = (
                f"number {ranks[label]} by confidence of the {n_given[label]} texts that were given this label, "
                f"{self.allowed[label]} of which may be kept"
            )
            sure = round(float(self.values[place, label]), _DECIMALS)
            # The last two win, should the data's columns be called as the first.
            yield {"confidence": sure, "why": why, columns.text: self.texts[place], _column(columns): names[label]}


def _column(columns: TextColumns) -> str:
    """Where a label stands in the training data; where only the column of several is named otherwise, there."""
    usual = TextColumns()
    in_labels = columns.label == usual.label and columns.labels != usual.labels
    return columns.labels if in_labels else columns.label
