"""Texts → rows for training: what each says of itself holds, and the same texts and seed give the same bytes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distiltune import make_questions
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.question_answering.making.make import MOST_OF_SPAN, MadeQuestions
from distiltune.tasks.question_answering.read import read_examples

STARTER: dict[str, Any] = {"rows": 60, "unanswerable_share": 0.2, "seed": 1}


@pytest.fixture(scope="module")
def made() -> MadeQuestions:
    return make_questions("starter", **STARTER)


def test_every_row_says_why_it_is_there(made: MadeQuestions) -> None:
    assert len(made.rows) == 60
    for row in made.rows:
        why, texts = row["why"], row["answers"]["text"]
        assert why["span"] in why["asking_sentence"]
        assert why["rule"].partition(",")[0] in ("wh_in_place", "wh_first")
        assert why["asking_sentence"] not in row["context"]
        assert why["shared_words"]
        if not texts:
            assert why["rule"].endswith("other passage")
            assert why["answering_sentence"] is None
            assert why["span"].lower() not in row["context"].lower()
            continue
        (text,), (start,) = texts, row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
        assert text in why["answering_sentence"]
        assert why["answering_sentence"] in row["context"]
        assert text.lower() not in row["question"].lower()


def test_the_counts_are_those_of_the_rows(made: MadeQuestions) -> None:
    n_without = sum(not row["answers"]["text"] for row in made.rows)
    assert (made.counts["unanswerable"], made.counts["answerable"]) == (n_without, 60 - n_without) == (12, 48)
    assert sum(n for name, n in made.counts.items() if name.startswith("form_")) == 60
    n_left = made.counts["spans"] - made.counts["once"] - made.counts["too_common"]
    assert 0 < made.counts["recurring"] <= n_left  # a phrase may stand wherever a longer one does
    spans = [row["why"]["span"].lower() for row in made.rows if row["answers"]["text"]]
    assert max(map(spans.count, spans)) <= MOST_OF_SPAN


def test_the_reader_takes_every_row(made: MadeQuestions, tmp_path: Path) -> None:
    made.write(tmp_path / "made.jsonl")
    found = read_examples([str(tmp_path / "made.jsonl")], split="train")
    assert len(found.examples) == 60
    assert not found.findings.unused()
    assert sum(each.is_unanswerable for each in found.examples) == 12
    assert all(a.text == row["answers"]["text"][0]
               for each, row in zip(found.examples, made.rows, strict=True) for a in each.answers)  # fmt: skip


def test_the_same_texts_and_seed_give_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    arguments = "rows=40, unanswerable_share=0.25, seed=7"
    for name in ("a", "b"):
        output = str(tmp_path / f"{name}.jsonl")
        code = f"import distiltune; distiltune.make_questions('starter', {output!r}, {arguments})"
        environment = {"PYTHONHASHSEED": str(ord(name)), "PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    make_questions("starter", tmp_path / "c.jsonl", rows=40, unanswerable_share=0.25, seed=8)
    assert (tmp_path / "a.jsonl").read_bytes() != (tmp_path / "c.jsonl").read_bytes()


def test_a_mask_stands_where_the_span_stood() -> None:
    for row in make_questions("starter", rows=20, form="mask").rows:
        assert row["question"].count("[MASK]") == 1
        assert row["why"]["rule"].startswith("mask")


def test_rows_in_memory_and_other_columns() -> None:
    rows = [{"body": row["context"]} for row in make_questions("starter", rows=60).rows]
    assert make_questions(rows, columns={"text": "body"}, rows=10).counts["passages"] > 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"unanswerable_share": 1.0}, "unanswerable share"),
        ({"form": "cloze"}, "form is 'cloze'"),
        ({"passages": -1}, "passages is -1"),
        ({"output": "made.csv"}, "JSON lines"),
        ({"epochs": 2}, "epochs"),
    ],
)
def test_what_cannot_be_asked_for_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_questions("starter", **given)


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "made.jsonl"
    path.write_text("mine")
    with pytest.raises(RecipeError, match="something already"):
        make_questions("starter", path, rows=5)
    assert path.read_text() == "mine"
    make_questions("starter", path, rows=5, overwrite=True)
    assert len(path.read_text().splitlines()) == 5


def test_texts_with_nothing_in_common_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Cats sleep all day and dream of mice and of warm milk in May.")
    with pytest.raises(DataError, match="No question can be made"):
        make_questions(tmp_path / "a.txt")


def test_a_megabyte_is_read_in_under_a_minute() -> None:
    """Of made-up prose, whose names recur as often as those of an encyclopaedia: 1,500 passages."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghiklmnoprstuvw", k=draw.randint(3, 9))) for _ in range(6_000)]
    names = [f"{one.title()} {two.title()}" for one, two in zip(words[:900], words[900:1_800], strict=True)]

    def sentence() -> str:
        body = [*draw.choices(words, k=14), "of", draw.choice(names), "in", str(draw.randint(1500, 1999))]
        return " ".join(["The", *body]) + "."

    rows = [{"text": " ".join(sentence() for _ in range(6))} for _ in range(1_500)]
    assert sum(len(row["text"]) for row in rows) > 1_000_000
    began = time.process_time()
    made = make_questions(rows)
    assert len(made.rows) > 2_000
    assert time.process_time() - began < 60
