from __future__ import annotations

import random

import numpy as np
import pytest

from distiltune.checks import near_duplicates
from distiltune.checks.near_duplicates import (
    character_shingles,
    character_signatures,
    group,
    near_pairs,
    signatures,
    word_shingles,
    word_signatures,
)
from distiltune.data import scratch

WORDS = [f"w{i}" for i in range(500)]


def texts_of(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=80)) for _ in range(n)]


def test_the_signature_estimates_the_resemblance() -> None:
    """Against the plain Jaccard index of the same shingles."""
    rng = random.Random(1)
    for changes in (0, 2, 8, 30):
        one = rng.choices(WORDS, k=120)
        other = list(one)
        for place in rng.sample(range(120), changes):
            other[place] = "other"
        sets = [{tuple(words[i : i + 3]) for i in range(118)} for words in (one, other)]
        plain = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        first, second = signatures(word_shingles([" ".join(one), " ".join(other)]))
        assert float((first == second).mean()) == pytest.approx(plain, abs=0.2)


def test_texts_that_are_nearly_the_same_are_found_and_no_others() -> None:
    texts = texts_of(200)
    copies = [text.replace("w7 ", "w8 ").upper() for text in texts[:20]]
    pairs = near_pairs(signatures(word_shingles([*texts, *copies])), 0.7)
    assert {tuple(pair) for pair in pairs.tolist()} == {(i, 200 + i) for i in range(20)}


def test_only_texts_of_one_group_are_compared() -> None:
    texts = ["the very same question here", "the very same question here", "the very same question here"]
    pairs = near_pairs(signatures(character_shingles(texts)), 0.7, within=np.array([4, 5, 4]))
    assert pairs.tolist() == [[0, 2]]


def test_a_crowd_of_copies_hangs_together_without_all_pairs() -> None:
    texts = ["the same text again and again"] * 300
    pairs = near_pairs(signatures(word_shingles(texts)), 0.7)
    assert len(pairs) < 1_000
    assert group(300, pairs).tolist() == [0] * 300


def test_short_and_empty_texts_do_not_stumble() -> None:
    texts = ["", "a", "", "a", "b c"]
    assert {tuple(pair) for pair in near_pairs(signatures(word_shingles(texts)), 0.7).tolist()} == {(0, 2), (1, 3)}
    assert near_pairs(signatures(word_shingles([])), 0.7).shape == (0, 2)


def test_groups_are_named_by_their_first_text() -> None:
    assert group(6, np.array([[1, 4], [4, 5], [0, 2]])).tolist() == [0, 1, 0, 3, 1, 1]


def test_signatures_made_part_by_part_and_laid_on_disk_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*texts_of(20), "", "w1", "new words, New"]
    whole = signatures(word_shingles(texts)), signatures(character_shingles(texts))
    monkeypatch.setattr(near_duplicates, "_TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(scratch, "_BYTES_IN_MEMORY", 1_000)
    np.testing.assert_array_equal(word_signatures(texts), whole[0])
    np.testing.assert_array_equal(character_signatures(texts), whole[1])
    assert isinstance(word_signatures(texts).base, np.memmap)
    assert word_signatures([]).shape == (0, near_duplicates.N_HASHES)
    copies = [*texts, *texts]
    pairs = near_pairs(word_signatures(copies), 0.9)
    assert {(i, i + len(texts)) for i in range(len(texts))} <= set(map(tuple, pairs.tolist()))
