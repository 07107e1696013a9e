"""Examples: one question on one context, with its gold answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: its text and where it starts in the context, in Unicode code points."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """One past the answer's last code point."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Example:
    """One question on one context; no answers means that the question is unanswerable from it."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    title: str = ""
