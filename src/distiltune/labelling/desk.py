"""The desk: what there is to label, what has been, and what comes next. Several windows may sit at it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from distiltune.errors import DataError
from distiltune.labelling.choosing import NextUp
from distiltune.labelling.items import Item, key_of
from distiltune.labelling.kept_rows import KeptRows
from distiltune.labelling.offered import Answer, LabelTask, Row
from distiltune.serving.corrections import ConflictError

Aside = Literal["", "skipped", "unsure"]
"""Why an item is set aside: its rows are kept, but in another file than what is trained on."""

_LEASE_S: Final = 300.0
_ASIDE: Final = "set_aside"


@dataclass(frozen=True, slots=True)
class Said:
    """What stands of an item: the answer, None for none, and whether it is set aside."""

    answer: Answer | None = None
    aside: Aside = ""

    @property
    def revision(self) -> str:
        """What tells this from anything else that may stand: the same across stops and starts."""
        if self.answer is None and not self.aside:
            return "0"
        return hashlib.sha256(json.dumps([self.answer, self.aside], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class DeskCounts:
    """How far it is: of items."""

    items: int
    labelled: int
    for_training: int
    for_validation: int
    skipped: int
    unsure: int


@dataclass(slots=True, eq=False)
class Desk:
    """Items with what stands of them, for several threads.

    Attributes:
        task: whose items these are.
        items: by key, in reading order.
        kept: the file that is trained on.
        aside: the file of what is skipped or unsure.
        choice: what comes next.
        labels: the names that there are.

    """

    task: LabelTask
    items: Mapping[str, Item]
    kept: KeptRows
    aside: KeptRows
    choice: NextUp
    labels: list[str]
    _said: dict[str, Said] = field(default_factory=dict)
    _leases: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _keys: tuple[str, ...] = ()
    _places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._keys = tuple(self.items)
        self._places = {key: place for place, key in enumerate(self._keys)}

    def open(self) -> None:
        """Read what was labelled before, and see that files can be written.

        Raises:
            DataError: if a file is damaged.
            NotKeptError: if one cannot be written.

        """
        for file, is_aside in ((self.aside, True), (self.kept, False)):
            for key, rows in file.load(self._key_of).items():
                said = self._as_said(rows, is_aside=is_aside)
                if said is not None:
                    self._said[key] = said
                    self._learn_labels(said.answer)
            file.check()
        for item in self.items.values():
            self._learn_labels(item.given)

    def _key_of(self, row: Row) -> str | None:
        found = self.task.kept(row)
        if found is None:
            return None
        # A question that was thought of here is a row of the passage, which has no question of its own.
        keys = (key_of(found.text, found.prompt), key_of(found.text, ""))
        return next((key for key in keys if key in self.items), None)

    def _as_said(self, rows: Sequence[Row], *, is_aside: bool) -> Said | None:
        answers = [found.answer for row in rows if (found := self.task.kept(row)) and found.answer is not None]
        aside: Aside = ""
        if is_aside:
            aside = "skipped" if rows[0].get(_ASIDE) == "skipped" else "unsure"
        return Said(self.task.joined(answers) if answers else None, aside)

    def _learn_labels(self, answer: Answer | None) -> None:
        for label in self.task.labels_in(answer) if answer is not None else ():
            if label not in self.labels:
                self.labels.append(label)

    def add_label(self, name: str) -> None:
        """Add a name to those that there are."""
        with self._lock:
            if name not in self.labels:
                self.labels.append(name)

    def item(self, key: str) -> Item:
        """The item of that key.

        Raises:
            DataError: if there is none.

        """
        item = self.items.get(key)
        if item is None:
            raise DataError("There is no such text.", where="the text's key", fix="take one from /api/items")
        return item

    def said(self, key: str) -> Said:
        """What stands of an item."""
        with self._lock:
            return self._said.get(key, Said())

    def save(self, key: str, revision: str, said: Said, window: str = "") -> Said:
        """Let this stand of an item, if what stood is what whoever saves has seen; on the disk when this returns.

        Raises:
            ConflictError: if something else stands by now.
            DataError: if there is no such item, or the answer does not fit its text.
            NotKeptError: if it cannot be written; what stood then stands.

        """
        item = self.item(key)
        with self._lock:
            before = self._said.get(key, Said())
            if before.revision != revision:
                raise ConflictError(
                    "Another window has saved something else of this text meanwhile.",
                    where=f"text {item.number} of {item.document or 'the data'}",
                    fix="look at what it says now, then save again",
                )
            rows = self.task.rows(item.text, item.prompt, item.id, said.answer)
            if said.aside:
                self.aside.put(key, [{**row, _ASIDE: said.aside} for row in rows])
                self.kept.put(key, [])
            else:
                self.kept.put(key, rows if said.answer is not None else [])
                self.aside.put(key, [])
            if said == Said():
                self._said.pop(key, None)
            else:
                self._said[key] = said
            self._learn_labels(said.answer)
            return said

    def next(self, window: str, besides: str = "") -> str | None:
        """The key of the item to label next; None if all are. No two windows get the same for some minutes."""
        with self._lock:
            self._give_back(window)
            there = {
                key: item
                for key, item in self.items.items()
                if key not in self._said and key not in self._leases and key != besides
            }
            if not there and besides and besides not in self._said:
                there = {besides: self.items[besides]}
            n_done, n_validation = self._n_done()
            key = self.choice.next(there, n_done, n_validation)
            if key is not None:
                self._leases[key] = (window, time.monotonic())
            return key

    def hold(self, window: str, key: str) -> None:
        """Let a window have this item open, and no other; with an empty key none, as when it is closed.

        What another window has stays with that one.

        Raises:
            DataError: if there is no such item.

        """
        with self._lock:
            self._give_back(window)
            if key:
                self._leases.setdefault(self.item(key).key, (window, time.monotonic()))

    def held_by_others(self, window: str) -> int:
        """Of how many items nothing stands that other windows have open."""
        with self._lock:
            now = time.monotonic()
            return sum(
                who != window and now - since < _LEASE_S and key not in self._said
                for key, (who, since) in self._leases.items()
            )

    def _give_back(self, window: str) -> None:
        """Forget what that window has open, and what others have had for too long."""
        now = time.monotonic()
        self._leases = {
            key: (who, since) for key, (who, since) in self._leases.items() if now - since < _LEASE_S and who != window
        }

    def beside(self, key: str, step: int) -> str | None:
        """The key of the item before or after that one, in reading order."""
        place = self._places[self.item(key).key] + step
        return self._keys[place] if 0 <= place < len(self._keys) else None

    def keys(self, first: int, n: int) -> Sequence[str]:
        """Keys in reading order."""
        return self._keys[first : first + n]

    def counts(self) -> DeskCounts:
        """How far it is."""
        with self._lock:
            asides = [said.aside for said in self._said.values()]
            n_done, n_validation = self._n_done()
            return DeskCounts(
                items=len(self.items),
                labelled=n_done,
                for_training=n_done - n_validation,
                for_validation=n_validation,
                skipped=asides.count("skipped"),
                unsure=asides.count("unsure"),
            )

    def labelled(self) -> dict[str, Said]:
        """What stands of the items that have an answer to train on, by key."""
        with self._lock:
            return {key: said for key, said in self._said.items() if not said.aside and said.answer is not None}

    def rows(self, *, for_validation: bool) -> list[Row]:
        """The rows to train on, or to measure on.

        What is kept for measuring is trained on as long as no other text has its labels: a training cannot be measured
        on a label that it has never seen, and a rare one would be learnt from nothing.
        """
        labelled = self.labelled()
        known = self._labels_trained_on(labelled)
        return [
            row
            for key, said in labelled.items()
            if self._is_measured(key, said, known) == for_validation
            for row in self._rows_of(key, said)
        ]

    def _rows_of(self, key: str, said: Said) -> list[Row]:
        item = self.items[key]
        return self.task.rows(item.text, item.prompt, item.id, said.answer)

    def _labels_trained_on(self, labelled: Mapping[str, Said]) -> set[str]:
        answers = [said.answer for key, said in labelled.items() if not self.items[key].for_validation]
        return {label for answer in answers if answer is not None for label in self.task.labels_in(answer)}

    def _is_measured(self, key: str, said: Said, known: set[str]) -> bool:
        if not self.items[key].for_validation:
            return False
        return said.answer is None or known.issuperset(self.task.labels_in(said.answer))

    def unlabelled(self, *, for_validation: bool | None = False) -> list[Item]:
        """Items of which nothing stands, as drawn."""
        with self._lock:
            items = (self.items[key] for key in self.choice.drawn if key not in self._said)
            return [item for item in items if for_validation is None or item.for_validation == for_validation]

    def _n_done(self) -> tuple[int, int]:
        done = {key: said for key, said in self._said.items() if not said.aside}
        known = self._labels_trained_on(done)
        return len(done), sum(self._is_measured(key, said, known) for key, said in done.items())
