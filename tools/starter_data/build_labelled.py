"""Make the packaged starter data for classifying texts and marking words from `messages.txt` and `notices.txt`.

Every fifth row validates.

Run from the repository: `python tools/starter_data/build_labelled.py`. A test holds the data to what this writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STARTER = HERE.parents[1] / "src" / "distiltune" / "starter" / "data"
EVERY = 5
MARKED = re.compile(r"([^\[]*)(?:\[([^|]+)\|(\w+)\])?")


def lines_of(name: str) -> list[str]:
    """The lines of a source that hold something."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def messages() -> list[dict[str, Any]]:
    """Messages with their labels."""
    rows = []
    for number, line in enumerate(lines_of("messages.txt"), start=1):
        label, _, text = line.partition(": ")
        rows.append({"id": f"message-{number}", "text": text, "label": label})
    return rows


def notices() -> list[dict[str, Any]]:
    """Notices with spans of characters; in the source they stand as ``[words|label]``."""
    rows = []
    for number, line in enumerate(lines_of("notices.txt"), start=1):
        text, spans = "", []
        for before, words, label in MARKED.findall(line):
            text += before
            if label:
                spans.append({"start": len(text), "end": len(text) + len(words), "label": label})
                text += words
        rows.append({"id": f"notice-{number}", "text": text, "spans": spans})
    return rows


def write_split(rows: Iterable[dict[str, Any]], directory: Path) -> None:
    """Write ``train.jsonl`` and ``validation.jsonl``."""
    directory.mkdir(parents=True, exist_ok=True)
    numbered = list(enumerate(rows, start=1))
    for name, aside in (("train", False), ("validation", True)):
        kept = [row for number, row in numbered if (number % EVERY == 0) == aside]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        (directory / f"{name}.jsonl").write_text(text, encoding="utf-8")


def build(target: Path) -> None:
    """Write everything below ``target``."""
    write_split(messages(), target / "text_classification")
    write_split(notices(), target / "token_classification")


if __name__ == "__main__":
    build(STARTER)
    print(f"written: {STARTER}")
