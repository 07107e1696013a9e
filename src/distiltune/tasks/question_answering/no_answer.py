"""Texts that stand for "there is no answer": those that were named, and those that look like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PLAIN: Final = frozenset(
    {
        *("answernotfound", "cannotanswer", "noanswer", "unanswerable", "notanswerable", "noanswerfound"),
        *("answernotavailable", "noanswerpresent", "noanswerexists"),
    }
)
"""Letters of texts that hardly mean anything else."""
_UNPLACED: Final = frozenset({"na", "nan", "none", "null", "nil", "unknown", "notfound", "notavailable", ""})
"""Letters of texts that mean the same where they do not stand in the context."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The texts that were named, folded to single spaces and lower case."""

    texts: frozenset[str] = frozenset()

    @staticmethod
    def parse(text: str) -> NoAnswer:
        """Read ``ANSWERNOTFOUND|n/a``; a part that is blank stands for answers of white space alone."""
        return NoAnswer(frozenset(map(_folded, text.split("|")))) if text else NoAnswer()

    def means_none(self, text: object) -> bool:
        """Whether this text was named as one that stands for no answer."""
        return isinstance(text, str) and _folded(text) in self.texts


def like_none(text: object, *, unplaced: bool = False) -> bool:
    """Whether a text looks as if it stood for no answer; ``unplaced``: it does not stand in the context."""
    if not isinstance(text, str) or len(text) > 40:
        return False
    letters = "".join(filter(str.isalnum, text.lower()))
    has_signs_only = letters == "" and len(text.strip()) < 4
    return letters in _PLAIN or (unplaced and letters in _UNPLACED and (letters != "" or has_signs_only))


def way_to_say_none(shown: str) -> str:
    """How to say that a text, as it is shown in messages, stands for no answer."""
    return f"If it means that there is no answer: --no-answer {shown}."


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
