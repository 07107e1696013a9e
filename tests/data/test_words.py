"""Words in any script and either Unicode form, where they stand."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.words import markable_spans, word_spans

HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jose\u0301's cafe\u0301.", ["Jose\u0301", "'", "s", "cafe\u0301", "."]),
        (f"{HINDI} bolo", [HINDI, "bolo"]),
        ("\u0dc1\u0dca\u200d\u0dbb\u0dd3", ["\u0dc1\u0dca\u200d\u0dbb\u0dd3"]),  # Sinhala, with a joiner
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]),
        ("co\u00adoperate", ["co\u00adoperate"]),
        ("\u2764\ufe0fx e\u0301", ["\u2764\ufe0f", "x", "e\u0301"]),
        ("\u0301a b", ["\u0301", "a", "b"]),
        ("in São_2 (no!)", ["in", "São_2", "(", "no", "!", ")"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_both_forms_have_the_same_words() -> None:
    text = "José Ångström, Nguyễn Phương — naïve façade"
    assert words(unicodedata.normalize("NFD", text)) == [unicodedata.normalize("NFD", word) for word in words(text)]


@given(st.text())
def test_nothing_but_white_space_is_left_out(text: str) -> None:
    spans = word_spans(text)
    assert "".join(text[start:end] for start, end in spans) == re.sub(r"\s", "", text)
    assert all(start < end for start, end in spans)


@given(st.text(alphabet="ab1 \u738b\u8001\u3001\u3055\u30fc\u0e04\u0e38\u0e49\u0301\u200d\u0939\u093f\U00020000"))
def test_what_can_be_marked_are_the_words_cut_between_characters_of_scripts_without_spaces(text: str) -> None:
    words, parts = word_spans(text), markable_spans(text)
    assert "".join(text[start:end] for start, end in parts) == re.sub(r"\s", "", text)
    edges = {start for start, _ in parts}
    assert {start for start, _ in words} <= edges
    for start, end in parts:
        run = [sign for sign in text[start:end] if not unicodedata.category(sign).startswith("M") and sign != "\u200d"]
        assert len(run) <= 1 or all(sign in "ab1\u0939" for sign in run)
