from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.check.examples import asks_nothing


@pytest.mark.parametrize(
    ("question", "nothing"),
    [
        *[
            ("?", True),
            ("", True),
            ("N/A", True),
            ("what?", False),
            ("12", True),
            ("x", True),
            ("—", True),
            ("Question", True),
            ("TODO", True),
        ],
        *[("Who won?", False), ("Why?!", False), ("北京在哪里在哪里呢", False), ("Name a river.", False)],
    ],
)
def test_questions_that_ask_nothing(question: str, nothing: bool) -> None:
    assert asks_nothing(question) == nothing


@pytest.mark.parametrize(
    ("question", "nothing"),
    [
        *[
            ("谁卖票？", False),
            ("ใครชนะ?", False),
            ("誰が勝った？", False),
            ("누가 이겼나?", False),
            ("कौन जीता?", False),
        ],
        *[
            ("من فاز؟", False),
            *[
                (word, False)
                for word in ("几点？", "谁？", "何時?", "誰?", "いつ？", "누구?", "ใคร?", "من؟", "Кто?", "Who?")
            ],
            *[(word, False) for word in ("Wo?", "Où ?", "Why?", "कब?", "מי?")],
            ("N / A", True),
            ("todo", True),
            ("...", True),
        ],
    ],
)
def test_short_questions_of_other_scripts_ask_something(question: str, nothing: bool) -> None:
    assert asks_nothing(question) == nothing
