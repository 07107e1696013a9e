"""Replies on a terminal."""

from __future__ import annotations

import pytest

from distiltune.errors import with_controls_shown
from distiltune.report.answers import answer_lines
from distiltune.tasks.question_answering.answerer import Reply
from distiltune.tasks.question_answering.found_answers import FoundAnswer, Place

HOSTILE = "\x1b[2J\u202e\x9b"


@pytest.mark.parametrize("answers", [True, False])
def test_nothing_of_a_reply_moves_a_terminal(answers: bool) -> None:
    """Neither of the question, the document and its name, nor of what is noted."""
    text, name = f"plums{HOSTILE}", f"{HOSTILE}.txt"
    sentence = f"{HOSTILE} ada eats {text} {HOSTILE}"
    start = sentence.index(text)
    places = (Place(1, 2, 1, 2, 1, name),)
    found = FoundAnswer(text, start, start + len(text), 0.5, 0.5, 1, 1, sentence, 0, 0, name, places)
    reply = Reply(f"what{HOSTILE}", found if answers else None, (found, found), 0.1, 0.1, notes=(f"cut {HOSTILE}",))
    lines = [line.plain for line in answer_lines(reply, show_question=True, show_others=True)]
    assert all(with_controls_shown(line) == line for line in lines)
    # question, note, and two others; or of the answer its text, its place, the sentence, the other place
    assert sum("\\x1b[2J\\u202e\\x9b" in line for line in lines) == (7 if answers else 4)
