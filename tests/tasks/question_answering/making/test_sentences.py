"""A passage's sentences, and the words by which two are compared."""

from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.making.sentences import content_words, sentences_of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It rained. We left.", ["It rained.", "We left."]),
        ("Dr. A. Smith came at 3.5 p.m. yesterday. He left.", ["Dr. A. Smith came at 3.5 p.m. yesterday.", "He left."]),
        ('"Go!" he said. (It was late.) They went.', ['"Go!" he said.', "(It was late.)", "They went."]),
        ("A heading\n\nThe text begins", ["A heading", "The text begins"]),
        ("It grew by approx. 5 % and No. 7 fell.", ["It grew by approx. 5 % and No. 7 fell."]),
    ],
)
def test_where_a_sentence_ends(text: str, wanted: list[str]) -> None:
    found = sentences_of(4, text)
    assert [each.text for each in found] == wanted
    for each in found:
        assert each.passage == 4
        assert text[each.start : each.start + len(each.text)] == each.text


def test_words_are_compared_without_what_says_nothing() -> None:
    assert content_words("The rivers of the town's harbour in 1641") == {"river", "town", "harbour", "1641"}
