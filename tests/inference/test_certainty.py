"""The word for a confidence."""

from __future__ import annotations

import pytest

from distiltune.inference.certainty import CERTAINTIES, certainty


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(1.0, "sure"), (0.85, "sure"), (0.849, "likely"), (0.5, "likely"), (0.49, "a guess"), (0.0, "a guess")],
)
def test_the_word_for_a_confidence(confidence: float, word: str) -> None:
    assert certainty(confidence) == word


def test_the_words_fall_to_nothing() -> None:
    assert list(CERTAINTIES.values()) == sorted(CERTAINTIES.values(), reverse=True)
    assert min(CERTAINTIES.values()) == 0.0
