"""Whole sentences in a cell, and their tags in another: ``Ada went home`` beside ``B-PER O O``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from distiltune.data.column_names import columns_text
from distiltune.data.literals import literal
from distiltune.data.tag_schemes import looks_like_tags

TOLD: Final = "Sentences in a cell are parted at blanks into words, each with the tag at its place in the cell of tags."
OTHER_LABELS: Final = frozenset({"label", "labels", "cats", "accept", "spans"})
"""Columns beside which ``tags`` may be what a text is about, and not a tag for each word."""

_PARTS_TOPICS: Final = (",", ";", "#", "/")
_FEWEST_ROWS: Final = 5

_BLANKS: Final = re.compile(r"[ \t\r\n]+")


def has_tagged_sentences(names: Iterable[str]) -> bool:
    """Whether rows have a text and tags, and nothing else that may be learnt of it."""
    seen = set(names)
    return "text" in seen and bool(seen & {"tags", "ner_tags"}) and not seen & OTHER_LABELS


def words_in(cell: str) -> list[str]:
    """The words of a sentence, parted at blanks and line ends; other white space, as U+00A0, is part of a word."""
    return [word for word in _BLANKS.split(cell) if word]


def tags_in(cell: str, n_words: int) -> list[str]:
    """The tags in a cell, parted at blanks; at commas, if there are as many as words only so."""
    tags = words_in(cell)
    if len(tags) != n_words and "," in cell:
        parted = [part.strip() for part in cell.split(",")]
        return parted if len(parted) == n_words else tags
    return tags


def are_sentences(rows: Iterable[Mapping[str, object]], word: str, tag: str) -> bool:
    """Whether two columns that may hold a word a row hold sentences: some cell of tags has several, and as many words.

    Args:
        rows: the first ones.
        word: the column of words.
        tag: the column of their tags.

    """
    for row in rows:
        words, tags = row.get(word), row.get(tag)
        if isinstance(words, str) and isinstance(tags, str) and len(words_in(words)) > 1:
            n_words = len(words_in(words))
            if len(tags_in(tags, n_words)) == n_words:
                return True
    return False


def way_to_topics(names: Iterable[str], rows: Callable[[], Sequence[Mapping[str, object]]]) -> str:
    """How rows with a text and ``tags`` are read whose tags are what the text is about; empty if they are of its words.

    Args:
        names: the columns.
        rows: the first rows, which are read only if their values are asked for.

    Returns:
        The flags, or an empty text unless most rows have more or fewer tags than words, and no usual tags of words.

    """
    if not has_tagged_sentences(names):
        return ""
    counts: Counter[str] = Counter()
    n_rows = n_fitting = 0
    cells: list[str] = []
    for row in rows():
        text, cell = row.get("text"), row.get("tags")
        if not isinstance(text, str) or not isinstance(cell, str | list):
            continue
        listed = cell if isinstance(cell, list) else literal(cell)
        n_words = len(words_in(text))
        tags = list(map(str, listed)) if isinstance(listed, list) else tags_in(str(cell), n_words)
        cells += [cell] if isinstance(cell, str) and not isinstance(listed, list) else []
        counts.update(tags)
        n_rows += 1
        n_fitting += len(tags) == n_words
    if n_rows < _FEWEST_ROWS or 2 * n_fitting > n_rows or looks_like_tags(counts):
        return ""
    separator = next((sign for sign in _PARTS_TOPICS if any(sign in cell for cell in cells)), "")
    parted = f" --label-separator '{separator}'" if separator else ""
    return f"--task text-classification --columns {columns_text({'text': 'text', 'labels': 'tags'})}{parted}"
