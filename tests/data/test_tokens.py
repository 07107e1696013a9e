from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from distiltune.data import tokens
from distiltune.data.tokens import SpecialTokens, distinct, token_ids_of, tokenise
from distiltune.errors import ModelError
from tests.helpers import word_pieces

TOKENIZER = word_pieces(["un", "##do", "##able", "cafe", "a", "b", ".", "##b"])
TEXTS = st.lists(st.text("ab .é\tundoble"), max_size=8)


def test_offsets_are_code_points_of_the_text_as_given() -> None:
    table = tokenise(TOKENIZER, ["😀 Café undoable", "", "a."])
    vocabulary = TOKENIZER.get_vocab()
    names = ["[UNK]", "cafe", "un", "##do", "##able", "a", "."]
    assert table.ids.tolist() == [vocabulary[name] for name in names]
    assert table.char_starts.tolist() == [0, 2, 7, 9, 11, 0, 1]
    assert table.char_ends.tolist() == [1, 6, 9, 11, 15, 1, 2]
    assert table.offsets.tolist() == [0, 5, 5, 7]


def test_no_texts_give_an_empty_table() -> None:
    table = tokenise(TOKENIZER, [])
    assert (table.ids.size, table.char_starts.size, table.offsets.tolist()) == (0, 0, [0])


@given(TEXTS)
def test_the_table_is_the_texts_one_by_one(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_TEXTS_AT_ONCE", 3)
        table = tokenise(TOKENIZER, texts)
    for i, text in enumerate(texts):
        low, high = table.offsets[i : i + 2].tolist()
        alone = TOKENIZER.encode(text, add_special_tokens=False)
        assert table.ids[low:high].tolist() == alone.ids
        spans = zip(table.char_starts[low:high].tolist(), table.char_ends[low:high].tolist(), strict=True)
        assert list(spans) == alone.offsets


@given(TEXTS)
def test_distinct_texts_and_where_each_went(texts: list[str]) -> None:
    found, which = distinct(texts)
    assert found == list(dict.fromkeys(texts))
    assert [found[i] for i in which.tolist()] == texts


def test_special_tokens() -> None:
    assert SpecialTokens.of(TOKENIZER) == SpecialTokens(cls=2, sep=3)


def test_a_tokenizer_without_them_is_refused() -> None:
    with pytest.raises(ModelError, match=r"no \[CLS\]"):
        SpecialTokens.of(Tokenizer(WordPiece({"[UNK]": 0, "[SEP]": 1}, unk_token="[UNK]")))


@given(TEXTS)
def test_ids_alone_are_those_of_the_table(texts: list[str]) -> None:
    table, alone = tokenise(TOKENIZER, texts), token_ids_of(TOKENIZER, texts)
    assert alone.ids.tolist() == table.ids.tolist()
    assert alone.offsets.tolist() == table.offsets.tolist()
