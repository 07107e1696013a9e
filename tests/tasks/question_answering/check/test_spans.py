from __future__ import annotations

import pytest

from distiltune.tasks.question_answering.check.spans import slipped_span
from distiltune.tasks.question_answering.examples import Answer

CONTEXT = "The Romans left York City in 410, taking DistilBERT along; 北京市 remained."


@pytest.mark.parametrize(
    ("text", "start", "repaired"),
    [
        ("York City", 16, None),
        ("ork City ", 17, "York City"),  # both ends one to the right
        (" York Cit", 15, "York City"),  # one to the left
        ("Yor", 16, "York"),
        ("ity in", 22, "City in"),
        ("Roman", 4, None),  # an ending left out is meant
        ("BERT", 47, None),  # capitals inside part a word
        ("北京", CONTEXT.index("北"), None),  # no gaps between words
        (" York City", 15, None),
        ("410", 29, None),
    ],
)
def test_slipped_spans(text: str, start: int, repaired: str | None) -> None:
    assert CONTEXT.startswith(text, start)
    slipped = slipped_span(CONTEXT, Answer(text, start))
    assert (slipped.text if slipped else None) == repaired
