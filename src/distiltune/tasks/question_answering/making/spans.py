"""Spans of a sentence that may be an answer, and what form each has: date, number, name or phrase.

What recurs is found after Splinter (Ram et al. 2021, arXiv:2101.00438): a span that stands in two passages is likely to
mean the same in both. Its form is told by its characters alone; no model of a language is needed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from distiltune.tasks.question_answering.making.sentences import STOP_WORDS, WORD, PassageSentence

Form = Literal["date", "amount", "number", "name", "phrase"]

_MONTH: Final = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
)
_YEAR: Final = r"(?:1[0-9]{3}|20[0-9]{2})"
_DATE: Final = re.compile(
    rf"\b(?:{_MONTH} [0-3]?\d(?:, {_YEAR})?|[0-3]?\d {_MONTH}(?: {_YEAR})?|{_MONTH} {_YEAR}|{_YEAR}s|{_YEAR}"
    rf"|(?:early |mid-|late )?(?:1?\d|20|21)(?:st|nd|rd|th) century)\b(?![,.]\d)"
)
_AMOUNT: Final = re.compile(
    r"(?:(?:US)?[$£€]\s?\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion|trillion))?"
    r"|\b\d[\d,]*(?:\.\d+)?(?: (?:percent|per cent|dollars|euros|pounds)\b| ?%))"
)
_NUMBER: Final = re.compile(
    r"(?<![\d.,:–-])\b\d[\d,]*(?:\.\d+)?(?: (?:thousand|million|billion|trillion))?(?= (?P<counted>[a-z]{3,}))"
)
"""One that counts something: by itself a number in two passages is a chance."""
_CAPITAL: Final = r"[A-Z][^\W_]*(?:[.'’-][^\W_]+)*"
_NAME: Final = re.compile(rf"\b{_CAPITAL}(?: (?:(?:of|the|de|la|von|van|and|du|del|di) ){{0,2}}{_CAPITAL})*")
_LONGEST_WORDS: Final = 8
_PHRASE_WORDS: Final = (4, 3, 2)
_ARTICLE: Final = re.compile(r"^(?:the|an?) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a sentence.

    Attributes:
        start: where it stands in that, in Unicode code points.
        text: what it says.
        form: what kind of thing that is.
        counted: of a number, what it counts; else empty.

    """

    start: int
    text: str
    form: Form
    counted: str = ""

    @property
    def end(self) -> int:
        """One past its last code point."""
        return self.start + len(self.text)

    @property
    def key(self) -> str:
        """By which it is the same as another: in lower case, without an article, a number with what it counts."""
        return f"{_ARTICLE.sub('', self.text.lower())} {self.counted}".rstrip()


@dataclass(frozen=True, slots=True)
class Mention:
    """A span and the sentence in which it stands."""

    sentence: PassageSentence
    span: Span


def recurring(
    sentences: Sequence[PassageSentence], most_passages: int
) -> tuple[dict[str, list[Mention]], dict[str, int]]:
    """The spans that stand in two passages or more, by their key, in the order met; and how many were left out, why.

    One that stands in more than ``most_passages`` says too little of any of them.
    """
    capitalised = _names_inside(sentences)
    mentions: dict[str, list[Mention]] = defaultdict(list)
    for sentence in sentences:
        for span in _spans(sentence, capitalised):
            mentions[span.key].append(Mention(sentence, span))
    counts = {"spans": len(mentions), "once": 0, "too_common": 0}
    kept: dict[str, list[Mention]] = {}
    for key, found in mentions.items():
        n = len({each.sentence.passage for each in found})
        if n < 2:
            counts["once"] += 1
        elif n > most_passages:
            counts["too_common"] += 1
        else:
            kept[key] = found
    return _longest(kept), counts


def _longest(mentions: dict[str, list[Mention]]) -> dict[str, list[Mention]]:
    """Without a phrase wherever a longer one that recurs too holds it."""
    phrases: dict[tuple[int, int], list[Span]] = defaultdict(list)
    for found in mentions.values():
        for each in found:
            if each.span.form == "phrase":
                phrases[each.sentence.place].append(each.span)

    def is_inside(mention: Mention) -> bool:
        span = mention.span
        return span.form == "phrase" and any(
            other.start <= span.start and span.end <= other.end and len(other.text) > len(span.text)
            for other in phrases[mention.sentence.place]
        )

    kept = {key: [each for each in found if not is_inside(each)] for key, found in mentions.items()}
    return {key: found for key, found in kept.items() if len({each.sentence.passage for each in found}) > 1}


def _names_inside(sentences: Iterable[PassageSentence]) -> frozenset[str]:
    """Words with a capital somewhere inside a sentence: at its head every word has one."""
    return frozenset(word[0] for each in sentences for word in re.finditer(_CAPITAL, each.text) if word.start() > 0)


def _spans(sentence: PassageSentence, capitalised: frozenset[str]) -> list[Span]:
    """The spans of a sentence; of two that overlap the one whose form says more, but phrases may lie in each other."""
    text = sentence.text
    taken: list[Span] = []

    def is_free(start: int, found: str) -> bool:
        return all(start + len(found) <= each.start or each.end <= start for each in taken)

    for form, pattern in _PATTERNS:
        for found in pattern.finditer(text):
            if is_free(found.start(), found[0]):
                taken.append(Span(found.start(), found[0], form, found.groupdict().get("counted", "")))
    for start, name in _names(text, capitalised):
        if is_free(start, name):
            taken.append(Span(start, name, "name"))
    phrases = [Span(start, phrase, "phrase") for start, phrase in _phrases(text) if is_free(start, phrase)]
    return taken + phrases


_PATTERNS: Final[tuple[tuple[Form, re.Pattern[str]], ...]] = (
    ("date", _DATE),
    ("amount", _AMOUNT),
    ("number", _NUMBER),
)


def _names(text: str, capitalised: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Where names begin, and the names; a word at the sentence's head is one if it is elsewhere inside a sentence."""
    for found in _NAME.finditer(text):
        name, start = found[0], found.start()
        first = name.partition(" ")[0]
        if start == 0 and (first.lower() in STOP_WORDS or first not in capitalised):
            rest = re.search(rf" (?={_CAPITAL})", name)
            if rest is None:
                continue
            start, name = start + rest.end(), name[rest.end() :]
        if name.lower() in STOP_WORDS or len(name) < 3 or len(name.split()) > _LONGEST_WORDS:
            continue
        yield start, name


def _phrases(text: str) -> Iterator[tuple[int, str]]:
    """Stretches of two to four words in lower case without a word that says nothing, and where they begin."""
    words = list(WORD.finditer(text))
    for n_words in _PHRASE_WORDS:
        for i in range(len(words) - n_words + 1):
            part = words[i : i + n_words]
            found = text[part[0].start() : part[-1].end()]
            says = all(len(each[0]) > 2 and each[0].islower() and each[0] not in STOP_WORDS for each in part)
            if says and found.count(" ") == n_words - 1 and len(found.split()) == n_words:
                yield part[0].start(), found
