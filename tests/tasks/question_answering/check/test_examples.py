from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.check.examples import asks_nothing


@pytest.mark.parametrize(
    ("question", "nothing"),
    [
        *[("?", True), ("", True), ("N/A", True), ("what?", True), ("12", True), ("Question", True), ("TODO", True)],
        *[("Who won?", False), ("Why?!", True), ("北京在哪里在哪里呢", False), ("Name a river.", False)],
    ],
)
def test_questions_that_ask_nothing(question: str, nothing: bool) -> None:
    assert asks_nothing(question) == nothing
