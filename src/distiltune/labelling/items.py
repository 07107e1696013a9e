"""Texts → items: each with a key, its place, and whether it is kept for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from distiltune.labelling.offered import Answer, ReadText

ONE_IN: Final = 5
"""Of so many items one is kept for validation, and never chosen by doubt."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text to label.

    Attributes:
        key: a hash of text and prompt, so that an item is found again however its file is called or grows.
        id: of its rows: the data's own, or the document's name and the key.
        text, prompt, document, given: as `ReadText` has them; ``given`` is its answer.
        number: its place among the items of its document, from 1.
        of: how many these are.
        for_validation: whether it is kept for validation: by its key, so that it holds across stops and starts.

    """

    key: str
    id: str
    text: str
    prompt: str
    document: str
    given: Answer | None
    number: int
    of: int
    for_validation: bool


def key_of(text: str, prompt: str) -> str:
    """What an item with this text and prompt is found by."""
    content = f"{len(text)}\n{text}{prompt}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:20]


def is_for_validation(key: str) -> bool:
    """Whether an item is of the fifth that is kept for validation."""
    return int(key[:8], 16) % ONE_IN == 0


def items_of(texts: Iterable[ReadText]) -> tuple[tuple[Item, ...], int]:
    """The items in reading order, and how many texts were left out as they stood there before."""
    seen: dict[str, ReadText] = {}
    n_all = 0
    for each in texts:
        n_all += 1
        seen.setdefault(key_of(each.text, each.prompt), each)
    totals: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for key, each in seen.items():
        totals[each.document] = totals.get(each.document, 0) + 1
        numbers[key] = totals[each.document]
    ids = _ids(seen)
    items = tuple(
        Item(
            key=key,
            id=ids[key],
            text=each.text,
            prompt=each.prompt,
            document=each.document,
            given=each.answer,
            number=numbers[key],
            of=totals[each.document],
            for_validation=is_for_validation(key),
        )
        for key, each in seen.items()
    )
    return items, n_all - len(items)


def _ids(seen: dict[str, ReadText]) -> dict[str, str]:
    """Key → id: the data's own where no other item has it, as files put together may."""
    used: set[str] = set()
    ids = {}
    for key, each in seen.items():
        name = each.id
        if not name or name in used:
            name = f"{name or each.document or 'text'}-{key[:8]}"
        used.add(name)
        ids[key] = name
    return ids
