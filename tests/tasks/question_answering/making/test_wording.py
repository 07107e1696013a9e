"""A sentence and a span → a question."""

from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.making.sentences import PassageSentence, content_words
from distiltune.tasks.question_answering.making.spans import Form, Mention, Span
from distiltune.tasks.question_answering.making.wording import ask, asked_for


def mention(text: str, span: str, form: Form) -> Mention:
    return Mention(PassageSentence(0, 0, text, content_words(text)), Span(text.index(span), span, form))


@pytest.mark.parametrize(
    ("text", "span", "form", "word", "question", "rule"),
    [
        ("Josiah Threll built the pier.", "Josiah Threll", "name", "who", "Who built the pier?", "wh_in_place"),
        ("The guild met in 1641.", "1641", "date", "when", "When the guild met?", "wh_first"),
        ("In March 1641 the guild met.", "March 1641", "date", "when", "When the guild met?", "wh_first"),
        ("About 300 workers came.", "300", "number", "how many", "How many workers came about?", "wh_first"),
        ("The town of Calder is old.", "Calder", "name", "what", "What is old the town of?", "wh_first"),
        ("They saw Bell, who sang.", "Bell", "name", "who", "Who sang they saw?", "wh_first"),
    ],
)  # fmt: skip
def test_a_question_word_takes_the_spans_place(
    text: str, span: str, form: Form, word: str, question: str, rule: str
) -> None:
    found = ask(text, mention(text, span, form).span, word, "wh")
    assert (found.text, found.rule) == (question, rule)
    assert span not in found.text


def test_a_mask_leaves_the_sentence_as_it_is() -> None:
    text = "The guild met in 1641, in town."
    found = ask(text, mention(text, "1641", "date").span, "when", "mask")
    assert (found.text, found.rule) == ("The guild met in [MASK], in town", "mask")


def test_a_long_sentence_is_cut_to_the_clause_around_the_span() -> None:
    text = f"{'one ' * 20}; then Bell sang a song, and {'two ' * 20}."
    found = ask(text, mention(text, "Bell", "name").span, "who", "wh")
    assert found.text == "Who sang a song then?"


@pytest.mark.parametrize(
    ("form", "word"), [("date", "when"), ("amount", "how much"), ("number", "how many"), ("phrase", "what")]
)
def test_the_word_fits_the_form(form: Form, word: str) -> None:
    assert asked_for([mention("They saw it there.", "it", form)]) == word


def test_the_word_of_a_name_goes_by_what_stands_around_it() -> None:
    assert asked_for([mention("King Otto, who ruled.", "Otto", "name"), mention("Otto left.", "Otto", "name")]) == "who"
    places = [mention("They met in Bern.", "Bern", "name"), mention("It lies near Bern.", "Bern", "name")]
    assert asked_for(places) == "where"
    assert asked_for([mention("They read Faust.", "Faust", "name")]) == "what"
    assert asked_for([mention("the Hull University, who met.", "Hull University", "name")]) == "what"
