"""What a task offers for labelling: its texts, what an answer is, what its rows are, what a model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from pydantic import BaseModel

Answer = Mapping[str, Any]
"""An answer as the page sends it and gets it back: the fields of the task's form."""
Row = Mapping[str, Any]
"""A row as `train` reads it."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """A text to label, as the task's reader found it.

    Attributes:
        text: what is labelled; places in an answer count its Unicode code points.
        prompt: what is asked about it, or the second text of a pair; empty: nothing is given.
        id: as the data call it; empty: it has none.
        answer: what the data say already, to be reviewed; None: nothing.
        document: the file or data set that it is from.

    """

    text: str
    prompt: str = ""
    id: str = ""
    answer: Answer | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """All texts in reading order, and what a person should know of the reading."""

    texts: tuple[ReadText, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a row of the file says: of which text, about which prompt, and the answer."""

    text: str
    prompt: str
    answer: Answer | None


class Suggester(Protocol):
    """A trained model that says what it would answer, and how little it is sure of that."""

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any]:
        """What it would answer, in the form that the task's page shows."""

    def doubts(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """Of each text with its prompt how unsure it is, the more the larger; NaN where nothing can be said."""


@dataclass(frozen=True, slots=True)
class LabelTask:
    """A task as `distiltune label` sees it.

    Attributes:
        name: as the recipe's ``task`` names it.
        texts: what is to be labelled.
        labels: the names that there are at the start, in the order of their digits; none where an answer has no label.
        page: a folder with ``task.js`` and what else its page needs.
        form: of an answer; whatever fits it is handed to ``rows``.
        rows: text, prompt, id of the text, answer → the rows that `train` reads; without an answer a row of the
            text alone. Raises `DataError` for places outside the text and the like.
        kept: a row that ``rows`` made → what it says; None if it is none.
        joined: the answers of several rows about one text and prompt → the one that they came from.
        labels_in: the labels that an answer uses.
        load: a trained model's name → what suggests.
        sample: an answer, for the description of the API.
        kind: what differs within the task, such as several labels a text; for the page.
        has_labels: whether the labels can be added to on the page.
        hints: texts → what can be suggested for each without a model, which may take a while; None: nothing.
        training: settings of a retraining that follow from what is labelled, such as the kind of problem.

    """

    name: str
    texts: ReadTexts
    labels: tuple[str, ...]
    page: Traversable
    form: type[BaseModel]
    rows: Callable[[str, str, str, Answer | None], list[Row]]
    kept: Callable[[Row], KeptAnswer | None]
    joined: Callable[[Sequence[Answer]], Answer]
    labels_in: Callable[[Answer], Sequence[str]]
    load: Callable[[str], Suggester]
    sample: Answer
    kind: str = ""
    has_labels: bool = True
    hints: Callable[[Sequence[str]], Mapping[str, Any]] | None = None
    training: Mapping[str, str] = field(default_factory=dict)
