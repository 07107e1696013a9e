"""The evidence for the recipe `auto`: every cell of a grid trained at five rates, by `auto` and by `classic`.

    python -m benchmarks.recipe_grid run --shared ../shared --half making
    python -m benchmarks.recipe_grid run --shared ../shared --half judging
    python -m benchmarks.recipe_grid table --half judging

A cell is a set of data, a body and a number of examples. Its trainings differ in the learning rate only (but for
`classic`, which has its own five epochs too); epochs, warm-up and the rest are what `auto` makes of them. A tenth of
the examples is kept for choosing the epoch, as a user's run would, and the score is taken on data of another split.
Half of the cells, chequered over bodies, data and sizes, made the rule; the other half judges it: which, says
`Cell.half`, and that was committed before the first training. Every training is one line of --output as soon as it
ends, and what is there is not repeated, so it goes on where it was stopped. Cheap cells come first.

The regret of a recipe in a cell is the best of the five rates' mean scores over the seeds, less its own, in points.
--only trains the cells with other settings instead: `--only epochs=5` is a contestant of that name.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from distiltune import Recipe, evaluate, fine_tune
from distiltune.runs.provenance import versions
from distiltune.system.device import describe_machine

RATES: Final = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3)
SEEDS_OF_SMALL: Final = 3
LARGE: Final = 10_000
"""Cells of so many examples have one seed."""

RESULTS = Path(__file__).parent / "results" / "recipe_grid.jsonl"


@dataclass(frozen=True, slots=True)
class Source:
    """A set of data: where it lies under the shared folder, what it is scored by, and on how many examples."""

    name: str
    task: str
    train: str
    test: str
    score: str
    points: float
    n_test: int
    sizes: tuple[int, ...]


SOURCES: Final = (
    Source("emotion", "text-classification", "data/emotion/train.parquet", "data/emotion/test.parquet", "accuracy",
           100.0, 2_000, (128, 800, 2_000, 16_000)),
    Source("wnut17", "token-classification", "data/wnut17/train.conll.gz", "data/wnut17/test.conll.gz", "f1", 100.0, 0,
           (128, 800, 2_000)),
    Source("squad", "question-answering", "data/squad-v1.1/train.json.gz", "data/squad-v1.1/dev.json.gz", "f1", 1.0,
           1_000, (128, 800, 2_000, 20_000)),
    Source("starter texts", "text-classification", "starter", "starter", "accuracy", 100.0, 0, (0,)),
    Source("starter words", "token-classification", "starter", "starter", "f1", 100.0, 0, (0,)),
    Source("starter questions", "question-answering", "starter", "starter", "f1", 1.0, 0, (0,)),
)  # fmt: skip

BODIES: Final = ("starter", "models/minilm-l6-distilbert")


@dataclass(frozen=True, slots=True)
class Cell:
    """One situation."""

    source: Source
    body: str
    size: int

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.source.name}{f' {self.size:,}' if self.size else ''}, {Path(self.body).name}"

    @property
    def half(self) -> str:
        """Which of the two halves it is of: chequered over data, bodies and sizes."""
        place = SOURCES.index(self.source) + BODIES.index(self.body) + self.source.sizes.index(self.size)
        return "making" if place % 2 == 0 else "judging"

    @property
    def cost(self) -> float:
        """About how long a training takes, in no unit."""
        tokens = 160 if self.source.task == "question-answering" else 25
        return float(tokens * (self.size or 400) ** 0.7 * (1 if self.body == "starter" else 5))


CELLS: Final = tuple(
    sorted(
        (Cell(source, body, size) for source in SOURCES for body in BODIES for size in source.sizes),
        key=lambda cell: cell.cost,
    )
)


def contestants(cell: Cell) -> dict[str, dict[str, Any]]:
    """The trainings of a cell, as settings by name; `auto` with a rate of the sweep is a rate."""
    return {
        "auto": {},
        **{f"{rate:g}": {"learning_rate": rate} for rate in RATES},
        "classic": {"base": "classic"},
    }


def recipe_of(cell: Cell, shared: Path, seed: int, settings: Mapping[str, Any], threads: int) -> Recipe:
    """What a user with so many examples would train by."""
    starter = cell.source.train == "starter"
    return Recipe(
        **{
            "task": cell.source.task,
            "model": cell.body if cell.body == "starter" else str(shared / cell.body),
            "train": (cell.source.train if starter else str(shared / cell.source.train),),
            "train_examples": cell.size,
            "validation_examples": cell.size // 10,
            "sample_seed": seed,
            "seed": seed,
            "threads": threads,
            **({"max_length": 128, "stride": 32} if cell.source.task != "question-answering" else {}),
            **settings,
        }
    )


def one(cell: Cell, shared: Path, seed: int, settings: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Train and score once."""
    source = cell.source
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = fine_tune(recipe_of(cell, shared, seed, settings, threads), output=Path(folder) / "run")
        if source.test == "starter":  # its validation part is all there is
            score, n_test = run.best.validation[source.score], 0
        else:
            few = Recipe(validation_questions=source.n_test) if source.task == "question-answering" else None
            found = evaluate(run.model, str(shared / source.test), recipe=few)
            score, n_test = found.metrics[source.score], found.n_examples
    used = run.recipe
    return {
        "score": round(source.points * score, 3),
        "n_test": n_test,
        "seconds": round(time.perf_counter() - began, 1),
        "learning_rate": used.learning_rate,
        "epochs": used.epochs,
        "best_epoch": run.best_epoch,
        "monitor": used.monitor,
        "last_loss": round(run.epochs[-1].train["loss"], 4),
        "advice": [each.message for each in run.advice][:1],
    }


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The trainings done so far; a last line that is cut is not there."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def run(options: argparse.Namespace) -> None:
    """Train what is not there yet."""
    done = {(row["cell"], row["contestant"], row["seed"]) for row in read_rows(options.output)}
    more = dict(part.split("=", 1) for part in options.only.split(",")) if options.only else None
    for cell in CELLS:
        if options.half not in ("both", cell.half) or options.cells not in cell.name or cell.size > options.largest:
            continue
        entries = contestants(cell) if more is None else {options.only: more}
        for seed in range(1 if cell.size >= LARGE else options.seeds):
            for name, settings in entries.items():
                if (cell.name, name, seed) in done:
                    continue
                row = {"cell": cell.name, "half": cell.half, "contestant": name, "seed": seed}
                row |= one(cell, options.shared, seed, settings, options.threads)
                row |= {
                    "version": versions().get("git_revision", ""),
                    "machine": describe_machine(torch.device("cpu")).processor,
                }
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{cell.name}, {name}, seed {seed}: {row['score']:.1f} in {row['seconds']:.0f} s", flush=True)


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Cell → contestant → mean score over the seeds."""
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        scores.setdefault(row["cell"], {}).setdefault(row["contestant"], []).append(row["score"])
    return {cell: {name: statistics.fmean(each) for name, each in by.items()} for cell, by in scores.items()}


def table(options: argparse.Namespace) -> None:
    """Print the regrets, cell by cell, and how many are small."""
    found = means(row for row in read_rows(options.output) if options.half in ("both", row["half"]))
    rates = [f"{rate:g}" for rate in RATES]
    names = [*rates, *sorted({name for by in found.values() for name in by} - set(rates))]
    print("| cell | " + " | ".join(names) + " | best rate | regret of auto | of classic |")
    print("|---" * (len(names) + 4) + "|")
    regrets: dict[str, list[float]] = {"auto": [], "classic": []}
    for cell in CELLS:
        by = found.get(cell.name)
        if by is None or not all(rate in by for rate in rates):
            continue
        best = max(rates, key=lambda rate: by[rate])
        shown = []
        for name, list_ in regrets.items():
            if name in by:
                list_.append(by[best] - by[name])
            shown.append(f"{list_[-1]:.1f}" if name in by else "")
        cells = [f"{by[name]:.1f}" if name in by else "" for name in names]
        print(f"| {cell.name} | {' | '.join(cells)} | {best} | {' | '.join(shown)} |")
    for name, list_ in regrets.items():
        if list_:
            near = sum(regret <= 1.5 for regret in list_)
            print(f"\n{name}: within 1.5 points in {near} of {len(list_)} cells; the most below is {max(list_):.1f}")


def main(arguments: list[str] | None = None) -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--half", choices=["making", "judging", "both"], default="both")
    parser.add_argument("--cells", default="", help="only cells whose name holds this")
    parser.add_argument("--only", default="", help="only a training with these settings, as epochs=5,warmup_share=0")
    parser.add_argument("--seeds", type=int, default=SEEDS_OF_SMALL)
    parser.add_argument("--largest", type=int, default=10**9, help="no cells of more examples than this")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    (run if options.what == "run" else table)(options)


if __name__ == "__main__":
    main()
