"""The rows that the matrix trains on: real sets under a folder of data, or the starter's own where that is not there.

All rows are plain objects as a JSON-lines file holds them. They are parted in two halves by their text, so that the
rules can be made looking at one half, and judged on the other.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zlib import crc32

Row = dict[str, Any]
HALVES = {"A": "makes the rules", "B": "judges them"}
VALENCE = {"joy": 1.0, "love": 0.8, "surprise": 0.3, "sadness": -0.8, "anger": -0.6, "fear": -0.7}
"""What an emotion's name is turned into where numbers are to be predicted."""
_EMOTIONS = ("sadness", "joy", "love", "anger", "fear", "surprise")
FOLDERS = {"squad": "squad-v1.1", "emotion": "emotion", "pairs": "emotion", "valence": "emotion", "wnut17": "wnut17"}
"""Where each real set lies in the folder of data."""
_MAX_WORDS = 60


def rows_of(source: str, data: Path, half: str) -> tuple[list[Row], list[Row]]:
    """The rows to draw training and validation examples from.

    Args:
        source: ``squad``, ``emotion``, ``pairs`` (two texts each, several labels), ``valence`` (numbers), ``wnut17``,
            or ``starter-questions``, ``starter-texts``, ``starter-tokens``.
        data: the folder of real sets.
        half: which of `HALVES`.

    """
    if source in ("pairs", "valence"):
        make = _paired if source == "pairs" else _valued
        train, validation = rows_of("emotion", data, half)
        return make(train), make(validation)
    if source.startswith("starter"):
        train, validation = _starter(source)
    else:
        train, validation = _real(source, data)
    if source in ("starter-tokens", "starter-texts"):  # too few to be parted
        return train, validation
    return _half(train, half), _half(validation, half)


@lru_cache
def _real(source: str, data: Path) -> tuple[list[Row], list[Row]]:
    if source == "squad":
        parts = ("train", "dev")
        train, validation = (list(_squad(data / FOLDERS[source] / f"{part}.json.gz")) for part in parts)
    elif source == "wnut17":
        train, validation = (list(_conll(data / FOLDERS[source] / f"{part}.conll.gz")) for part in ("train", "dev"))
    else:
        train, validation = (
            _emotion(data / FOLDERS["emotion"] / f"{part}.parquet") for part in ("train", "validation")
        )
    return train, validation


def _half(rows: Sequence[Row], half: str) -> list[Row]:
    return [row for row in rows if crc32(text_of(row).encode()) % 2 == list(HALVES).index(half)]


def text_of(row: Row) -> str:
    """What a row is about, by which it is parted."""
    return str(row.get("context") or row.get("text") or " ".join(row["tokens"]))


def _squad(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    for paragraph in (each for article in articles for each in article["paragraphs"]):
        if len(paragraph["context"].split()) > _MAX_WORDS:
            continue
        for asked in paragraph["qas"]:
            answers = asked["answers"][:1]
            yield {
                "id": asked["id"],
                "question": asked["question"],
                "context": paragraph["context"],
                "answers": answers,
            }


def _emotion(path: Path) -> list[Row]:
    from pyarrow import parquet

    table = parquet.read_table(path).to_pylist()
    return [{"text": row["text"], "label": _named(row["label"])} for row in table]


def _named(label: int | str) -> str:
    return label if isinstance(label, str) else _EMOTIONS[label]


def _conll(path: Path) -> Iterator[Row]:
    words: list[list[str]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in (*file, ""):  # a line of white space ends a sentence, and so does the file
            if line.strip():
                words.append(line.split("\t"))
            elif words:
                yield {"tokens": [word[0] for word in words], "tags": [word[-1].strip() for word in words]}
                words = []


def _starter(source: str) -> tuple[list[Row], list[Row]]:
    folder = files("distiltune.starter") / "data"
    if source == "starter-questions":
        train, validation = (
            json.loads((folder / f"{split}.json").read_text("utf-8")) for split in ("train", "validation")
        )
        return list(_flat(train)), list(_flat(validation))
    task = {"starter-texts": "text_classification", "starter-tokens": "token_classification"}[source]
    parts = ((folder / task / f"{split}.jsonl").read_text("utf-8").splitlines() for split in ("train", "validation"))
    train, validation = ([json.loads(line) for line in part] for part in parts)
    if source == "starter-tokens":
        return list(map(_tagged, train)), list(map(_tagged, validation))
    return train, validation


def _tagged(row: Row) -> Row:
    """Words and tags from a text with marked stretches."""
    words = [(match.group(), match.start()) for match in re.finditer(r"\w+|[^\w\s]", row["text"])]
    tags = []
    for _, place in words:
        span = next((each for each in row["spans"] if each["start"] <= place < each["end"]), None)
        tags.append("O" if span is None else f"{'B' if place == span['start'] else 'I'}-{span['label']}")
    return {"tokens": [word for word, _ in words], "tags": tags}


def _flat(data: Row) -> Iterator[Row]:
    for paragraph in (each for article in data["data"] for each in article["paragraphs"]):
        for asked in paragraph["qas"]:
            answers = asked.get("answers", [])[:1]
            yield {
                "id": asked["id"],
                "question": asked["question"],
                "context": paragraph["context"],
                "answers": answers,
            }


def _paired(rows: Sequence[Row]) -> list[Row]:
    """Two texts each, with the labels of both."""
    return [
        {"text": f"{a['text']} . {b['text']}", "labels": sorted({a["label"], b["label"]})}
        for a, b in zip(rows[::2], rows[1::2], strict=False)
    ]


def _valued(rows: Sequence[Row]) -> list[Row]:
    """A number each: how pleasant the emotion is, up to a little noise that follows from nothing."""
    return [
        {"text": row["text"], "label": round(VALENCE[row["label"]] + random.Random(row["text"]).gauss(0, 0.1), 4)}
        for row in rows
    ]
