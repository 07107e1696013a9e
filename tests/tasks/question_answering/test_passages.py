from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.tasks.question_answering.documents import Document
from distiltune.tasks.question_answering.passages import PassageIndex

pytest.importorskip("bm25s")


def index_of(*texts: str, size: int = 60) -> PassageIndex:
    return PassageIndex([Document("", text) for text in texts], size)


def test_the_passage_that_shares_the_questions_words_comes_first() -> None:
    filler = "Nothing of note happened there at all that year.\n\n"
    index = index_of(filler * 9 + "The treasurer signs every lease in blue ink.\n\n" + filler * 9, filler * 9)
    (part,) = index.parts("Who signs the lease?", 1)
    assert part.document == 0
    assert "treasurer signs every lease" in part.text


@pytest.mark.parametrize("question", ["Who?", "???", "zebra", "the"])
def test_a_question_without_a_known_word_reads_the_beginning(question: str) -> None:
    index = index_of("One two three four five six. " * 20)
    assert index.best(question, 2) == [0, 1]


@given(st.lists(st.text(alphabet="ab cd.\n", max_size=200), min_size=1, max_size=4), st.integers(1, 30))
def test_parts_lie_where_they_say_and_never_overlap(texts: list[str], n: int) -> None:
    index = index_of(*texts, size=20)
    parts = index.parts("ab cd", n)
    assert sum(len(part.text) for part in parts) <= sum(map(len, texts))
    for part in parts:
        assert texts[part.document][part.start : part.start + len(part.text)] == part.text
    for one, next_one in itertools.pairwise(parts):
        assert (one.document, one.start + len(one.text)) < (next_one.document, next_one.start)
