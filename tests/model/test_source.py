from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from distiltune.errors import HubError, ModelError
from distiltune.model import source as source_module
from distiltune.model.hf_keys import KeyRule, encoder_rules, from_hf
from distiltune.model.source import load_source, load_tokenizer, resolve_model
from tests.model.tiny_models import (
    HEAD_RULES,
    N_LAYERS,
    SHARED,
    VOCABULARY,
    change_config,
    save_tiny,
    saved_tensors,
    tiny_model,
    write_vocabulary,
)

QUERY = "distilbert.transformer.layer.1.attention.q_lin.weight"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A tiny DistilBERT with a question-answering head."""
    return save_tiny(tmp_path / "model", tiny_model())


def rewrite(directory: Path, **changes: Tensor | None) -> None:
    """Change or remove tensors of a saved model."""
    tensors = saved_tensors(directory)
    for name, tensor in changes.items():
        tensors.pop(name)
        if tensor is not None:
            tensors[name] = tensor
    save_file(tensors, directory / "model.safetensors")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str) -> Path:
        raise HubError(f"asked the hub for {name}", fix="")

    monkeypatch.setattr(source_module, "_fetch", fetch)


# Names


def test_a_directory_and_a_run(directory: Path, tmp_path: Path) -> None:
    assert resolve_model(str(directory)) == directory
    assert resolve_model(str(tmp_path)) == directory


def test_a_relative_directory_wins_over_the_hub(directory: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    monkeypatch.chdir(directory.parent)
    assert resolve_model("model") == Path("model")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "../nowhere", "a/b/c", "~/nowhere-at-all", "a\\b"])
def test_a_path_that_does_not_exist(name: str, no_hub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        resolve_model(name)


def test_unusable_paths(no_hub: None) -> None:
    for name in ("~nobody-of-this-name/model", "x" * 5000):
        with pytest.raises(ModelError, match="cannot be opened"):
            resolve_model(name)


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "owner/name"])
def test_other_names_are_asked_of_the_hub(name: str, no_hub: None) -> None:
    with pytest.raises(HubError, match=f"no directory '{name}' here.*asked the hub for {name}"):
        resolve_model(name)


def test_a_directory_without_a_model(tmp_path: Path, no_hub: None) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        resolve_model(str(tmp_path))


def test_a_file(directory: Path, no_hub: None) -> None:
    with pytest.raises(ModelError, match="this is a file") as caught:
        resolve_model(str(directory / "config.json"))
    assert caught.value.fix == f"give {directory}"
    alone = directory.parent / "texts.csv"
    alone.write_text("text")
    with pytest.raises(ModelError, match="this is a file") as caught:
        resolve_model(str(alone))
    assert "give a model directory, a run" in caught.value.fix


def test_starter_is_the_packaged_model(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None
) -> None:
    monkeypatch.setattr(source_module, "files", lambda package: tmp_path)
    (tmp_path / "here" / "starter").mkdir(parents=True)  # a directory that is no model does not hide it
    monkeypatch.chdir(tmp_path / "here")
    assert resolve_model("starter") == directory
    shutil.rmtree(directory)
    with pytest.raises(ModelError, match="starter model"):
        resolve_model("starter")


# Loading


def test_starter_needs_no_folder_that_may_be_searched(monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    """A user whose shell is in another's home, or in none."""

    def refuse(path: Path) -> Path | None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("distiltune.model.source._local_model", refuse)
    assert (resolve_model("starter") / "config.json").is_file()
    with pytest.raises(ModelError, match="cannot be opened"):
        resolve_model("other")


def test_all_is_there(directory: Path) -> None:
    found = load_source(str(directory), HEAD_RULES)
    expected = from_hf(saved_tensors(directory), (*encoder_rules(N_LAYERS), *HEAD_RULES))
    assert found.tensors.keys() == expected.keys()
    assert all(torch.equal(found.tensors[name], expected[name]) for name in expected)
    assert (found.missing, found.unexpected, found.notes) == ((), (), ())
    assert found.directory == directory
    assert found.tokenizer_file == directory / "vocab.txt"
    assert (found.config.hidden_size, found.config.n_layers, found.config.vocab_size) == (16, N_LAYERS, 100)
    assert found.config_hf["qa_dropout"] == 0.1


def test_a_bare_encoder_misses_only_the_head(tmp_path: Path) -> None:
    found = load_source(str(save_tiny(tmp_path, tiny_model("bare"))), HEAD_RULES)
    assert found.missing == ("head.output.weight", "head.output.bias")
    assert all(name.startswith("encoder.") for name in found.tensors)


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("sequence classification", "pre_classifier.weight"),
        ("masked language", "vocab_transform.weight"),
    ],
)
def test_other_heads_are_unexpected_and_told(tmp_path: Path, kind: str, left: str) -> None:
    found = load_source(str(save_tiny(tmp_path, tiny_model(kind))), HEAD_RULES)
    assert left in found.unexpected
    assert found.missing
    assert any(left in note or "more" in note for note in found.notes)


def test_half_precision_is_told(directory: Path) -> None:
    save_file({key: t.half() for key, t in saved_tensors(directory).items()}, directory / "model.safetensors")
    found = load_source(str(directory), HEAD_RULES)
    assert all(tensor.dtype == torch.float32 for tensor in found.tensors.values())
    assert any("float16" in note for note in found.notes)


def test_the_row_of_position_numbers_is_no_surprise(directory: Path) -> None:
    tensors = {**saved_tensors(directory), "distilbert.embeddings.position_ids": torch.arange(48)[None]}
    save_file(tensors, directory / "model.safetensors")
    assert load_source(str(directory), HEAD_RULES).unexpected == ()


def test_a_missing_tensor_of_the_encoder(directory: Path) -> None:
    rewrite(directory, **{QUERY: None})
    with pytest.raises(ModelError, match="lack 1 of the encoder") as caught:
        load_source(str(directory))
    assert QUERY in str(caught.value)


@pytest.mark.parametrize("name", [QUERY, "qa_outputs.bias"])
def test_a_wrong_shape_names_both(directory: Path, name: str) -> None:
    rewrite(directory, **{name: torch.zeros(3, 16)})
    with pytest.raises(ModelError) as caught:
        load_source(str(directory), HEAD_RULES)
    expected = "(16, 16)" if name == QUERY else "(2,)"
    assert all(part in str(caught.value) for part in (name, "(3, 16)", expected))


def test_a_head_without_a_shape_is_taken_as_it_is(directory: Path) -> None:
    rewrite(directory, **{"qa_outputs.bias": torch.zeros(7)})
    found = load_source(str(directory), (KeyRule("head.bias", ("qa_outputs.bias",)),))
    assert found.tensors["head.bias"].shape == (7,)


def test_quantised_weights(directory: Path) -> None:
    rewrite(directory, **{QUERY: torch.zeros(16, 16, dtype=torch.int8)})
    with pytest.raises(ModelError, match=r"torch\.int8"):
        load_source(str(directory))


@pytest.mark.parametrize("values", [(float("nan"),), (float("inf"),), (float("inf"), -float("inf"))], ids=str)
def test_broken_numbers(directory: Path, values: tuple[float, ...]) -> None:
    weights = torch.zeros(16, 16)
    weights[3, : len(values)] = torch.tensor(values)
    rewrite(directory, **{QUERY: weights})
    with pytest.raises(ModelError, match="NaN or infinity"):
        load_source(str(directory))


def test_large_numbers_are_not_broken_though_their_sum_is(directory: Path) -> None:
    rewrite(directory, **{QUERY: torch.full((16, 16), torch.finfo(torch.float32).max)})
    assert load_source(str(directory)).tensors


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "roberta"},
        {"model_type": None, "dim": None},
        {"vocab_size": 10**12},
        {"dim": 10**9},
        {"n_layers": 10**9},
        {"n_layers": 3},
        {"n_layers": -1},
        {"n_heads": 3},
        {"dim": "16"},
        {"dropout": 2},
        {"activation": "swish"},
        {"vocab_size": 99},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit(directory: Path, changes: dict[str, Any]) -> None:
    change_config(directory, **changes)
    with pytest.raises(ModelError):
        load_source(str(directory))


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "\ud800"], ids=repr)
def test_a_damaged_configuration(directory: Path, content: str) -> None:
    (directory / "config.json").write_text(content, errors="surrogatepass")
    with pytest.raises(ModelError, match=r"config\.json"):
        load_source(str(directory))


def test_the_first_distilberts_did_not_say_their_type(directory: Path) -> None:
    change_config(directory, model_type=None)
    assert load_source(str(directory)).config.hidden_size == 16


def test_more_tokens_than_embeddings(directory: Path) -> None:
    (directory / "vocab.txt").write_text("\n".join([*VOCABULARY, *(f"x{i}" for i in range(100))]))
    with pytest.raises(ModelError, match="ids go up to"):
        load_source(str(directory))


# Tokenizers


def test_vocabulary_and_json_make_the_same_tokenizer(directory: Path, tmp_path: Path) -> None:
    from_vocabulary = load_tokenizer(directory)
    from_vocabulary.enable_truncation(3)
    from_vocabulary.enable_padding(length=50)
    (tmp_path / "json").mkdir()
    from_vocabulary.save(str(tmp_path / "json" / "tokenizer.json"))
    from_json = load_tokenizer(tmp_path / "json")
    text = "The cafés THE"
    ids = load_tokenizer(directory).encode(text, "a").ids
    assert ids == from_json.encode(text, "a").ids  # neither cut nor padded
    words = ["[CLS]", "the", "cafe", "##s", "the", "[SEP]", "a", "[SEP]"]
    assert ids == [VOCABULARY.index(word) for word in words]


def test_case_is_kept_where_the_tokenizer_says_so(directory: Path) -> None:
    write_vocabulary(directory, lower_case=False)
    assert load_tokenizer(directory).encode("The the").tokens == ["[CLS]", "[UNK]", "the", "[SEP]"]
    write_vocabulary(directory, lower_case=None)
    (directory / "tokenizer_config.json").unlink()
    assert load_tokenizer(directory).encode("The").tokens == ["[CLS]", "the", "[SEP]"]


def test_special_tokens_are_not_split(directory: Path) -> None:
    assert load_tokenizer(directory).encode("a [MASK] a").tokens == ["[CLS]", "a", "[MASK]", "a", "[SEP]"]


def test_no_tokenizer(directory: Path) -> None:
    (directory / "vocab.txt").unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        load_source(str(directory))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": 3}'])
def test_a_damaged_tokenizer(directory: Path, content: str) -> None:
    (directory / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"cannot be read|holds no JSON object|has no vocabulary") as caught:
        load_source(str(directory))
    assert "tokenizer.json" in caught.value.where


def test_a_tokenizer_without_the_needed_tokens(directory: Path) -> None:
    (directory / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\na\n")
    with pytest.raises(ModelError, match=r"\[SEP\]"):
        load_tokenizer(directory)


def test_a_damaged_tokenizer_configuration(directory: Path) -> None:
    (directory / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": "yes"}))
    with pytest.raises(ModelError, match="tokenizer cannot be read"):
        load_tokenizer(directory)
    (directory / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json holds no JSON object"):
        load_tokenizer(directory)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/ beside the checkout")
def test_the_shared_model() -> None:
    found = load_source(str(SHARED / "models" / "minilm-l6-distilbert"), HEAD_RULES)
    assert found.config.n_layers == 6
    assert found.tensors["encoder.layers.5.attention.qkv.weight"].shape == (3 * 384, 384)
    assert found.missing == ("head.output.weight", "head.output.bias")
    built = Tokenizer.from_file(str(found.tokenizer_file))
    assert load_tokenizer(found.directory).encode("Héllo").ids == built.encode("Héllo").ids
