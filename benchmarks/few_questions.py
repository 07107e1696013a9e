"""What questions made without labels bring to a few with labels: curves over the number of labels, on two domains.

    python -m benchmarks.few_questions run --shared ../shared --policy FOLDER
    python -m benchmarks.few_questions table

A cell is a domain, a body and a number of labelled questions, drawn by the seed. Each is trained as a user would train
it, by `auto` with nothing said, on the labels alone and with questions made from the domain's own passages first
(`--warm-up-data`); with no labels at all, on what was made alone. The score is F1 on the same questions of the domain's
other part for all. `squad` is encyclopedic: made from the first `N_PASSAGES` passages of its training part, without
their questions; the packaged `starter` was distilled from that part, so its own gain there is no evidence. `policy` is
PolicyQA (Ahmad et al. 2020; privacy policies): FOLDER has `train.json` and `test.json`, in the form of SQuAD, and all
passages of `train.json` are the texts. Every training is one line of --output as soon as it ends, and what is there is
not repeated, so it goes on where it was stopped; seed after seed, cheap cells first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.kept import read_rows, train_each
from distiltune import Recipe, evaluate, fine_tune, make_questions
from distiltune.runs.provenance import versions
from distiltune.system.device import describe_machine

RESULTS = Path(__file__).parent / "results" / "few_questions.jsonl"
SIZES: Final = (0, 16, 128, 512, 2_000)
BODIES: Final = ("starter", "models/minilm-l6-distilbert")
WAYS: Final = ("labels", "made first")
NAMES: Final = ("domain", "body", "labels", "way", "seed")
"""What a line of results says of a training, in the order of ``Job.key``."""
N_PASSAGES: Final = 2_000
N_MADE: Final = 1_500


@dataclass(frozen=True, slots=True)
class Job:
    """One training."""

    domain: str
    body: str
    size: int
    way: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        """What a line of results says of itself."""
        return self.domain, Path(self.body).name, self.size, self.way, self.seed

    @property
    def cost(self) -> float:
        """About how long it takes, in no unit."""
        made = N_MADE if self.way != "labels" else 0
        return float(10 * self.size**0.75 + made) * (1 if self.body == "starter" else 5)


def parts(job: Job, options: argparse.Namespace) -> tuple[Path, Path]:
    """The domain's training part and its other one."""
    if job.domain == "squad":
        folder: Path = options.shared / "data" / "squad-v1.1"
        return folder / "train.json.gz", folder / "dev.json.gz"
    return options.policy / "train.json", options.policy / "test.json"


def one(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Make, train and score once; → the line of results."""
    train, test = parts(job, options)
    model = job.body if job.body == "starter" else str(options.shared / job.body)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.jsonl"
        n_made = 0
        if job.way != "labels":
            few = N_PASSAGES if job.domain == "squad" else 0
            n_made = len(make_questions(str(train), made, rows=N_MADE, seed=job.seed, passages=few).rows)
        labelled: dict[str, Any] = {
            "train": str(train),
            "train_examples": job.size,
            "validation_examples": max(1, job.size // 10),  # what a user with no more questions would set aside
            "sample_seed": job.seed,
        }
        if job.way != "labels":
            labelled["warm_up_data"] = (str(made),)
        data = labelled if job.size else {"train": str(made)}
        run = fine_tune(output=Path(folder) / "run", model=model, threads=options.threads, seed=job.seed, **data)
        found = evaluate(
            run.model, str(test), recipe=Recipe(validation_questions=options.tests), threads=options.threads
        )
        figures = {name: round(found.metrics[name], 3) for name in ("f1", "exact_match")}
    said = dict(zip(NAMES, job.key, strict=True))
    told = {"made": n_made, "n_test": found.n_examples, "epochs": run.recipe.epochs, "rate": run.recipe.learning_rate}
    machine = describe_machine(torch.device("cpu")).processor
    seconds = round(time.perf_counter() - began, 1)
    return {
        **said, **told, **figures, "seconds": seconds, "version": versions().get("git_revision", ""), "machine": machine
    }  # fmt: skip


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """What is not there yet: seed after seed, cheap ones first."""
    done = {tuple(row[name] for name in NAMES) for row in read_rows(options.output)}
    domains = [each for each in ("squad", "policy") if options.domains in each and (each == "squad" or options.policy)]
    for seed in range(options.seeds):
        all_of_it = [
            Job(domain, body, size, way, seed)
            for domain in domains
            for body in BODIES
            if options.bodies in body
            for size in options.sizes
            for way in WAYS
            if size or way != "labels"
        ]
        yield from sorted((job for job in all_of_it if job.key not in done), key=lambda job: job.cost)


def run(options: argparse.Namespace) -> None:
    """Train what is not there yet, one after the other."""
    train_each(jobs(options), lambda job: one(job, options), options.output, _told, options.minutes)


def _told(row: Mapping[str, Any]) -> str:
    return f"F1 {row['f1']:.1f} in {row['seconds']:.0f} s"


def table(options: argparse.Namespace) -> None:
    """Print mean F1 over the seeds, with and without."""
    for line in summary(read_rows(options.output)):
        print(line)


def summary(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table's lines: a row for each domain, body and number of labels."""
    found: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for row in rows:
        cell = row["domain"], row["body"], row["labels"]
        found.setdefault(cell, {}).setdefault(row["way"], []).append(row["f1"])
    lines = ["| domain | body | labels | labels alone | made questions first |", "|---|---|---:|---:|---:|"]
    for (domain, body, size), by in sorted(found.items()):
        cells = [_cell(by[way]) if way in by else "" for way in WAYS]
        lines.append(f"| {domain} | {body} | {size:,} | {' | '.join(cells)} |")
    return lines


def _cell(scores: list[float]) -> str:
    spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    return f"{statistics.mean(scores):.1f}{spread} (n = {len(scores)})"


def main(arguments: list[str] | None = None) -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--policy", type=Path, help="PolicyQA's train.json and test.json; without it, SQuAD alone")
    parser.add_argument("--domains", default="", help="only domains whose name holds this")
    parser.add_argument("--bodies", default="", help="only bodies whose name holds this")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tests", type=int, default=1_000, help="score on so many questions of the other part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no training after so many")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    (run if options.what == "run" else table)(options)


if __name__ == "__main__":
    main(sys.argv[1:])
