"""Model directories from strangers: nothing in them runs, and nonsense is refused before anything is allocated."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from distiltune.errors import ModelError
from distiltune.model import small_json
from distiltune.model.build import load_model
from distiltune.model.source import UNTRAINED, load_source
from distiltune.tasks.question_answering.task import HEAD_DROPOUT, HEAD_RULES, make_span_head
from tests.helpers import TINY, people, write_tiny_model

KNOWN = people()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(
        tmp_path / "model", KNOWN.tokenizer, replace(TINY, vocab_size=KNOWN.tokenizer.get_vocab_size())
    )


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def load(model: Path) -> None:
    load_model(str(model), HEAD_RULES, make_span_head, torch.device("cpu"), head_dropout=HEAD_DROPOUT)


@pytest.mark.parametrize(
    "values",
    [
        {"n_layers": 10**9},
        {"n_layers": 256, "dim": 16_384, "hidden_dim": 131_072},
        {"vocab_size": 1_000_000, "dim": 16_384},
        {"dim": -16},
        {"dim": 10**400},
        {"dim": 16.0},
        {"n_heads": True},
        {"pad_token_id": float("nan")},
        {"pad_token_id": 10**400},
        {"pad_token_id": -1},
        {"initializer_range": -0.1},
        {"initializer_range": float("inf")},
        {"dropout": float("nan")},
        {"qa_dropout": 1.5},
        {"qa_dropout": 10**400},
        {"activation": ["gelu"]},
        {"model_type": {"x": 1}},
    ],
    ids=str,
)
@pytest.mark.parametrize("untrained", [False, True])
def test_a_config_that_claims_nonsense_is_refused(model: Path, values: dict[str, Any], untrained: bool) -> None:
    change(model / "config.json", **values, **({UNTRAINED: True} if untrained else {}))
    with pytest.raises(ModelError) as caught:
        load(model)
    assert "config.json" in caught.value.where


def test_a_config_is_looked_at_before_the_weights(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(model / "config.json", n_layers=10**9)
    monkeypatch.setattr("distiltune.model.source.read_weights", lambda directory: pytest.fail("weights were read"))
    with pytest.raises(ModelError, match="n_layers"):
        load_source(str(model), HEAD_RULES)


def test_files_far_too_large_are_not_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_json, "MAX_FILE_BYTES", 100)
    with pytest.raises(ModelError, match="larger than any such file"):
        load(model)


def test_a_tokenizer_of_another_size_is_refused(model: Path) -> None:
    """The model has many more embeddings than the tokenizer has tokens: they do not belong together."""
    change(model / "config.json", vocab_size=30_522, **{UNTRAINED: True})
    with pytest.raises(ModelError, match="embeddings for 30,522"):
        load(model)


def test_a_vocabulary_padded_up_is_fine(tmp_path: Path) -> None:
    shape = replace(TINY, vocab_size=KNOWN.tokenizer.get_vocab_size() + 63)
    load(write_tiny_model(tmp_path / "model", KNOWN.tokenizer, shape))


def test_two_vocabularies_that_disagree_are_refused(model: Path) -> None:
    lines = (model / "vocab.txt").read_text().splitlines()
    lines[10], lines[11] = lines[11], lines[10]
    (model / "vocab.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(ModelError, match=r"vocab\.txt gives"):
        load(model)


def test_a_tokenizer_without_a_token_for_the_unknown_is_refused(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    lines = (model / "vocab.txt").read_text().replace("[UNK]", "unknown")
    (model / "vocab.txt").write_text(lines)
    with pytest.raises(ModelError, match=r"no \[UNK\]"):
        load(model)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"a":' * 50_000, "\ud800", "9" * 9_999])
def test_json_that_is_none(model: Path, file: str, text: str) -> None:
    (model / file).write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ModelError):
        load(model)


class Runs:
    """What a pickle of another's making may hold."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new_format", [True, False])
def test_no_code_runs_from_a_pickle(model: Path, tmp_path: Path, new_format: bool) -> None:
    (model / "model.safetensors").unlink()
    torch.save({"x": Runs(tmp_path / "ran")}, model / "pytorch_model.bin", _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError):
        load(model)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\x.safetensors", 7])
def test_an_index_names_files_beside_it_only(model: Path, name: object) -> None:
    (model / "model.safetensors").rename(model.parent / "x.safetensors")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="The index names"):
        load(model)


def _pickled(operations: bytes) -> bytes:
    """A ``pytorch_model.bin`` that does this when it is read."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", operations)
        archive.writestr("a/version", "3\n")
    return file.getvalue()


def _saved(value: object, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def _compressed() -> bytes:
    file = io.BytesIO()
    saved = zipfile.ZipFile(io.BytesIO(_saved({"a": torch.zeros(1_000_000)})))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in saved.infolist():
            packed.writestr(entry.filename, saved.read(entry))
    return file.getvalue()


def _many_views(**options: Any) -> bytes:
    numbers = torch.zeros(100_000)
    return _saved({f"a{number}": numbers[:] for number in range(100)}, **options)


BOMBS: dict[str, Callable[[], bytes]] = {
    "room-for-a-billion": lambda: _pickled(b"\x80\x02cbuiltins\nbytearray\nJ\x00\xca\x9a;\x85R."),
    "room-by-its-old-name": lambda: _pickled(b"\x80\x02c__builtin__\nbytearray\nJ\x00\xca\x9a;\x85R."),
    "lists-in-lists": lambda: _pickled(b"\x80\x02" + b"]" * 600_000 + b"a" * 599_999 + b"."),
    "compressed": _compressed,
    "many-nothings": lambda: _saved({f"a{number}": torch.empty(0) for number in range(10_001)}),
    "many-nothings-of-old": lambda: _saved(
        {f"a{number}": torch.empty(0) for number in range(10_001)}, _use_new_zipfile_serialization=False
    ),
    "many-views": _many_views,
    "many-views-of-old": lambda: _many_views(_use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_weights_that_ask_for_more_than_they_hold_are_refused_at_once(model: Path, kind: str) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(BOMBS[kind]())
    began = time.process_time()
    with pytest.raises(ModelError, match=r"weights cannot be read|come to more than the file holds") as caught:
        load(model)
    assert kind != "compressed" or "compressed, which PyTorch does not do" in caught.value.where
    assert time.process_time() - began < 10


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_a_weight_under_two_names_is_fine(model: Path, new: bool) -> None:
    tensors = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    tensors["vocab_projector.weight"] = tensors["distilbert.embeddings.word_embeddings.weight"]
    torch.save(tensors, model / "pytorch_model.bin", _use_new_zipfile_serialization=new)
    load(model)


HEADERS = {"long": b"{" * 9_000_000, "many": json.dumps([*range(10_001)]).encode()}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_of_many_tensors_is_refused_at_once(model: Path, header: bytes) -> None:
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="weights cannot be read") as caught:
        load(model)
    assert "where a model has some hundreds" in caught.value.where or "more than any model's" in caught.value.where


@pytest.mark.parametrize(
    ("kind", "why"), [("deep", "nested deeper than 32"), ("wide", "more than 10,000 parts"), ("circle", "")]
)
def test_groups_without_end_are_refused_at_once(model: Path, kind: str, why: str) -> None:
    h5py = pytest.importorskip("h5py")
    (model / "model.safetensors").unlink()
    with h5py.File(model / "tf_model.h5", "w") as file:
        group = file
        for number in range({"deep": 3_000, "wide": 10_001, "circle": 3}[kind]):
            inner = group.create_group(str(number % 2) if kind == "deep" else str(number))
            group = group if kind == "wide" else inner
        if kind == "circle":
            group["again"] = file["/"]
    began = time.process_time()
    with pytest.raises(ModelError, match=r"weights cannot be read|lack") as caught:
        load(model)
    assert why in caught.value.where, "by the bound itself, not for what is missing when all was looked at"
    assert time.process_time() - began < 10
