"""Using a trained model: texts in, entities with their places out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from distiltune.data.example_set import ExampleSet
from distiltune.data.held import Column
from distiltune.data.row_findings import RowFindings
from distiltune.data.values import MAX_TEXT_CHARACTERS, text_problem
from distiltune.data.words import markable_spans
from distiltune.errors import DataError
from distiltune.settings.bounds import check_values
from distiltune.system.device import set_threads
from distiltune.system.host import restored, with_threads
from distiltune.system.names import as_name
from distiltune.tasks.labels import labels_of
from distiltune.tasks.token_classification.evaluation import (
    Marked,
    as_spans,
    entities_found,
    mark_words,
    marked_by,
    word_probabilities,
)
from distiltune.tasks.token_classification.examples import TokenExample
from distiltune.tasks.token_classification.features import TokenData, TokenWindows, featurise
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.tasks.token_classification.tags import OUTSIDE, split_tag
from distiltune.tasks.token_classification.task import from_settings
from distiltune.tasks.trained import load_trained, texts_to_read, windows_of

BATCH_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class MarkedEntity:
    """An entity in a text: exactly the characters ``start:end``, and the mean probability of its words' tags."""

    label: str
    start: int
    end: int
    text: str
    score: float


class EntityMarker:
    """Marks the entities in texts of up to 1,000,000 characters.

    >>> marker = EntityMarker("runs/mine")
    >>> marker(["Ada Byron was born in London."])[0][0].label
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
    ) -> None:
        """Load a model directory, a run, or a name on the hub; windows that are not given are as it was trained.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.
            RecipeError: if an argument is out of the bounds of the setting of its name.

        """
        asked = {"max_length": max_length, "stride": stride}
        given = check_values(TokenClassificationSettings, asked)
        check_values(TokenClassificationSettings, {"threads": threads, "precision": precision, "device": device})
        self._n_threads = set_threads(threads)
        spec = from_settings(TokenClassificationSettings())
        self._loaded = load_trained(as_name(model, "model"), spec, device, precision).loaded
        self.tags = labels_of(self._loaded.source.config_hf)
        self._windows = TokenWindows(*windows_of(self._loaded, given))

    @property
    def labels(self) -> tuple[str, ...]:
        """What is marked."""
        return tuple(dict.fromkeys(split_tag(tag)[1] for tag in self.tags if tag != OUTSIDE))

    def __call__(self, texts: Column) -> list[list[MarkedEntity]]:
        """The entities of each text of a list, or of a column of a table, in order.

        Raises:
            DataError: if it is no list, or a text is empty or too long.

        """
        with with_threads(self.n_threads):
            data = self.prepare(texts)
            return self._entities(data, mark_words(self._loaded.model, data, BATCH_TOKENS))

    def tag_probabilities(self, sentences: Sequence[Sequence[str]]) -> list[npt.NDArray[np.float64]]:
        """Of each list of words the probabilities of their tags, ``(n_words, n_tags)``, columns as in `tags`.

        Raises:
            DataError: if one has no word, or a word is empty or no text, naming which.

        """
        with with_threads(self.n_threads):
            data = self._featurised(tuple(map(_example_of_words, itertools.count(1), sentences)))
            shares = word_probabilities(self._loaded.model, data, BATCH_TOKENS)
        ends = np.cumsum([len(example.words) for example in data.examples])
        return np.split(shares, ends[:-1]) if len(ends) else []

    @property
    def n_threads(self) -> int:
        """Threads that tensor work on the CPU has while this one is asked; elsewhere they are as they were."""
        return self._n_threads

    @property
    def model(self) -> nn.Module:
        """Packed batches in, a row of scores a token out."""
        return self._loaded.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the model."""
        return self._loaded.source.notes

    def prepare(self, texts: Column) -> TokenData:
        """The texts' windows.

        Raises:
            DataError: as `texts_to_read` does.

        """
        listed = texts_to_read(texts)
        examples = tuple(TokenExample(str(i), text, markable_spans(text), None) for i, text in enumerate(listed))
        return self._featurised(examples)

    def _featurised(self, examples: tuple[TokenExample, ...]) -> TokenData:
        read = ExampleSet(examples, RowFindings(), "", ())
        return featurise(read, self._loaded.tokenizer, self._windows, self.tags, cached=False)

    def entities(self, data: TokenData, outputs: Sequence[npt.NDArray[np.float32]]) -> list[list[MarkedEntity]]:
        """What the model's outputs of these windows, ``(n_tokens, n_tags)`` each, mark in every text."""
        return self._entities(data, marked_by(data, np.concatenate(list(outputs))))

    def _entities(self, data: TokenData, marked: Marked) -> list[list[MarkedEntity]]:
        return [
            [MarkedEntity(**span) for span in as_spans(example, found)]
            for example, found in entities_found(data, marked, self.tags)
        ]


def _example_of_words(number: int, words: Sequence[str]) -> TokenExample:
    """The words with blanks between, as the reader of rows of tokens lays them out."""
    problem = next(filter(None, (text_problem(word, "word") for word in words)), None)
    if problem is not None or not len(words):
        what = problem.message if problem is not None else "There is no word."
        raise DataError(what, where=f"sentence {number}", fix="give the words of a sentence")
    text = " ".join(words)
    if len(text) > MAX_TEXT_CHARACTERS:
        raise DataError(
            f"The words have {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} can be used.",
            where=f"sentence {number}",
            fix="cut it into several",
        )
    ends = list(itertools.accumulate(map(len, words), lambda end, length: end + 1 + length))
    spans = tuple((end - len(word), end) for word, end in zip(words, ends, strict=True))
    return TokenExample(str(number), text, spans, None)
