"""A set of examples with its features, as a task hands it to the engine: a ``Dataset`` for any kind of example."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays, fingerprint_of, load_or_make
from distiltune.data.column_names import split_columns
from distiltune.data.example_set import DataSettings, ExampleSet
from distiltune.data.feature_set import FeatureSet, Labels, no_labels
from distiltune.data.file_form import FileForm
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError
from distiltune.settings.engine import EngineSettings

E = TypeVar("E")


@dataclass(frozen=True)
class TaskData(Generic[E]):
    """Examples as the task read them, with their features, in order; ``arrays`` is what else goes with these."""

    examples: Sequence[E]
    features: FeatureSet
    findings: RowFindings
    fingerprint: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()
    arrays: Arrays = field(default_factory=dict)

    @property
    def n_examples(self) -> int:
        """How many examples."""
        return len(self.examples)

    def weighed(self, weights: Sequence[float] | npt.NDArray[np.float64]) -> TaskData[E]:
        """The same for a training in which the examples weigh so much."""
        return replace(self, features=with_sample_weights(self.features, weights))

    def example_id(self, index: int) -> str:
        """An example's id."""
        return str(getattr(self.examples[index], "id", index))


def cached_arrays(
    task: str,
    texts: Iterable[str] | str,
    tokenizer: Tokenizer,
    settings: dict[str, object],
    make: Callable[[], Arrays],
    *,
    cached: bool = True,
) -> tuple[Arrays, tuple[str, ...]]:
    """What ``make`` makes of these texts, from the cache if it was made before; and what there is to say of that.

    Of many texts, which are on disk, their hash is given in their stead.
    """
    if not cached:
        return make(), ()
    notes: list[str] = []
    parts = {
        "task": task,
        "texts": texts if isinstance(texts, str) else fingerprint_of(texts),
        "tokenizer": fingerprint_of([tokenizer.to_str()]),
        **settings,
    }
    arrays, _ = load_or_make(parts, make, on_problem=notes.append)
    return arrays, tuple(notes)


def labelled(
    arrays: Arrays,
    labels: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    token_labels: np.ndarray | None = None,
) -> FeatureSet:
    """The features of cached arrays with labels and weights, which cost little to make; see there."""
    return FeatureSet(
        token_ids=arrays["token_ids"],
        offsets=arrays["offsets"],
        example_of=arrays["example_of"],
        labels=no_labels(len(arrays["example_of"])) if labels is None else as_labels(labels),
        token_labels=None if token_labels is None else token_labels.astype(np.int32, copy=False),
        weights=None if weights is None else weights.astype(np.float32),
    )


def with_sample_weights(features: FeatureSet, weights: Sequence[float] | npt.NDArray[np.float64]) -> FeatureSet:
    """The features, each as much heavier as its example weighs; the same set where all weigh 1.

    Args:
        features: whose own weights, if there are some, are of a weight of 1.
        weights: of the examples, ``(n_examples,)``.

    """
    of_examples = np.asarray(weights, dtype=np.float64)
    if (of_examples == 1.0).all():
        return features
    heavy = of_examples[features.example_of]
    own = np.ones(len(features)) if features.weights is None else features.weights
    return replace(features, weights=(own * heavy).astype(np.float32))


def as_labels(values: np.ndarray) -> Labels:
    """Numbers as float32, anything else as int32."""
    return values.astype(np.float32) if np.issubdtype(values.dtype, np.floating) else values.astype(np.int32)


def shortened_stride(
    stride: int, shared: int, max_length: int, n_windows: int, read: ExampleSet[E]
) -> list[RowFinding]:
    """The finding that windows share less than the stride that was asked for; none where that cuts no text.

    Args:
        stride: as the recipe has it.
        shared: tokens that neighbouring windows do share.
        max_length: most tokens in a window.
        n_windows: of all examples.
        read: the examples.

    """
    if shared == stride or n_windows <= len(read.examples):
        return []
    message = (
        f"Neighbouring windows share {shared} tokens: the stride of {stride} leaves no room to move on in windows of "
        f"{max_length}."
    )
    return [RowFinding("decided", "stride_shortened", ", ".join(read.sources), "", message)]


def of_validation(error: DataError) -> DataError:
    """The error about examples to validate on that have what none of the training's has, saying so."""
    fix = f"{error.fix}; what only they have cannot be learnt: name other validation data, or add training examples"
    return DataError(f"Of the examples to validate on, {error.what}", where=error.where, fix=fix)


def file_form(settings: EngineSettings) -> FileForm:
    """How files are read where they do not say."""
    mapped = tuple(split_columns(settings.columns))
    return FileForm(settings.quoting, not settings.no_header, settings.encoding, mapped)


def data_settings(settings: EngineSettings) -> DataSettings:
    """Which examples, read how."""
    return DataSettings(
        train=settings.train,
        validation=settings.validation,
        validation_share=settings.validation_share,
        columns=settings.columns,
        max_rejected_share=settings.max_rejected_share,
        n_train=settings.train_examples,
        n_validation=settings.validation_examples,
        sample_seed=settings.sample_seed,
        form=file_form(settings),
        n_folds=settings.folds,
        fold=settings.fold or 0,
    )
