"""Estimators as scikit-learn has them: texts in, a model in memory, labels, numbers or tags out (extra `sklearn`).

A training is `fine_tune`'s, in a temporary folder of which the model is kept. Who wants a run's directory, to go on
with it after a stop or to read its report, calls `fine_tune`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from distiltune.coach.sickness import Advice
from distiltune.data.held import Data
from distiltune.errors import ArgumentError
from distiltune.python.arguments import RecipeLike
from distiltune.python.estimator_data import (
    labels_of_texts,
    numbers_of_texts,
    tags_of_words,
    texts_of,
    training_data,
    words_of,
)
from distiltune.python.kept_model import KeptModel
from distiltune.python.showing import told
from distiltune.python.training import fine_tune
from distiltune.tasks.text_classification.classifier import TextClassifier
from distiltune.tasks.token_classification.marker import EntityMarker
from distiltune.tasks.token_classification.metrics import EntityCounts
from distiltune.tasks.token_classification.tags import entities_of
from distiltune.training.loop import EpochReport

_OF_TRAINING: Final = (
    *("model", "epochs", "learning_rate", "batch_size", "max_length", "validation_share", "device", "threads"),
)
"""The parameters that are settings of the same name."""
_OURS: Final = frozenset(
    {*_OF_TRAINING, "train", "validation", "task", "problem", "label_names", "class_weights", "columns", "seed"}
)
"""What ``settings`` cannot have: parameters, and what follows from X and y."""


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What a training leaves."""

    model: KeptModel
    epochs: tuple[EpochReport, ...]
    advice: tuple[Advice, ...]

    def give(self, estimator: Any) -> None:
        """Let the estimator have it, under names as scikit-learn's."""
        estimator.model_, estimator.epochs_, estimator.advice_ = self.model, self.epochs, self.advice
        estimator.n_iter_ = len(self.epochs)


class DistilBertClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies texts, or pairs of texts: one label each, or with a matrix of 0 and 1 for y any number of labels.

    X is a list, an array or a column of texts, or a table of one column or, for pairs, two.

    >>> classifier = DistilBertClassifier(model="distilbert-base-uncased", epochs=3)
    >>> cross_val_score(classifier, frame["text"], frame["mood"], cv=5)

    Attributes:
        classes_: ``(n_labels,)`` the labels, sorted; of a matrix the names or the numbers of its columns.
        model_: the trained model in memory; ``model_.save(directory)`` writes it as a model directory.
        epochs_: a report an epoch.
        advice_: what the coach says.
        n_iter_: epochs trained.

    """

    def __init__(
        self,
        model: str | Path = "starter",
        *,
        recipe: RecipeLike | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        validation_share: float = 0.0,
        class_weight: str | Mapping[Any, float] | None = None,
        device: str = "auto",
        threads: int = 0,
        random_state: Any = None,
        verbose: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Say how to train; nothing is checked, read or loaded before `fit`.

        Args:
            model: where the weights come from, as in `fine_tune`.
            recipe: a recipe, its name (`auto`, `classic`) or a TOML file; what follows wins over it.
            epochs: passes over the texts; None leaves it to the recipe, as for the next three.
            learning_rate: at the start.
            batch_size: windows in a batch.
            max_length: most tokens in a window.
            validation_share: of the texts, set aside to choose the best epoch by; by default none, so that all are
                trained on and the last epoch is kept.
            class_weight: None, ``"balanced"``, or a dictionary of labels and what they weigh in the loss.
            device: ``auto``, ``cpu`` or ``cuda``.
            threads: of tensor work; 0 means as many as there are usable cores.
            random_state: a seed, or what scikit-learn takes for one; None is the recipe's seed.
            verbose: show the progress, as the commands do.
            settings: any other settings of a training, as ``{"weight_decay": 0.01}``.

        """
        self.model = model
        self.recipe = recipe
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_length = max_length
        self.validation_share = validation_share
        self.class_weight = class_weight
        self.device = device
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose
        self.settings = settings

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """Train on texts and their labels.

        Args:
            X: the texts, or pairs.
            y: ``(n_texts,)`` a label each, or ``(n_texts, n_labels)`` of 0 and 1.
            sample_weight: ``(n_texts,)`` what each weighs in the loss.

        Raises:
            ArgumentError: if they are no texts, no labels, or not as many; also a ValueError.
            DistiltuneError: naming what else went wrong in the training.

        """
        texts = texts_of(X)
        labels = labels_of_texts(y, len(texts))
        own: dict[str, Any] = {"problem": labels.problem, "class_weights": labels.weights(self.class_weight)}
        if labels.problem == "multi-label":
            own["label_names"] = labels.names
        learnt = _trained(self, training_data("label", texts, labels.values, sample_weight), own)
        learnt.give(self)
        self.classes_ = labels.classes
        self._names, self._problem = labels.names, labels.problem
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """``(n_texts,)`` the likeliest label of each text; or ``(n_texts, n_labels)`` of 0 and 1.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if X holds something else than texts.

        """
        shares = self.predict_proba(X)
        if self._problem == "multi-label":
            return (shares > 0.5).astype(np.int64)
        likeliest: npt.NDArray[Any] = self.classes_[shares.argmax(axis=1)]
        return likeliest

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """``(n_texts, n_labels)`` the probability of each label, columns as in ``classes_``.

        Of one label a text a row sums to 1; of several each is by itself.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if X holds something else than texts.

        """
        check_is_fitted(self)
        kept: KeptModel = self.model_
        classifier = kept.opened(TextClassifier, self.device, self.threads)
        place = {name: i for i, name in enumerate(classifier.labels)}
        shares = classifier.predict_proba(texts_of(X))[:, [place[name] for name in self._names]]
        if self._problem == "multi-label":
            return shares
        # A model that was fine-tuned before may know labels that y does not have.
        known: npt.NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return known

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return _of_text(tags)


class _Trained(BaseEstimator):  # type: ignore[misc]
    """How a regressor and a tagger are to be trained, read by scikit-learn off the signature."""

    def __init__(
        self,
        model: str | Path = "starter",
        *,
        recipe: RecipeLike | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_length: int | None = None,
        validation_share: float = 0.0,
        device: str = "auto",
        threads: int = 0,
        random_state: Any = None,
        verbose: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Say how to train, as `DistilBertClassifier` has it."""
        self.model = model
        self.recipe = recipe
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_length = max_length
        self.validation_share = validation_share
        self.device = device
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose
        self.settings = settings


class DistilBertRegressor(RegressorMixin, _Trained):  # type: ignore[misc]
    """Predicts a number for each text, or pair of texts.

    >>> DistilBertRegressor(epochs=3).fit(frame["review"], frame["stars"]).predict(["Never again."])

    Attributes:
        model_: the trained model in memory; ``model_.save(directory)`` writes it as a model directory.
        epochs_: a report an epoch.
        advice_: what the coach says.
        n_iter_: epochs trained.

    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Train on texts and their numbers.

        Args:
            X: the texts, or pairs.
            y: ``(n_texts,)`` numbers.
            sample_weight: ``(n_texts,)`` what each weighs in the loss.

        Raises:
            ArgumentError: if they are no texts, no numbers, or not as many; also a ValueError.
            DistiltuneError: naming what else went wrong in the training.

        """
        texts = texts_of(X)
        numbers = numbers_of_texts(y, len(texts))
        data = training_data("label", texts, numbers, sample_weight)
        _trained(self, data, {"problem": "regression"}).give(self)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """``(n_texts,)`` the number of each text.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if X holds something else than texts.

        """
        check_is_fitted(self)
        classifier = self.model_.opened(TextClassifier, self.device, self.threads)
        return np.array(classifier.predict(texts_of(X)), dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        return _of_text(super().__sklearn_tags__())


class DistilBertTagger(_Trained):
    """Gives each word of a text a tag, by which entities are marked.

    X is a list of lists of words, y a list of as many lists of tags: IOB1, IOB2, BIOES or bare labels. It gives IOB2.

    >>> DistilBertTagger(epochs=3).fit(words, tags).predict([["Ada", "lives", "in", "London"]])

    Attributes:
        classes_: ``(n_tags,)`` the tags that it gives.
        model_: the trained model in memory; ``model_.save(directory)`` writes it as a model directory.
        epochs_: a report an epoch.
        advice_: what the coach says.
        n_iter_: epochs trained.

    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Train on words and their tags.

        Args:
            X: lists of words.
            y: as many lists of tags.
            sample_weight: ``(n_texts,)`` what each list weighs in the loss.

        Raises:
            ArgumentError: if they are no such lists, or not as many; also a ValueError.
            DistiltuneError: naming what else went wrong in the training.

        """
        words = words_of(X)
        tags = tags_of_words(y, len(words))
        _trained(self, training_data("tags", words, tags, sample_weight), {"task": "token-classification"}).give(self)
        self.classes_ = np.array(self._marker().tags, dtype=np.str_)
        return self

    def predict(self, X: Any) -> list[list[str]]:  # noqa: N803
        """The tag of each word of each list.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if X is no list of lists of words.

        """
        return [[str(self.classes_[i]) for i in shares.argmax(axis=1)] for shares in self.predict_proba(X)]

    def predict_proba(self, X: Any) -> list[npt.NDArray[np.float64]]:  # noqa: N803
        """Of each list the probabilities of its words' tags, ``(n_words, n_tags)``, columns as in ``classes_``.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if X is no list of lists of words.

        """
        check_is_fitted(self)
        return self._marker().tag_probabilities(words_of(X))

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """F1 of the entities, from 0 to 1: right only if label, first and last word all are, as ``seqeval`` has it.

        Raises:
            NotFittedError: before `fit`.
            ArgumentError: if they are no lists of words and tags, or not as many.

        """
        words = words_of(X)
        counts = EntityCounts()
        for given, wanted in zip(self.predict(words), tags_of_words(y, len(words)), strict=True):
            if len(given) != len(wanted):
                raise ArgumentError(
                    f"There are {len(given)} words and {len(wanted)} tags.",
                    where="argument: y",
                    fix="give each word its tag",
                )
            counts.add(entities_of([str(tag) for tag in wanted]), entities_of(given))
        return float(counts.metrics()["f1"])

    def _marker(self) -> EntityMarker:
        kept: KeptModel = self.model_
        return kept.opened(EntityMarker, self.device, self.threads)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return _of_text(tags)


def _of_text(tags: Any) -> Any:
    """What scikit-learn is to know: texts come in, no matrix of numbers."""
    tags.input_tags.string = True
    tags.input_tags.two_d_array = False
    return tags


def _trained(estimator: Any, data: Data, own: Mapping[str, Any]) -> _Learnt:
    """What comes of a training by an estimator's parameters, and what follows from its data."""
    more = dict(estimator.settings or {})
    twice = sorted(_OURS & more.keys())
    if twice:
        raise ArgumentError(
            f"settings has {twice[0]!r}, which is a parameter of its own or follows from X and y.",
            where="argument: settings",
            fix="leave it out there",
        )
    named = {name: getattr(estimator, name) for name in _OF_TRAINING}
    given = {name: value for name, value in {**named, **own}.items() if value is not None}
    if estimator.random_state is not None:
        given["seed"] = _seed(estimator.random_state)
    strict = {"max_rejected_share": 0.0}  # an estimator leaves out no sample
    with TemporaryDirectory(prefix="distiltune-fit-") as place:
        arguments: Any = {**strict, **more, **given}
        run = fine_tune(
            estimator.recipe,
            train=data,
            output=Path(place) / "run",
            reporter=told(verbose=estimator.verbose),
            **arguments,
        )
        return _Learnt(KeptModel.read(run.model), run.epochs, run.advice)


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
