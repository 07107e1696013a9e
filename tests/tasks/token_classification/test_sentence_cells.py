"""Sentences in a cell and their tags in another, and tables of one word a row that are told apart from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.tasks.table import TASKS
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import gold_tags, read_marked
from distiltune.tasks.token_classification.sentence_cells import are_sentences, has_tagged_sentences, tags_in, words_in


def test_words_are_parted_at_blanks_and_no_other_space() -> None:
    assert words_in(" 1\u00a0000  men\tcame\n") == ["1\u00a0000", "men", "came"]


@pytest.mark.parametrize(
    ("cell", "n_words", "tags"),
    [
        ("B-a O", 2, ["B-a", "O"]),
        ("B-a,O", 2, ["B-a", "O"]),
        ("B-a, O", 2, ["B-a,", "O"]),
        ("B-x,y O", 2, ["B-x,y", "O"]),
        ("B-a,O", 3, ["B-a,O"]),
    ],
)
def test_tags_are_parted_at_blanks_or_at_commas_if_only_so_they_fit(cell: str, n_words: int, tags: list[str]) -> None:
    assert tags_in(cell, n_words) == tags


def test_a_word_a_row_is_no_sentence() -> None:
    words = [{"w": "Ada", "t": "B-PER"}, {"w": "New York", "t": "B-LOC"}]
    assert not are_sentences(words, "w", "t")
    assert are_sentences([*words, {"w": "Ada sang", "t": "B-PER O"}], "w", "t")


def test_tags_beside_a_label_may_be_what_a_text_is_about() -> None:
    assert has_tagged_sentences(["text", "tags"])
    assert not has_tagged_sentences(["text", "tags", "label"])
    fits = {name: TASKS[name].fits(dict.fromkeys(["text", "tags", "label"]), "") for name in TASKS}
    assert [name for name, each in fits.items() if each] == ["text-classification"]


@pytest.mark.parametrize(
    "content",
    [
        "tokens,tags\nYes,O\nAda sang,B-PER O\n",  # the first is of one word
        "text,ner_tags\nYes,O\nAda sang,\"['B-PER', 'O']\"\n",
        "tokens,tags\nYes,O\n\"['Ada' 'sang']\",['B-PER' 'O']\n",
    ],
)
def test_cells_of_a_table(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    found = read_marked([path], "train", TokenColumns(), 0.0)
    assert [(example.text, gold_tags(example)) for example in found.examples] == [
        ("Yes", ["O"]),
        ("Ada sang", ["B-PER", "O"]),
    ]
    assert found.findings.decisions()
