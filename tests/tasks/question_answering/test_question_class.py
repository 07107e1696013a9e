from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.question_class import question_class


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("In what year did it end?", "when"),
        ("To whom was it given?", "who"),
        ("How many were there?", "how many, how much"),
        ("How did it end?", "how"),
        ("How old was she when it ended?", "how"),
        ("When did they say what it was?", "when"),
        ("Is it red?", "yes or no"),
        ("Is it red or blue?", "other"),
        ("Name the river.", "other"),
    ],
)
def test_the_class_of_a_question(question: str, kind: str) -> None:
    assert question_class(question) == kind
