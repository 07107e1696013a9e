"""Texts of any kind of file as vectors, in Python and by the command; a directory that sentence-transformers reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import distiltune
from distiltune.errors import DataError, ModelError, RecipeError
from tests.commands.conftest import run as run_command
from tests.helpers import TINY, people, write_tiny_model

Run = Callable[..., tuple[int, str]]
run = run_command
TEXTS = ["ada eats figs .", "bob drives a bus .", "cem likes jazz ."]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", people().tokenizer, config)


def test_lists_columns_rows_and_files_give_the_same(model: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"body": TEXTS, "text": TEXTS})
    table.to_csv(tmp_path / "texts.csv", index=False)
    first = distiltune.embed(TEXTS, model, threads=1)
    assert first.vectors.shape == (3, TINY.hidden_size)
    assert first.texts == tuple(TEXTS)
    for given in (table["text"], [{"text": each} for each in TEXTS], tmp_path / "texts.csv", [tmp_path / "texts.csv"]):
        np.testing.assert_array_equal(distiltune.embed(given, model, threads=1), first.vectors)
    mapped = distiltune.embed(table[["body"]], model, columns={"text": "body"}, threads=1)
    np.testing.assert_array_equal(mapped, first.vectors)


def test_names_of_files_in_a_list_are_not_taken_for_texts(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ada")
    with pytest.raises(DataError, match="names of files"):
        distiltune.embed([str(tmp_path / "a.txt")], model)


def test_what_has_no_vector_and_what_is_cut_is_told(model: Path, tmp_path: Path) -> None:
    rows = [{"text": TEXTS[0], "id": "a"}, {"text": "", "id": "b"}, {"text": " ".join(TEXTS * 9), "id": "c"}]
    made = distiltune.embed(rows, model, max_length=16, threads=1)
    assert made.ids == ("a", "c")
    assert [each.row_id for each in made.rejected] == ["b"]
    assert any("1 of 2 texts (50%) are longer than 16 tokens" in note and "c" in note for note in made.notes)
    with pytest.raises(RecipeError, match="max_length is 65"):
        distiltune.embed(TEXTS, model, max_length=65)
    with pytest.raises(DataError, match="text is empty"):
        distiltune.embed([""], model)


def test_documents_that_have_no_vector_are_named_as_files(model: Path, tmp_path: Path) -> None:
    for name, content in {"a.txt": b"ada eats figs", "b.txt": b"\xff\xfe\x00", "c.txt": b""}.items():
        (tmp_path / name).write_bytes(content)
    made = distiltune.embed([tmp_path], model, threads=1)
    assert made.ids == (str(tmp_path / "a.txt"),)
    assert [each.where for each in made.rejected] == [str(tmp_path / "b.txt"), str(tmp_path / "c.txt")]


def test_the_command_writes_both_forms(model: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "docs").mkdir()
    for number, text in enumerate(TEXTS):
        (tmp_path / "docs" / f"{number}.txt").write_text(text)
    status, said = run("embed", tmp_path / "docs", "--model", model, "-o", tmp_path / "v.npy", "--threads", 1)
    assert (status, said) == (0, f"3 vectors of 16 numbers: {tmp_path / 'v.npy'}")
    array = np.load(tmp_path / "v.npy")
    output = tmp_path / "v.parquet"
    status, said = run("embed", tmp_path / "docs", "--model", model, "-o", output, "--normalise", "--json")
    assert status == 0
    assert json.loads(said)["n_texts"] == 3
    table = pq.read_table(output).to_pydict()
    assert table["text"] == TEXTS
    assert table["id"][0].endswith("0.txt")
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(table["vector"]), array / lengths, atol=1e-6)
    for name, words in (("v.npy", "something already"), ("v.txt", ".npy or .parquet")):
        status, said = run("embed", tmp_path / "docs", "--model", model, "-o", tmp_path / name)
        assert status == 2
        assert words in said
    assert run("embed", tmp_path / "docs", "--model", model, "-o", output, "--overwrite")[0] == 0


def test_a_missing_model_and_a_missing_file(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        distiltune.embed(TEXTS, tmp_path / "none")
    with pytest.raises(DataError):
        distiltune.embed(tmp_path / "none.csv", model)


def test_a_directory_that_sentence_transformers_reads(model: Path, tmp_path: Path) -> None:
    """That the library itself gives these vectors is shown in docs/lab-notes.md; here: its files, and what they say."""
    made = distiltune.convert(model, tmp_path / "st", sentence_transformers=True)
    modules = json.loads((made.directory / "modules.json").read_text())
    assert [each["path"] for each in modules] == ["", "1_Pooling"]
    pooling = json.loads((made.directory / "1_Pooling" / "config.json").read_text())
    assert pooling == {"word_embedding_dimension": TINY.hidden_size, "pooling_mode_mean_tokens": True}
    settings = made.directory / "sentence_bert_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "max_seq_length": 8}))
    again = distiltune.embed([" ".join(TEXTS)], made.directory, threads=1)
    assert any("longer than 8 tokens" in note for note in again.notes)
    plain = distiltune.convert(model, made.directory, overwrite=True)
    assert not (made.directory / "modules.json").exists()
    assert not (made.directory / "1_Pooling").exists()
    assert not any("not of a model" in note for note in plain.notes)
