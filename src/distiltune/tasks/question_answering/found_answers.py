"""What was found in all that was read for a question → answers: the same one in several places counts as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from distiltune.tasks.question_answering.calibration import confidence_among
from distiltune.tasks.question_answering.decode import Candidate, weigh_together
from distiltune.tasks.question_answering.documents import Document, DocumentPart, position_of

_DIGITS: Final = 4
"""Decimals of a score that tell one from another."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands once more: the fields as `FoundAnswer` has them."""

    start: int
    end: int
    line: int
    column: int
    document: int = 0
    document_name: str = ""

    @property
    def in_words(self) -> str:
        """Where that is, in words."""
        return _in_words(self)


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """One possible answer and where it stands.

    Attributes:
        text: exactly the characters ``start:end`` of the document.
        start: its first code point.
        end: one past its last.
        confidence: from 0 to 1, how sure the model is of this among all candidates and "no answer", at the temperature
            that the model directory holds (1 if none); of all places where it stands together.
        probability: its share of everything that was read for the question, likewise of all its places.
        line: line of the document that it starts on, counted from 1.
        column: code point of that line that it starts at, counted from 1.
        sentence: the sentence or sentences around it, as they stand in the document.
        sentence_start: the sentence's first code point in the document.
        document: which of the documents, counted from 0.
        document_name: its name, empty if it has none.
        other_places: where else the same answer was found, up to case and white space, the likeliest first.

    """

    text: str
    start: int
    end: int
    confidence: float
    probability: float
    line: int
    column: int
    sentence: str
    sentence_start: int
    document: int = 0
    document_name: str = ""
    other_places: tuple[Place, ...] = ()

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return _in_words(self)

    @property
    def in_sentence(self) -> tuple[str, str, str]:
        """What is before it in its sentence, its text, and what is behind it there."""
        offset = self.start - self.sentence_start
        return self.sentence[:offset], self.text, self.sentence[offset + len(self.text) :]


@dataclass(frozen=True, slots=True)
class ReadPart:
    """What was found in one part.

    Attributes:
        part: of a document.
        apart: the best candidates that share no character, best first.
        best: the best of all, likewise.
        log_total: as of `Decoded`.
        n_characters: how many of the part's were read.

    """

    part: DocumentPart
    apart: tuple[Candidate, ...]
    best: tuple[Candidate, ...]
    log_total: float
    n_characters: float


def _in_words(place: FoundAnswer | Place) -> str:
    name = f"{place.document_name}: " if place.document_name else ""
    return f"{name}line {place.line}, column {place.column}, characters {place.start}-{place.end}"


def found_answers(
    documents: Sequence[Document], read: Sequence[ReadPart], n_best: int, temperature: float
) -> tuple[tuple[FoundAnswer, ...], float]:
    """The best answers, each with all places where it stands, and the confidence of "no answer".

    Args:
        documents: the texts.
        read: what was found in what was read of them.
        n_best: most answers.
        temperature: of the confidence.

    """
    log_total = weigh_together([each.log_total for each in read])
    together = _scores_together(read)
    confidence_of = confidence_among(sorted(together.values(), reverse=True), temperature)
    places: dict[str, list[tuple[DocumentPart, Candidate]]] = {}
    for part, candidate in sorted(
        ((each.part, candidate) for each in read for candidate in each.apart),
        # equal texts in equal windows may differ in the last digits
        key=lambda found: (-round(found[1].score, _DIGITS), found[0].document, found[0].start + found[1].start),
    ):
        places.setdefault(_key(candidate.text), []).append((part, candidate))
    # In the order of their best places: what is answered is what `predict` and the pipeline answer, and was measured.
    best = list(places)[:n_best]
    answers = (_found(documents, places[key], log_total, confidence_of(together[key])) for key in best)
    return tuple(answers), confidence_of(0.0)


def _key(text: str) -> str:
    """By which answers are the same: case and white space make no difference."""
    return " ".join(text.split()).casefold()


def _scores_together(read: Sequence[ReadPart]) -> dict[str, float]:
    """The score of each answer over all its places: the logarithm of its odds, which add up.

    A candidate too far down for the pool has the score of its own places.
    """
    found: dict[str, list[float]] = {}
    for candidate in (candidate for each in read for candidate in each.best):
        found.setdefault(_key(candidate.text), []).append(candidate.score)
    further: dict[str, list[float]] = {}
    for candidate in (candidate for each in read for candidate in each.apart):
        if (key := _key(candidate.text)) not in found:
            further.setdefault(key, []).append(candidate.score)
    found |= further
    return {key: float(np.logaddexp.reduce(scores)) for key, scores in found.items()}


def _found(
    documents: Sequence[Document],
    places: Sequence[tuple[DocumentPart, Candidate]],
    log_total: float,
    confidence: float,
) -> FoundAnswer:
    """The answer at the likeliest of its places, the first of them."""
    part, candidate = places[0]
    document = documents[part.document]
    start, end = part.start + candidate.start, part.start + candidate.end
    position = position_of(document.text, start, end)
    return FoundAnswer(
        text=candidate.text,
        start=start,
        end=end,
        confidence=confidence,
        probability=sum(math.exp(each.score - log_total) for _, each in places),
        line=position.line,
        column=position.column,
        sentence=position.sentence,
        sentence_start=position.sentence_start,
        document=part.document,
        document_name=document.name,
        other_places=tuple(_place(documents, *place) for place in places[1:]),
    )


def _place(documents: Sequence[Document], part: DocumentPart, candidate: Candidate) -> Place:
    document = documents[part.document]
    start, end = part.start + candidate.start, part.start + candidate.end
    position = position_of(document.text, start, end)
    return Place(start, end, position.line, position.column, part.document, document.name)
