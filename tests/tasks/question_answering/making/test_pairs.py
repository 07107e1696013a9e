"""Which passage is asked by which sentence."""

from __future__ import annotations

from distiltune.tasks.question_answering.making.pairs import WordIndex, answerable, is_doubtful, unanswerable
from distiltune.tasks.question_answering.making.sentences import sentences_of
from distiltune.tasks.question_answering.making.spans import recurring

PASSAGES = (
    "The stone pier was built by Josiah Threll for the salt ships. It stands.",
    "Rich salt merchants of the harbour trusted Josiah Threll and his stone bridges.",
    "Other salt merchants of another harbour built bridges of stone for ships.",
    "Cats sleep all day and dream of mice and of warm milk.",
)
SENTENCES = [each for i, text in enumerate(PASSAGES) for each in sentences_of(i, text)]
INDEX = WordIndex(SENTENCES, len(PASSAGES))
MENTIONS = recurring(SENTENCES, 20)[0]
PAIRS = [pair for found in answerable({"josiah threll": MENTIONS["josiah threll"]}, INDEX) for pair in found]


def test_the_sentence_that_asks_is_of_another_passage_and_shares_words_with_the_one_asked() -> None:
    assert {(pair.passage, pair.asking.sentence.passage) for pair in PAIRS} == {(0, 1), (1, 0)}
    for pair in PAIRS:
        assert pair.answer is not None
        assert pair.answer.sentence.passage == pair.passage
        assert set(pair.shared) == {"stone", "salt"}
        assert not is_doubtful(pair)


def test_one_that_shares_nothing_or_is_a_copy_asks_nothing() -> None:
    texts = (
        "The stone pier was built by Josiah Threll for the salt ships.",
        "The stone pier was built by Josiah Threll for the salt ships, they say.",
        "Purple cats adore warm milk, and Josiah Threll owned seven.",
    )
    sentences = [each for i, text in enumerate(texts) for each in sentences_of(i, text)]
    mentions = recurring(sentences, 20)[0]
    found = answerable({"josiah threll": mentions["josiah threll"]}, WordIndex(sentences, len(texts)))
    assert [pair for pairs in found for pair in pairs] == []


def test_what_a_passage_does_not_answer_is_asked_of_the_likest_one() -> None:
    for pair in PAIRS:
        other = unanswerable(pair, INDEX)
        assert other is not None
        assert (other.passage, other.answer) == (2, None)
        assert "Threll" not in PASSAGES[other.passage]


def test_rare_words_say_more() -> None:
    assert INDEX.rarity("salt") < INDEX.rarity("mice")
