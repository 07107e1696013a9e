"""Plain text to features: what is read, how it is cut, what is left out."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from distiltune.distillation.text import PlainTextData, Texts, part_texts, read_texts, text_features
from distiltune.errors import DataError, RecipeError
from tests.helpers import word_pieces

TOKENIZER = word_pieces([*"abcdefghij"])
CLS, SEP = (int(TOKENIZER.token_to_id(token) or 0) for token in ("[CLS]", "[SEP]"))


def made(texts: Sequence[str], source: str = "x") -> Texts:
    return Texts(tuple(texts), tuple(range(1, len(texts) + 1)), (source,))


def ids(text: str) -> list[int]:
    return list(TOKENIZER.encode(text, add_special_tokens=False).ids)


def windows(text: str, max_length: int, stride: int) -> list[list[int]]:
    """The plain way."""
    tokens, room = ids(text), max_length - 2
    cut: list[list[int]] = []
    first = 0
    while True:
        cut.append([CLS, *tokens[first : first + room], SEP])
        if first + room >= len(tokens):
            return cut
        first += room - stride


@pytest.mark.parametrize(("max_length", "stride"), [(5, 0), (5, 1), (6, 3), (12, 0), (13, 4)])
def test_windows_are_those_of_the_plain_way(max_length: int, stride: int) -> None:
    texts = ["a b c d e f g h i j", "a", "", "c d e", "a b c"]
    features = text_features(texts, TOKENIZER, max_length, stride)
    expected = [window for text in texts for window in windows(text, max_length, stride)]
    bounds = features.offsets.tolist()
    assert [features.token_ids[a:b].tolist() for a, b in itertools.pairwise(bounds)] == expected
    assert features.lengths.max() <= max_length
    assert (np.diff(features.example_of) >= 0).all()


def test_a_pair_on_one_line_is_a_pair_of_tokens() -> None:
    features = text_features(["a b [SEP] c"], TOKENIZER, 16, 0)
    assert features.token_ids.tolist() == [CLS, *ids("a b"), SEP, *ids("c"), SEP]


def test_lines_are_texts_and_what_was_read_before_is_listed(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("two\n\n  one  \n", encoding="utf-8")
    with gzip.open(tmp_path / "c.txt.gz", "wt", encoding="utf-8") as file:
        file.write("three\ntwo\n")
    (tmp_path / "notes.md").write_text("not a text", encoding="utf-8")
    texts = read_texts([str(tmp_path)])
    assert texts.texts == ("two", "one", "three")
    assert texts.findings.n_rows == 4
    (left_out,) = texts.findings.of("rejected")
    assert left_out.where.endswith("c.txt.gz:2")


def test_a_column_of_another_name_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hotel.csv"
    file.write_text("review,mood\na b,good\nc,bad\n")
    assert read_texts((str(file),), columns="text=review").texts == ("a b", "c")
    with pytest.raises(DataError, match="no text in the column `text`") as caught:
        read_texts((str(file),))
    assert caught.value.fix == "its columns are review, mood: --columns text=NAME names the texts'"
    with pytest.raises(RecipeError, match="no field 'label'"):
        read_texts((str(file),), columns="label=mood")


def test_the_fingerprint_is_of_the_texts() -> None:
    assert made("ab", "x").fingerprint == made("ab", "y").fingerprint
    assert made("ab").fingerprint != made("ba").fingerprint
    assert made(["ab"]).fingerprint != made("ab").fingerprint


def test_nothing_to_read_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", encoding="utf-8")
    for source, words in ((empty, "no text"), (tmp_path / "absent.txt", "does not exist"), (tmp_path / "d", "exist")):
        with pytest.raises(DataError, match=words):
            read_texts([str(source)])
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError, match="no text file"):
        read_texts([str(tmp_path / "d")])


def test_texts_are_set_aside_once_and_by_the_seed() -> None:
    texts = made("abcdefghij")
    rest, aside = part_texts(texts, 0.3, seed=0)
    assert len(aside.texts) == 3
    assert sorted(rest.texts + aside.texts) == list("abcdefghij")
    for part in (rest, aside):  # each is called what it was called before
        data = PlainTextData(text_features(part.texts, TOKENIZER, 16, 0), part.findings, "", part.sources, part.numbers)
        assert [data.example_id(i) for i in range(data.n_examples)] == [f"text {ord(c) - 96}" for c in part.texts]
    assert part_texts(texts, 0.3, seed=0)[1].texts == aside.texts
    assert any(part_texts(texts, 0.3, seed=seed)[1].texts != aside.texts for seed in range(1, 5))
    assert len(part_texts(texts, 0.001, seed=0)[1].texts) == 1
    with pytest.raises(DataError, match="only one text"):
        part_texts(made("a"), 0.1, 0)
