"""Is the rate that `distiltune find-lr` suggests as good as the best of a sweep, in a tenth of its time?

    python tools/find_rate_sweep.py ../shared/data/squad-v1.1 ../shared/models/minilm-l6-distilbert --output sweep.jsonl

Finds a rate, then trains with it and with five others on the same questions, one line of JSON each; what is in
--output already is not repeated. Prints the table that docs/coach.md has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import fine_tune
from distiltune.studies.find_rate import find_learning_rate

SWEEP = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)


def train(recipe: Recipe, rate: float) -> dict[str, Any]:
    """One training: its best validation loss and its time."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = fine_tune(recipe, output=Path(folder) / "run", learning_rate=rate)
    return {
        "what": "train",
        "rate": rate,
        "validation_loss": done.best.validation["loss"],
        "validation_losses": [round(epoch.validation["loss"], 4) for epoch in done.epochs],
        "f1": round(done.best.validation["f1"], 2),
        "seconds": round(time.perf_counter() - began, 1),
    }


def find(recipe: Recipe) -> dict[str, Any]:
    """The range test: its suggestion and its time."""
    began = time.perf_counter()
    test = find_learning_rate(recipe)
    seconds = round(time.perf_counter() - began, 1)
    return {"what": "find-lr", "rate": test.suggestion, "reason": test.reason, "seconds": seconds}


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The sweep, the suggestion, and what the two come to."""
    (found,) = (line for line in lines if line["what"] == "find-lr")
    runs = {line["rate"]: line for line in lines if line["what"] == "train"}
    rows = ["| learning rate | validation loss | F1 | seconds |", "|---|---:|---:|---:|"]
    for rate, line in sorted(runs.items()):
        name = f"{rate:g}" + (" (find-lr)" if rate == found["rate"] else "")
        rows.append(f"| {name} | {line['validation_loss']:.4f} | {line['f1']:.2f} | {line['seconds']:.0f} |")
    swept = [runs[rate] for rate in SWEEP]
    best, sum_seconds = min(line["validation_loss"] for line in swept), sum(line["seconds"] for line in swept)
    worse = runs[found["rate"]]["validation_loss"] / best - 1
    return "\n".join(
        [
            *rows,
            "",
            f"find-lr: {found['rate']:g} in {found['seconds']:.0f} s, {found['seconds'] / sum_seconds:.1%} of the "
            f"sweep's {sum_seconds:.0f} s; its validation loss is {worse:+.1%} from the best of the sweep",
            f"({found['reason']})",
        ]
    )


def main() -> None:
    """Do what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of SQuAD 1.1 with train.json.gz and dev.json.gz")
    parser.add_argument("model")
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--validation-questions", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--sample-seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("find_rate_sweep.jsonl"))
    arguments = parser.parse_args()
    recipe = Recipe.build(
        {
            "model": arguments.model,
            "train": (str(arguments.data / "train.json.gz"),),
            "validation": (str(arguments.data / "dev.json.gz"),),
            "train_questions": arguments.questions,
            "validation_questions": arguments.validation_questions,
            "sample_seed": arguments.sample_seed,
            "epochs": arguments.epochs,
            "threads": arguments.threads,
        }
    )
    lines = (
        [json.loads(text) for text in arguments.output.read_text().splitlines()] if arguments.output.exists() else []
    )

    def keep(line: dict[str, Any]) -> None:
        lines.append(line)
        with arguments.output.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    if not any(line["what"] == "find-lr" for line in lines):
        keep(find(recipe))
    suggestion = next(line["rate"] for line in lines if line["what"] == "find-lr")
    for rate in (*SWEEP, suggestion):
        if not any(line["what"] == "train" and line["rate"] == rate for line in lines):
            keep(train(recipe, rate))
    print(table(lines))


if __name__ == "__main__":
    main()
