"""Token classification over HTTP: texts in, entities with their places out, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from torch import nn

from distiltune.serving.asking import load_apart
from distiltune.serving.batching import BatchSettings, Output
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
    offered = TextService("token-classification", marker.labels, OneText, EntitiesOut, True, page)
    return texts_app(_Model(marker), offered, name, limits, batches)
