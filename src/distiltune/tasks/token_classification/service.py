"""Token classification over HTTP: texts in, entities with their places out, and a page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from distiltune.errors import DataError
from distiltune.serving.asking import load_apart
from distiltune.serving.batching import BatchSettings, Output
from distiltune.serving.corrections import Correctable
from distiltune.serving.gate import Limits
from distiltune.serving.site import Site
from distiltune.serving.texts import OneText, TextService, texts_app
from distiltune.tasks.token_classification.features import TokenData
from distiltune.tasks.token_classification.marker import EntityMarker


class EntityOut(BaseModel):
    """An entity; offsets count Unicode code points of its text, from 0."""

    label: str
    start: int
    end: int
    text: str
    score: Annotated[float, Field(ge=0, le=1, description="Mean probability of its words' tags.")]


class EntitiesOut(BaseModel):
    """What the model marks in one text, in order."""

    entities: list[EntityOut]


class EntityIn(BaseModel):
    """An entity, in code points of its text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    label: str


class RightEntitiesIn(BaseModel):
    """A text with all that is to be marked in it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: OneText
    entities: Annotated[list[EntityIn], Field(description="All of them; none: there is nothing to mark.")]


_KEPT = ("score", "start", "end")


def hugging_face_out(results: Sequence[Mapping[str, Any]], is_one: bool) -> list[Any]:
    """The entities of each text, a list each; of one that was sent by itself, its entities."""
    said = [
        [
            {"entity_group": each["label"], "word": each["text"], **{name: each[name] for name in _KEPT}}
            for each in result["entities"]
        ]
        for result in results
    ]
    return said[0] if is_one else said


def correction_row(correction: RightEntitiesIn, labels: Sequence[str]) -> dict[str, Any]:
    """The row that `train` reads.

    Raises:
        DataError: if an entity's label is none of the model's, it holds nothing, or two share a character.

    """
    text, spans = correction.text, sorted(correction.entities, key=lambda each: (each.start, each.end))
    last = 0
    for each in spans:
        where = f"entities, {each.start} to {each.end}"
        if each.label not in labels:
            fix = f"give any of {', '.join(labels)}"
            raise DataError(f"The model has no label {each.label!r}.", where=where, fix=fix)
        if not each.start < each.end <= len(text) or not text[each.start : each.end].strip():
            fix = f"give places from 0 to {len(text)} with the entity between them"
            raise DataError("Nothing can be read there.", where=where, fix=fix)
        if each.start < last:
            raise DataError("Two entities share a character.", where=where, fix="leave one of them out")
        last = each.end
    marks = [{"start": each.start, "end": each.end, "label": each.label} for each in spans]
    return {"id": f"correction-{secrets.token_hex(8)}", "text": text, "spans": marks}


@dataclass(frozen=True, slots=True)
class _Model:
    marker: EntityMarker

    @property
    def model(self) -> nn.Module:
        return self.marker.model

    @property
    def n_threads(self) -> int:
        return self.marker.n_threads

    @property
    def notes(self) -> Sequence[str]:
        return self.marker.notes

    def prepare(self, texts: Sequence[Any]) -> TokenData:
        return self.marker.prepare(texts)

    def results(self, prepared: TokenData, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        return [{"entities": [asdict(each) for each in found]} for found in self.marker.entities(prepared, outputs)]


def serve(model: str, name: str, limits: Limits, batches: BatchSettings, settings: Mapping[str, Any]) -> FastAPI:
    """What `distiltune serve` serves."""
    return model_app(load_apart(lambda: EntityMarker(model, **settings)), name, limits, batches)


def marking_app(marker: EntityMarker, name: str, limits: Limits, batches: BatchSettings) -> Site:
    """The page and the API around one model, whole: with limits, health and metrics."""
    return Site({"": model_app(marker, name, limits, batches)}, limits)


def model_app(marker: EntityMarker, name: str, limits: Limits, batches: BatchSettings) -> FastAPI:
    """The routes and the page of one model."""
    page = files("distiltune.tasks.token_classification").joinpath("page")
    labels = tuple(marker.labels)
    example = {"text": "Ada Byron signs.", "entities": [{"start": 0, "end": 9, "label": next(iter(labels), "")}]}
    correctable = Correctable(RightEntitiesIn, lambda correction: [correction_row(correction, labels)], example)
    offered = TextService(
        "token-classification", labels, OneText, EntitiesOut, hugging_face_out, True, page, correctable
    )
    return texts_app(_Model(marker), offered, name, limits, batches)
