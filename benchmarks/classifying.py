"""Texts and words classified: distiltune beside the `transformers` Trainer with dynamic padding, same data and recipe.

    python -m benchmarks.classifying text --train emotion/train.parquet --test emotion/test.parquet --model MODEL
    python -m benchmarks.classifying token --train wnut17/train.conll.gz --test wnut17/test.conll.gz --model MODEL

For each seed both train in turn, each in a process of its own, and both models are scored on the test data by the same
code. Examples a second are of the training alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distiltune import Recipe, evaluate, fine_tune
from distiltune.data.feature_set import FeatureSet
from distiltune.device import describe_machine, usable_cores
from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.tasks.base import Dataset
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.features import N_EXTRA_COLUMNS
from distiltune.tasks.token_classification.features import NO_LABEL

NAMES = {"text": "text-classification", "token": "token-classification"}
SCORES = {"text": ("accuracy", "macro_f1"), "token": ("f1", "precision", "recall")}
CONTESTANTS = ("distiltune", "trainer")
MAX_LENGTH = 128


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that both train by: linear decay from the rate to 0, no weight decay, no clipping, batches of 16."""
    return Recipe(
        task=NAMES[options.kind],
        model=options.model,
        train=(options.train,),
        validation_share=0.0,
        max_length=MAX_LENGTH,
        stride=32,
        epochs=options.epochs,
        batch_size=16,
        learning_rate=options.learning_rate,
        precision="float32",
        device="cpu",
        threads=options.threads,
        seed=options.seed,
        train_examples=options.examples,
    )


def train_ours(recipe: Recipe, output: Path) -> float:
    """Train with distiltune; → seconds of training steps."""
    run = fine_tune(recipe, output=output / "run")
    (output / "run" / "model").rename(output / "model")
    return sum(epoch.train_seconds for epoch in run.epochs)


def train_theirs(recipe: Recipe, output: Path) -> float:
    """Train with the Trainer, on the very features that distiltune would train on; → seconds of training."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    torch.set_num_threads(recipe.threads or usable_cores())
    directory = resolve_model(recipe.model)
    task = TASKS[recipe.task](recipe).ready()
    training, _ = task.load_training(load_tokenizer(directory))
    names = {int(key): name for key, name in task.model_config(training, 0.0, {})["id2label"].items()}  # type: ignore[attr-defined]
    labels = {"id2label": names, "label2id": {name: i for i, name in names.items()}}
    is_text = recipe.task == "text-classification"
    kind = AutoModelForSequenceClassification if is_text else AutoModelForTokenClassification
    torch.manual_seed(recipe.seed)
    model = kind.from_pretrained(directory, **labels)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    collator = (DataCollatorWithPadding if is_text else DataCollatorForTokenClassification)(tokenizer)
    arguments = TrainingArguments(
        output_dir=str(output / "trainer"),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="linear",
        weight_decay=0.0,
        max_grad_norm=0.0,
        seed=recipe.seed,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = Trainer(model, arguments, train_dataset=rows_of(training, is_text), data_collator=collator)
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    model.save_pretrained(output / "model")
    tokenizer.save_pretrained(output / "model")
    return seconds


def rows_of(training: Dataset, is_text: bool) -> list[dict[str, Any]]:
    """The features as rows of the Trainer's own form."""
    features: FeatureSet = training.features
    rows = []
    for i, (first, last) in enumerate(zip(features.offsets, features.offsets[1:], strict=False)):
        ids, labels = features.token_ids[first:last].tolist(), features.labels[i]
        label = int(labels[N_EXTRA_COLUMNS]) if is_text else _padded(labels, len(ids))
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "label" if is_text else "labels": label})
    return rows


def _padded(labels: np.ndarray[Any, Any], length: int) -> list[int]:
    return [*labels[:length].tolist(), *[NO_LABEL] * max(0, length - len(labels))]


def turn(options: argparse.Namespace) -> dict[str, float]:
    """One contestant's training and scores, in this process."""
    recipe = recipe_of(options)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        seconds = (train_ours if options.contestant == "distiltune" else train_theirs)(recipe, output)
        found = evaluate(output / "model", options.test, task=recipe.task, max_length=MAX_LENGTH, stride=32)
        tokenizer = load_tokenizer(resolve_model(recipe.model))
        n = len(TASKS[recipe.task](recipe).ready().load_training(tokenizer)[0].features) * recipe.epochs
    scores = {name: found.metrics[name] for name in ("loss", *SCORES[options.kind])}
    return {**scores, "seconds": seconds, "examples_per_second": n / seconds}


def play(arguments: Sequence[str], seeds: Sequence[int]) -> dict[str, list[dict[str, float]]]:
    """Every contestant's turn for every seed, in turns."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for seed in seeds:
        for name in CONTESTANTS:
            command = [sys.executable, "-m", "benchmarks.classifying", *arguments]
            command += ["--contestant", name, "--seed", str(seed)]
            environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
            out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[name].append(json.loads(out.strip().splitlines()[-1]))
            print(f"seed {seed}  {name:<11} {_line(results[name][-1])}", flush=True)
    return results


def summary(results: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Means and spreads over the seeds, and how the rates compare."""
    lines = []
    for name, turns in results.items():
        means = {key: statistics.mean(each[key] for each in turns) for key in turns[0]}
        spread = {key: statistics.stdev([each[key] for each in turns]) if len(turns) > 1 else 0.0 for key in means}
        lines.append(f"{name:<11} " + "  ".join(f"{key} {means[key]:.4f} ± {spread[key]:.4f}" for key in means))
    ours, theirs = (results[name] for name in CONTESTANTS)
    ratios = [a["examples_per_second"] / b["examples_per_second"] for a, b in zip(ours, theirs, strict=True)]
    return [
        *lines,
        f"examples a second, distiltune over Trainer: {statistics.median(ratios):.2f} (median of the seeds)",
    ]


def _line(values: Mapping[str, float]) -> str:
    return "  ".join(f"{key} {value:.4f}" for key, value in values.items())


def main() -> None:
    """Play, or take one turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=NAMES)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--examples", type=int, default=0, help="train on only so many")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(turn(options)))
        return
    given = ["kind", "train", "test", "model", "epochs", "learning_rate", "examples", "threads"]
    flags = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in given[1:]]
    results = play([options.kind, *flags], options.seeds)
    for line in summary(results):
        print(line)
    if options.output:
        machine = describe_machine(torch.device("cpu")).as_json()
        options.output.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
