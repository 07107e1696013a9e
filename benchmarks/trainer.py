"""The `transformers` Trainer on the very features that distiltune would train on, for all three tasks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from distiltune import Recipe
from distiltune.data.feature_set import FeatureSet
from distiltune.model.build import Dropouts
from distiltune.model.source import resolve_model
from distiltune.system.device import choose_device
from distiltune.tasks.base import Lesson
from distiltune.tasks.table import TASKS

_KINDS = {
    "question-answering": "AutoModelForQuestionAnswering",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
_COLLATORS = {
    "question-answering": "DataCollatorWithPadding",
    "text-classification": "DataCollatorWithPadding",
    "token-classification": "DataCollatorForTokenClassification",
}


def open_lesson(recipe: Recipe) -> Lesson[Any]:
    """The data of a recipe as features, and what is to be learned from them."""
    opened = TASKS[recipe.task](recipe).open_training(torch.device("cpu"))
    return opened.lesson(opened.load_model(str(resolve_model(recipe.model)), Dropouts()))


def train_by_trainer(recipe: Recipe, lesson: Lesson[Any], output: Path, arguments: Mapping[str, Any]) -> float:
    """Train on the lesson and save model and tokenizer in ``output / "model"``; → seconds of the training.

    Args:
        recipe: task, model, seed and device are taken from it, nothing else.
        lesson: of that recipe.
        output: where to write.
        arguments: for ``TrainingArguments``; what is not in it is the Trainer's own default.

    """
    import transformers

    directory = resolve_model(recipe.model)
    known: Any = lesson.task.model_config(0.0, {}).get("id2label", {})
    names = {int(key): name for key, name in known.items()}
    labels = {"id2label": names, "label2id": {name: i for i, name in names.items()}} if names else {}
    torch.manual_seed(recipe.seed)
    kind = getattr(transformers, _KINDS[recipe.task])
    model = kind.from_pretrained(directory, dtype=torch.float32, **labels)  # as ours, whatever the file holds
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            output_dir=str(output / "trainer"),
            seed=recipe.seed,
            use_cpu=choose_device(recipe.device).type == "cpu",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            **arguments,
        ),
        train_dataset=rows_of(lesson.training.features, recipe.task),
        data_collator=getattr(transformers, _COLLATORS[recipe.task])(tokenizer),
    )
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    model.save_pretrained(output / "model")
    tokenizer.save_pretrained(output / "model")
    return seconds


def rows_of(features: FeatureSet, task: str) -> list[dict[str, Any]]:
    """The features as rows of the Trainer's own form."""
    rows: list[dict[str, Any]] = []
    for i, (first, last) in enumerate(zip(features.offsets, features.offsets[1:], strict=False)):
        ids = features.token_ids[first:last].tolist()
        row = {"input_ids": ids, "attention_mask": [1] * len(ids)}
        if task == "question-answering":
            row["start_positions"], row["end_positions"] = features.labels[i].tolist()
        elif features.token_labels is None:
            row["label"] = int(features.labels[i, 0])
        else:
            row["labels"] = features.token_labels[first:last].tolist()
        rows.append(row)
    return rows
