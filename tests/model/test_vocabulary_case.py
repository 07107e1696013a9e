"""Cased and multilingual models as `transformers` reads them, and what is said where their files do not fit."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import distiltune
from distiltune import cli
from distiltune.errors import ModelError
from distiltune.inference import trained_model
from distiltune.model.source import load_source, load_tokenizer
from distiltune.model.tokenizer import tokenizer_files
from distiltune.model.vocabulary_case import case_doubt
from tests.model.tiny_models import HEAD_RULES, save_tiny, tiny_model

transformers = pytest.importorskip("transformers")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CASED = [
    *SPECIAL,
    *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,",
    "The",
    "the",
    "##s",
    "##S",
    "É",
    "é",
    "Ada",
]
MULTILINGUAL = [*CASED, "Привет", "мир", "##р", "你", "好", "א", "##ב", "ß", "##ß", "สวัสดี", "İ", "i", "ñ", "##ñ"]
UNCASED = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz.,", *(f"word{i}" for i in range(1_200))]
TEXTS = ("The Ada. the ada, THE S", "É é e\u0301 É", "Привет мир 你好 אב ß aß İi ñ", "As TheS\u00a0Ada\tx", "")


def write(directory: Path, vocabulary: list[str], config: dict[str, object] | None) -> Path:
    """A tiny random model with this vocabulary."""
    save_tiny(directory, tiny_model(vocab_size=len(vocabulary)))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).unlink(missing_ok=True)
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in vocabulary), encoding="utf-8")
    if config is not None:
        (directory / "tokenizer_config.json").write_text(json.dumps(config))
    return directory


@pytest.mark.parametrize("vocabulary", [CASED, MULTILINGUAL], ids=["cased", "multilingual"])
@pytest.mark.parametrize("form", ["vocab.txt", "tokenizer.json"])
def test_tokens_and_outputs_are_those_of_transformers(tmp_path: Path, vocabulary: list[str], form: str) -> None:
    directory = write(tmp_path / "model", vocabulary, {"do_lower_case": False})
    if form == "tokenizer.json":
        (directory / form).write_bytes(tokenizer_files(load_tokenizer(directory), 48)[form])
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ours = load_tokenizer(directory)
    assert [ours.encode(text).ids for text in TEXTS] == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert case_doubt(directory, ours) is None
    reference = transformers.AutoModelForQuestionAnswering.from_pretrained(directory).eval()
    question, context = TEXTS[0], TEXTS[2]
    encoded = tokenizer(question, context, return_tensors="pt")
    with torch.no_grad():
        output = reference(encoded["input_ids"], encoded["attention_mask"])
    starts, ends = (torch.softmax(each[0], 0) for each in (output.start_logits, output.end_logits))
    products = torch.outer(starts, ends).triu().tril(14)
    is_context = torch.tensor([part == 1 for part in encoded.sequence_ids(0)])
    found: Any = distiltune.pipeline(model=directory, threads=1, align_to_words=False)(question, context)
    best = products[is_context][:, is_context].max()
    assert found["score"] == pytest.approx(float(best), rel=1e-4)


@pytest.mark.parametrize("config", [None, {}, {"do_lower_case": True}])
def test_a_cased_vocabulary_that_is_made_small(tmp_path: Path, config: dict[str, object] | None) -> None:
    directory = write(tmp_path / "model", CASED, config)
    (note,) = load_source(str(directory), HEAD_RULES).notes
    assert "it is a cased model" in note
    assert '"do_lower_case": false' in note


def test_an_exported_model_says_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write(tmp_path / "model", CASED, None)
    monkeypatch.setattr(trained_model, "OnnxModel", lambda *given, **named: torch.nn.Identity())
    notes = trained_model.load_onnx(directory, torch.device("cpu")).source.notes
    assert "it is a cased model" in notes[1]


def test_an_uncased_vocabulary_whose_capitals_are_kept(tmp_path: Path) -> None:
    directory = write(tmp_path / "model", UNCASED, {"do_lower_case": False})
    (note,) = load_source(str(directory), HEAD_RULES).notes
    assert "becomes [UNK]" in note


def test_nothing_is_said_of_what_fits(tmp_path: Path) -> None:
    for vocabulary, lower in ((UNCASED, True), (CASED, False)):
        directory = write(tmp_path / str(lower), vocabulary, {"do_lower_case": lower})
        assert load_source(str(directory), HEAD_RULES).notes == ()


def test_a_tokenizer_json_that_alone_knows_of_capitals(tmp_path: Path) -> None:
    directory = write(tmp_path / "model", CASED, {"do_lower_case": False})
    (directory / "tokenizer.json").write_bytes(tokenizer_files(load_tokenizer(directory), 48)["tokenizer.json"])
    (directory / "tokenizer_config.json").unlink()
    (note,) = load_source(str(directory), HEAD_RULES).notes
    assert "transformers would make them small" in note


def test_two_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    directory = write(tmp_path / "model", CASED, {"do_lower_case": False})
    (directory / "tokenizer.json").write_bytes(tokenizer_files(load_tokenizer(directory), 48)["tokenizer.json"])
    (directory / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(ModelError, match=r"tokenizer\.json keeps capitals"):
        load_tokenizer(directory)


@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_check_says_it_before_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    model = write(tmp_path / "model", CASED, None)
    data = tmp_path / "data.jsonl"
    texts = {"text": "Ada sat", "question": "Who sat?", "context": "Ada sat", "answer_text": "Ada"}
    rows = [{**texts, "text": f"Ada {i}", "context": f"Ada sat {i}", "label": "ab"[i % 2]} for i in range(9)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["check", str(data), "--model", str(model), "--task", task, "--max-length", "40", "--stride", "8"]
    monkeypatch.setattr(sys, "argv", ["distiltune", *arguments, "--threads", "1"])
    with contextlib.suppress(SystemExit):
        cli.main()
    assert "[vocabulary_cased]" in capsys.readouterr().out
