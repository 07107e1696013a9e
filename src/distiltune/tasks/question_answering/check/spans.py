"""Answers whose marked characters look slipped: begun or ended inside a word. White space alone the reader trims."""

from __future__ import annotations

import re

from distiltune.tasks.question_answering.examples import Answer

# What may follow a word that an annotator marked on purpose: "Roman" in "Romans", "six" in "sixth".
_ENDINGS = re.compile(
    r"(?:s|es|th|st|nd|rd|n|an|ian|ans|ians|ic|ics|al|ally|ly|ern|ese|ing|ings|ism|ist|ists|er|ers|or|ors|ed|d|y|ity|i|ite"
    r"|ites|ish|ive|age|like|less|ness|ment|teen|ty|ship|hood|ful|able|ible|ion|ions|ation|ized|ised|ize|ise|ization|ry"
    r"|ary|ous|ia|ium|ward|wards|man|men|person|people|land|based|style|[a-z]?'?s)$",
    re.IGNORECASE,
)
_SHORTEST_STEM = 3


def slipped_span(context: str, answer: Answer) -> Answer | None:
    """What an answer that begins or ends inside a word most likely was, None if it does not.

    A span that is off by one on both sides (as half-open and closed intervals make them when they are mixed up) is
    moved back; otherwise it is widened to whole words and freed of white space.
    """
    start, end = answer.start, answer.end
    cut_start, cut_end = _inside_word(context, start), _inside_word(context, end)
    has_space = answer.text != answer.text.strip()
    if not cut_start and (not cut_end or (not has_space and _is_meant(context, start, end))):
        return None
    if moved := _moved_back(context, start, end):
        return moved
    while _inside_word(context, start):
        start -= 1
    while _inside_word(context, end):
        end += 1
    return _trimmed(context, start, end)


def _inside_word(context: str, place: int) -> bool:
    """Whether ``place`` lies between two letters or digits of scripts that part words."""
    if not 0 < place < len(context):
        return False
    before, after = context[place - 1], context[place]
    # Chinese, Japanese and the like have no gaps between words; capitals inside ("DistilBERT") part one too.
    if not (_is_word(before) and _is_word(after)):
        return False
    return not (before.islower() and after.isupper()) and before.isdigit() == after.isdigit()


def _is_word(character: str) -> bool:
    return character.isdigit() or (character.isalpha() and (character.islower() or character.isupper()))


def _is_meant(context: str, start: int, end: int) -> bool:
    """Whether only an ending is left out of a word that is long enough to stand for itself."""
    first, last = end, end
    while first > start and _inside_word(context, first):
        first -= 1
    while last < len(context) and _inside_word(context, last):
        last += 1
    first = max(first, start)
    stem, ending = context[first:end], context[end:last]
    if not stem.isalpha():
        return False
    return len(stem) >= _SHORTEST_STEM and bool(_ENDINGS.match(ending))


def _moved_back(context: str, start: int, end: int) -> Answer | None:
    """The span one character to the left or right if that puts both of its ends between words."""
    for shift in (-1, 1):
        low, high = start + shift, end + shift
        if low < 0 or high > len(context):
            continue
        both_were_off = (
            _inside_word(context, start) and not _is_word(context[end - 1])
            if shift < 0
            else _inside_word(context, end) and not _is_word(context[start])
        )
        if both_were_off and not _inside_word(context, low) and not _inside_word(context, high):
            text = context[low:high]
            if text == text.strip():
                return Answer(text, low)
    return None


def _trimmed(context: str, start: int, end: int) -> Answer:
    text = context[start:end]
    start += len(text) - len(text.lstrip())
    return Answer(text.strip(), start)
