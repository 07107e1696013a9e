from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distiltune.data.example_set import ExampleSet
from distiltune.data.packing import NO_LABEL
from distiltune.data.row_findings import RowFindings
from distiltune.tasks.token_classification.examples import Entity, TokenExample
from distiltune.tasks.token_classification.features import TokenData, TokenWindows, featurise
from distiltune.tasks.token_classification.tags import tag_names
from tests.helpers import word_pieces

TOKENIZER = word_pieces([*"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), "-"])
# One piece, several, one that is not known, a compound that is parted again, one that the tokenizer drops.
WORDS = st.sampled_from(["a", "b", "abc", "hgfedcba", "zz", "a-b", "‍"])
SENTENCE = st.lists(WORDS, min_size=1, max_size=25)
TAGS = tag_names(["x"])


def data_of(sentences: list[list[str]], max_length: int, stride: int = 4) -> TokenData:
    examples = []
    for i, words in enumerate(sentences):
        ends = list(itertools.accumulate(len(word) + 1 for word in words))
        places = tuple((end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True))
        gold = tuple(Entity(place, place + 1, "x") for place in range(0, len(words), 3))
        examples.append(TokenExample(str(i), " ".join(words), places, gold))
    read = ExampleSet(tuple(examples), RowFindings(), "f", ())
    return featurise(read, TOKENIZER, TokenWindows(max_length, stride), TAGS)


@settings(max_examples=60)
@given(st.lists(SENTENCE, min_size=1, max_size=5), st.integers(6, 40), st.integers(0, 8))
def test_no_word_is_lost_and_none_counts_twice(sentences: list[list[str]], max_length: int, stride: int) -> None:
    data = data_of(sentences, max_length, stride)
    features = data.features
    assert int(features.lengths.max()) <= max_length
    place = data.arrays["word_place"]
    assert len(place) == sum(map(len, sentences)) == len(set(place.tolist()))
    # Every word is answered for at its own first piece, in a window of its own text.
    words = [word for sentence in sentences for word in sentence]
    owner = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    feature = np.searchsorted(features.offsets, place, side="right") - 1
    np.testing.assert_array_equal(features.example_of[feature], owner)
    for word, where in zip(words, place.tolist(), strict=True):
        pieces = TOKENIZER.encode(word, add_special_tokens=False).ids or [1]  # [UNK]
        kept = pieces[: max_length - 2]
        assert features.token_ids[where : where + len(kept)].tolist() == kept
    # And the labels stand there and nowhere else.
    expected = [TAGS.index("B-x") if i % 3 == 0 else 0 for sentence in sentences for i in range(len(sentence))]
    assert features.token_labels is not None
    assert features.token_labels.shape == features.token_ids.shape
    assert features.token_labels[place].tolist() == expected
    assert int((features.token_labels != NO_LABEL).sum()) == len(words)
    assert features.weights is not None
    assert features.weights.tolist() == np.bincount(feature, minlength=len(features)).tolist()


@settings(max_examples=40)
@given(SENTENCE)
def test_short_sentences_are_what_the_tokenizer_makes_of_words(words: list[str]) -> None:
    """As ``transformers`` aligns them: pre-tokenised, first piece labelled. Its dropped words stay dropped there."""
    kept = [word for word in words if word != "‍"]
    if not kept:
        return
    data = data_of([kept], 384)
    encoding = TOKENIZER.encode(kept, is_pretokenized=True)
    assert data.features.token_ids.tolist() == encoding.ids
    first = [encoding.word_ids.index(i) for i in range(len(kept))]
    assert data.arrays["word_place"].tolist() == first


def test_a_word_in_two_windows_is_answered_for_where_it_has_more_around_it() -> None:
    data = data_of([["a"] * 20], 12, stride=4)
    feature = np.searchsorted(data.features.offsets, data.arrays["word_place"], side="right") - 1
    assert len(data.features) == 3
    within = data.arrays["word_place"] - data.features.offsets[feature]
    first_of_later = [int(within[feature == i].min()) for i in (1, 2)]
    assert all(place > 1 for place in first_of_later)  # not the window's very edge


def test_a_word_longer_than_a_window_is_kept_and_said() -> None:
    data = data_of([["a", "abcdefgh" * 3, "b"]], 12)
    assert [finding.kind for finding in data.findings.items] == ["word_cut"]
    assert len(data.arrays["word_place"]) == 3


def test_where_no_text_is_marked_there_are_no_labels() -> None:
    read = ExampleSet((TokenExample("1", "a", ((0, 1),), None),), RowFindings(), "f", ())
    features = featurise(read, TOKENIZER, TokenWindows(12, 4), TAGS).features
    assert features.token_labels is None
    assert features.weight(np.arange(1)) == 0.0
