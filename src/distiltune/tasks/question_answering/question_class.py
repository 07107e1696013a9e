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

_HOW_MANY = re.compile(r"\bhow (?:many|much)\b")
_WHEN = re.compile(r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time)\b")
_WORDS = re.compile(r"\b(?:who|whom|whose|where|how|why|which|what)\b")
_CLASS_OF_WORD = {"whom": "who", "whose": "who"}
_YES_OR_NO = re.compile(
    r"\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|am)\b(?!.*\bor\b)"
)


def question_class(question: str) -> str:
    """One of `QUESTION_CLASSES`: the first question word decides, "in what year" counts as "when"."""
    text = question.lower()
    if _HOW_MANY.search(text):
        return "how many, how much"
    if _WHEN.search(text):
        return "when"
    if _YES_OR_NO.match(text):
        return "yes or no"
    if found := _WORDS.search(text):
        return _CLASS_OF_WORD.get(found.group(), found.group())
    return "other"
