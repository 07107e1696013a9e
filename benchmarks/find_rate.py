"""Is the rate that `distiltune find-lr` suggests as good as the best of a sweep of five, over tasks, models and sizes?

    python -m benchmarks.find_rate --shared ../shared --output find_rate.jsonl --threads 1
    python -m benchmarks.find_rate --shared ../shared --output find_rate.jsonl --cells emotion-800/starter

In each of twelve settings it finds a rate, then trains with it and with five others on the same examples, one line of
JSON each; what is in --output already is not repeated, so that a benchmark that was stopped goes on where it was. Two
more settings have shuffled labels, for which no rate may be suggested. Prints the table that docs/coach.md has.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import fine_tune
from distiltune.studies.find_rate import find_learning_rate

SWEEP = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
STARTER, MINILM = "starter", "minilm-l6"
N_VALIDATION = 500
MOST_BEHIND = 2.0  # points of the best of five


@dataclass(frozen=True, slots=True)
class Cell:
    """A setting: which data, how many of its examples, and which model is trained on them for so many epochs."""

    data: str
    n_examples: int
    model: str
    epochs: int
    is_shuffled: bool = False

    @property
    def name(self) -> str:
        """As --cells names it."""
        return f"{self.data}-{self.n_examples}/{self.model}" + ("/shuffled" if self.is_shuffled else "")

    @property
    def score(self) -> str:
        """The metric that the cell is judged by."""
        return "accuracy" if self.data == "emotion" else "f1"


CELLS = (
    Cell("emotion", 128, STARTER, 20),
    Cell("emotion", 800, STARTER, 8),
    Cell("emotion", 800, MINILM, 5),
    Cell("emotion", 2000, MINILM, 4),
    Cell("wnut", 800, STARTER, 8),
    Cell("wnut", 800, MINILM, 6),
    Cell("wnut", 2000, STARTER, 6),
    Cell("wnut", 2000, MINILM, 5),
    Cell("starter", 0, STARTER, 5),
    Cell("squad", 800, MINILM, 3),
    Cell("squad", 2000, MINILM, 2),
    Cell("squad", 2000, STARTER, 3),
)
SHUFFLED = (Cell("emotion", 800, STARTER, 8, is_shuffled=True), Cell("emotion", 2000, MINILM, 4, is_shuffled=True))


def recipe_of(cell: Cell, shared: Path, folder: Path, threads: int) -> Recipe:
    """A cell's recipe; ``folder`` is where its shuffled data are written."""
    data = shared / "data"
    sources = {
        "emotion": (data / "emotion" / "train.parquet", data / "emotion" / "validation.parquet"),
        "wnut": (data / "wnut17" / "train.conll.gz", data / "wnut17" / "dev.conll.gz"),
        "squad": (data / "squad-v1.1" / "train.json.gz", data / "squad-v1.1" / "dev.json.gz"),
    }
    settings: dict[str, Any] = {
        "task": {"emotion": "text-classification", "wnut": "token-classification"}.get(cell.data, "question-answering"),
        "model": STARTER if cell.model == STARTER else str(shared / "models" / "minilm-l6-distilbert"),
        "epochs": cell.epochs,
        "threads": threads,
        "monitor": cell.score,
    }
    if cell.data in sources and not cell.is_shuffled:
        train, validation = (str(path) for path in sources[cell.data])
        settings |= {
            "train": (train,),
            "validation": (validation,),
            "train_examples": cell.n_examples,
            "validation_examples": N_VALIDATION,
        }
    elif cell.is_shuffled:  # what is held out of these is shuffled too
        train_file = shuffled(sources[cell.data][0], folder / "shuffled.jsonl", cell.n_examples)
        settings |= {"train": (str(train_file),), "validation_share": 0.2}
    return Recipe.build(settings)


def shuffled(train: Path, output: Path, n: int) -> Path:
    """So many of the texts, each with the label of another; → where they were written."""
    rows = pq.read_table(train).to_pylist()[:n]
    labels = [row["label"] for row in rows]
    random.Random(0).shuffle(labels)
    lines = [json.dumps({"text": row["text"], "label": label}) for row, label in zip(rows, labels, strict=True)]
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return output


def find(recipe: Recipe) -> dict[str, Any]:
    """What find-lr says, and its cost."""
    began = time.perf_counter()
    found = find_learning_rate(recipe)
    return {
        "what": "find-lr",
        "rate": found.suggestion,
        "reason": found.reason,
        "stretches": [[each.rate, each.n_steps, round(each.loss, 4), each.score] for each in found.stretches],
        "prior_loss": found.prior_loss,
        "steps": found.n_steps,
        "run_steps": found.n_run,
        "seconds": round(time.perf_counter() - began, 1),
    }


def train(recipe: Recipe, cell: Cell, rate: float) -> dict[str, Any]:
    """One training: the score of its best epoch in percent, and its time."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = fine_tune(recipe, output=Path(folder) / "run", learning_rate=rate)
    score = done.best.validation[cell.score] * (100 if cell.score == "accuracy" else 1)
    return {
        "what": "train",
        "rate": rate,
        "score": round(score, 2),
        "loss": round(done.best.validation["loss"], 4),
        "seconds": round(time.perf_counter() - began, 1),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A row a setting: the sweep, the suggestion, how far behind the best of five it is, and its cost."""
    rows = [
        "| setting | "
        + " | ".join(f"{rate:g}" for rate in SWEEP)
        + " | find-lr | its score | behind | steps, of a run |",
        "|---|" + "---:|" * (len(SWEEP) + 4),
    ]
    behind = []
    for cell in (*CELLS, *SHUFFLED):
        of_cell = [line for line in lines if line["cell"] == cell.name]
        found = next((line for line in of_cell if line["what"] == "find-lr"), None)
        scores = {line["rate"]: line["score"] for line in of_cell if line["what"] == "train"}
        if found is None or (not cell.is_shuffled and not {*SWEEP} <= {*scores}):
            continue
        shown = [f"{scores[rate]:.1f}" if rate in scores else "" for rate in SWEEP]
        cost = f"{found['steps']:,}, {found['steps'] / found['run_steps']:.0%}"
        its, lag = scores.get(found["rate"]), ""
        if not cell.is_shuffled:
            behind.append(max(0.0, max(scores[rate] for rate in SWEEP) - (its or 0.0)))
            lag = f"{behind[-1]:.1f}"
        rate = f"{found['rate']:g}" if found["rate"] else "none"
        its_score = f"{its:.1f}" if its is not None else ""
        rows.append(f"| {cell.name} | {' | '.join(shown)} | {rate} | {its_score} | {lag} | {cost} |")
    n_good = sum(each <= MOST_BEHIND for each in behind)
    return "\n".join([*rows, "", f"within {MOST_BEHIND:g} points of the best of five: {n_good} of {len(behind)}"])


def main() -> None:
    """Do what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--output", type=Path, default=Path("find_rate.jsonl"))
    parser.add_argument("--cells", nargs="*", default=[], help="names, by default all")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--no-sweep", action="store_true", help="find only; the sweep may come later")
    arguments = parser.parse_args()
    lines = (
        [json.loads(line) for line in arguments.output.read_text().splitlines()] if arguments.output.exists() else []
    )

    def keep(cell: Cell, line: dict[str, Any]) -> None:
        lines.append({"cell": cell.name, **line})
        with arguments.output.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
        print(json.dumps(lines[-1]), flush=True)

    def done(cell: Cell) -> list[dict[str, Any]]:
        return [line for line in lines if line["cell"] == cell.name]

    for cell in (*CELLS, *SHUFFLED):
        if arguments.cells and cell.name not in arguments.cells:
            continue
        with tempfile.TemporaryDirectory() as folder:
            recipe = recipe_of(cell, arguments.shared, Path(folder), arguments.threads)
            if not any(line["what"] == "find-lr" for line in done(cell)):
                keep(cell, find(recipe))
            suggestion = next(line["rate"] for line in done(cell) if line["what"] == "find-lr")
            rates = [] if arguments.no_sweep or cell.is_shuffled else [*SWEEP, *([suggestion] if suggestion else [])]
            for rate in rates:
                if not any(line["what"] == "train" and line["rate"] == rate for line in done(cell)):
                    keep(cell, train(recipe, cell, rate))
    print(table(lines))


if __name__ == "__main__":
    main()
