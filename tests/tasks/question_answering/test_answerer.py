"""Asking: the exact characters, their place, the sentence around them, long documents, many questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.errors import DataError, ModelError
from distiltune.fine_tuning import fine_tune
from distiltune.tasks.question_answering.answerer import Answerer, sentence_around
from tests.helpers import TINY, people, write_squad, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned the 32 questions about people by heart."""
    directory = tmp_path_factory.mktemp("answerer")
    known = people()
    data = write_squad(directory / "people.json", known.examples)
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=64)
    base = write_tiny_model(directory / "base", known.tokenizer, config)
    run = fine_tune(
        train=str(data),
        validation_share=0.0,
        model=str(base),
        output=directory / "run",
        epochs=60,
        learning_rate=5e-3,
        head_dropout=0.0,
        max_length=64,
        stride=8,
        threads=1,
    )
    return run.model


def test_it_answers_what_it_learned(model: Path) -> None:
    answerer = Answerer(model, threads=1)
    asked = people().examples
    right = sum(answerer(each.question, each.context).text == each.answers[0].text for each in asked)
    assert right >= 30


def test_the_answer_is_the_exact_characters_wherever_it_stands(model: Path) -> None:
    answerer = Answerer(model, threads=1, max_length=48, stride=8)
    first = people().examples[0]
    text = "\N{PARTY POPPER} שלום\r\n\r\n\tIntroduction.\r\n" + first.context.replace("ada", "A\u0301da") * 30
    reply = answerer(first.question, text)
    assert reply.answer is not None
    for candidate in reply.candidates:
        assert text[candidate.start : candidate.end] == candidate.text
        before = text[: candidate.start]
        assert candidate.line == before.count("\n") + 1
        assert candidate.column == len(before) - (before.rfind("\n") + 1) + 1
        offset = candidate.start - candidate.sentence_start
        assert candidate.sentence[offset : offset + len(candidate.text)] == candidate.text


def test_many_questions_answer_as_each_alone(model: Path) -> None:
    answerer = Answerer(model, threads=1)
    questions = [each.question for each in people().examples[:4]]
    text = people().examples[0].context
    together = answerer.ask(questions, text)
    for question, reply in zip(questions, together, strict=True):
        alone = answerer(question, text)
        assert alone.question == reply.question == question
        assert [c.text for c in alone.candidates] == [c.text for c in reply.candidates]
        assert alone.answer is not None
        assert reply.answer is not None
        assert alone.answer.confidence == pytest.approx(reply.answer.confidence, rel=1e-4)


def test_no_answer_is_said_where_the_threshold_says_so(model: Path) -> None:
    first = people().examples[0]
    always = Answerer(model, threads=1)(first.question, first.context)
    never = Answerer(model, threads=1, null_threshold=-1e9)(first.question, first.context)
    assert always.answer is not None
    assert never.answer is None
    assert never.text == ""
    assert never.candidates == always.candidates


@pytest.mark.parametrize(
    ("question", "text"), [("", "Some text."), ("Who?", ""), ("  ", "Some text."), ("Who?", "\n ")]
)
def test_nothing_to_ask_or_to_look_in(model: Path, question: str, text: str) -> None:
    with pytest.raises(DataError, match="empty"):
        Answerer(model, threads=1)(question, text)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    known = people()
    base = write_tiny_model(tmp_path / "b", known.tokenizer, replace(TINY, vocab_size=known.tokenizer.get_vocab_size()))
    with pytest.raises(ModelError, match="no trained question-answering head"):
        Answerer(base)


@pytest.mark.parametrize(
    ("text", "answer", "sentence"),
    [
        ("One. Two three. Four.", "three", "Two three."),
        ("One. Two three. Four.", "One", "One."),
        ("One. Two three. Four.", "Four", "Four."),
        ("A heading\n\nThe text goes on", "text", "The text goes on"),
        ("He said “Stop!” and left. Then?", "left", "and left."),
        ("One. Two. Three.", "Two. Three", "Two. Three."),
        ("no end", "no end", "no end"),
    ],
)
def test_sentence_around(text: str, answer: str, sentence: str) -> None:
    start = text.index(answer)
    first, last = sentence_around(text, start, start + len(answer))
    assert text[first:last] == sentence


@given(st.text(alphabet="ab .\n!\t", min_size=1, max_size=60), st.data())
def test_the_sentence_always_holds_the_answer(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = sentence_around(text, start, end, reach=10)
    assert 0 <= first <= start
    assert end <= last <= len(text)
