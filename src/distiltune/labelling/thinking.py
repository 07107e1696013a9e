"""What is worked out beside labelling, on a thread that gives way: hints, what is typical, suggestions, doubts."""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from distiltune.errors import DistiltuneError
from distiltune.labelling.choosing import most_typical
from distiltune.labelling.desk import Desk
from distiltune.labelling.offered import Suggester

Vectors = Callable[[Sequence[str], int], Iterable[npt.NDArray[np.float32]]]
"""Texts, and how many are read at once → of each so many ``(n_texts, hidden)``."""

MOST_TEXTS_SPREAD: Final = 1_000
"""Of more texts so many, drawn by the seed, are looked at for what is typical."""
MOST_TEXTS_DOUBTED: Final = 1_000
"""Of more texts so many are read by each new model for what it doubts."""
_AT_ONCE: Final = 8
"""Texts that a model reads at once: so long whoever wants a suggestion waits at most, and the end of the process."""
_ENOUGH_DOUBTS: Final = 64
"""Fewer are not chosen from while those of the model before are there."""
_NICENESS: Final = 10
_STOP_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Model:
    suggester: Suggester
    name: str
    n_labels: int


@dataclass(slots=True, eq=False)
class Thinking:
    """A thread that does one thing after another, and what it has come to.

    Attributes:
        desk: for which it thinks; it is told what comes next.
        vectors: what says how like texts are; None: what is typical is not looked for.
        n_first: how many are chosen as typical.
        problem: why there is no suggestion, in a sentence; empty: nothing is wrong.

    """

    desk: Desk
    vectors: Vectors | None
    n_first: int
    problem: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict)
    _jobs: queue.Queue[Callable[[], None] | None] = field(default_factory=queue.Queue)
    _model: _Model | None = None
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._think, name="thinking", daemon=True)

    def start(self) -> None:
        """Begin: with what is typical, then with hints."""
        if self.vectors is not None and self.desk.choice.order == "doubt":
            self._jobs.put(self.find_typical)
        if self.desk.task.hints is not None:
            self._jobs.put(self._find_hints)
        self._thread.start()

    def close(self) -> None:
        """Do nothing more than the few texts being read: a thread amid tensors would spoil the end of the process."""
        self._closed.set()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def use(self, model: Path | str, name: str, n_labels: int) -> None:
        """Have suggestions made by that model as soon as it is loaded, and look at what it doubts."""
        self._jobs.put(lambda: self.take(str(model), name, n_labels))

    @property
    def model_told(self) -> dict[str, Any] | None:
        """Which model makes the suggestions; None: none."""
        model = self._model
        return None if model is None else {"name": model.name, "labels": model.n_labels}

    def suggest(self, text: str, prompt: str) -> Mapping[str, Any] | None:
        """What the newest model would answer; None without one."""
        model = self._model
        if model is None:
            return None
        with self._asking:
            return model.suggester.suggest(text, prompt)

    def _think(self) -> None:
        # Linux gives a thread a niceness of its own; elsewhere this would be the whole process's.
        if hasattr(os, "setpriority") and os.uname().sysname == "Linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except DistiltuneError as error:
                self.problem = f"{error.what} What to do: {error.fix}."
            except Exception as error:  # labelling goes on without
                self.problem = f"Something failed that only suggestions need: {type(error).__name__}: {error}"

    def find_typical(self) -> None:
        """Look for what is typical, a few texts at once, and have that come next."""
        assert self.vectors is not None
        items = self.desk.unlabelled()[:MOST_TEXTS_SPREAD]
        if len(items) > self.n_first:
            texts = [f"{item.prompt} {item.text}".strip() for item in items]
            parts = []
            for part in self.vectors(texts, _AT_ONCE):
                if self._closed.is_set():
                    return
                parts.append(part)
            self.desk.choice.spread = [items[i].key for i in most_typical(np.concatenate(parts), self.n_first)]

    def _find_hints(self) -> None:
        assert self.desk.task.hints is not None
        self.hints = self.desk.task.hints([item.text for item in self.desk.unlabelled(for_validation=None)])

    def take(self, model: str, name: str, n_labels: int) -> None:
        """Load a model now, and look at what it doubts."""
        suggester = self.desk.task.load(model)
        self._model, self.problem = _Model(suggester, name, n_labels), ""
        if self.desk.choice.order == "doubt":
            self._doubt(suggester)

    def _doubt(self, suggester: Suggester) -> None:
        """Look at texts eight at once, so that whoever wants a suggestion waits for no more; a newer model ends it."""
        items = self.desk.unlabelled()[:MOST_TEXTS_DOUBTED]
        found: dict[str, float] = {}
        for first in range(0, len(items), _AT_ONCE):
            if not self._jobs.empty():
                return
            some = items[first : first + _AT_ONCE]
            with self._asking:
                doubts = suggester.doubts([(item.text, item.prompt or self._hinted(item.text)) for item in some])
            found |= {item.key: doubt for item, doubt in zip(some, doubts, strict=True) if not math.isnan(doubt)}
            if len(found) >= _ENOUGH_DOUBTS:
                self.desk.choice.doubts = dict(found)
        self.desk.choice.doubts = found

    def _hinted(self, text: str) -> str:
        """A question that was thought up for a text that comes without one."""
        questions = self.hints.get(text, {}).get("questions", ())
        return str(questions[0]["question"]) if questions else ""
