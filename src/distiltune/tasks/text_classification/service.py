"""Text classification over HTTP: texts in, labels with their scores out, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from distiltune.tasks.text_classification.classifier import TextClassifier
from distiltune.tasks.text_classification.features import TextData

Pair = Annotated[list[OneText], Field(min_length=2, max_length=2)]


class LabelsOut(BaseModel):
    """What the model says of one text."""

    labels: Annotated[list[str], Field(description="The label, or all labels given; empty for a number.")]
    scores: Annotated[dict[str, float], Field(description="Each label's probability, the likeliest first.")]
    number: Annotated[float | None, Field(description="The number, of a model of numbers.")]


@dataclass(frozen=True, slots=True)
class _Model:
    classifier: TextClassifier

    @property
    def model(self) -> nn.Module:
        return self.classifier.model

    @property
    def n_threads(self) -> int:
        return self.classifier.n_threads

    @property
    def notes(self) -> Sequence[str]:
        return self.classifier.notes

    def prepare(self, texts: Sequence[Any]) -> TextData:
        return self.classifier.prepare([text if isinstance(text, str) else (text[0], text[1]) for text in texts])

    def results(self, prepared: TextData, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        is_number = self.classifier.targets.is_regression
        return [
            {
                "labels": list(each.labels),
                "scores": {} if is_number else dict(each.scores),
                "number": next(iter(each.scores.values())) if is_number else None,
            }
            for each in self.classifier.classified(prepared, outputs)
        ]


def serve(model: str, name: str, limits: Limits, batches: BatchSettings, settings: Mapping[str, Any]) -> FastAPI:
    """What `distiltune serve` serves."""
    return model_app(load_apart(lambda: TextClassifier(model, **settings)), name, limits, batches)


def classification_app(classifier: TextClassifier, name: str, limits: Limits, batches: BatchSettings) -> Site:
    """The page and the API around one model, whole: with limits, health and metrics."""
    return Site({"": model_app(classifier, name, limits, batches)}, limits)


def model_app(classifier: TextClassifier, name: str, limits: Limits, batches: BatchSettings) -> FastAPI:
    """The routes and the page of one model."""
    page = files("distiltune.tasks.text_classification").joinpath("page")
    can_decline = classifier.targets.problem == "multi-label"
    offered = TextService("text-classification", classifier.labels, OneText | Pair, LabelsOut, can_decline, page)
    return texts_app(_Model(classifier), offered, name, limits, batches)
