"""The marked rows of one file whose tags are not understood yet: what they mean is known once all of them are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from distiltune.data.stored import Form, Growing
from distiltune.data.words import Spans
from distiltune.progress import counted
from distiltune.tasks.token_classification.examples import CHARACTERS_A_WORD, Entity, packed_words, unpacked_words
from distiltune.tasks.token_classification.spans import Notes

_LONG_SENTENCE = 100
"""More words than a sentence usually has."""
_ENDS_OF_SENTENCES = frozenset(".!?。！？؟।")
_SEVERAL = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that can be used, before it is known what its file's tags mean; of ``tags`` and ``gold`` one is None.

    ``is_accepted``: somebody looked at it and said so.
    """

    row_id: object
    where: str
    text: str
    words: Spans
    tags: tuple[str, ...] | None = None
    gold: tuple[Entity, ...] | None = None
    notes: Notes = ()
    weight: float | None = None
    is_accepted: bool = False

    @property
    def is_marked(self) -> bool:
        """Whether it has tags or spans, though there be none of an entity."""
        return self.tags is not None or self.gold is not None

    @property
    def is_bare(self) -> bool:
        """Whether it was accepted and has no marks, so that there are none to be found in it."""
        return self.is_accepted and self.tags is None and not self.gold


def _pack(draft: Draft) -> tuple[object, ...]:
    gold = None if draft.gold is None else [(each.start, each.end, each.label) for each in draft.gold]
    rest = json.dumps([draft.row_id, draft.tags, gold, draft.notes, draft.is_accepted])
    return draft.where, draft.text, packed_words(draft.words), draft.weight, rest


def _unpack(where: str, text: str, words: bytes, weight: float | None, rest: str) -> Draft:
    row_id, tags, gold, notes, is_accepted = json.loads(rest)
    return Draft(
        row_id,
        where,
        text,
        unpacked_words(words),
        None if tags is None else tuple(tags),
        None if gold is None else tuple([Entity(*each) for each in gold]),
        tuple(map(tuple, notes)),
        weight,
        is_accepted,
    )


DRAFT_FORM = Form(
    {"where": "string", "text": "large_string", "words": "large_binary", "weight": "float64", "rest": "large_string"},
    _pack,
    _unpack,
    lambda draft: len(draft.text) + CHARACTERS_A_WORD * len(draft.words),
)
"""How such rows lie on disk, where there are many; the rest is JSON."""


@dataclass(slots=True)
class DraftFile:
    """What a file comes to before its tags are understood.

    Attributes:
        rows: those that can be used.
        tags: how often each tag occurs.
        told: what was decided on reading rows, each sentence once.
        is_weighed: whether some row says what it weighs.
        is_marked: whether some row has tags or spans.
        n_bare: how many rows were accepted without any.

    """

    rows: Growing[Draft] = field(default_factory=lambda: Growing(DRAFT_FORM))
    tags: Counter[str] = field(default_factory=Counter)
    told: dict[str, None] = field(default_factory=dict)
    is_weighed: bool = False
    is_marked: bool = False
    n_bare: int = 0
    _n_words: int = 0
    _longest: int = 0
    _n_joined_words: int = 0
    _most_ends: int = 0

    def add(self, draft: Draft) -> None:
        """One row more."""
        self.rows.append(draft)
        self.tags.update(draft.tags or ())
        self.told.update(dict.fromkeys(message for outcome, _, message in draft.notes if outcome == "decided"))
        self.is_weighed |= draft.weight is not None
        self.is_marked |= draft.is_marked
        self.n_bare += draft.is_bare
        self._n_words += len(draft.words)
        if len(draft.words) > _LONG_SENTENCE:
            self._add_long(draft.text, draft.words)

    def _add_long(self, text: str, words: Sequence[tuple[int, int]]) -> None:
        n_ends = sum(text[slice(*word)] in _ENDS_OF_SENTENCES for word in words)
        self._longest, self._most_ends = max(self._longest, len(words)), max(self._most_ends, n_ends)
        self._n_joined_words += len(words) if n_ends >= _SEVERAL else 0

    @property
    def joined(self) -> str:
        """That most of the file's words stand in sentences that are several by their signs; empty where they do not."""
        if self._n_joined_words <= self._n_words / 2:
            return ""
        return (
            f"The file has {counted(len(self.rows), 'sentence')} with {self._longest:,} words in the longest and up to "
            f"{self._most_ends} full stops in one: no empty lines part the sentences."
        )
