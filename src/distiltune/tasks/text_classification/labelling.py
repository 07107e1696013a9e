"""Texts to be labelled: one label each, or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from distiltune.errors import DataError, RecipeError
from distiltune.labelling.offered import Answer, KeptAnswer, LabelTask, ReadText, ReadTexts, Row
from distiltune.tasks.dataset import file_form
from distiltune.tasks.label_sources import notes_of, read_to_label, source_name, text_in
from distiltune.tasks.labels import in_order
from distiltune.tasks.text_classification.classifier import TextClassifier
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.names import NAME
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.settings import TextClassificationSettings, names_of_labels
from distiltune.tasks.text_classification.targets import find_problem

MOST_CHARACTERS_READ = 20_000
"""Of a longer text the model reads the beginning for a suggestion: what it would say of all of it takes minutes."""

Name = Annotated[str, Field(min_length=1, max_length=200)]


class TextLabelsIn(BaseModel):
    """What a text is."""

    model_config = ConfigDict(strict=True, extra="forbid")

    labels: Annotated[list[Name], Field(max_length=200)]


def label_task(sources: Sequence[str], settings: TextClassificationSettings, labels: Sequence[str]) -> LabelTask:
    """What `distiltune label` asks of these texts.

    Raises:
        DataError: if they cannot be read.
        RecipeError: if numbers are to be given, which is not done here.

    """
    read = read_to_label(sources, settings.encoding, lambda data: _read_rows(data, settings), in_passages=False)
    problem = _problem(settings, read)
    found = in_order({name for each in read.texts for name in (each.answer or {}).get("labels", ())})
    several = problem == "multi-label"
    return LabelTask(
        name=NAME,
        texts=read,
        labels=tuple(dict.fromkeys((*labels, *names_of_labels(settings.label_names), *found))),
        page=files("distiltune.tasks.text_classification").joinpath("label_page"),
        form=TextLabelsIn,
        rows=lambda text, prompt, name, answer: [_row(text, prompt, name, answer, several=several)],
        kept=_kept,
        joined=lambda answers: answers[-1],
        labels_in=lambda answer: answer["labels"],
        load=lambda model: _Suggester(_classifier(model, settings)),
        sample={"labels": ["repair"]},
        kind=problem,
        training={"problem": problem},
    )


def _classifier(model: str, settings: TextClassificationSettings) -> TextClassifier:
    return TextClassifier(model, device=settings.device, threads=settings.threads, precision="auto")


def _read_rows(sources: Sequence[str], settings: TextClassificationSettings) -> ReadTexts:
    read = read_texts(
        sources,
        "train",
        TextColumns.parse(settings.columns),
        settings.max_rejected_share,
        "prediction",
        LabelSettings(names_of_labels(settings.label_names), settings.label_separator, problem=settings.problem),
        file_form(settings),
    )
    texts = (
        ReadText(
            each.text,
            each.pair or "",
            each.id,
            None if each.gold is None else {"labels": list(each.gold)},
            source_name(each.where),
        )
        for each in read.examples
    )
    return ReadTexts(tuple(texts), notes_of(read.findings))


def _problem(settings: TextClassificationSettings, read: ReadTexts) -> str:
    given = [tuple(each.answer["labels"]) for each in read.texts if each.answer is not None]
    problem = settings.problem
    if problem == "auto":
        known = [TextExample(str(i), "text", None, gold) for i, gold in enumerate(given)]
        problem = find_problem(known) if known else "single-label"
    if problem == "regression":
        raise RecipeError(
            "Numbers cannot be given on the page yet, only labels.",
            where="--problem regression",
            fix="write them into a table, or give them as labels: --problem single-label",
        )
    return problem


def _row(text: str, pair: str, name: str, answer: Answer | None, *, several: bool) -> Row:
    """The row that `train` reads.

    Raises:
        DataError: if one label is wanted and there are more or none.

    """
    texts = {"id": name, "text": text, **({"text_pair": pair} if pair else {})}
    if answer is None:
        return texts
    labels = list(dict.fromkeys(answer["labels"]))
    if several:
        return {**texts, "labels": labels}
    if len(labels) != 1:
        raise DataError(f"{len(labels)} labels are given.", where="labels", fix="give the one that is right")
    return {**texts, "label": labels[0]}


def _kept(row: Row) -> KeptAnswer | None:
    text = text_in(row, "text")
    if text is None:
        return None
    one, several = row.get("label"), row.get("labels")
    labels = several if isinstance(several, list) else None if one is None else [str(one)]
    return KeptAnswer(text, text_in(row, "text_pair") or "", None if labels is None else {"labels": labels})


@dataclass(frozen=True, slots=True)
class _Suggester:
    classifier: TextClassifier

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any]:
        """The labels that the model gives, and each one's probability, the likeliest first."""
        said = self.classifier([_asked(text, prompt)])[0]
        return {"labels": list(said.labels), "scores": dict(said.scores)}

    def doubts(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """Breaking ties: how near the two likeliest are; of several labels how near any is to even odds.

        Scheffer et al. 2001; Luo et al. 2005 ("breaking ties").
        """
        shares = self.classifier.predict_proba([_asked(*each) for each in texts])
        if self.classifier.targets.problem == "multi-label":
            found = 1 - 2 * np.abs(shares - 0.5).min(axis=1)
        else:
            ranked = np.sort(shares, axis=1)
            found = 1 - (ranked[:, -1] - ranked[:, -2])
        return [float(each) for each in found]


def _asked(text: str, pair: str) -> Any:
    text = text[:MOST_CHARACTERS_READ]
    return (text, pair[:MOST_CHARACTERS_READ]) if pair else text
