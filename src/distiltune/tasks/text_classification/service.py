"""Text classification over HTTP: texts in, labels with their scores out, and a page."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from distiltune.tasks.text_classification.classifier import TextClassifier
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.targets import Targets

Pair = Annotated[list[OneText], Field(min_length=2, max_length=2)]


class LabelsOut(BaseModel):
    """What the model says of one text."""

    labels: Annotated[list[str], Field(description="The label, or all labels given; empty for a number.")]
    scores: Annotated[dict[str, float], Field(description="Each label's probability, the likeliest first.")]
    number: Annotated[float | None, Field(description="The number, of a model of numbers.")]


class RightLabelsIn(BaseModel):
    """A text with what is right of it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: OneText | Pair
    labels: Annotated[list[str], Field(description="The right label, or all right ones of several.")] = Field(
        default=[]
    )
    number: Annotated[float | None, Field(description="Of a model of numbers: the right one.")] = None


def hugging_face_out(results: Sequence[Mapping[str, Any]], is_one: bool) -> list[list[dict[str, Any]]]:
    """A list for each text, also for one, of all labels with their scores, the likeliest first; or of a number."""
    return [
        [{"label": "number", "score": each["number"]}]
        if each["number"] is not None
        else [{"label": label, "score": score} for label, score in each["scores"].items()]
        for each in results
    ]


def correction_row(correction: RightLabelsIn, targets: Targets) -> dict[str, Any]:
    """The row that `train` reads.

    Raises:
        DataError: if the label is none of the model's, or there are too few or too many.

    """
    text, labels = correction.text, correction.labels
    texts = {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}
    if targets.is_regression:
        if correction.number is None or labels:
            raise DataError("A number is wanted.", where="number", fix="give the right number, and no labels")
        return {"id": _new_id(), **texts, "label": correction.number}
    if correction.number is not None:
        raise DataError("Labels are wanted.", where="number", fix="give the right labels, and no number")
    if unknown := [each for each in labels if each not in targets.labels]:
        fix = f"give any of {', '.join(targets.labels)}"
        raise DataError(f"The model has no label {unknown[0]!r}.", where="labels", fix=fix)
    if targets.problem == "multi-label":
        return {"id": _new_id(), **texts, "labels": list(dict.fromkeys(labels))}
    if len(labels) != 1:
        raise DataError(f"{len(labels)} labels are given.", where="labels", fix="give the one that is right")
    return {"id": _new_id(), **texts, "label": labels[0]}


def _new_id() -> str:
    return f"correction-{secrets.token_hex(8)}"


def _correctable(targets: Targets) -> Correctable:
    right = {"number": 0.5} if targets.is_regression else {"labels": list(targets.labels[:1])}
    return Correctable(
        RightLabelsIn,
        lambda correction: [correction_row(correction, targets)],
        {"text": "The lease is signed by Ada Byron.", **right},
    )


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
    offered = TextService(
        "text-classification",
        classifier.labels,
        OneText | Pair,
        LabelsOut,
        hugging_face_out,
        can_decline,
        page,
        _correctable(classifier.targets),
        classifier.targets.problem,
    )
    return texts_app(_Model(classifier), offered, name, limits, batches)
