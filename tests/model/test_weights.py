from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.tf_weights import torch_layout, torch_name
from distiltune.model.weights import read_weights
from tests.model.tiny_models import save_tiny, state, tiny_model

KEY = "distilbert.embeddings.LayerNorm.weight"


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return state(tiny_model())


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def write_index(directory: Path, weight_map: object, name: str = "model.safetensors.index.json") -> None:
    (directory / name).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))


def test_safetensors(tmp_path: Path) -> None:
    model = tiny_model()
    weights = read_weights(save_tiny(tmp_path, model))
    assert_equal(weights.tensors, state(model))
    assert (weights.dtype_on_disk, weights.files) == ("float32", ("model.safetensors",))


def test_sharded_safetensors_as_transformers_writes_them(tmp_path: Path) -> None:
    model = tiny_model()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert not (tmp_path / "model.safetensors").exists()
    weights = read_weights(tmp_path)
    assert len(weights.files) > 1
    assert_equal(weights.tensors, state(model))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_pickled(tmp_path: Path, tensors: dict[str, Tensor], zipped: bool) -> None:
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    weights = read_weights(tmp_path)
    assert_equal(weights.tensors, tensors)
    assert weights.files == ("pytorch_model.bin",)


def test_pickled_parameters(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save({name: torch.nn.Parameter(t) for name, t in tensors.items()}, tmp_path / "pytorch_model.bin")
    assert not any(tensor.requires_grad for tensor in read_weights(tmp_path).tensors.values())


def test_sharded_pickles(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    first, second = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
    names = list(tensors)
    torch.save({name: tensors[name] for name in names[:5]}, tmp_path / first)
    torch.save({name: tensors[name] for name in names[5:]}, tmp_path / second)
    weight_map = {name: first if i < 5 else second for i, name in enumerate(names)}
    write_index(tmp_path, weight_map, "pytorch_model.bin.index.json")
    weights = read_weights(tmp_path)
    assert_equal(weights.tensors, tensors)
    assert weights.files == (first, second)


def test_safetensors_are_preferred(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    for other in ("model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5"):
        (tmp_path / other).write_bytes(b"not read")
    assert_equal(read_weights(tmp_path).tensors, tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    save_file(stored, tmp_path / "model.safetensors")
    weights = read_weights(tmp_path)
    assert weights.dtype_on_disk == str(dtype).removeprefix("torch.")
    assert_equal(weights.tensors, {name: tensor.float() for name, tensor in stored.items()})


def test_mixed_precisions_are_named_and_counters_stay_whole(tmp_path: Path) -> None:
    stored = {"a": torch.ones(1).half(), "b": torch.ones(1), "embeddings.position_ids": torch.arange(4)[None]}
    save_file(stored, tmp_path / "model.safetensors")
    weights = read_weights(tmp_path)
    assert weights.dtype_on_disk == "float16+float32"
    assert weights.tensors["embeddings.position_ids"].dtype == torch.int64


def test_layer_norms_of_the_first_berts(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    legacy = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    assert "distilbert.embeddings.LayerNorm.gamma" in legacy
    torch.save(legacy, tmp_path / "pytorch_model.bin")
    assert_equal(read_weights(tmp_path).tensors, tensors)


def test_no_weights_says_what_else_is_there(tmp_path: Path) -> None:
    (tmp_path / "flax_model.msgpack").touch()
    with pytest.raises(ModelError, match=r"flax_model\.msgpack"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5"]
)
@pytest.mark.parametrize("content", [b"", b"\x80\x02garbage", b"[" * 9000, b"version https://git-lfs.github.com/"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_weights(tmp_path)
    assert str(tmp_path / name) in caught.value.where
    assert caught.value.fix


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file_is_named(tmp_path: Path, tensors: dict[str, Tensor], name: str) -> None:
    write: Callable[..., Any] = save_file if name == "model.safetensors" else torch.save
    write(tensors, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be read") as caught:
        read_weights(tmp_path)
    assert str(tmp_path / name) in caught.value.where


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "trapped",)

    torch.save({KEY: Trap()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError):
        read_weights(tmp_path)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1).expand(10**12), torch.zeros(3, 3).to_sparse(), torch.zeros(3, device="meta")],
    ids=["grows when copied", "sparse", "without contents"],
)
def test_a_pickled_tensor_that_is_none(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({KEY: tensor}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError):
        read_weights(tmp_path)


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no tensors by name"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    "shard",
    [
        "../secret.safetensors",
        "/etc/x.safetensors",
        "..\\x.safetensors",
        "C:x.safetensors",
        "a/b.safetensors",
        "x.bin",
        "",
        "..",
        "\0.safetensors",
        7,
        None,
    ],
)
def test_an_index_may_not_leave_its_directory(tmp_path: Path, shard: object) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    save_file({KEY: torch.zeros(1)}, tmp_path / "secret.safetensors")
    write_index(inside, {KEY: shard})
    with pytest.raises(ModelError, match="in its own directory"):
        read_weights(inside)


@pytest.mark.parametrize("weight_map", [None, [], 3])
def test_an_index_without_a_map(tmp_path: Path, weight_map: object) -> None:
    write_index(tmp_path, weight_map)
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_index(tmp_path, {KEY: "model-00001-of-00001.safetensors"})
    with pytest.raises(ModelError, match="part of the weights is missing") as caught:
        read_weights(tmp_path)
    assert "model-00001-of-00001.safetensors" in caught.value.where


def test_a_tensor_that_its_shard_lacks_is_named(tmp_path: Path) -> None:
    save_file({"other": torch.zeros(1)}, tmp_path / "a.safetensors")
    write_index(tmp_path, {KEY: "a.safetensors", "other": "a.safetensors"})
    with pytest.raises(ModelError) as caught:
        read_weights(tmp_path)
    assert caught.value.where.endswith(f"a.safetensors: {KEY}")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (
            "distilbert/tf_distil_bert_for_question_answering/distilbert/transformer/layer_._11/attention/q_lin/kernel:0",
            "distilbert.transformer.layer.11.attention.q_lin.weight",
        ),
        (
            "distilbert/tf_distil_bert_model_2/distilbert/embeddings/word_embeddings/weight:0",
            "distilbert.embeddings.word_embeddings.weight",
        ),
        (
            "distilbert/embeddings/position_embeddings/embeddings:0",
            "distilbert.embeddings.position_embeddings.weight",
        ),
        ("my_outer/my_encoder/transformer/layer_._0/ffn/lin1/bias:0", "transformer.layer.0.ffn.lin1.bias"),
        ("my_outer/my_encoder/embeddings/LayerNorm/beta:0", "embeddings.LayerNorm.bias"),
        (
            "distilbert/model/distilbert/transformer/layer_._0/sa_layer_norm/gamma:0",
            "distilbert.transformer.layer.0.sa_layer_norm.weight",
        ),
        ("qa_outputs/tf_distil_bert_for_question_answering/qa_outputs/kernel:0", "qa_outputs.weight"),
        ("qa_outputs/my_outer/qa_outputs/kernel:0", "qa_outputs.weight"),
        ("qa_outputs/qa_outputs/bias:0", "qa_outputs.bias"),
        ("qa_outputs/bias:0", "qa_outputs.bias"),
        (
            "bert/tf_bert_model/bert/encoder/layer_._3/attention/self/query/kernel:0",
            "bert.encoder.layer.3.attention.self.query.weight",
        ),
        (
            "mlm___cls/tf_bert/mlm___cls/predictions/transform/dense/kernel:0",
            "mlm___cls.predictions.transform.dense.weight",
        ),
    ],
)
def test_names_of_the_tensorflow_era(path: str, name: str) -> None:
    assert torch_name(path) == name


def test_only_kernels_are_transposed() -> None:
    array = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(torch_layout("a/kernel:0", array), array.T)
    assert torch.equal(torch_layout("word_embeddings/weight:0", array), array)


def write_h5(file: Path, tensors: dict[str, Tensor], outer: str) -> None:
    """The tensors in the layout that TensorFlow-era transformers wrote, below another outermost name."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as opened:
        for name, tensor in tensors.items():
            *modules, kind = name.split(".")
            is_norm, is_dense = "norm" in modules[-1].lower(), "embeddings" not in modules[-1]
            if is_norm:
                kind = {"weight": "gamma", "bias": "beta"}[kind]
            elif kind == "weight" and is_dense:
                kind, tensor = "kernel", tensor.T
            path = "/".join((modules[0], outer, *modules)).replace("layer/", "layer_._")
            opened[f"{path}/{kind}:0"] = tensor.contiguous().numpy()


@pytest.mark.parametrize("outer", ["tf_distil_bert_for_question_answering_1", "my_model"])
def test_tensorflow_weights(tmp_path: Path, tensors: dict[str, Tensor], outer: str) -> None:
    write_h5(tmp_path / "tf_model.h5", tensors, outer)
    weights = read_weights(tmp_path)
    assert_equal(weights.tensors, tensors)


def test_tensorflow_weights_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModelError, match=r"-m pip install .*\[tensorflow-era\]"):
        read_weights(tmp_path)


def test_tensorflow_weights_may_not_read_other_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    with h5py.File(tmp_path / "tf_model.h5", "w") as opened:
        outside = [(str(tmp_path / "secret"), 0, 64)]
        opened.create_dataset("qa_outputs/qa_outputs/bias:0", (16,), "f4", external=outside)
    with pytest.raises(ModelError, match="another file"):
        read_weights(tmp_path)


def test_tensorflow_weights_may_not_unfold(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "tf_model.h5", "w") as opened:
        opened.create_dataset("a/kernel:0", (10**6, 10**6), "f4", chunks=(1000, 1000))
    with pytest.raises(ModelError, match="larger than the file"):
        read_weights(tmp_path)


def test_tensorflow_tensors_of_one_name_must_be_one(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = "distilbert/embeddings/word_embeddings/weight:0"
    for second, outcome in ((1.0, None), (2.0, "same name")):
        with h5py.File(tmp_path / "tf_model.h5", "w") as opened:
            opened[path] = torch.ones(2, 2).numpy()
            opened[f"vocab_projector/tf_x/{path}"] = torch.full((2, 2), second).numpy()
        if outcome is None:
            assert list(read_weights(tmp_path).tensors) == ["distilbert.embeddings.word_embeddings.weight"]
        else:
            with pytest.raises(ModelError, match=outcome):
                read_weights(tmp_path)
