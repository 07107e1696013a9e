"""What is said of texts without labels, and when the second model is no worse than the first."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from distiltune.report.page import with_section
from distiltune.report.self_training import SelfTraining, TextChoice, Verdict
from distiltune.tasks.self_taught import OfLabel, Rights

CHOICE = TextChoice(20, 2, 3, {"<b>": OfLabel(4, 10, 12, 10), "b": OfLabel(2, 5, 6, 5)}, 3.0, 0.5, 0.61, 1.25, 40)


def rights(signs: str, *, held_out: bool = True) -> Rights:
    return Rights(np.array([sign == "1" for sign in signs]), held_out)


@pytest.mark.parametrize(
    ("first", "second", "keeps_second"),
    [
        ("1111", "1111", True),
        ("0000", "1111", True),
        ("1", "0", True),  # one text tells nothing
        ("11", "00", False),
        ("111110", "110001", True),  # 3 against 1
        ("111111", "110001", False),  # 3 against 0
        ("1" * 60 + "0" * 40, "0" * 60 + "1" * 40, False),
        ("1" * 54 + "0" * 46, "0" * 54 + "1" * 46, True),
    ],
)
def test_the_second_is_kept_unless_it_is_worse_by_more_than_chance(first: str, second: str, keeps_second: bool) -> None:
    found = Verdict.of(rights(first), rights(second))
    assert found.keeps_second is keeps_second
    assert found.as_json()["kept"] == ("second" if keeps_second else "first")


def test_all_is_counted_in_words() -> None:
    verdict = Verdict.of(rights("1110", held_out=False), rights("1001", held_out=False))
    said = "\n".join(SelfTraining(CHOICE, verdict, {"first-training": 1.5}).lines())
    assert "20 texts without labels, left out 2 read before and 3 in the labelled data; of 15 labelled" in said
    assert "at most 3 for each labelled text with it: <b> 10 of 10, b 5 of 5" in said
    assert "0.61 (asked for: 0.5), calibrated on 40 validation texts (temperature 1.25)" in said
    assert "of 4 training texts the first is right about 3, the second about 2 (the first alone about 2" in said
    assert "whether the second model is better is not known" in said
    assert "first training 1.5 s" in said


def test_of_many_labels_some_are_named() -> None:
    of_label = {f"label {i}": OfLabel(1, 1, 3, 1) for i in range(40)}
    said = "\n".join(TextChoice(40, 0, 0, of_label, 3.0, 0.0, 0.2, 1.0, 0).lines())
    assert "label 11 1 of 1 and 28 labels more" in said


def test_names_are_no_markup() -> None:
    done = SelfTraining(CHOICE, None, {})
    page = with_section('<ol class="contents">\n<li>1</li>\n</ol>\n<main>\n<p>all</p></main>', done.section())
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert page.index("self-training") < page.index("<li>1</li>")
    assert page.index("<h2") < page.index("<p>all</p>")
    assert "<b>" not in done.on_card("# A card\n")


def test_a_choice_is_read_back() -> None:
    values: dict[str, Any] = json.loads(json.dumps(CHOICE.as_json()))
    assert TextChoice.from_json(values) == CHOICE
