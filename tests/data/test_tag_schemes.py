from __future__ import annotations

from collections import Counter

import pytest

from distiltune.data.tag_schemes import looks_like_tags, read_scheme, spellings


def meaning(*tags: str) -> tuple[list[str], tuple[str, ...]]:
    """What these tags mean, ``?`` if that is not known; and the unknown ones."""
    scheme = read_scheme(Counter(tags))
    return [scheme.meaning.get(tag, "?") for tag in tags], scheme.unknown


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O B-per I-per S-loc L-per U-x E-per", "O B-per I-per S-loc L-per U-x E-per"),
        ("O O B-per-x", "O O B-per-x"),
        # another sign for O
        ("0 B-per I-per", "O B-per I-per"),
        ("o B-per O", "O B-per O"),
        ("_ _ B-per I-per", "O O B-per I-per"),
        ("OTHER OTHER OTHER B-per", "O O O B-per"),
        ("0 0 per loc", "O O per loc"),
        # another sign, another case, another order
        ("O B_per I_per", "O B-per I-per"),
        ("O b-per i-per", "O B-per I-per"),
        ("O B:per I:per", "O B-per I-per"),
        ("O per-B per-I", "O B-per I-per"),
        ("O B_per B_loc", "O B-per B-loc"),
        ("O B-per I_per", "O B-per I-per"),
        # prefixes without labels
        ("O B I I B", "O B-entity I-entity I-entity B-entity"),
        ("O B- I-", "O B-entity I-entity"),
        ("B M E S O", "B-entity I-entity E-entity S-entity O"),
        # more prefixes
        ("B-per M-per E-per S-loc O", "B-per I-per E-per S-loc O"),
        ("B-per E-per W-loc O", "B-per E-per S-loc O"),
        # labels alone
        ("O per loc", "O per loc"),
        ("O e-mail url", "O e-mail url"),
        ("NN VB .", "NN VB ."),
    ],
)
def test_what_is_certain_is_read(tags: str, wanted: str) -> None:
    assert meaning(*tags.split()) == (wanted.split(), ())


@pytest.mark.parametrize(
    ("tags", "unknown"),
    [
        ("O B", "B"),
        ("O B B-per", "B"),
        ("O B- B-per", "B-"),
        ("O M-per B-per I-per", "M-per"),
        ("O M-per", "M-per"),
        ("O W-per", "W-per"),
        ("O W-per B-per I-per", "W-per"),
        ("O OTHER B-per", "OTHER"),
        ("O B_cell", "B_cell"),
        ("O per B-per", "per"),
        ("O B_per I_per B_", "B_"),
        ("0 1 2", "0 1 2"),
    ],
)
def test_the_rest_is_named(tags: str, unknown: str) -> None:
    scheme = read_scheme(Counter(tags.split()))
    assert scheme.unknown == tuple(unknown.split())
    assert scheme.fix


def test_what_was_decided_is_told() -> None:
    assert read_scheme(Counter(["O", "B-per", "I-per", "S-loc"])).told == ""
    assert "'0' as O, 'B_per' as B-per" in read_scheme(Counter(["0", "B_per", "I_per"])).told
    assert "no prefixes" in read_scheme(Counter(["O", "per"])).told
    assert "--tag-names" in read_scheme(Counter(["0", "1"])).fix


def test_which_columns_look_like_tags() -> None:
    assert looks_like_tags(Counter(O=5))
    assert looks_like_tags(Counter({"O": 5, "B-per": 1}))
    assert looks_like_tags(Counter({"_": 20, "B_per": 1, "bad": 1}))
    assert looks_like_tags(Counter(["O", "B", "I"]))
    for values in (["_"], ["0"], ["NNP", "VBD"], ["Ada", "sang", "e-mail"], ["-"], ["1", "2"]):
        assert not looks_like_tags(Counter(values))


def test_labels_in_several_spellings() -> None:
    assert spellings(["PER", "Per", "LOC", "per", "PER"]) == [("PER", "Per", "per")]
    assert spellings(["PER", "PER\u200b", "\U0001f3f4\U000e0067", "\U0001f3f4"]) == [("PER", "PER\u200b")]
