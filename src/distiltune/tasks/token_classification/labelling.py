"""Texts in which entities are to be marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from distiltune.errors import DataError
from distiltune.labelling.offered import Answer, KeptAnswer, LabelTask, ReadText, ReadTexts, Row
from distiltune.system.host import with_threads
from distiltune.tasks.dataset import file_form
from distiltune.tasks.label_sources import checked_place, notes_of, read_to_label, source_name, text_in
from distiltune.tasks.labels import in_order
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.evaluation import mark_words
from distiltune.tasks.token_classification.examples import TokenExample
from distiltune.tasks.token_classification.marker import BATCH_TOKENS, EntityMarker
from distiltune.tasks.token_classification.names import NAME
from distiltune.tasks.token_classification.read import read_marked
from distiltune.tasks.token_classification.settings import TokenClassificationSettings
from distiltune.tasks.token_classification.task import choices_of

Place = Annotated[int, Field(ge=0, le=10_000_000)]


class MarkIn(BaseModel):
    """An entity: its place in code points, and what it is."""

    model_config = ConfigDict(strict=True, extra="forbid")

    start: Place
    end: Place
    label: Annotated[str, Field(min_length=1, max_length=200)]


class MarksIn(BaseModel):
    """All entities of a text; none is an answer too."""

    model_config = ConfigDict(strict=True, extra="forbid")

    spans: Annotated[list[MarkIn], Field(max_length=100_000)]


def label_task(sources: Sequence[str], settings: TokenClassificationSettings, labels: Sequence[str]) -> LabelTask:
    """What `distiltune label` asks of these texts.

    Raises:
        DataError: if they cannot be read.

    """
    read = read_to_label(sources, settings.encoding, lambda data: _read_rows(data, settings), in_passages=True)
    found = in_order({each["label"] for text in read.texts for each in (text.answer or {}).get("spans", ())})
    return LabelTask(
        name=NAME,
        texts=read,
        labels=tuple(dict.fromkeys((*labels, *found))),
        page=files("distiltune.tasks.token_classification").joinpath("label_page"),
        form=MarksIn,
        rows=lambda text, prompt, name, answer: [_row(text, name, answer)],
        kept=_kept,
        joined=lambda answers: answers[-1],
        labels_in=lambda answer: [each["label"] for each in answer["spans"]],
        load=lambda model: _Suggester(_marker(model, settings)),
        sample={"spans": [{"start": 0, "end": 9, "label": "person"}]},
    )


def _marker(model: str, settings: TokenClassificationSettings) -> EntityMarker:
    return EntityMarker(model, device=settings.device, threads=settings.threads, precision="auto")


def _read_rows(sources: Sequence[str], settings: TokenClassificationSettings) -> ReadTexts:
    columns = TokenColumns.parse(settings.columns)
    share = settings.max_rejected_share
    read = read_marked(sources, "train", columns, share, "prediction", choices_of(settings), file_form(settings))
    texts = (ReadText(each.text, "", each.id, _answer(each), source_name(each.where)) for each in read.examples)
    return ReadTexts(tuple(texts), notes_of(read.findings))


def _answer(example: TokenExample) -> Answer | None:
    if example.gold is None:
        return None
    spans = (
        {"start": example.words[each.start][0], "end": example.words[each.end - 1][1], "label": each.label}
        for each in example.gold
    )
    return {"spans": list(spans)}


def _row(text: str, name: str, answer: Answer | None) -> Row:
    """The row that `train` reads.

    Raises:
        DataError: if an entity lies outside the text, or upon another.

    """
    if answer is None:
        return {"id": name, "text": text}
    spans = sorted(answer["spans"], key=lambda each: (each["start"], each["end"]))
    for each in spans:
        checked_place(text, each["start"], each["end"], "spans")
    for one, other in pairwise(spans):
        if other["start"] < one["end"]:
            raise DataError(
                f"The entities at {one['start']} and {other['start']} lie upon each other.",
                where="spans",
                fix="take one of them away",
            )
    return {
        "id": name,
        "text": text,
        "spans": [{key: each[key] for key in ("start", "end", "label")} for each in spans],
    }


def _kept(row: Row) -> KeptAnswer | None:
    text = text_in(row, "text")
    if text is None:
        return None
    spans = row.get("spans")
    return KeptAnswer(text, "", {"spans": spans} if isinstance(spans, list) else None)


@dataclass(frozen=True, slots=True)
class _Suggester:
    marker: EntityMarker

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any]:
        """The entities that the model marks, each with its probability."""
        found = self.marker([text])[0]
        return {
            "spans": [
                {"start": each.start, "end": each.end, "label": each.label, "score": round(each.score, 4)}
                for each in found
            ]
        }

    def doubts(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """The mean log probability of the words' likeliest tags, turned round (Shen et al. 2018, "MNLP")."""
        with with_threads(self.marker.n_threads):
            data = self.marker.prepare([text for text, _ in texts])
            confidence = mark_words(self.marker.model, data, BATCH_TOKENS).confidence
        ends = np.cumsum([len(each.words) for each in data.examples])[:-1]
        parts = np.split(np.log(np.maximum(confidence, 1e-12)), ends)
        return [-float(each.mean()) if len(each) else 0.0 for each in parts]
