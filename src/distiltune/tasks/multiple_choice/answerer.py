"""A trained model that chooses, in Python: questions with choices in, the choice of each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from distiltune.data.row_findings import RowFindings
from distiltune.data.values import Problem
from distiltune.errors import DataError
from distiltune.settings.bounds import check_values
from distiltune.settings.engine import EngineSettings
from distiltune.system.device import set_threads
from distiltune.system.host import restored, with_threads
from distiltune.system.names import as_name, described
from distiltune.tasks.multiple_choice.choice_rows import questions_of
from distiltune.tasks.multiple_choice.columns import ChoiceColumns
from distiltune.tasks.multiple_choice.evaluation import shares_of
from distiltune.tasks.multiple_choice.examples import ChoiceExample, ChoiceSet
from distiltune.tasks.multiple_choice.features import ChoiceData, featurise
from distiltune.tasks.multiple_choice.task import from_settings
from distiltune.tasks.trained import load_trained, windows_of

BATCH_TOKENS = 4_096

Choosable = tuple[str, Sequence[str]] | tuple[str, str, Sequence[str]] | Mapping[str, Any]
"""A question and its choices; a text, a question and its choices; or a row as the data have it."""


@dataclass(frozen=True, slots=True)
class ChosenAnswer:
    """What the model chooses for one question.

    Attributes:
        choice: the number of the choice, counted from 0.
        text: that choice.
        scores: each choice's probability, in their order; they sum to 1.

    """

    choice: int
    text: str
    scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """The probability of the choice."""
        return self.scores[self.choice]


class ChoiceAnswerer:
    """Says which of several choices answers a question.

    >>> answerer = ChoiceAnswerer("runs/mine")
    >>> answerer([("Where do fish live?", ["in water", "in trees"])])[0].text
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
    ) -> None:
        """Load a model directory, a run, or a name on the hub; texts are read as long as in its training.

        Raises:
            ModelError: if the model cannot be read, or has no head for this task.
            HubError: if a hub name cannot be fetched.
            RecipeError: if an argument is out of the bounds of the setting of its name.

        """
        given = check_values(EngineSettings, {"max_length": max_length})
        check_values(EngineSettings, {"threads": threads, "precision": precision, "device": device})
        self._n_threads = set_threads(threads)
        self._loaded = load_trained(as_name(model, "model"), from_settings(EngineSettings()), device, precision).loaded
        self._max_length = windows_of(self._loaded, given)[0]

    def __call__(self, questions: Sequence[Choosable]) -> list[ChosenAnswer]:
        """Choose for each of a list of questions.

        Raises:
            DataError: if it is no list of questions with choices, naming which is none.

        """
        data = self.prepare(questions)
        with with_threads(self.n_threads):
            shares = shares_of(self.model, data, BATCH_TOKENS)
        chosen = [int(share.argmax()) for share in shares]
        return [
            ChosenAnswer(best, example.choices[best], tuple(share.tolist()))
            for example, share, best in zip(data.examples, shares, chosen, strict=True)
        ]

    @property
    def n_threads(self) -> int:
        """Threads that tensor work on the CPU has while this one is asked; elsewhere they are as they were."""
        return self._n_threads

    @property
    def model(self) -> nn.Module:
        """Packed batches in, a score a choice out."""
        return self._loaded.model

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the model."""
        return self._loaded.source.notes

    def prepare(self, questions: Sequence[Choosable]) -> ChoiceData:
        """The questions' features.

        Raises:
            DataError: as calling it.

        """
        if isinstance(questions, str | bytes | Mapping) or not isinstance(questions, Sequence):
            raise DataError(f"This is {described(questions)}, no list of questions.", fix=_GIVE)
        examples = tuple(_example(number, each) for number, each in enumerate(questions))
        read = ChoiceSet(examples, RowFindings(), "", ())
        return featurise(read, self._loaded.tokenizer, self._max_length, cached=False)


_GIVE = 'give [("question", ["one", "other"])], or ("text", "question", [...]) with a text to read'


def _example(number: int, given: Choosable) -> ChoiceExample:
    where = f"question {number + 1}"
    row: Mapping[str, Any]
    if isinstance(given, Mapping):
        row = given
    elif isinstance(given, tuple | list) and len(given) in (2, 3):
        row = dict(zip(("context", "question", "choices")[-len(given) :], given, strict=True))
    else:
        raise DataError(f"This is {described(given)}, no question with choices.", where=where, fix=_GIVE)
    found = list(questions_of(row, ChoiceColumns()))
    if len(found) != 1 or isinstance(found[0], Problem):
        message = found[0].message if found and isinstance(found[0], Problem) else "There is not one question in it."
        raise DataError(message, where=where, fix=_GIVE)
    one = found[0]
    return ChoiceExample(str(number), one.context, one.question, one.choices, None)
