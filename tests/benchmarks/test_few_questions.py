"""The curves of made questions: what is trained on what, what is done is not done again, the table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.few_questions import Job, summary
from benchmarks.kept import read_rows

from benchmarks import few_questions


def test_labels_alone_and_made_questions_first_are_trained_on_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []

    def fine_tune(**settings: Any) -> SimpleNamespace:
        said.append(settings)
        return SimpleNamespace(model="model", recipe=SimpleNamespace(epochs=1, learning_rate=1e-4))

    monkeypatch.setattr(few_questions, "fine_tune", fine_tune)
    monkeypatch.setattr(few_questions, "make_questions", lambda *_, **__: SimpleNamespace(rows=[1, 2]))
    found = SimpleNamespace(metrics={"f1": 1.0, "exact_match": 0.5}, n_examples=3)
    monkeypatch.setattr(few_questions, "evaluate", lambda *_, **__: found)
    options = argparse.Namespace(shared=tmp_path, policy=tmp_path / "policy", threads=1, tests=3)
    for size, way in ((16, "labels"), (16, "made first"), (0, "made first")):
        row = few_questions.one(Job("policy", "starter", size, way, 1), options)
        assert (row["f1"], row["made"]) == (1.0, 0 if way == "labels" else 2)
    alone, first, unlabelled = said
    assert (alone["train_examples"], alone["validation_examples"]) == (16, 1)
    assert "warm_up_data" not in alone
    assert first["train"] == alone["train"] == str(tmp_path / "policy" / "train.json")
    assert Path(first["warm_up_data"][0]).name == "made.jsonl" == Path(unlabelled["train"]).name
    assert "train_examples" not in unlabelled


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[object, ...]] = []

    def one(job: Job, options: argparse.Namespace) -> dict[str, Any]:
        if len(done) == 2:
            done.append(("stopped",))
            raise KeyboardInterrupt
        done.append(job.key)
        return dict(zip(few_questions.NAMES, job.key, strict=True)) | {"f1": 50.0 + 2 * job.seed, "seconds": 1.0}

    monkeypatch.setattr(few_questions, "one", one)
    output = tmp_path / "results.jsonl"
    arguments = ["run", "--sizes", "0", "16", "--seeds", "2", "--bodies", "starter", "--output", str(output)]
    with pytest.raises(KeyboardInterrupt):
        few_questions.main(arguments)
    few_questions.main(arguments)
    keys = [tuple(row[name] for name in few_questions.NAMES) for row in read_rows(output)]
    assert len(keys) == len(set(keys)) == 2 * 3  # without labels there is one way
    assert summary(read_rows(output))[2:] == [
        "| squad | starter | 0 |  | 51.0 ± 1.4 (n = 2) |",
        "| squad | starter | 16 | 51.0 ± 1.4 (n = 2) | 51.0 ± 1.4 (n = 2) |",
    ]
    assert json.loads(output.read_text().splitlines()[0])["labels"] == 16  # the cheapest first
