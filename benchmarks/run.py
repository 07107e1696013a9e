"""The referee: `python -m benchmarks.run [--short]`. Contestants take turns in one run, so that noise hits all alike."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import ceiling, workload
from benchmarks.contestant import CONTESTANTS
from benchmarks.workload import SHAPES, Shape, training_flops
from distiltune.device import describe_machine

RESULTS = Path("benchmarks/results")
PACKAGES = ("distiltune", "torch", "numpy", "transformers", "accelerate")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is timed: stretches of so many batches, after a warm-up."""

    shape: Shape
    contestants: tuple[str, ...]
    stretches: int
    warm_up: int
    batches: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """What a contestant reached: medians over its stretches."""

    name: str
    examples_per_second: float
    tokens_per_second: float
    gflops: float
    share_of_ceiling: float
    peak_mib: float
    system_share: float
    stretches: tuple[float, ...]


class Contestant:
    """A contestant's process, and the line to it."""

    def __init__(self, name: str, model_directory: Path) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contestant", name, str(model_directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.stretches: list[dict[str, float]] = []

    def run(self, n_batches: int) -> dict[str, float]:
        """Let it work through ``n_batches`` batches."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"run {n_batches}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} broke down; see `python -m benchmarks.contestant {self.name!r} MODEL`")
        stretch: dict[str, float] = json.loads(line)
        return stretch

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def plan(short: bool, kind: str, names: Sequence[str]) -> Plan:
    """The whole benchmark, or one under three minutes on two cores."""
    contestants = tuple(name for name in CONTESTANTS if name.startswith(f"{kind}/"))
    contestants = tuple(name for name in contestants if not names or any(part in name for part in names))
    if kind == "inference":
        return Plan(
            SHAPES["small" if short else "full"], contestants, 2 if short else 5, 1, dict.fromkeys(contestants, 1)
        )
    # The slow ones get shorter stretches: all of them are long against a clock tick, and the run stays bearable.
    n_batches = {name: 4 if "distiltune" in name else 2 for name in contestants}
    return Plan(SHAPES["small" if short else "full"], contestants, 2 if short else 5, 2, n_batches)


def compete(plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    """Run the plan; the machine's ceiling is measured anew in every round."""
    with tempfile.TemporaryDirectory() as folder:
        workload.write_model(plan.shape, Path(folder))
        rounds: list[ceiling.Ceiling] = []
        contestants = [Contestant(name, Path(folder)) for name in plan.contestants]
        try:
            for contestant in contestants:
                contestant.run(plan.warm_up)
            for number in range(plan.stretches):
                rounds.append(ceiling.measure(plan.shape, repeats=3))
                for contestant in contestants:
                    stretch = contestant.run(plan.batches[contestant.name])
                    contestant.stretches.append(stretch)
                    rate = stretch["tokens"] / stretch["seconds"]
                    print(f"round {number + 1}/{plan.stretches}  {contestant.name:32} {rate:8.0f} tokens/s", flush=True)
        finally:
            for contestant in contestants:
                contestant.stop()
    best = statistics.median(each.best_gflops for each in rounds)
    measured = {
        "gflops": {name: statistics.median(each.gflops[name] for each in rounds) for name in rounds[0].gflops},
        "copy_gb_per_second": statistics.median(each.copy_gb_per_second for each in rounds),
    }
    return [_row(contestant, plan.shape, best) for contestant in contestants], measured


def _row(contestant: Contestant, shape: Shape, best_gflops: float) -> Row:
    """Rates follow from real tokens, so that stretches of other batches compare; a feature has a mean of 170 tokens."""
    training = contestant.name.startswith("training/")
    n = 8_000 if training else 1_020
    lengths = workload.features(n, seed=0 if training else 1).lengths
    flops_per_token = training_flops(shape, lengths) / (1.0 if training else 3.0) / float(lengths.sum())
    rates = [stretch["tokens"] / stretch["seconds"] for stretch in contestant.stretches]
    tokens_per_second = statistics.median(rates)
    gflops = tokens_per_second * flops_per_token / 1e9
    last = contestant.stretches[-1]
    return Row(
        contestant.name,
        tokens_per_second / float(lengths.mean()),
        tokens_per_second,
        gflops,
        gflops / best_gflops,
        last["peak_mib"],
        last["system_share"],
        tuple(rates),
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table; the last column is the first row's rate over each."""
    lines = [
        "| | examples/s | tokens/s | GFLOP/s | share of ceiling | peak MiB | system time | first row is |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = _paired_ratio(rows[0], row)
        lines.append(
            f"| {row.name.partition('/')[2]} | {row.examples_per_second:.2f} | {row.tokens_per_second:,.0f} "
            f"| {row.gflops:.0f} | {row.share_of_ceiling:.0%} | {row.peak_mib:,.0f} | {row.system_share:.1%} "
            f"| {ratio:.2f}x |"
        )
    return "\n".join(lines)


def _paired_ratio(first: Row, other: Row) -> float:
    """Median over the rounds of the quotient within a round."""
    return float(np.median([a / b for a, b in zip(first.stretches, other.stretches, strict=True)]))


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller model and fewer rounds: under three minutes")
    parser.add_argument("--only", choices=["training", "inference"], help="one of the two")
    parser.add_argument("--contestants", nargs="*", default=[], help="only those whose names hold one of these")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "batch_size": workload.BATCH_SIZE,
        "max_length": workload.MAX_LENGTH,
    }
    for kind in ("training", "inference"):
        if arguments.only in (None, kind):
            chosen = plan(arguments.short, kind, arguments.contestants)
            rows, measured = compete(chosen)
            shape = asdict(chosen.shape)
            results[kind] = {"model": shape, "ceiling": measured, "rows": [asdict(row) for row in rows]}
            print(f"\n{kind}, {chosen.shape.name} model, {workload.BATCH_SIZE} features a batch, float32\n")
            for library, rate in measured["gflops"].items():
                print(f"  matrix products: {rate:5.0f} GFLOP/s  {library}")
            print(f"  memory: {measured['copy_gb_per_second']:.0f} GB/s copied\n\n{table(rows)}\n", flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / ("short.json" if arguments.short else "full.json")
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    assert all(
        math.isfinite(row["gflops"])
        for kind in ("training", "inference")
        for row in results.get(kind, {"rows": []})["rows"]
    )


if __name__ == "__main__":
    main()
