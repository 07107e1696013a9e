"""What scikit-learn hands to an estimator → what the readers take: texts, words, labels under names, weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from distiltune.data.held import Data, as_list
from distiltune.errors import ArgumentError, DataError
from distiltune.tasks.trained import texts_to_read

WEIGHT: Final = "sample_weight"
"""The column of what each row weighs."""
_PLAIN_NAME: Final = re.compile(r"[\w+.-]+(?: [\w+.-]+)*")
_A_LABEL_EACH: Final = "give y one label for each text: a list, an array or a column"


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of training texts.

    Attributes:
        classes: ``(n_labels,)`` what they are to the user, sorted; of a matrix the names or the numbers of its columns.
        names: what each is called in the model.
        values: of each text: its label's name, or a 0 or 1 for each label.
        problem: one label a text, or any number.

    """

    classes: npt.NDArray[Any]
    names: tuple[str, ...]
    values: list[Any]
    problem: Literal["single-label", "multi-label"]

    def weights(self, class_weight: object) -> str | dict[str, float] | None:
        """What scikit-learn calls ``class_weight`` as the recipe has it.

        Raises:
            ArgumentError: if it is no ``"balanced"`` and no dictionary, or has a label that y has not.

        """
        if class_weight is None or class_weight == "balanced":
            return class_weight
        known = dict(zip(self.classes.tolist(), self.names, strict=True))
        if not isinstance(class_weight, Mapping):
            raise ArgumentError(
                f"class_weight is {class_weight!r}.",
                where="argument: class_weight",
                fix='give None, "balanced", or a dictionary of labels and their weights',
            )
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise ArgumentError(
                f"class_weight has {unknown[0]!r}, and y has {', '.join(map(repr, list(known)[:20]))}.",
                where="argument: class_weight",
                fix="name labels of y",
            )
        return {known[label]: weight for label, weight in class_weight.items()}


def texts_of(values: Any) -> list[Any]:
    """The texts, or pairs of texts, of a list, a column, or a table of one column or two.

    Raises:
        ArgumentError: if it is no such thing, or one of them is no text, is empty, or has over a million characters.

    """
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple) and len(shape) == 2:
        if shape[1] not in (1, 2):
            raise ArgumentError(
                f"X has {shape[1]} columns.",
                where="argument: X",
                fix='give the column that holds the texts, as frame["text"], or two columns of pairs',
            )
        rows = (values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)).tolist()
        values = [row[0] if shape[1] == 1 else tuple(row) for row in rows]
    try:
        texts = texts_to_read(values, or_pairs=True)
    except DataError as error:
        raise ArgumentError(error.what, where=error.where or "argument: X", fix=error.fix) from error
    return _some(texts, "X")


def words_of(values: Any) -> list[list[str]]:
    """The lists of words of a list or a column of lists.

    Raises:
        ArgumentError: if it is no such thing, or holds a text in place of its words.

    """
    found = []
    for number, words in enumerate(_listed(values, "X"), start=1):
        if isinstance(words, str) or not hasattr(words, "__iter__"):
            raise ArgumentError(
                f"This is {words!r:.60}, and a list of words is meant.",
                where=f"X, row {number}",
                fix="cut the texts into words first, as [text.split() for text in texts]",
            )
        found.append(as_list(words, "X", "give lists of words"))
    return _some(found, "X")


def labels_of_texts(y: Any, n_texts: int) -> Labels:
    """The labels: one a text, or a matrix of 0 and 1 with a column for each label.

    Raises:
        ArgumentError: if they are of another kind, too few or too many, one is missing, or all are the same.

    """
    if _is_matrix(y):
        return _labels_of_matrix(y, n_texts)
    array = _target(y, n_texts)
    try:
        from sklearn.utils.multiclass import check_classification_targets

        check_classification_targets(array)
        classes, places = np.unique(array, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"y holds no labels: {_said(error)}.", where="argument: y", fix=_A_LABEL_EACH) from error
    if len(classes) < 2:
        raise ArgumentError(
            f"y has one class only, {classes.tolist()[0]!r}: there is nothing to tell apart.",
            where="argument: y",
            fix="give texts of two labels or more",
        )
    names = _names(classes)
    return Labels(classes, names, [names[place] for place in places.tolist()], "single-label")


def numbers_of_texts(y: Any, n_texts: int) -> list[float]:
    """The numbers to be predicted.

    Raises:
        ArgumentError: if they are too few or too many, or one is no finite number.

    """
    array = _target(y, n_texts)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"y holds no numbers: {_said(error)}.", where="argument: y", fix="give numbers") from error
    if not np.isfinite(numbers).all():
        raise ArgumentError("y contains NaN or infinity.", where="argument: y", fix="leave such rows out")
    return [float(number) for number in numbers]


def tags_of_words(y: Any, n_texts: int) -> list[list[Any]]:
    """The lists of tags, one for each list of words.

    Raises:
        ArgumentError: if they are too few or too many, or one is no list.

    """
    found = _listed(y, "y")
    _check_lengths(len(found), n_texts)
    if any(isinstance(each, str) or not hasattr(each, "__iter__") for each in found):
        raise ArgumentError("y is no list of lists of tags.", where="argument: y", fix="give each word its tag")
    return [as_list(each, "y", "give lists of tags") for each in found]


def training_data(column: str, values: list[Any], targets: Sequence[Any], weights: object) -> Data:
    """Texts or words with what is to be learnt of each, and what each weighs if that is said.

    Raises:
        ArgumentError: if the weights are too few or too many, not finite numbers from 0 up, or all 0.

    """
    if weights is None:
        return values, list(targets) if column == "tags" else targets
    return [
        {**_cells(value), column: target, WEIGHT: weight}
        for value, target, weight in zip(values, targets, _weights(weights, len(values)), strict=True)
    ]


def _cells(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"tokens": value}
    return {"text": value} if isinstance(value, str) else {"text": value[0], "text_pair": value[1]}


def _weights(weights: object, n_texts: int) -> list[float]:
    try:
        numbers = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.shape != (n_texts,) or not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.any():
        raise ArgumentError(
            f"sample_weight is no list of {n_texts:,} numbers from zero up, some of them above zero.",
            where=f"argument: {WEIGHT}",
            fix="give each text what it weighs",
        )
    return [float(number) for number in numbers]


def _labels_of_matrix(y: Any, n_texts: int) -> Labels:
    try:
        matrix = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    except ValueError:  # rows of different lengths
        matrix = np.full((len(y), 1), np.nan)
    _check_lengths(len(matrix), n_texts)
    if not np.isin(matrix, (0, 1)).all():
        raise ArgumentError(
            "y has several columns, and they hold other values than 0 and 1.",
            where="argument: y",
            fix="give one label a text, or a column of 0 and 1 for each label (MultiLabelBinarizer makes them)",
        )
    columns = getattr(y, "columns", None)
    classes = np.arange(matrix.shape[1]) if columns is None else np.asarray(list(columns))
    return Labels(classes, _names(classes), matrix.astype(int).tolist(), "multi-label")


def _is_matrix(y: Any) -> bool:
    """Whether y has several columns: a table, an array, or a list of rows."""
    if isinstance(y, list | tuple):
        return bool(y) and not isinstance(y[0], str) and hasattr(y[0], "__len__") and len(y[0]) > 1
    return getattr(y, "ndim", 1) == 2 and y.shape[1] > 1


def _target(y: Any, n_texts: int) -> npt.NDArray[Any]:
    """A column of y, which is checked for gaps."""
    if y is None:
        what = "This requires y to be passed, but the target y is None."
        raise ArgumentError(what, where="argument: y", fix="give what is to be learnt of each text")
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        from sklearn.utils import column_or_1d

        array = column_or_1d(array, warn=True)
    if array.ndim != 1:
        raise ArgumentError(f"y has {array.ndim} dimensions.", where="argument: y", fix=_A_LABEL_EACH)
    _check_lengths(len(array), n_texts)
    gap = next((i for i, value in enumerate(array.tolist(), start=1) if value is None or value != value), None)
    if gap is not None:
        raise ArgumentError(
            "Input y contains NaN: a label is missing.", where=f"y, row {gap}", fix="leave such rows out"
        )
    return array


def _listed(values: Any, what: str) -> list[Any]:
    if values is None:
        raise ArgumentError(f"{what} is None.", where=f"argument: {what}", fix=f"give {what}")
    try:
        return as_list(values, what, "give a list of lists, one for each text")
    except DataError as error:
        raise ArgumentError(error.what, where=error.where, fix=error.fix) from error


def _some(values: list[Any], what: str) -> list[Any]:
    if not values:
        raise ArgumentError(
            f"{what} has 0 samples, and a minimum of 1 is required.", where=f"argument: {what}", fix="give some"
        )
    return values


def _check_lengths(n_targets: int, n_texts: int) -> None:
    if n_targets != n_texts:
        raise ArgumentError(
            f"X has {n_texts:,} samples and y has {n_targets:,}: inconsistent numbers of samples.",
            where="argument: y",
            fix="give one label for each text",
        )


def _said(error: Exception) -> str:
    return str(error).rstrip(".")


def _names(classes: npt.NDArray[Any]) -> tuple[str, ...]:
    """What each class is called in a model: as it is printed, or by its number where more might be read into that."""
    names = tuple(map(str, classes.tolist()))
    if len(set(names)) == len(names) and all(_PLAIN_NAME.fullmatch(name) for name in names):
        return names
    return tuple(f"class-{number}" for number in range(len(names)))
