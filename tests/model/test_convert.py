"""Converting changes the files and not what the model means: for every task it says afterwards what it said before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune import Answerer, EntityMarker, TextClassifier
from distiltune.export.push import check_card, model_files
from distiltune.model.convert import convert
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.model.save import ModelToWrite, write_model_directory
from distiltune.recipe.recipe import Recipe
from distiltune.report.model_card import converted_card
from distiltune.tasks.table import TASKS
from tests.helpers import TINY, people
from tests.model.tiny_models import change_config

PEOPLE = people()
TEXT = PEOPLE.examples[0].context
LABELS = {"id2label": {"0": "b", "1": "a", "2": "c"}, "label2id": {"b": 0, "a": 1, "c": 2}}
TAGS = {"id2label": {"0": "O", "1": "B-a", "2": "I-a"}, "label2id": {"O": 0, "B-a": 1, "I-a": 2}}
WINDOWS = {"max_length": 24, "stride": 6}


def classify(model: Path) -> Any:
    classifier = TextClassifier(model, threads=1)
    return classifier.targets, classifier([TEXT])


def mark(model: Path) -> Any:
    return EntityMarker(model, threads=1)([TEXT])


def answer(model: Path) -> Any:
    answerer = Answerer(model, threads=1)
    return answerer.null_threshold, answerer.temperature, answerer.windows, answerer("what eats ada", TEXT)


SAYS: tuple[tuple[str, dict[str, Any], Callable[[Path], Any]], ...] = (
    ("text-classification", {**LABELS, "problem_type": "multi_label_classification", "distiltune": WINDOWS}, classify),
    ("text-classification", {"id2label": {"0": "n"}, "label2id": {"n": 0}, "problem_type": "regression"}, classify),
    ("token-classification", {**TAGS, "distiltune": WINDOWS}, mark),
    (
        "question-answering",
        {
            "null_threshold": -1.5,
            "distiltune": {
                **WINDOWS,
                "max_question_tokens": 8,
                "max_answer_tokens": 3,
                "confidence_temperature": 2.5,
            },
        },
        answer,
    ),
)


@pytest.mark.parametrize(("name", "entries", "say"), SAYS)
def test_the_model_says_afterwards_what_it_said_before(
    tmp_path: Path, name: str, entries: dict[str, Any], say: Callable[[Path], Any]
) -> None:
    shape = replace(TINY, vocab_size=PEOPLE.tokenizer.get_vocab_size())
    task = TASKS[name](Recipe(task=name)).open_model(entries)
    torch.manual_seed(0)
    model = TaskModel(Encoder(shape), task.make_head(shape.hidden_size, 0.0))
    initialise(model, 0.3)
    before, after = tmp_path / "before", tmp_path / "after"
    write_model_directory(
        before,
        ModelToWrite(
            shape,
            model.state_dict(),
            PEOPLE.tokenizer,
            task.head_rules,
            (task.architecture,),
            {"qa_dropout": 0.3, "seq_classif_dropout": 0.4, **entries},
        ),
    )
    expected = json.loads((before / "config.json").read_text())
    change_config(before, torch_dtype="float16", transformers_version="4.1.0", auto_map={"AutoModel": "theirs.Model"})
    convert(
        str(before),
        after,
        head_rules=task.head_rules,
        architectures=(task.architecture,),
        card=lambda converted: converted_card(converted, task.guide({})),
    )
    assert json.loads((after / "config.json").read_text()) == expected
    assert say(after) == say(before)
    assert after / "README.md" in model_files(after)
    check_card(after / "README.md")
    assert "from before, its weights" in (after / "README.md").read_text(), "its last part only"
