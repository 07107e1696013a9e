"""Texts that are many are read, featurised and checked from disk: everything comes out as of few."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distiltune.data import ids, scratch, stored
from distiltune.data.parts import forget_gold
from distiltune.data.reading import Use
from distiltune.data.stored import OnDisk
from distiltune.errors import DataError
from distiltune.tasks.labelled_check import labelled_concerns
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextSet
from distiltune.tasks.text_classification.features import TextWindows, featurise
from distiltune.tasks.text_classification.labelled import labelled_texts
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.spellings import one_spelling
from distiltune.tasks.text_classification.targets import class_weights, find_targets
from tests.helpers import word_pieces

TOKENIZER = word_pieces([*"abcdefgh", "##b", "##c"])


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def texts(seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices("abcdefg", k=draw.randint(1, 9))) for _ in range(60)]


def labelled(labels: list[object]) -> list[dict[str, object]]:
    return [{"text": text, "label": labels[i % len(labels)]} for i, text in enumerate(texts(1))]


def with_columns(columns: Callable[[int], dict[str, object]]) -> list[dict[str, object]]:
    return [{**row, **columns(i)} for i, row in enumerate(labelled(["a", "b"]))]


DATA: dict[str, Callable[[Path], tuple[Path, str]]] = {
    "labels": lambda folder: (jsonl(folder / "a.jsonl", labelled(["joy", "Joy", "fear", 1, 1.0, True])), ""),
    "bad rows": lambda folder: (jsonl(folder / "a.jsonl", labelled(["joy", None, "", "fear", {"a": 1}, "x"])), ""),
    "several": lambda folder: (jsonl(folder / "a.jsonl", labelled([["joy"], ["joy", "fear"], []])), ""),
    "places": lambda folder: (jsonl(folder / "a.jsonl", labelled([[0, 1, 1], [1, 0, 0]])), ""),
    "in a text": lambda folder: (table(folder / "a.csv", labelled(["0 1 1", "1 0 0"])), ""),
    "blanks": lambda folder: (table(folder / "a.csv", labelled(["joy", " ", "fear"])), ""),
    "written numbers": lambda folder: (table(folder / "a.csv", labelled(["3,5 €", "4,25 €", "1 €"])), ""),
    "numbers": lambda folder: (jsonl(folder / "a.jsonl", labelled([0.5, 1.25, -3.0])), ""),
    "columns": lambda folder: (
        table(folder / "a.csv", [{"text": t, "toxic": i % 2, "rude": i % 3 % 2} for i, t in enumerate(texts(2))]),
        "",
    ),
    "named columns": lambda folder: (
        table(folder / "a.csv", [{"text": t, "x": i % 2, "y": 1, "z": i} for i, t in enumerate(texts(2))]),
        "labels=x+y",
    ),
    "weights and ids": lambda folder: (
        jsonl(folder / "a.jsonl", with_columns(lambda i: {"id": i // 2, "sample_weight": i / 7})),
        "",
    ),
    "pairs": lambda folder: (
        jsonl(folder / "a.jsonl", with_columns(lambda i: {"text_pair": "a b" if i % 5 else None})),
        "",
    ),
    "no labels": lambda folder: (table(folder / "a.csv", [{"text": text, "z": 1} for text in texts(3)]), ""),
}


def read(data: str, folder: Path) -> TextSet:
    path, columns = DATA[data](folder)
    use: Use = "prediction" if data == "no labels" else "training"
    return read_texts([path], "train", TextColumns.parse(columns), 1.0, use)


def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BATCH_ROWS", 4)
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 8)
    monkeypatch.setattr(ids, "IDS_IN_MEMORY", 8)
    monkeypatch.setattr(scratch, "_BYTES_IN_MEMORY", 64)


@pytest.mark.parametrize("data", DATA)
def test_many_are_read_and_featurised_as_few(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = read(data, tmp_path)
    on_disk(monkeypatch)
    for many in (read(data, tmp_path), read(data, tmp_path)):  # read, and then recalled
        assert isinstance(many.examples, OnDisk)
        assert list(many.examples) == list(few.examples)
        assert many.findings == few.findings
        assert many.fingerprint == few.fingerprint
    if data == "no labels":
        return
    sets = few, many
    if data not in ("numbers", "written numbers"):
        sets = one_spelling(few), one_spelling(many)
        assert list(sets[0].examples) == list(sets[1].examples)
        assert sets[0].findings == sets[1].findings
    targets = find_targets(sets[0].examples, "auto", {})
    found = find_targets(sets[1].examples, "auto", {})
    assert (found, found.mean, found.spread) == (targets, targets.mean, targets.spread)
    weights = class_weights("balanced", targets, sets[0].examples)
    assert class_weights("balanced", targets, sets[1].examples).tolist() == weights.tolist()
    made = [featurise(each, TOKENIZER, TextWindows(8, 2), targets, weights) for each in sets]
    assert made[0].features.fingerprint() == made[1].features.fingerprint()
    assert made[0].features.example_of.tolist() == made[1].features.example_of.tolist()
    seen = [labelled_texts(each, "auto") for each in made]
    concerns = [labelled_concerns(one, them, them[:9], TOKENIZER) for one, them in zip(made, seen, strict=True)]
    assert concerns[0] == concerns[1]


def test_a_file_that_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    before = read("labels", tmp_path)
    again = read_texts([jsonl(tmp_path / "a.jsonl", labelled(["joy", "fear"]))], "train", TextColumns(), 1.0)
    assert list(before.examples) != list(again.examples)


@pytest.mark.parametrize("labels", [["a", "b", "a b", "b a"], ["x,y", "y,x", "x,y,z"]])
def test_what_is_refused_of_few_is_refused_of_many(
    labels: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for spill in (False, True):
        if spill:
            on_disk(monkeypatch)
        with pytest.raises(DataError) as error:
            read_texts([jsonl(tmp_path / "a.jsonl", labelled(labels))], "train", TextColumns(), 1.0)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_features_are_cached_under_the_same_texts(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk(monkeypatch)
    targets = find_targets(read("labels", tmp_path).examples, "auto", {})
    kept = []
    for data in ("labels", "labels", "columns"):
        featurise(forgotten(read(data, tmp_path)), TOKENIZER, TextWindows(8, 2), targets, np.ones(len(targets.labels)))
        kept.append(sorted(each.name for each in own_cache.iterdir()))
    assert kept[0] == kept[1] != kept[2]


def forgotten(read: TextSet) -> TextSet:
    """The set without labels, for whatever targets."""
    return forget_gold(read, lambda example: "none", "forgotten")
