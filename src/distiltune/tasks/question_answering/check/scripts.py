"""Words and letters of a question, letters weighed by what they say in their script."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"\w+")
_OTHER_SIGN: Final = re.compile(r"[^\w\s\x00-\x7f]")
_SAYS: Final = (
    # Han: a character is about a word.
    (re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 3),
    # Kana, Bopomofo, Hangul, Yi and Ethiopic: a character is a syllable.
    (re.compile("[\u3041-\u312f\u31a0-\u31ff\uff66-\uff9f\ua000-\ua48f\uac00-\ud7a3\u1200-\u139f\u2d80-\u2ddf]"), 2),
)
_WITHOUT_GAPS: Final = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]")
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai: without a gap between words, a letter counts twice."""


def words_and_letters(text: str) -> tuple[int, int]:
    """How many words there are, and how many letters as an alphabet would need for as much.

    A vowel sign or another mark is a letter of the word that it stands in.
    """
    # Marks are no word characters to Python, and would part "कौन" into two.
    marked = _OTHER_SIGN.sub(_as_letter, text)
    n_words = n_letters = 0
    for word in _WORD.findall(marked):
        letters = [character for character in word if character.isalpha()]
        if not letters:
            continue
        n_words += 1
        n_letters += len(letters)
        for says, weight in _SAYS:
            n_letters += (weight - 1) * len(says.findall(word))
        n_letters += len(_WITHOUT_GAPS.findall(word))
    return n_words, n_letters


def _as_letter(sign: re.Match[str]) -> str:
    """A plain letter for a mark, the sign itself for anything else."""
    return "a" if unicodedata.category(sign[0]).startswith("M") else sign[0]
