"""Every reader of what others made, as a function of bytes: it must end in a result or in an error of ours."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults import mutations
from tests.helpers import TINY, People, people, write_squad, write_tiny_model

Read = Callable[[Path], None]
"""Reads what lies in a folder; whatever it raises that is no error of ours is a finding."""

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader under test.

    Attributes:
        name: of the reader and of its folder in the corpus.
        file: name of the file that holds the input.
        seeds: valid inputs.
        mutate: makes an input of a valid one.
        read: reads the folder that the file is in.

    """

    name: str
    file: str
    seeds: tuple[bytes, ...]
    mutate: Mutate
    read: Read

    def inputs(self, draw: random.Random) -> bytes:
        """One more input."""
        return self.mutate(draw.choice(self.seeds), draw)


def make_readers(folder: Path) -> dict[str, Reader]:
    """All readers; what their valid inputs are made of is written into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    known = people()
    readers = [*_data_readers(folder, known), *_model_readers(folder, known), *_own_readers(folder)]
    return {reader.name: reader for reader in readers}


def place(reader: Reader, base: Path, folder: Path) -> None:
    """Put beside the input what its reader needs."""
    shutil.rmtree(folder, ignore_errors=True)
    source = base / reader.name
    if source.is_dir():
        shutil.copytree(source, folder)
    else:
        folder.mkdir(parents=True)


def _data_readers(folder: Path, known: People) -> list[Reader]:
    squad = write_squad(folder / "squad.json", known.examples[:3]).read_bytes()
    rows = [
        {
            "id": each.id,
            "question": each.question,
            "context": each.context,
            "answer_text": each.answers[0].text,
            "answer_start": each.answers[0].start,
        }
        for each in known.examples[:3]
    ]
    nested = [
        {"question": "what é", "context": "naïve é 👩 ada", "answers": {"text": ["ada"], "answer_start": [12]}},
        {"question": "what", "context": "ada eats plums", "answers": [{"text": "plums", "answer_start": 9}]},
    ]
    flat = json.dumps(rows).encode()
    lines = "\n".join(json.dumps(row) for row in [*rows, *nested]).encode()
    seeds = (squad, flat, json.dumps({"data": nested}).encode())
    readers = [
        Reader("json", "data.json", seeds, mutations.mutate_json, _read_data),
        Reader("json-lines", "data.jsonl", (lines,), mutations.mutate_lines, _read_data),
        Reader("csv", "data.csv", (_table(rows, ","), _table(rows, ";")), mutations.mutate_bytes, _read_data),
        Reader("tsv", "data.tsv", (_table(rows, "\t"),), mutations.mutate_bytes, _read_data),
        Reader(
            "gzip",
            "data.json.gz",
            tuple(gzip.compress(each, 1, mtime=0) for each in seeds),
            mutations.mutate_gzip(mutations.mutate_json),
            _read_data,
        ),
        Reader("parquet", "data.parquet", (_parquet(rows),), mutations.random_table, _read_data),
    ]
    documents = ("Ada é plums.\r\n".encode(), b"\xff\xfea\x00")
    return [
        *readers,
        *(replace(each, name=f"task-of-{each.name}", read=_settle_task) for each in readers),
        Reader("document", "text.txt", documents, mutations.mutate_bytes, _read_text),
    ]


def _table(rows: list[dict[str, object]], delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _parquet(rows: list[dict[str, object]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def _read_data(folder: Path) -> None:
    from distiltune.tasks.question_answering.features import WindowSettings, make_features
    from distiltune.tasks.question_answering.read import read_examples

    (file,) = folder.iterdir()
    found = read_examples([str(file)], split="train", max_rejected_share=1.0)
    rejected = found.findings.of("rejected")
    assert found.findings.n_rows == len(found.examples) + len(rejected), "a row is lost"
    assert len({each.id for each in found.examples}) == len(found.examples), "an id is there twice"
    for each in found.examples:
        for answer in each.answers:
            assert each.context[answer.start : answer.end] == answer.text, "an answer is elsewhere"
        each.id.encode(), each.question.encode(), each.context.encode(), each.title.encode()
    for finding in found.findings.items:
        json.dumps(finding.as_json(), ensure_ascii=False).encode()
    features = make_features(found.examples, _TOKENIZER, WindowSettings(48, 8, 16))
    lengths = features.features.lengths
    assert not len(lengths) or lengths.max() <= 48, "a window is too long"
    assert set(features.features.example_of.tolist()) == set(range(len(found.examples))), "an example has no window"


_TOKENIZER = people().tokenizer


def _settle_task(folder: Path) -> None:
    from distiltune.recipe.choose_task import with_task_of_training
    from distiltune.recipe.recipe import Recipe
    from distiltune.tasks.table import TASKS

    (file,) = folder.iterdir()
    assert with_task_of_training(Recipe(train=(str(file),))).task in TASKS


def _read_text(folder: Path) -> None:
    from distiltune.data.streams import read_text

    (file,) = folder.iterdir()
    read_text(file).encode("utf-8", "surrogatepass")


def _model_readers(folder: Path, known: People) -> list[Reader]:
    import torch
    from safetensors.torch import load_file, save_file

    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    model = write_tiny_model(folder / "model", known.tokenizer, shape)
    tensors = load_file(model / "model.safetensors")
    config = json.loads((model / "config.json").read_bytes())
    stored = {"max_length": 48, "stride": 8, "max_answer_tokens": 9, "long_texts": "truncate"}
    config |= {"distiltune": {**stored, "confidence_temperature": 0.5}, "null_threshold": 0.25}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")

    def variant(name: str, *without: str) -> Path:
        directory = folder / name
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(model, directory, ignore=shutil.ignore_patterns(*without, "README.md"))
        return directory

    def reader(name: str, file: str, mutate: Mutate, directory: Path) -> Reader:
        return Reader(name, file, ((directory / file).read_bytes(),), mutate, _read_model)

    readers = [
        reader("config", "config.json", mutations.mutate_json, variant("config")),
        reader("tokenizer", "tokenizer.json", mutations.mutate_tokenizer, variant("tokenizer", "vocab.txt")),
        reader("vocabulary", "vocab.txt", mutations.mutate_bytes, variant("vocabulary", "tokenizer.json")),
        reader(
            "tokenizer-config",
            "tokenizer_config.json",
            mutations.mutate_json,
            variant("tokenizer-config", "tokenizer.json"),
        ),
        reader("safetensors", "model.safetensors", mutations.mutate_safetensors, variant("safetensors")),
    ]
    pickled = variant("pickle", "*.safetensors")
    torch.save(tensors, pickled / "pytorch_model.bin")
    readers.append(reader("pickle", "pytorch_model.bin", mutations.mutate_bytes, pickled))
    legacy = variant("old-pickle", "*.safetensors")
    torch.save(tensors, legacy / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    readers.append(reader("old-pickle", "pytorch_model.bin", mutations.mutate_bytes, legacy))
    sharded = variant("shards", "*.safetensors")
    save_file(tensors, sharded / "model-00001-of-00001.safetensors")
    weight_map = dict.fromkeys(tensors, "model-00001-of-00001.safetensors")
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    readers.append(reader("shards", "model.safetensors.index.json", mutations.mutate_json, sharded))
    try:
        import h5py
    except ImportError:
        return readers
    era = variant("tensorflow-era", "*.safetensors")
    with h5py.File(era / "tf_model.h5", "w") as file:
        for name, tensor in tensors.items():
            file[f"distilbert/tf_distil_bert_model/{name.replace('.', '/')}:0"] = tensor.numpy()
    readers.append(reader("tensorflow-era", "tf_model.h5", mutations.mutate_bytes, era))
    return readers


def _read_model(folder: Path) -> None:
    import torch

    from distiltune.model.build import load_model
    from distiltune.model.source import load_source
    from distiltune.settings.stored import stored_settings
    from distiltune.tasks.question_answering.task import (
        HEAD_RULES,
        make_span_head,
        stored_temperature,
        stored_threshold,
    )
    from distiltune.tasks.table import TASKS

    source = load_source(str(folder), HEAD_RULES)
    for entry in TASKS.values():
        stored_settings(source.config_hf, entry.settings)
    stored_threshold(source.config_hf)
    stored_temperature(source.config_hf)
    if source.config.n_parameters < 5_000_000:
        loaded = load_model(str(folder), HEAD_RULES, make_span_head, torch.device("cpu"))
        loaded.tokenizer.encode_batch(["ada eats plums .", ""], add_special_tokens=False)


def _own_readers(folder: Path) -> list[Reader]:
    import torch

    from distiltune.recipe.recipe import Recipe
    from distiltune.training.checkpoint import take_snapshot, write_checkpoint
    from distiltune.training.optimiser import Adam

    model = torch.nn.Linear(3, 2)
    optimiser = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    readers = []
    for file in ("state.json", "weights.safetensors", "optimiser.safetensors", "SHA256SUMS"):
        name = f"checkpoint-{file.split('.')[0].lower()}"
        directory = folder / name
        shutil.rmtree(directory, ignore_errors=True)
        write_checkpoint(directory, take_snapshot(model, optimiser, {"step": 1}))
        readers.append(Reader(name, file, ((directory / file).read_bytes(),), mutations.mutate_bytes, _read_checkpoint))
    readers.append(Reader("links", "links.json", (b"{}",), mutations.random_links, _begin_anew))
    readers += _graph_readers()
    recipe = Recipe().to_toml().encode()
    readers.append(
        Reader("recipe", "recipe.toml", (recipe, b"[recipe]\nepochs = 3\n"), mutations.mutate_bytes, _read_recipe)
    )
    return readers


def _read_checkpoint(folder: Path) -> None:
    from distiltune.training.checkpoint import read_checkpoint

    read_checkpoint(folder)


def _read_recipe(folder: Path) -> None:
    from distiltune.recipe.recipe import Recipe

    Recipe.from_toml(folder / "recipe.toml").to_toml().encode()


def _begin_anew(folder: Path) -> None:
    """Begin a run in a directory of somebody else's, beside a home that must stay as it is."""
    from distiltune.runs.directory import RunDirectory
    from distiltune.system.lock import RunLock

    said = json.loads((folder / "links.json").read_bytes())
    for name in ("run", "home"):
        shutil.rmtree(folder / name, ignore_errors=True)
    home, run = folder / "home", RunDirectory(folder / "run")
    for place in (home / "folder", home / ".ssh", run.path):
        place.mkdir(parents=True)
    for place in (home / "mine", home / "folder" / "log.jsonl", home / ".ssh" / "key"):
        place.write_text("mine")
    if said.get("run"):
        run.recipe.write_text("[versions]\n")
        run.log.write_text("")
    for name, kind, target in said.get("entries", ()):
        place = run.path / name
        if place.exists():
            place.unlink()
        _lay(place, kind, home / target)
    before, lock = _everything(home), RunLock(run.path)
    try:
        run.check_links()
        lock.acquire()
        run.create(overwrite=bool(said.get("overwrite")), recipe="a = 1\n")
    finally:
        lock.release()
        assert _everything(home) == before, "what lies elsewhere was changed"


def _lay(place: Path, kind: str, target: Path) -> None:
    if kind == "file":
        place.write_text("a")
    elif kind == "folder":
        place.mkdir()
    elif kind == "link-inside":
        place.mkdir()
        (place / "log.jsonl").symlink_to(target)
    else:
        place.symlink_to({"loop": place, "nowhere": target / "nowhere"}.get(kind, target))


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def _graph_readers() -> list[Reader]:
    """Of ONNX graphs, where what reads them is installed."""
    try:
        import onnxruntime  # noqa: F401
        from onnx import TensorProto, helper
    except ImportError:
        return []
    shape = ["sequences", "length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    scores = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("start_logits", "end_logits")]
    nodes = [
        helper.make_node("Cast", [given.name], [score.name], to=TensorProto.FLOAT)
        for given, score in zip(inputs, scores, strict=True)
    ]
    graph = helper.make_graph(nodes, "graph", inputs, scores)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return [Reader("onnx", "model.onnx", (model.SerializeToString(),), mutations.mutate_bytes, _run_graph)]


def _run_graph(folder: Path) -> None:
    import torch

    from distiltune.inference.onnx_model import ONNX_FILE, OnnxModel
    from tests.helpers import batch_of

    model = OnnxModel(folder / ONNX_FILE, torch.device("cpu"))
    scores = model(batch_of([[2, 5, 6, 3], [2, 3]]))
    assert torch.isfinite(scores).all(), "scores that are no numbers"
