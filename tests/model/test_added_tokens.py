"""Tokens that were added beside a vocabulary: the same as in `transformers`, also once the model is converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distiltune.errors import ModelError
from distiltune.model.convert import convert
from distiltune.model.source import load_source, load_tokenizer
from distiltune.model.tokenizer import tokenizer_files
from tests.model.tiny_models import VOCABULARY, save_tiny, tiny_model

transformers = pytest.importorskip("transformers")

N = len(VOCABULARY)
PLAIN = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": False}
TEXTS = (
    "the <ent> cafe",
    "the<ent>cafe CAFE NewTok newtok NEWTOK",
    "[E1]the [E2] x [e1]",
    "a  <ent>  b",
    "xNewToky [ENT] [MASK] [SEP] <s>",
    "the <ENT>",
    "",
)
FILES: dict[str, dict[str, Any]] = {
    "added_tokens.json": {"added_tokens.json": {"<ent>": N, "NewTok": N + 1}},
    "in another order": {"added_tokens.json": {"NewTok": N + 1, "<ent>": N}},
    "one of the vocabulary's": {"added_tokens.json": {"the": VOCABULARY.index("the"), "<ent>": N}},
    "added_tokens_decoder": {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                str(N + 1): {"content": "<ent>", **PLAIN, "lstrip": True, "rstrip": True},
                str(N): {"content": "NewTok", **PLAIN, "normalized": True, "single_word": True},
                "2": {"content": "[CLS]", **PLAIN, "special": True},
            }
        },
        "added_tokens.json": {"[E1]": N + 7},  # which is not looked at then
    },
    "additional_special_tokens": {"tokenizer_config.json": {"additional_special_tokens": ["[E1]", "[E2]"]}},
    "extra_special_tokens": {"tokenizer_config.json": {"extra_special_tokens": ["[E2]", "<ent>"]}},
    "special_tokens_map.json": {
        "special_tokens_map.json": {"additional_special_tokens": ["[E1]", "[E2]"], "cls_token": "[CLS]"},
        "added_tokens.json": {"[E2]": N, "[E1]": N + 1},
    },
    "a token of its own name": {"tokenizer_config.json": {"ent_token": "[ENT]", "bos_token": "<s>"}},
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = save_tiny(tmp_path / "model", tiny_model())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).unlink(missing_ok=True)
    return directory


def write(model: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (model / name).write_text(json.dumps(content), encoding="utf-8")


def theirs(model: Path, text: str) -> list[int]:
    ids: list[int] = transformers.AutoTokenizer.from_pretrained(model)(text)["input_ids"]
    return ids


@pytest.mark.parametrize("form", FILES)
def test_the_same_tokens_as_transformers(model: Path, tmp_path: Path, form: str) -> None:
    plain = [load_tokenizer(model).encode(text).ids for text in TEXTS]
    write(model, FILES[form])
    ours = [load_tokenizer(model).encode(text).ids for text in TEXTS]
    assert ours != plain, "the files say something"
    assert ours == [theirs(model, text) for text in TEXTS]
    convert(str(model), tmp_path / "converted")
    assert [load_tokenizer(tmp_path / "converted").encode(text).ids for text in TEXTS] == ours
    assert [theirs(tmp_path / "converted", text) for text in TEXTS] == ours


@pytest.mark.parametrize("form", ["added_tokens.json", "added_tokens_decoder", "additional_special_tokens"])
def test_beside_a_tokenizer_json_too(model: Path, form: str) -> None:
    (model / "tokenizer.json").write_bytes(tokenizer_files(load_tokenizer(model), 48)["tokenizer.json"])
    write(model, FILES[form])
    assert [load_tokenizer(model).encode(text).ids for text in TEXTS] == [theirs(model, text) for text in TEXTS]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    text=st.lists(st.sampled_from(["<ent>", "NewTok", "newtok", "the", " ", "caf", "e", "É", "[SEP]", ".", "\u00a0"])),
    parts=st.fixed_dictionaries({name: st.booleans() for name in PLAIN}),
)
def test_whatever_a_token_says_of_itself(model: Path, text: list[str], parts: dict[str, bool]) -> None:
    decoder = {str(N): {"content": "<ent>", **parts}, str(N + 1): {"content": "NewTok", **PLAIN, "normalized": True}}
    write(model, {"tokenizer_config.json": {"added_tokens_decoder": decoder}})
    assert load_tokenizer(model).encode("".join(text)).ids == theirs(model, "".join(text))


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens.json": {"<ent>": N + 5}},
        {"added_tokens.json": {"the": 7}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"40": {"content": "<ent>", **PLAIN}}}},
    ],
)
def test_an_id_that_it_would_not_have_is_refused(model: Path, files: dict[str, Any]) -> None:
    write(model, files)
    with pytest.raises(ModelError, match=r"gives the token '(<ent>|the)' the id"):
        load_tokenizer(model)


@pytest.mark.parametrize(
    "files",
    [
        {"added_tokens.json": {"<ent>": "35"}},
        {"added_tokens.json": ["<ent>"]},
        {"tokenizer_config.json": {"added_tokens_decoder": ["<ent>"]}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"x": {"content": "<ent>"}}}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"34": "<ent>"}}},
    ],
)
def test_what_is_no_token(model: Path, files: dict[str, Any]) -> None:
    write(model, files)
    with pytest.raises(ModelError):
        load_tokenizer(model)


def test_a_token_without_an_embedding_is_named(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model", tiny_model(vocab_size=N))
    (model / "tokenizer.json").unlink(missing_ok=True)
    write(model, {"added_tokens.json": {"<ent>": N}})
    with pytest.raises(ModelError, match="<ent>"):
        load_source(str(model))
