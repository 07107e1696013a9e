"""Spans that stand in two passages, and their forms."""

from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.making.sentences import sentences_of
from distiltune.tasks.question_answering.making.spans import recurring

PASSAGES = (
    "The pier was built in March 1641 by Josiah Threll. It cost $12 million, and 300 workers came to Calder Quay.",
    "In March 1641 the guild met. The old salt road led to Calder Quay, where 300 workers slept.",
    "Merchants paid $12 million for salt. Josiah Threll took the old salt road. There were 300 goats.",
)


def found_in(*passages: str, most: int = 20) -> tuple[dict[str, str], dict[str, int]]:
    sentences = [each for i, text in enumerate(passages) for each in sentences_of(i, text)]
    mentions, counts = recurring(sentences, most)
    for found in mentions.values():
        for each in found:
            assert each.sentence.text[each.span.start : each.span.end] == each.span.text
        assert len({each.sentence.passage for each in found}) > 1
    return {key: found[0].span.form for key, found in mentions.items()}, counts


def test_what_recurs_has_its_form() -> None:
    forms, counts = found_in(*PASSAGES)
    assert forms == {
        "march 1641": "date",
        "josiah threll": "name",
        "$12 million": "amount",
        "300 workers": "number",  # the goats are other things
        "calder quay": "name",
        "old salt road": "phrase",  # and neither `old salt` nor `salt road`, which it holds
    }
    assert counts["once"] > 0
    assert counts["too_common"] == 0


def test_what_stands_everywhere_says_nothing() -> None:
    forms, counts = found_in(*(f"In town {i} lives Ada Bell." for i in range(4)), most=3)
    assert "ada bell" not in forms
    assert counts["too_common"] == 1


@pytest.mark.parametrize("text", ["17 March 1641", "March 17, 1641", "the 1640s", "the 17th century", "1641"])
def test_dates_are_whole(text: str) -> None:
    forms, _ = found_in(f"It happened in {text}.", f"They remember {text} well.")
    assert forms == {text.removeprefix("the ").lower(): "date"}


def test_the_first_word_of_a_sentence_is_no_name_by_its_capital() -> None:
    forms, _ = found_in("Salt was dear. Ada paid.", "Salt was rare. So Ada left.", "He saw Ada.")
    assert "salt" not in forms
    assert forms["ada"] == "name"
