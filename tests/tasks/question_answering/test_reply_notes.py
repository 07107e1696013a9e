"""Questions in a script that the vocabulary does not cover."""

from __future__ import annotations

import string

import pytest

from distiltune.tasks.question_answering.reply_notes import uncovered_note
from tests.helpers import word_pieces

CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
TOKENIZER = word_pieces(
    [
        *("who", "signs", "the", "lease", "?", "谁", "签", "了"),
        *string.ascii_lowercase,
        *(f"##{letter}" for letter in string.ascii_lowercase),
        *CYRILLIC,
        *(f"##{letter}" for letter in CYRILLIC),
    ]
)


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Who signs the lease?", ""),
        ("Who signs the lease, Ada?", ""),
        ("12 ?", ""),
        ("谁签了?", ""),
        ("谁签署了租约?", ""),
        ("ใครลงนาม", "does not have the words"),
        ("租约由何人签署?", "does not have the words"),
        ("Кто подписывает договор?", "only single letters"),
    ],
    ids=["plain", "a name", "numbers", "known signs", "half of the signs", "Thai", "unknown signs", "spelled"],
)
def test_what_is_said(question: str, says: str) -> None:
    note = uncovered_note(question, TOKENIZER)
    assert says in note
    assert bool(note) == bool(says)
