"""Tokens' ends run over the combining marks that follow, up to the next token, and over nothing else."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

import distiltune
from distiltune.data.marks import in_form, over_marks
from distiltune.data.tokens import tokenise


def spans_of(*pairs: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        ("Brande\u0301 here", [(0, 6), (8, 12)], [(0, 7), (8, 12)]),
        ("साधु", [(0, 3)], [(0, 4)]),
        ("رياضيّ", [(0, 5)], [(0, 6)]),
        ("a\u0301\u0327b", [(0, 1), (3, 4)], [(0, 3), (3, 4)]),
        ("ab\u0301", [(0, 1), (1, 2)], [(0, 1), (1, 3)]),
        ("सा", [(0, 1), (1, 2)], [(0, 1), (1, 2)]),  # the mark has a token of its own
        ("plain é", [(0, 5), (6, 7)], [(0, 5), (6, 7)]),
        ("각\u0301", [(0, 1), (0, 1), (0, 1)], [(0, 1), (0, 1), (0, 2)]),  # pieces of one syllable
    ],
)
def test_ends_run_over_marks(text: str, spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(map(tuple, over_marks(text, spans_of(*spans)).tolist())) == expected


@given(st.text(st.sampled_from("ab \u0301\u0327é\u200dव\u093e,"), max_size=20))
def test_only_marks_are_added(text: str) -> None:
    spans = [(place, place + 1) for place, letter in enumerate(text) if letter.isalpha()]
    for (start, end), (new_start, new_end) in zip(spans, over_marks(text, spans_of(*spans)).tolist(), strict=True):
        assert (new_start, new_end) >= (start, end)
        assert all(letter == "\u200d" or unicodedata.category(letter)[0] == "M" for letter in text[end:new_end])
        assert new_end == len(text) or unicodedata.category(text[new_end])[0] != "M"


def test_a_tokenizer_that_drops_accents_keeps_their_place() -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "ida": 1, "brande": 2}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    table = tokenise(tokenizer, ["Ida Brande\u0301", "Ida"])
    assert table.ids.tolist() == [1, 2, 1]
    assert table.char_ends.tolist() == [3, 11, 3]


@pytest.mark.parametrize("form", ["NFKC", "NFKD"])
def test_a_text_is_in_a_form_as_python_has_it_and_in_bounded_time(form: Literal["NFKC", "NFKD"]) -> None:
    for text in ("", "abc", "e\u0301\u0323ﬁ한글Å" * 20, "\u0315\u0300" * 15, "a" + "\u0315\u0300" * 15):
        assert in_form(form, text) == unicodedata.normalize(form, text)
    began = time.process_time()
    in_form(form, "a" + "\u0315\u0300" * 200_000)
    assert time.process_time() - began < 10


def test_nothing_else_brings_a_text_into_a_form() -> None:
    """`unicodedata.normalize` by itself takes minutes for a text of many marks."""
    package = Path(distiltune.__file__).parent
    own = re.compile(r"unicodedata.*\bnormalize\(", re.DOTALL)
    found = [str(path.relative_to(package)) for path in package.rglob("*.py") if own.search(path.read_text("utf-8"))]
    assert found == [str(Path("data", "marks.py"))]
