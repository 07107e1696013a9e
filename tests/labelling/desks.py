"""A small task to label, without a model, and a desk of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from distiltune.errors import DataError
from distiltune.labelling.choosing import NextUp, Order, drawn_by
from distiltune.labelling.desk import Desk
from distiltune.labelling.items import items_of
from distiltune.labelling.kept_rows import KeptRows
from distiltune.labelling.offered import Answer, KeptAnswer, LabelTask, ReadText, ReadTexts, Row


class WordIn(BaseModel):
    """One word of a text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    start: int
    end: int


def _rows(text: str, prompt: str, name: str, answer: Answer | None) -> list[Row]:
    if answer is None:
        return [{"id": name, "text": text}]
    if answer["end"] > len(text):
        raise DataError("It lies outside.", where="end", fix="give less")
    return [{"id": name, "text": text, "start": answer["start"], "end": answer["end"]}]


def _kept(row: Row) -> KeptAnswer | None:
    if "text" not in row:
        return None
    has_answer = "start" in row
    return KeptAnswer(row["text"], "", {"start": row["start"], "end": row["end"]} if has_answer else None)


class Longest:
    """Suggests the first word, and doubts long texts."""

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any]:
        return {"start": 0, "end": len(text.split()[0])}

    def doubts(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        return [float(len(text)) for text, _ in texts]


def task_of(texts: Sequence[str | ReadText]) -> LabelTask:
    read = tuple(each if isinstance(each, ReadText) else ReadText(each, document="some.txt") for each in texts)
    return LabelTask(
        name="first-words",
        texts=ReadTexts(read),
        labels=(),
        page=files("distiltune.tasks.text_classification").joinpath("label_page"),
        form=WordIn,
        rows=_rows,
        kept=_kept,
        joined=lambda answers: answers[-1],
        labels_in=lambda answer: (),
        load=lambda model: Longest(),
        sample={"start": 0, "end": 1},
    )


def desk_of(texts: Sequence[str | ReadText], folder: Path, order: Order = "file") -> Desk:
    task = task_of(texts)
    items, _ = items_of(task.texts.texts)
    by_key = {item.key: item for item in items}
    kept, aside = KeptRows(folder / "mine.jsonl"), KeptRows(folder / "aside.jsonl")
    desk = Desk(task, by_key, kept, aside, NextUp(order, drawn_by(0, list(by_key))), [])
    desk.open()
    return desk
