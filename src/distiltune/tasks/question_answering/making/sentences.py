"""A passage → its sentences, and the words by which two of them are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_END: Final = re.compile(r"[.!?…][\"'”’)\]]*(?=\s+[\"'“‘(\[]*[A-Z0-9])|\n\s*\n")
_SHORT: Final = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Jr|Sr|Inc|Ltd|Co|Corp|No|Vol|Fig|vs|etc|ca|approx|pp)"
    r"|\b[A-Z]|\b(?:e\.g|i\.e))\.$"
)
WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

_SAYING_NOTHING: Final = (
    "a about above after again against all also although am among an and another any are as at be because been "
    "before being below between both but by can could did do does doing down during each either else ever few "
    "first for from further had has have having he her here hers herself him himself his how however i if in into "
    "is it its itself just later least less like made many may me might more most much must my near new no nor "
    "not now of off often on once one only or other others our out over own part per same second several she "
    "should since so some such than that the their them themselves then there these they this those though three "
    "through thus to together too two under until up upon us used using very was we well were what when where "
    "whether which while who whom whose why will with within without would yet you your"
)
STOP_WORDS: Final = frozenset(_SAYING_NOTHING.split())
"""Words that say nothing of what a sentence is about."""


@dataclass(frozen=True, slots=True)
class PassageSentence:
    """A sentence of a passage.

    Attributes:
        passage: the passage's number.
        start: where it begins in the passage, in Unicode code points.
        text: as it stands there, without white space at its ends.
        words: its content words in lower case, without a plural's ``s``.

    """

    passage: int
    start: int
    text: str
    words: frozenset[str]

    @property
    def place(self) -> tuple[int, int]:
        """Its passage and where it begins in that."""
        return self.passage, self.start


def sentences_of(passage: int, text: str) -> list[PassageSentence]:
    """The sentences of the passage of that number, in order; abbreviations and initials end none."""
    found: list[PassageSentence] = []
    start = 0
    for end in [*(each.end() for each in _END.finditer(text)), len(text)]:
        if end < len(text) and _SHORT.search(text, max(start, end - 12), end):
            continue
        part = text[start:end]
        if body := part.strip():
            begins = start + len(part) - len(part.lstrip())
            found.append(PassageSentence(passage, begins, body, content_words(body)))
        start = end
    return found


def content_words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, as they are compared."""
    return frozenset(map(_stem, filter(_says_something, WORD.findall(text.lower()))))


def _says_something(word: str) -> bool:
    return word not in STOP_WORDS and (len(word) > 2 or word.isdecimal())


def _stem(word: str) -> str:
    """Without a plural's or a possessive's end: enough for two sentences to meet."""
    word = word.removesuffix("'s").removesuffix("’s")
    return word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith("ss") else word
