"""Which words are asked for: whole ones, about as many as were asked for, and no special token."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, required
from distiltune.distillation.text import text_features
from distiltune.errors import ModelError
from distiltune.tasks.fill_mask.masking import Masking, Vocabulary
from tests.helpers import word_pieces

WORDS = [*"abcdefghij", "##x", "##y"]
TOKENIZER = word_pieces(WORDS)
VOCABULARY = Vocabulary.of(TOKENIZER)
MASK, CLS, SEP, UNK = (int(TOKENIZER.token_to_id(token) or 0) for token in ("[MASK]", "[CLS]", "[SEP]", "[UNK]"))


def features_of(texts: Sequence[str], longest: int = 64) -> FeatureSet:
    return text_features(texts, TOKENIZER, longest, 0)


def many(n: int, seed: int = 0) -> FeatureSet:
    random = np.random.default_rng(seed)
    words = [a + ending for a in "abcdefghij" for ending in ("", "x", "xy")]
    return features_of([" ".join(random.choice(words, random.integers(8, 30))) for _ in range(n)])


def drawn(whole: FeatureSet, share: float = 0.15, seed: int = 0) -> FeatureSet:
    return Masking(VOCABULARY, share)(whole, np.random.default_rng(seed))


def test_the_shares_are_berts() -> None:
    whole = many(600)
    made = drawn(whole)
    labels = required(made.token_labels, "token_labels")
    asked = labels != NO_LABEL
    is_word = VOCABULARY.is_word[whole.token_ids]
    assert asked[is_word].mean() == pytest.approx(0.15, abs=0.01)
    assert not asked[~is_word].any()
    assert (labels[asked] == whole.token_ids[asked]).all()
    assert (made.token_ids[~asked] == whole.token_ids[~asked]).all()
    shown = made.token_ids[asked]
    assert (shown == MASK).mean() == pytest.approx(0.8, abs=0.03)
    same = (shown == whole.token_ids[asked]).mean()
    assert same == pytest.approx(0.1 + 0.1 / len(WORDS), abs=0.02), "left as it is, or the same drawn again"
    assert required(made.weights, "weights").sum() == asked.sum()
    assert made.redraw is None


def test_a_word_is_asked_for_as_a_whole() -> None:
    whole = many(200)
    asked = required(drawn(whole).token_labels, "token_labels") != NO_LABEL
    continues = VOCABULARY.continues[whole.token_ids]
    pieces = np.flatnonzero(continues & np.roll(VOCABULARY.is_word[whole.token_ids], 1))
    assert len(pieces) > 500
    assert (asked[pieces] == asked[pieces - 1]).all()


def test_a_piece_at_a_windows_cut_belongs_to_no_word_before_it() -> None:
    whole = features_of(["a bxy c d"], longest=5)  # [CLS] a b ##x [SEP], [CLS] ##y c d [SEP]
    assert VOCABULARY.continues[whole.token_ids[whole.offsets[1] + 1]]
    seen = set()
    for seed in range(200):
        asked = required(drawn(whole, 0.3, seed).token_labels, "token_labels") != NO_LABEL
        seen.add((bool(asked[3]), bool(asked[whole.offsets[1] + 1])))
    assert seen == set(itertools.product((False, True), repeat=2))


def test_of_every_text_something_is_asked_for_that_has_a_word() -> None:
    whole = features_of(["a", "b c", "?", ""])
    weights = required(drawn(whole, 0.01).weights, "weights")
    assert weights.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_every_draw_is_another_and_the_same_seed_the_same() -> None:
    whole = many(20)
    first, again, other = (drawn(whole, seed=seed) for seed in (1, 1, 2))
    assert (first.token_ids == again.token_ids).all()
    assert (first.token_ids != other.token_ids).any()


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no \[MASK\]"):
        Vocabulary.of(Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")))
