"""What the starter is worth: fine-tuned plainly, distilled, from random weights; on all of SQuAD's validation part.

    python -m tools.starter_model.measure --shared ../shared --work runs/starter

Runs are made in the order of their worth, each passed over where its result is there; after each the table is written.
``build.py`` must have made the starter and the teacher.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.starter_model.build import (
    FINE_TUNING,
    LEARNING_RATE,
    QUESTIONS,
    data,
    make_answering,
    make_starter,
    make_teacher,
    train,
)

SEEDS = (0, 1, 2)
FEWER = 20_000


def random_model(starter: Path, directory: Path) -> Path:
    """The starter's shape and tokenizer without its weights."""
    from distiltune.model.source import UNTRAINED

    directory.mkdir(parents=True, exist_ok=True)
    config = json.loads((starter / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps({**config, UNTRAINED: True}), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (directory / name).write_bytes((starter / name).read_bytes())
    return directory


def score(model: Path, squad: Path) -> dict[str, Any]:
    """EM and F1 on all 10,570 questions, kept beside the model."""
    kept = model.parent / f"{model.name}-all-questions.json"
    if not kept.is_file():
        flags = ("--model", str(model), "--data", str(squad / "dev.json.gz"), "--json")
        command = [sys.executable, "-m", "distiltune", "evaluate", *flags]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        kept.write_bytes(done.stdout)
    metrics: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))["metrics"]
    return metrics


def main() -> None:
    """Make every run that is not done and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--work", type=Path, default=Path("runs/starter"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/starter.json"))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many of the seeds")
    parser.add_argument("--learning-rate", default=LEARNING_RATE)
    arguments = parser.parse_args()
    rate: str = arguments.learning_rate
    work, squad = arguments.work, arguments.shared / "data" / "squad-v1.1"
    large = arguments.shared / "models" / "minilm-l6-distilbert"
    starter, teacher = make_starter(work, large), make_teacher(work, large, squad)
    results: dict[str, Any] = {}

    def note(name: str, model: Path) -> None:
        results[name] = score(model, squad)
        arguments.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: EM {results[name]['exact_match']:.2f}, F1 {results[name]['f1']:.2f}", flush=True)

    def fine_tuned(name: str, model: Path, n_questions: int, seed: int, learned_from: Path | None = None) -> None:
        how = ("distill", "--teacher", learned_from) if learned_from else ("train",)
        flags = (
            "--model",
            model,
            *data(squad),
            "--train-questions",
            str(n_questions),
            "--seed",
            str(seed),
            "--learning-rate",
            rate,
        )
        note(name, train(work / name, *how, *flags, "--seed", str(seed), *FINE_TUNING))

    note("starter-qa", make_answering(work, starter, teacher, squad, rate))
    fine_tuned("plain", starter, QUESTIONS, 0)
    fine_tuned("random", random_model(starter, work / "shape"), QUESTIONS, 0)
    for seed in SEEDS[: arguments.seeds]:
        fine_tuned(f"plain-20k-seed{seed}", starter, FEWER, seed)
        fine_tuned(f"distilled-20k-seed{seed}", starter, FEWER, seed, teacher)


if __name__ == "__main__":
    main()
