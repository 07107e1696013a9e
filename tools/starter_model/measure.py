"""Make the starters and measure what they are worth: fine-tuned plainly, distilled, and from random weights.

    python -m tools.starter_model.measure --shared ../shared --work runs/starter

One command for all of it, ``build.py``'s steps too, in the order of their worth; started again after a stop, it goes
on where it was. The results are written after each run. All of SQuAD's validation part is asked, 10,570 questions; the
starter data's runs are those of `make quickstart`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.starter_model.build import (
    ASKED,
    EPOCHS,
    FINE_TUNING,
    QUESTIONS,
    Places,
    epochs_of,
    find_learning_rate,
    install,
    make_answering,
    make_starter,
    make_teacher,
    parser_of,
    places_of,
    train,
)

SEEDS = (0, 1, 2)
FEWER, FEWER_EPOCHS = 20_000, 2
QUICKSTART = ("train", "--train", "starter")
"""As the Makefile has it, beside the seed; a test holds the two together."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured, in one file."""

    file: Path

    def note(self, name: str, metrics: dict[str, Any], run: Path | None = None) -> None:
        """Add a run's figures, or replace them."""
        results = json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}
        epochs = epochs_of(run) if run is not None else []
        seconds = round(sum(epoch["train_seconds"] for epoch in epochs), 1)
        results[name] = {**metrics, **({"train_seconds": seconds, "epochs": len(epochs)} if epochs else {})}
        beside = self.file.with_name(f".{self.file.name}.new")
        beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.file)
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in metrics.items() if k in _SHOWN), flush=True)


_SHOWN = ("exact_match", "f1", "loss", "learning_rate")


def random_model(starter: Path, directory: Path) -> Path:
    """The starter's shape and tokenizer without its weights."""
    from distiltune.model.source import UNTRAINED

    directory.mkdir(parents=True, exist_ok=True)
    config = json.loads((starter / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps({**config, UNTRAINED: True}), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (directory / name).write_bytes((starter / name).read_bytes())
    return directory


def make_better_teacher(places: Places) -> Path:
    """The same larger model on the same fewer questions, at a rate that gets it past its student in one epoch."""
    how = (
        *("--train-questions", str(FEWER), "--epochs", "1", "--learning-rate", "1.5e-4"),
        *FINE_TUNING,
    )
    return train(places.work / "better-teacher", ("train", "--model", places.large, *places.data, *how), places)


def score(model: Path, kept: Path, places: Places) -> dict[str, Any]:
    """Exact match and F1 on all 10,570 questions, kept in a file."""
    if not kept.is_file():
        flags = ("--model", str(model), "--data", str(places.squad / "dev.json.gz"), "--json")
        trial = ("--validation-questions", "50") if places.tiny else ()
        command = [sys.executable, "-m", "distiltune", "evaluate", *flags, *trial]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        beside = kept.with_name(f".{kept.name}.new")
        beside.write_bytes(done.stdout)
        beside.replace(kept)
    metrics: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))["metrics"]
    return metrics


def quickstarts(places: Places, results: Results, starter: Path) -> None:
    """The starter data: three seeds, and from random weights."""
    shape = random_model(starter, places.work / "shape")
    cases = [(f"quickstart-seed{seed}", starter, seed) for seed in SEEDS] + [("quickstart-random", shape, 0)]
    for name, model, seed in cases:
        run = places.work / name
        train(run, (*QUICKSTART, "--model", model, "--seed", str(seed)), places)
        epochs = epochs_of(run)
        best = max(epochs, key=lambda epoch: float(epoch["validation"]["f1"]))
        results.note(name, {**best["validation"], "epoch_0_f1": epochs[0]["validation"]["f1"]}, run)


def fine_tunings(places: Places, results: Results, starter: Path, teacher: Path, rate: str) -> None:
    """SQuAD: plain and from random weights beside `starter-qa`; then plain and distilled on fewer questions."""

    def fine_tuned(name: str, model: Path, n: int, epochs: int, seed: int, learned_from: Path | None = None) -> None:
        how = ("distill", "--teacher", learned_from) if learned_from else ("train",)
        flags = ("--train-questions", str(n), "--epochs", str(epochs), "--seed", str(seed), "--learning-rate", rate)
        run = places.work / name
        trained = train(run, (*how, "--model", model, *places.data, *FINE_TUNING, *flags), places)
        results.note(name, score(trained, places.work / f"{name}-all-questions.json", places), run)

    shape = random_model(starter, places.work / "shape")
    fine_tuned("plain", starter, QUESTIONS, EPOCHS, 0)
    fine_tuned("random", shape, QUESTIONS, EPOCHS, 0)
    for seed in SEEDS:
        fine_tuned(f"plain-20k-seed{seed}", starter, FEWER, FEWER_EPOCHS, seed)
        fine_tuned(f"distilled-20k-seed{seed}", starter, FEWER, FEWER_EPOCHS, seed, teacher)


def main() -> None:
    """Make every run that is not done and write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/starter.json"))
    arguments = parser.parse_args()
    places, results = places_of(arguments), Results(arguments.results)
    teacher = make_teacher(places)
    starter = make_starter(places, teacher)
    for stage in ("encoder", ASKED):
        run = places.work / stage
        results.note(stage, epochs_of(run)[-1]["validation"], run)
    quickstarts(places, results, starter)
    rate = arguments.learning_rate or find_learning_rate(places, starter)
    results.note("pilot", {"learning_rate": rate})
    results.note("teacher", score(teacher, places.work / "teacher-all-questions.json", places), places.work / "teacher")
    answering = make_answering(places, starter, teacher, rate)
    kept = places.work / "starter-qa-all-questions.json"
    results.note("starter-qa", score(answering, kept, places), places.work / "qa")
    if arguments.install:
        install(starter, answering, places)
    better = make_better_teacher(places)
    results.note("better-teacher", score(better, places.work / "better-teacher-all-questions.json", places))
    fine_tunings(places, results, starter, better, rate)


if __name__ == "__main__":
    main()
