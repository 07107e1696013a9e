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

    def variant(name: str, *without: str) -> Path:
        directory = folder / name
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(model, directory, ignore=shutil.ignore_patterns(*without, "README.md"))
        return directory

    def reader(name: str, file: str, mutate: Mutate, directory: Path) -> Reader:
        return Reader(name, file, ((directory / file).read_bytes(),), mutate, _read_model)

    readers = [
        reader("config", "config.json", mutations.mutate_json, variant("config")),
        reader("tokenizer", "tokenizer.json", mutations.mutate_json, variant("tokenizer", "vocab.txt")),
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
    from distiltune.tasks.question_answering.task import HEAD_RULES, make_span_head

    source = load_source(str(folder), HEAD_RULES)
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
