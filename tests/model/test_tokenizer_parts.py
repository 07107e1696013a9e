"""Tokenizers of strangers: what no DistilBERT has is refused by name, before it can hang, crash or eat the memory."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from distiltune.data.tokens import tokenise
from distiltune.errors import ModelError
from distiltune.model.tokenizer import load_tokenizer
from distiltune.model.tokenizer_parts import MAX_WORD_CHARACTERS
from tests.helpers import TINY, people, write_tiny_model

KNOWN = people()
REGEX = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "regular-expression-normalizer": (
        {"normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}},
        "the normalizer 'Replace'",
    ),
    "regular-expression": ({"pre_tokenizer": REGEX}, "the pre_tokenizer 'Split'"),
    "regular-expression-in-a-sequence": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}, REGEX]}},
        "the pre_tokenizer 'Split'",
    ),
    "replacements-that-multiply": (
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1_000}] * 8,
            }
        },
        "the normalizer 'Replace'",
    ),
    "replacement-of-nothing": (
        {"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": "a"}},
        "the normalizer 'Replace'",
    ),
    "prepend": ({"normalizer": {"type": "Prepend", "prepend": "a" * 10**6}}, "the normalizer 'Prepend'"),
    "many-parts": (
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}] * 17}},
        "a normalizer of more than 16 parts",
    ),
    "deep-parts": ({"normalizer": {"type": "Sequence", "normalizers": [[]]}}, "a normalizer that is none"),
    "fixed-length-of-nothing": ({"pre_tokenizer": {"type": "FixedLength", "length": 0}}, "'FixedLength'"),
    "byte-level": ({"post_processor": {"type": "ByteLevel", "trim_offsets": True}}, "the post_processor 'ByteLevel'"),
    "decoder": ({"decoder": {"type": "CTC"}}, "the decoder 'CTC'"),
    "unigram": ({"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": None}}, "the model 'Unigram'"),
    "no-model": ({"model": None}, "has no vocabulary"),
    "added-nothing": ({"added_tokens": [{"id": 0, "content": ""}]}, "adds a token that is not of 1 to"),
    "added-list": ({"added_tokens": {"a": 1}}, "no list of at most 100,000 added tokens"),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(
        tmp_path / "model", KNOWN.tokenizer, replace(TINY, vocab_size=KNOWN.tokenizer.get_vocab_size())
    )


def change(directory: Path, **values: Any) -> None:
    file = directory / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_distilbert_has_is_refused_by_name(model: Path, what: str) -> None:
    values, words = REFUSED[what]
    change(model, **values)
    with pytest.raises(ModelError) as caught:
        load_tokenizer(model)
    assert words in caught.value.what
    assert caught.value.where == str(model / "tokenizer.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_input_chars_per_word", 2**40),
        ("max_input_chars_per_word", MAX_WORD_CHARACTERS + 1),
        ("max_input_chars_per_word", -1),
        ("max_input_chars_per_word", True),
        ("max_input_chars_per_word", None),
        ("continuing_subword_prefix", "#" * 10**6),
        ("continuing_subword_prefix", None),
        ("vocab", {"[CLS]": 2**31}),
        ("vocab", {"[CLS]": -1}),
        ("vocab", ["[CLS]"]),
        ("type", "BPE"),
        ("type", ["WordPiece"]),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_model_out_of_bounds_is_refused(model: Path, name: str, value: object) -> None:
    parts = json.loads((model / "tokenizer.json").read_text())["model"]
    change(model, model={**parts, name: value})
    with pytest.raises(ModelError, match="which no DistilBERT's does"):
        load_tokenizer(model)


def test_the_longest_words_that_may_be_take_little_time(model: Path) -> None:
    parts = json.loads((model / "tokenizer.json").read_text())["model"]
    change(model, model={**parts, "max_input_chars_per_word": MAX_WORD_CHARACTERS, "vocab": {**parts["vocab"], "a": 4}})
    tokenizer = load_tokenizer(model)
    began = time.process_time()
    tokenise(tokenizer, [("a" * MAX_WORD_CHARACTERS + " ") * 5_000])  # a million characters
    assert time.process_time() - began < 20


def _parts_of_bert(model: Path) -> dict[str, Any]:
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    parts: dict[str, Any] = json.loads(tokenizer.to_str())
    return parts


def test_what_others_make_of_the_same_parts_is_read(model: Path) -> None:
    (model / "tokenizer.json").write_text(json.dumps(_parts_of_bert(model)))
    assert len(tokenise(load_tokenizer(model), ["Ada, eats!"]).ids)
    parts = json.loads((model / "tokenizer.json").read_text())["model"]
    del parts["type"]  # as the first files of the library have it
    change(model, model=parts)
    assert len(tokenise(load_tokenizer(model), ["Ada, eats!"]).ids)


def test_a_tokenizer_that_panics_is_an_error_of_ours() -> None:
    tokenizer = Tokenizer(models.Unigram([("a", 0.0)], None, False))  # nothing for what it does not know
    with pytest.raises(ModelError, match="The tokenizer fails at a text"):
        tokenise(tokenizer, ["b"])
    panicking = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    panicking.pre_tokenizer = pre_tokenizers.FixedLength(0)
    with pytest.raises(ModelError, match="The tokenizer fails at a text"):
        tokenise(panicking, ["b c d"])


def test_a_word_list_without_a_token_for_the_unknown_is_refused(model: Path) -> None:
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    change(model, model={"type": "WordLevel", "vocab": vocabulary, "unk_token": "nothing"})
    with pytest.raises(ModelError, match="no nothing"):
        load_tokenizer(model)


def test_many_tokens_beside_are_added_at_once(model: Path) -> None:
    n_tokens = len(KNOWN.tokenizer.get_vocab())
    added = {f"<e{number}>": n_tokens + number for number in range(20_000)}
    (model / "added_tokens.json").write_text(json.dumps(added))
    began = time.process_time()
    assert load_tokenizer(model).token_to_id("<e19999>") == n_tokens + 19_999
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "added", [{"a" * 1_001: 1_000}, {f"<{number}>": number for number in range(100_001)}], ids=["long", "many"]
)
def test_tokens_beside_are_bounded(model: Path, added: dict[str, int]) -> None:
    (model / "added_tokens.json").write_text(json.dumps(added))
    with pytest.raises(ModelError, match="More than 100,000 tokens are added, or one has more"):
        load_tokenizer(model)
