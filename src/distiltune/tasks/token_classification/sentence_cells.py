"""Whole sentences in a cell, and their tags in another: ``Ada went home`` beside ``B-PER O O``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

TOLD: Final = "Sentences in a cell are parted at blanks into words, each with the tag at its place in the cell of tags."
OTHER_LABELS: Final = frozenset({"label", "labels", "cats", "accept", "spans"})
"""Columns beside which ``tags`` may be what a text is about, and not a tag for each word."""

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
