"""Texts and words classified: distiltune beside the `transformers` Trainer with dynamic padding, same data and recipe.

    python -m benchmarks.classifying text --train emotion/train.parquet --test emotion/test.parquet --model MODEL
    python -m benchmarks.classifying token --train wnut17/train.conll.gz --test wnut17/test.conll.gz --model MODEL

For each seed all contestants train in turn, each in a process of its own, and the models are scored on the test data
by the same code: distiltune as it comes (products in bfloat16 where the processor has it), distiltune in float32, and
the Trainer, which takes float32. Examples a second are of the training alone. Every turn is one line in --output as
soon as it ends: what is there already is not repeated, so a benchmark that was stopped goes on where it was.
--reduced: one seed, one epoch, 600 examples, under two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.trainer import open_lesson, train_by_trainer
from distiltune import Recipe, evaluate, fine_tune
from distiltune.model.source import resolve_model
from distiltune.runs.provenance import versions
from distiltune.system.device import describe_machine, usable_cores

NAMES = {"text": "text-classification", "token": "token-classification"}
SCORES = {"text": ("accuracy", "macro_f1"), "token": ("f1", "precision", "recall")}
PRECISIONS: dict[str, Literal["auto", "float32"]] = {"distiltune": "auto", "distiltune float32": "float32"}
TRAINER = "trainer"
CONTESTANTS = (*PRECISIONS, TRAINER)
MAX_LENGTH = 128


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that all train by: linear decay from the rate to 0, no weight decay, no clipping, batches of 16."""
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
        precision=PRECISIONS.get(options.contestant, "float32"),
        device="cpu",
        threads=options.threads,
        seed=options.seed,
        train_examples=options.examples,
    )


def train_ours(recipe: Recipe, output: Path) -> tuple[float, int]:
    """Train with distiltune; → seconds of training steps, and how many features these took in."""
    run = fine_tune(recipe, output=output / "run")
    (output / "run" / "model").rename(output / "model")
    return sum(epoch.train_seconds for epoch in run.epochs), sum(epoch.n_features for epoch in run.epochs)


def train_theirs(recipe: Recipe, output: Path) -> tuple[float, int]:
    """Train with the Trainer, on the very features that distiltune would train on; → as `train_ours`."""
    torch.set_num_threads(recipe.threads or usable_cores())
    lesson = open_lesson(recipe)
    arguments = {
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "max_grad_norm": 0.0,
    }
    seconds = train_by_trainer(recipe, lesson, output, arguments)
    return seconds, len(lesson.training.features) * recipe.epochs


def turn(options: argparse.Namespace) -> dict[str, float]:
    """One contestant's training and scores, in this process."""
    recipe = recipe_of(options)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        seconds, n = (train_theirs if options.contestant == TRAINER else train_ours)(recipe, output)
        found = evaluate(
            output / "model",
            options.test,
            task=recipe.task,
            max_length=MAX_LENGTH,
            stride=32,
            validation_examples=options.examples,
        )
    scores = {name: found.metrics[name] for name in ("loss", *SCORES[options.kind])}
    return {**scores, "seconds": seconds, "examples_per_second": n / seconds}


def plan(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What is asked of each turn, in order; a line of results says the same of itself."""
    model = resolve_model(options.model)
    asked = {
        "kind": options.kind,
        "train": Path(options.train).name,
        "test": Path(options.test).name,
        "model": model.parent.name if model.name == "model" else model.name,
        **{name: getattr(options, name) for name in ("epochs", "learning_rate", "examples", "threads")},
    }
    return [{**asked, "seed": seed, "contestant": name} for seed in options.seeds for name in options.contestants]


def play(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every contestant's turn for every seed, in turns; those that --output has are not taken again."""
    known = [json.loads(line) for line in _lines(options.output)]
    results = []
    machine = describe_machine(torch.device("cpu")).as_json()
    for asked in plan(options):
        row = next((each for each in known if asked.items() <= each.items()), None)
        if row is None:
            row = {**asked, **_take_turn(options, asked), "machine": machine, "versions": versions()}
            if options.output:
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        results.append(row)
        print(f"seed {asked['seed']}  {asked['contestant']:<18} {_line(row, options.kind)}", flush=True)
    return results


def _take_turn(options: argparse.Namespace, asked: dict[str, Any]) -> dict[str, float]:
    flags = [f"--{name}={getattr(options, name)}" for name in ("train", "test", "model")]
    flags += [
        f"--{name.replace('_', '-')}={asked[name]}"
        for name in ("epochs", "learning_rate", "examples", "threads", "seed", "contestant")
    ]
    command = [sys.executable, "-m", "benchmarks.classifying", options.kind, *flags]
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    return found


def _lines(path: Path | None) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path is not None and path.is_file() else []


def summary(results: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Means and spreads over the seeds, and how the rates compare."""
    lines: list[str] = []
    rates: dict[str, dict[int, float]] = {}
    for name in CONTESTANTS:
        turns = [each for each in results if each["contestant"] == name]
        if not turns:
            continue
        rates[name] = {each["seed"]: each["examples_per_second"] for each in turns}
        figures = []
        for key in _figures(kind):
            values = [each[key] for each in turns]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            figures.append(f"{key} {statistics.mean(values):.4f} ± {spread:.4f}")
        lines.append(f"{name:<18} " + "  ".join(figures))
    theirs = rates.get(TRAINER, {})
    for name in PRECISIONS:
        ratios = [rate / theirs[seed] for seed, rate in rates.get(name, {}).items() if seed in theirs]
        if ratios:
            ratio = statistics.median(ratios)
            lines.append(f"examples a second, {name} over Trainer: {ratio:.2f} (median of {len(ratios)})")
    return lines


def _figures(kind: str) -> tuple[str, ...]:
    return ("loss", *SCORES[kind], "seconds", "examples_per_second")


def _line(values: Mapping[str, Any], kind: str) -> str:
    return "  ".join(f"{key} {values[key]:.4f}" for key in _figures(kind))


def main() -> None:
    """Play, or take one turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=NAMES)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--examples", type=int, default=0, help="train on and test with only so many")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--reduced", action="store_true", help="one seed, one epoch, 600 examples")
    parser.add_argument("--output", type=Path, help="lines of JSON; those that it has are not repeated")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        print(json.dumps(turn(options)))
        return
    if options.reduced:
        options.epochs, options.examples, options.seeds = 1, 600, [0]
    for line in summary(play(options), options.kind):
        print(line)


if __name__ == "__main__":
    main()
