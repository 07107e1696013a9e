"""A sentence and a span in it → a question that the span answers: by a `[MASK]`, or by the question word that fits.

The order of the words is Fabbri et al.'s (2020, arXiv:2004.11892), "wh + what follows the span + what precedes it",
where the span is not the first thing said; where it is, the question word takes its place, as in "Who signed it?".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from distiltune.tasks.question_answering.making.spans import Mention, Span

QuestionForm = Literal["wh", "mask"]
Rule = Literal["mask", "wh_in_place", "wh_first"]

MASK: Final = "[MASK]"
_MOST_WORDS: Final = 24
_LEADING: Final = re.compile(
    r"\b(?:in|on|at|during|since|by|from|of|to|near|around|until|before|after)\s+(?:the\s+)?$", re.IGNORECASE
)
_PLACE_BEFORE: Final = re.compile(r"\b(?:in|at|near|from|to|into|through|across)\s+(?:the\s+)?$", re.IGNORECASE)
_PERSON_BEFORE: Final = re.compile(
    r"\b(?:Mr|Mrs|Ms|Dr|Prof|Sir|Lord|Lady|King|Queen|Prince|Princess|Emperor|Pope|Saint|President|General|Captain|"
    r"Professor|Minister|Senator|Governor|Chancellor|actor|actress|author|singer|composer|poet|king|queen|emperor|"
    r"president|son|daughter|wife|husband|brother|sister)\.?\s+$"
)
_PERSON_AFTER: Final = re.compile(
    r"^,?\s+(?:who|whose|himself|herself|was born|died|wrote|said|argued|believed|married|became king|became president|"
    r"told|thought|claimed|stated|and his|and her)\b|^\s+\(\d{4}\s?[-–]\s?\d{4}\)"
)
_NO_PERSON: Final = re.compile(
    r"\b(?:University|College|School|Company|Corporation|Inc|River|War|Act|Church|Empire|Party|Army|Court|Council|"
    r"Union|States|Island|Islands|Ocean|Sea|Lake|Street|Museum|Award|League|Cup|Language|Treaty|Battle|County)\b"
)
_CLAUSE: Final = re.compile(r"[;:–—]\s|, (?:and|but|while|which|where)\s")
_RELATIVE: Final = re.compile(r"^,?\s+(?:who|which|that|whose|where)\s")
_FEWEST_VOTES: Final = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the rule by which the sentence became it."""

    text: str
    rule: Rule


def asked_for(key_mentions: Iterable[Mention]) -> str:
    """The question word for a span, by its form and, of a name, by what stands around it wherever it occurs."""
    mentions = list(key_mentions)
    form = mentions[0].span.form
    if form == "date":
        return "when"
    if form == "amount":
        return "how much"
    if form == "number":
        return "how many"
    if form == "phrase" or _NO_PERSON.search(mentions[0].span.text):
        places = sum(map(_stands_as_place, mentions))
        return "where" if form == "name" and places > _FEWEST_VOTES * len(mentions) else "what"
    votes = Counter({"who": sum(map(_stands_as_person, mentions)), "where": sum(map(_stands_as_place, mentions))})
    word, n = votes.most_common(1)[0]
    if votes["who"] and votes["who"] >= votes["where"]:
        return "who"
    return word if n > _FEWEST_VOTES * len(mentions) else "what"


def _stands_as_person(mention: Mention) -> bool:
    text, span = mention.sentence.text, mention.span
    before, after = text[: span.start], text[span.end :]
    return _PERSON_BEFORE.search(before) is not None or _PERSON_AFTER.search(after) is not None


def _stands_as_place(mention: Mention) -> bool:
    return _PLACE_BEFORE.search(mention.sentence.text[: mention.span.start]) is not None


def ask(sentence: str, span: Span, word: str, form: QuestionForm) -> Question:
    """The question that the span answers.

    Args:
        sentence: in which the span stands.
        span: that is asked for.
        word: the question word, as `asked_for` gives it; not looked at where ``form`` is ``mask``.
        form: a question, or the sentence with a `[MASK]`.

    """
    before, after = _around(sentence, span)
    if form == "mask":
        return Question(_tidy(f"{before} {MASK} {after}"), "mask")
    before = re.sub(r"\b(?:the|an?)\s*$", "", before, flags=re.IGNORECASE)
    if not re.search(r"\w", before):
        return Question(_finished(f"{word} {after}"), "wh_in_place")
    if word in ("when", "where"):
        before = _LEADING.sub("", before)
    after = _RELATIVE.sub(" ", after)  # "Who who became"
    rest = f"{after.strip(' ,;:')} {_lowered(before.strip(' ,;:'))}"
    return Question(_finished(f"{word} {rest}"), "wh_first")


def _around(sentence: str, span: Span) -> tuple[str, str]:
    """What is before and behind a span, of a long sentence only the clause around it and words up to `_MOST_WORDS`."""
    before, after = sentence[: span.start], sentence[span.end :].rstrip(" .!?…\"'”’)")
    if len(before.split()) + len(after.split()) <= _MOST_WORDS:
        return before, after
    before_cut = max(
        (each.end() for each in re.finditer(r"[;:–—]\s|, (?:and|but|while|which|where)\s", before)), default=0
    )
    after_cut = next((each.start() for each in re.finditer(r"[;:–—]\s|, (?:and|but|while|which|where)\s", after)), None)
    before, after = before[before_cut:], after[:after_cut]
    room = _MOST_WORDS // 2
    return " ".join(before.split()[-room:]) + " ", " " + " ".join(after.split()[:room])


def _lowered(text: str) -> str:
    """Without the capital that only a sentence's head has: of words that say nothing, such as ``The``."""
    first, space, rest = text.partition(" ")
    return first.lower() + space + rest if first.istitle() and first.lower() in _HEADS else text


_HEAD_WORDS: Final = (
    "about a an the in on at by for from with as it its this that these those he she they his her their there when "
    "while after before during since although however to of and but many some most all one two three"
)
_HEADS: Final = frozenset(_HEAD_WORDS.split())


def _finished(text: str) -> str:
    tidy = _tidy(text)
    return tidy[:1].upper() + tidy[1:] + "?"


def _tidy(text: str) -> str:
    """One space between words, none before a comma."""
    joined = re.sub(r"\s+([,;:.)])", r"\1", " ".join(text.split()))
    return re.sub(r"[,;:]\s*$", "", joined.replace("(,", "(")).strip(" ,;:")
