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
--only trains the cells with other settings instead: `--only epochs=5` is a contestant of that name; `--trainer` by
the `transformers` Trainer: at its own defaults (5e-5, 3 epochs, batches of 8) and with what `auto` would choose.
--jobs trains so many at a time, each in a process of its own: on a machine of many cores, or on a GPU.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import kept
from benchmarks.trainer import open_lesson, train_by_trainer
from distiltune import Recipe, evaluate, fine_tune
from distiltune.model.source import model_config, resolve_model
from distiltune.recipe.auto import WARMUP_OF_LONG, WARMUP_OF_SHORT, fitting_epochs, fitting_rate
from distiltune.runs.provenance import versions
from distiltune.system.device import choose_device, describe_machine

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
           (128, 800, 2_000, 3_394)),
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


TRAINER_CONTESTANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Trainer": {"trainer": "defaults"},
    "Trainer, rule": {"trainer": "rule"},
}


@dataclass(frozen=True, slots=True)
class Job:
    """One training: of a cell, by a contestant, with a seed."""

    cell: Cell
    contestant: str
    settings: Mapping[str, Any]
    seed: int
    shared: Path
    threads: int
    device: str

    @property
    def key(self) -> tuple[str, str, int]:
        """What a line of results says of itself."""
        return self.cell.name, self.contestant, self.seed

    @property
    def recipe(self) -> Recipe:
        """What is trained by."""
        settings = {name: value for name, value in self.settings.items() if name != "trainer"}
        return recipe_of(self.cell, self.shared, self.seed, {**settings, "device": self.device}, self.threads)


def one(job: Job) -> dict[str, Any]:
    """Train and score once; → the line of results."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        figures = by_trainer(job, Path(folder)) if "trainer" in job.settings else by_us(job, Path(folder))
    row = {"cell": job.cell.name, "half": job.cell.half, "contestant": job.contestant, "seed": job.seed, **figures}
    return row | {
        "seconds": round(time.perf_counter() - began, 1),
        "version": versions().get("git_revision", ""),
        "machine": describe_machine(choose_device(job.device)).processor,
    }


def by_us(job: Job, folder: Path) -> dict[str, Any]:
    """Trained as a user would."""
    source = job.cell.source
    run = fine_tune(job.recipe, output=folder / "run")
    if source.test == "starter":  # its validation part is all there is
        score, n_test = run.best.validation[source.score], 0
    else:
        score, n_test = scored(job, run.model)
    used = run.recipe
    return {
        "score": round(source.points * score, 3),
        "n_test": n_test,
        "learning_rate": used.learning_rate,
        "epochs": used.epochs,
        "best_epoch": run.best_epoch,
        "monitor": used.monitor,
        "last_loss": round(run.epochs[-1].train["loss"], 4),
        "advice": [each.message for each in run.advice][:1],
    }


def by_trainer(job: Job, folder: Path) -> dict[str, Any]:
    """Trained by the Trainer on our features, with its defaults or with what the rule chooses."""
    recipe = job.recipe
    lesson = open_lesson(recipe)
    arguments: dict[str, Any] = {}
    if job.settings["trainer"] == "rule":
        batches = -(-len(lesson.training.features) // recipe.batch_size)
        epochs = fitting_epochs(recipe.task, batches)
        n_steps = epochs * batches
        width = model_config(resolve_model(recipe.model))["dim"]
        arguments = {
            "learning_rate": fitting_rate(recipe.task, width, n_steps),
            "num_train_epochs": epochs,
            "warmup_steps": int(n_steps * (WARMUP_OF_SHORT if n_steps < 2_000 else WARMUP_OF_LONG)),
            "per_device_train_batch_size": recipe.batch_size,
        }
    train_by_trainer(recipe, lesson, folder, arguments)
    score, n_test = scored(job, folder / "model")
    return {"score": round(job.cell.source.points * score, 3), "n_test": n_test, **arguments}


def scored(job: Job, model: Path) -> tuple[float, int]:
    """A model's score on the data that no training has seen, and on how many examples."""
    source = job.cell.source
    few = Recipe(validation_questions=source.n_test) if source.task == "question-answering" and source.n_test else None
    data = source.test if source.test == "starter" else str(job.shared / source.test)
    found = evaluate(model, data, recipe=few, device=job.device, threads=job.threads)
    return found.metrics[source.score], found.n_examples


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """What is not there yet: seed after seed, cheap cells first, so that a run that is cut short has the most cells."""
    done = {(row["cell"], row["contestant"], row["seed"]) for row in kept.read_rows(options.output)}
    others = {only: dict(part.split("=", 1) for part in only.split(",")) for only in options.only}
    cells = [
        cell
        for cell in CELLS
        if options.half in ("both", cell.half) and options.cells in cell.name and cell.size <= options.largest
    ]
    for seed in range(options.seed_from, options.seeds):
        for cell in cells:
            if seed and cell.size >= LARGE and not options.names:
                continue
            entries = {**others, **(TRAINER_CONTESTANTS if options.trainer else {})} or contestants(cell)
            for name, settings in entries.items():
                if options.names and name not in options.names:
                    continue
                job = Job(cell, name, settings, seed, options.shared, options.threads, options.device)
                if job.key not in done:
                    yield job


def run(options: argparse.Namespace) -> None:
    """Train what is not there yet."""
    ends = time.monotonic() + 60 * options.minutes
    context = multiprocessing.get_context("spawn")  # a GPU cannot be used in a fork of a process that has used it
    waiting = jobs(options)
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        running: dict[Future[dict[str, Any]], Job] = {}
        while True:
            while len(running) < options.jobs and time.monotonic() < ends and (job := next(waiting, None)) is not None:
                running[pool.submit(one, job)] = job
            if not running:
                return
            for finished in wait(running, return_when=FIRST_COMPLETED).done:
                keep(running.pop(finished), finished, options.output)


def keep(job: Job, finished: Future[dict[str, Any]], output: Path) -> None:
    """Write the line of a training that has ended; one that failed is told and costs no other."""
    try:
        row = finished.result()
    except Exception:
        print(f"{job.key} failed:\n{traceback.format_exc(limit=-3)}", flush=True)
        return
    kept.keep(row, output)
    name = f"{row['cell']}, {row['contestant']}, seed {row['seed']}"
    print(f"{name}: {row['score']:.1f} in {row['seconds']:.0f} s", flush=True)


def means(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Cell → contestant → mean score over the seeds."""
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        scores.setdefault(row["cell"], {}).setdefault(row["contestant"], []).append(row["score"])
    return {cell: {name: statistics.fmean(each) for name, each in by.items()} for cell, by in scores.items()}


def table(options: argparse.Namespace) -> None:
    """Print the regrets, cell by cell, and how many are small."""
    found = means(row for row in kept.read_rows(options.output) if options.half in ("both", row["half"]))
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
    parser.add_argument("--names", nargs="*", default=[], help="only contestants of these names, as auto or 5e-05")
    only = "only trainings with these settings, as epochs=5,warmup_share=0; may be repeated"
    parser.add_argument("--only", action="append", default=[], help=only)
    parser.add_argument("--trainer", action="store_true", help="only trainings by the transformers Trainer")
    parser.add_argument("--seed-from", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="so many trainings at a time")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no training after so many")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=SEEDS_OF_SMALL)
    parser.add_argument("--largest", type=int, default=10**9, help="no cells of more examples than this")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    (run if options.what == "run" else table)(options)


if __name__ == "__main__":
    main()
