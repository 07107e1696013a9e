"""The letters of a question, weighed by what they say in their script."""

from __future__ import annotations

import re
from typing import Final

_SAYS: Final = (
    # Han: a character is about a word.
    (re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"), 3),
    # Kana, Bopomofo, Hangul, Yi and Ethiopic: a character is a syllable.
    (re.compile("[\u3041-\u312f\u31a0-\u31ff\uff66-\uff9f\ua000-\ua48f\uac00-\ud7a3\u1200-\u139f\u2d80-\u2ddf]"), 2),
)
_WITHOUT_GAPS: Final = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]")
"""Thai, Lao, Tibetan, Burmese, Khmer, Tai: without a gap between words, a letter counts twice."""


def weighed_letters(text: str) -> int:
    """How many letters an alphabet would need for as much as the text's letters say."""
    n_letters = sum(map(str.isalpha, text)) + len(_WITHOUT_GAPS.findall(text))
    return n_letters + sum((weight - 1) * len(says.findall(text)) for says, weight in _SAYS)
