"""Learning from a fine-tuned teacher where texts have labels or words have tags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from distiltune import fine_tune
from distiltune.errors import ModelError
from distiltune.runs.fine_tune import FineTuned
from tests.helpers import TINY, word_pieces, write_tiny_model

WORDS = {"fruit": ("apple", "pear", "plum", "fig"), "tool": ("saw", "axe", "file", "drill")}
FILLERS = ("the", "a", "my", "old", "new", "see", "look", "here")
QUICK: dict[str, Any] = {
    "max_length": 16,
    "stride": 4,
    "threads": 1,
    "epochs": 12,
    "learning_rate": 5e-3,
    "batch_size": 8,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
    "validation_share": 0.0,
}


def texts(names: dict[str, str]) -> list[dict[str, Any]]:
    """A text of three words, of which the one in the middle tells the label; labels under these names."""
    return [
        {"text": f"{before} {word} {after}", "label": names[kind], "id": f"{before}-{word}-{after}"}
        for kind, words in WORDS.items()
        for word in words
        for before in FILLERS[:4]
        for after in FILLERS[4:]
    ]


def tagged(names: dict[str, str]) -> list[dict[str, Any]]:
    """The same as words with tags."""
    return [
        {"id": row["id"], "tokens": row["text"].split(), "tags": ["O", f"B-{row['label']}", "O"]}
        for row in texts(names)
    ]


SAME = {"fruit": "fruit", "tool": "tool"}
ROWS = {"text-classification": texts, "token-classification": tagged}
SCORE = {"text-classification": "macro_f1", "token-classification": "f1"}
TASKS = pytest.mark.parametrize("task", sorted(ROWS))


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return word_pieces([*FILLERS, *(word for words in WORDS.values() for word in words)])


def teach(folder: Path, tokenizer: Tokenizer, task: str, names: dict[str, str]) -> FineTuned:
    base = write_tiny_model(folder / "base", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()), seed=1)
    data = write(folder / "taught.jsonl", ROWS[task](names))
    return fine_tune(model=str(base), train=data, output=folder / "teacher", **QUICK)


def learn(folder: Path, tokenizer: Tokenizer, task: str, names: dict[str, str], teacher: FineTuned) -> FineTuned:
    """A student that hears its teacher only: the labels have no weight."""
    student = write_tiny_model(folder / "bare", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    data = write(folder / "train.jsonl", ROWS[task](names))
    told: dict[str, Any] = {"teacher": str(teacher.model), "soft_weight": 1.0}
    return fine_tune(model=str(student), train=data, validation=data, output=folder / "student", **told, **QUICK)


@TASKS
def test_a_student_learns_from_its_teacher_alone(
    task: str, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    run = learn(tmp_path, tokenizer, task, SAME, teach(tmp_path, tokenizer, task, SAME))
    assert run.recipe.task == task
    assert run.best.validation[SCORE[task]] > 0.95


@TASKS
def test_labels_stand_in_the_teachers_order(
    task: str, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a teacher whose labels are not in the order that the data give, the student takes the teacher's."""
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    teacher = teach(tmp_path, tokenizer, task, SAME)
    config = json.loads((teacher.model / "config.json").read_text(encoding="utf-8"))
    swapped = {"fruit": "tool", "tool": "fruit"}
    names = {key: _renamed(name, swapped) for key, name in config["id2label"].items()}
    config |= {"id2label": names, "label2id": {name: int(key) for key, name in names.items()}}
    (teacher.model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    run = learn(tmp_path, tokenizer, task, swapped, teacher)
    assert json.loads((run.model / "config.json").read_text(encoding="utf-8"))["id2label"] == names
    assert run.best.validation[SCORE[task]] > 0.95


def _renamed(name: str, names: dict[str, str]) -> str:
    prefix, _, label = name.rpartition("-")
    return "-".join(part for part in (prefix, names.get(label, label)) if part)


@TASKS
def test_a_teacher_of_other_labels_is_refused(
    task: str, tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    teacher = teach(tmp_path, tokenizer, task, SAME)
    with pytest.raises(ModelError, match="other labels"):
        learn(tmp_path, tokenizer, task, {"fruit": "edible", "tool": "hard"}, teacher)
