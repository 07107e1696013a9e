"""The referee: `python -m benchmarks.run [--short]`. Contestants take turns in one run: noise hits all alike.

`--data squad emotion wnut long pairs` takes other kinds of data, with one more table of all of them at the end.
`--before CHECKOUT` lets another version of distiltune, as that directory holds it, take its turns too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import ceiling, workload
from benchmarks.contestant import CONTESTANTS
from benchmarks.workload import DATA, SHAPES, SQUAD, Data, Shape, forward_flops, training_flops
from distiltune.system.device import describe_machine

RESULTS = Path("benchmarks/results")
BEFORE = ", before"
"""After the name of a contestant: its older version."""

QUIET = 0.85
"""The lowest ceiling of a run over its highest, from which on the machine counts as quiet."""

SIDE_BY_SIDE = 2
"""In the short benchmark, most of whose time goes into loading."""

PACKAGES = ("distiltune", "torch", "numpy", "transformers", "accelerate")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is timed, and of which data: in every round a stretch of so many batches, after a warm-up.

    So many contestants as ``side_by_side`` load and warm up at once; no two are ever timed at once.
    """

    shape: Shape
    contestants: tuple[str, ...]
    stretches: int
    warm_up: int
    batches: Mapping[str, int]
    before: Path | None = None
    side_by_side: int = 1
    data: str = "squad"


@dataclass(frozen=True, slots=True)
class Row:
    """What a contestant reached: medians over its stretches; ``first_step`` in seconds from its start."""

    name: str
    examples_per_second: float
    tokens_per_second: float
    gflops: float
    share_of_ceiling: float
    peak_mib: float
    system_share: float
    first_step: float
    stretches: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a contestant says of a stretch."""

    seconds: float
    features: int
    tokens: int
    peak_mib: float
    system_share: float
    since_start: float

    @property
    def rate(self) -> float:
        """Real tokens a second."""
        return self.tokens / self.seconds


Turn = tuple[Stretch, Stretch]
"""A contestant's warm-up, and the stretch that counts."""


class Contestant:
    """A contestant's process, and the line to it."""

    def __init__(self, name: str, model_directory: Path, seed: int, plan: Plan) -> None:
        self.name = name
        before = plan.before
        checkout = before.resolve() if before is not None and name.endswith(BEFORE) else Path.cwd()
        asked = [name.removesuffix(BEFORE), str(model_directory), str(seed), plan.data]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contestant", *asked],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def begin(self, n_batches: int) -> None:
        """Let it work through ``n_batches`` batches."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"run {n_batches}\n")
        self._process.stdin.flush()

    def end(self) -> Stretch:
        """Wait for what it says of them."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            reason = "killed, most likely for want of memory" if status == -9 else f"exit status {status}"
            raise SystemExit(
                f"{self.name} broke down ({reason}): python -m benchmarks.contestant {self.name!r} MODEL 0 DATA"
            )
        return Stretch(**json.loads(line))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def plan(short: bool, kind: str, names: Sequence[str], before: Path | None = None, data: str = "squad") -> Plan:
    """The whole benchmark, or one under three minutes on two cores; with the version of ``before``, if there is one."""
    contestants = tuple(name for name in CONTESTANTS if name.startswith(f"{kind}/"))
    contestants = tuple(name for name in contestants if not names or any(part in name for part in names))
    if before is not None:
        contestants += tuple(f"{name}{BEFORE}" for name in contestants if "distiltune" in name)
    if kind == "inference":
        n_batches = dict.fromkeys(contestants, 1)  # of an eighth of the questions
        if short:
            return Plan(SHAPES["small"], contestants, 1, 1, n_batches, before, SIDE_BY_SIDE, data)
        return Plan(SHAPES["full"], contestants, 5, 1, n_batches, before, data=data)
    # The slow ones get shorter stretches: all of them are long against a clock tick, and the run stays bearable. Of
    # short texts there are more.
    times = max(1, round(mean_length(SQUAD) / mean_length(DATA[data])))
    n_batches = {name: times * (6 if "distiltune" in name else 1 if short else 2) for name in contestants}
    if short:
        return Plan(SHAPES["small"], contestants, 1, 1, n_batches, before, SIDE_BY_SIDE, data)
    return Plan(SHAPES["full"], contestants, 5, 1, n_batches, before, data=data)


def mean_length(data: Data) -> float:
    """In tokens."""
    return float(workload.features(8_000, data=data).lengths.mean())


def compete(plan: Plan) -> tuple[list[Row], dict[str, Any]]:
    """Run the plan. In every round the machine's ceiling is measured and each contestant has one turn; at last again.

    A turn is a process of its own, so that no run profits from another; in the whole benchmark one contestant's memory
    is held at a time.
    """
    rounds: list[ceiling.Ceiling] = []
    stretches: dict[str, list[Turn]] = {name: [] for name in plan.contestants}
    with tempfile.TemporaryDirectory() as folder:
        workload.write_model(plan.shape, Path(folder))
        for number in range(plan.stretches):
            rounds.append(ceiling.measure(plan.shape, repeats=3))
            for first in range(0, len(plan.contestants), plan.side_by_side):
                names = plan.contestants[first : first + plan.side_by_side]
                for name, turn in take_turns(names, Path(folder), number, plan).items():
                    stretches[name].append(turn)
                    print(f"round {number + 1}/{plan.stretches}  {name:32} {turn[1].rate:8.0f} tokens/s", flush=True)
        after = ceiling.measure(plan.shape, repeats=3)
    best = statistics.median(each.best_gflops for each in rounds)
    measured = {
        "gflops": {name: statistics.median(each.gflops[name] for each in rounds) for name in rounds[0].gflops},
        "copy_gb_per_second": statistics.median(each.copy_gb_per_second for each in rounds),
        "quiet": quiet_line([*(each.best_gflops for each in rounds), after.best_gflops]),
    }
    return [_row(name, stretches[name], plan, best) for name in plan.contestants], measured


def take_turns(names: Sequence[str], model_directory: Path, seed: int, plan: Plan) -> dict[str, Turn]:
    """The warm-ups of some contestants at once, then the timed stretch of each, on the features of that seed."""
    contestants = [Contestant(name, model_directory, seed, plan) for name in names]
    stretches = {}
    try:
        for each in contestants:
            each.begin(plan.warm_up)
        warm_ups = [each.end() for each in contestants]
        for each, warm_up in zip(contestants, warm_ups, strict=True):
            each.begin(plan.batches[each.name])
            stretches[each.name] = warm_up, each.end()
            each.stop()
    finally:
        for each in contestants:
            each.stop()
    return stretches


def quiet_line(ceilings: Sequence[float]) -> str:
    """Whether the machine did the same for all, in a sentence.

    Args:
        ceilings: GFLOP/s of the quickest library, measured before each round and after the last.

    """
    lowest, highest = min(ceilings), max(ceilings)
    shown = f"its ceiling was {ceilings[0]:.0f} GFLOP/s before and {ceilings[-1]:.0f} after"
    if lowest >= QUIET * highest:
        return f"the machine was quiet: {shown}"
    return (
        f"THE MACHINE WAS NOT QUIET: {shown}, {lowest:.0f} at its least and {highest:.0f} at its most; do "
        "not compare these figures, run it again with nothing beside it"
    )


def _row(name: str, turns: Sequence[Turn], plan: Plan, best_gflops: float) -> Row:
    """Rates follow from real tokens, so that stretches of other batches compare: by the mean length of a feature."""
    stretches = [stretch for _, stretch in turns]
    lengths = workload.features(8_000, data=DATA[plan.data]).lengths
    flops = training_flops if name.startswith("training/") else forward_flops
    flops_per_token = flops(plan.shape, lengths) / float(lengths.sum())
    rates = [stretch.rate for stretch in stretches]
    tokens_per_second = statistics.median(rates)
    gflops = tokens_per_second * flops_per_token / 1e9
    return Row(
        name,
        tokens_per_second / float(lengths.mean()),
        tokens_per_second,
        gflops,
        gflops / best_gflops,
        max(stretch.peak_mib for stretch in stretches),
        statistics.median(stretch.system_share for stretch in stretches),
        statistics.median(warm_up.since_start for warm_up, _ in turns),
        tuple(rates),
    )


def overview(tables: Mapping[str, Sequence[Row]]) -> str:
    """One table of all kinds of data, with how many times the others' rates distiltune's are."""
    others = [_short(row.name) for row in next(iter(tables.values())) if "distiltune" not in row.name]
    head = "".join(f" over {name} |" for name in others)
    lines = [
        f"| data | | examples/s | of the float32 ceiling | peak MiB | first step after |{head}",
        "|---" * (6 + len(others)) + "|",
    ]
    for data, rows in tables.items():
        theirs = [row for row in rows if "distiltune" not in row.name]
        for row in rows:
            ratios = [f" {_paired_ratio(row, each):.2f}x |" if "distiltune" in row.name else " |" for each in theirs]
            lines.append(
                f"| {DATA[data].name} | {_short(row.name)} | {row.examples_per_second:.2f} "
                f"| {row.share_of_ceiling:.0%} | {row.peak_mib:,.0f} | {row.first_step:.1f} s |{''.join(ratios)}"
            )
    return "\n".join(lines)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table; the last columns say how many times a row's rate distiltune's rates are."""
    bases = [row for row in rows if "distiltune" in row.name]
    ratios = "".join(f" {_short(row.name)} is |" for row in bases)
    lines = [
        f"| | examples/s | tokens/s | GFLOP/s | of the float32 ceiling | peak MiB | system time |{ratios}",
        "|---" * (7 + len(bases)) + "|",
    ]
    for row in rows:
        ratios = "".join(f" {_paired_ratio(base, row):.2f}x |" for base in bases)
        lines.append(
            f"| {_short(row.name)} | {row.examples_per_second:.2f} | {row.tokens_per_second:,.0f} | {row.gflops:.0f} "
            f"| {row.share_of_ceiling:.0%} | {row.peak_mib:,.0f} | {row.system_share:.1%} |{ratios}"
        )
    return "\n".join(lines)


def _short(name: str) -> str:
    return name.partition("/")[2]


def _paired_ratio(first: Row, other: Row) -> float:
    """Median over the rounds of the quotient within a round."""
    return float(np.median([a / b for a, b in zip(first.stretches, other.stretches, strict=True)]))


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller model and one round: under three minutes")
    parser.add_argument("--only", choices=["training", "inference"], help="one of the two")
    parser.add_argument("--contestants", nargs="*", default=[], help="only those whose names hold one of these")
    parser.add_argument("--data", nargs="+", choices=DATA, default=["squad"], help="kinds of data, by their lengths")
    parser.add_argument("--rounds", type=int, default=0, help="so many (0: five, of the short one 1)")
    parser.add_argument("--before", type=Path, help="a checkout of another version, which takes its turns too")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "batch_size": workload.BATCH_SIZE,
    }
    kinds = [kind for kind in ("training", "inference") if arguments.only in (None, kind)]
    tables: dict[str, dict[str, Sequence[Row]]] = {kind: {} for kind in kinds}
    for data in arguments.data:
        for kind in kinds:
            chosen = plan(arguments.short, kind, arguments.contestants, arguments.before, data)
            chosen = replace(chosen, stretches=arguments.rounds or chosen.stretches)
            rows, measured = compete(chosen)
            tables[kind][data] = rows
            kept = {"model": asdict(chosen.shape), "ceiling": measured, "rows": [asdict(row) for row in rows]}
            results.setdefault(kind, {})[data] = kept
            about = f"{kind}, {DATA[data].name}, {chosen.shape.name} model, {workload.BATCH_SIZE} features a batch"
            print(f"\n{about}\n")
            for library, rate in measured["gflops"].items():
                print(f"  matrix products: {rate:5.0f} GFLOP/s  {library}")
            print(f"  memory: {measured['copy_gb_per_second']:.0f} GB/s copied")
            print(f"  {measured['quiet']}\n\n{table(rows)}\n", flush=True)
    if len(arguments.data) > 1:
        for kind, by_data in tables.items():
            print(f"{kind}, all data\n\n{overview(by_data)}\n")
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = ("short" if arguments.short else "full") if arguments.data == ["squad"] else "five"
    path = RESULTS / (f"{name}.json" if arguments.before is None else f"{name}-before-and-after.json")
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    assert all(math.isfinite(row.gflops) for by_data in tables.values() for rows in by_data.values() for row in rows)


if __name__ == "__main__":
    main()
