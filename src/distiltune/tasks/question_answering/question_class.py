"""What a question asks for, by its question word: enough to see what a data set is made of and where a model fails."""

from __future__ import annotations

import re

QUESTION_CLASSES = (
    "who",
    "when",
    "where",
    "how many, how much",
    "how",
    "why",
    "which",
    "what",
    "yes or no",
    "other",
)
"""In the order in which they are shown."""

_PATTERNS = (
    (
        "yes or no",
        re.compile(
            r"^\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|am)\b(?!.*\bor\b)"
        ),
    ),
    ("how many, how much", re.compile(r"\bhow (?:many|much)\b")),
    ("when", re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b")),
    ("who", re.compile(r"\b(?:who|whom|whose)\b")),
    *((word, re.compile(rf"\b{word}\b")) for word in ("where", "how", "why", "which", "what")),
)


def question_class(question: str) -> str:
    """One of `QUESTION_CLASSES`: the first question word decides, "in what year" counts as "when"."""
    text = question.lower()
    found = [(match.start(), name) for name, pattern in _PATTERNS if (match := pattern.search(text))]
    if found:
        return min(found, key=lambda each: each[0])[1]  # of two at one place the first of the table
    return "other"
