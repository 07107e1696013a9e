"""Play the matrix: train every kind of training that is not in the file yet, and print what the coach said of each.

    python -m benchmarks.coach_matrix --data ../shared --half A --seeds 1 --jobs 16 --output coach.jsonl
    python -m benchmarks.coach_matrix --data ../shared --half B --seeds 3 --jobs 16 --output coach.jsonl

The first line of a file says which half of the texts makes the rules and which judges them, before anything is trained.
A sick training counts as told if the first advice above a note names what was done to it; a healthy one as accused if
there is any, on the way or at the end. Each is one line, appended as it ends: a matrix that was stopped goes on where
it was, and --stop-after begins nothing new after so many seconds. Every training has one thread; --jobs run side by
side, the longest first. What the coach went by lies beside the file, so that --again judges the same trainings by
today's rules without training anything. --plan prints what there is to train and about how long that takes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.coach_matrix.cell import Cell, Line, run
from benchmarks.coach_matrix.kinds import HEALTHY, SICK, USUAL, expected_seconds, kinds_of
from benchmarks.coach_matrix.record import append, cell_of, judged_again, read
from benchmarks.coach_matrix.rows import FOLDERS, HALVES
from distiltune.coach.evidence import Evidence

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM")


def table(lines: Sequence[Line]) -> str:
    """The trainings by task and kind."""
    rows = ["| task | training | runs | right | said first |", "|---|---|---:|---:|---|"]
    for task in USUAL:
        for title, kinds in (("sick", SICK[task]), ("healthy", HEALTHY[task])):
            n_right = n_runs = 0
            for kind in kinds:
                runs = [line for line in lines if (line["task"], line["kind"]) == (task, kind.name)]
                right = sum(line["right"] for line in runs)
                said = ", ".join(dict.fromkeys(map(_said, runs)))
                if runs:
                    rows.append(f"| {task} | {kind.name} | {len(runs)} | {right} | {said} |")
                n_right, n_runs = n_right + right, n_runs + len(runs)
            if n_runs:
                rows.append(f"| **{task}** | **all {title}** | {n_runs} | {n_right} ({n_right / n_runs:.0%}) | |")
    return "\n".join(rows)


def _said(line: Line) -> str:
    """What was said first; of a training that was wronged on the way, that too."""
    on_the_way = [each for each in line.get("live", ()) if each not in (line["first"], *line["expected"])]
    wronged = f" (on the way {', '.join(on_the_way)})" if on_the_way and not line["right"] else ""
    return f"{line['first']}{wronged}"


def cells(tasks: Sequence[str], half: str, n_seeds: int, only: Sequence[str]) -> list[Cell]:
    """All that is asked for: of each seed all kinds, the longest first, so that no long one is left for the end."""
    found = []
    for seed in range(n_seeds):
        kinds = [(task, kind) for task in tasks for kind in kinds_of(task)]
        kinds.sort(key=lambda each: -expected_seconds(*each))
        wanted = [each for each in kinds if not only or any(part in each[1].name for part in only)]
        found += [Cell(task, kind.name, half, seed) for task, kind in wanted]
    return found


def _trained(wanted: Sequence[Cell], options: argparse.Namespace) -> Iterator[tuple[Line, Evidence | None]]:
    """Each training as it ends."""
    began = time.monotonic()

    def is_late() -> bool:
        return bool(options.stop_after) and time.monotonic() - began > options.stop_after

    if options.jobs == 1:
        for cell in wanted:
            if is_late():
                return
            yield run(cell, options.data, options.device)
        return
    # Fresh processes: a fork would share PyTorch's threads, and a CUDA device not at all.
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: set[Future[tuple[Line, Evidence | None]]] = set()
        waiting = list(reversed(wanted))
        while running or waiting:
            while waiting and len(running) < options.jobs and not is_late():
                running.add(pool.submit(run, waiting.pop(), options.data, options.device))
            if not running:
                return
            done = next(as_completed(running))
            running.remove(done)
            yield done.result()


def missing(wanted: Iterable[Cell], data: Path) -> list[str]:
    """The folders that these trainings need and that are not there."""
    needed = set()
    for kind in {cell.how.name: cell.how for cell in wanted}.values():
        if not kind.source.startswith("starter"):
            needed.add(data / "data" / FOLDERS[kind.source])
        if kind.model != "starter":
            needed.add(data / "models" / kind.model)
    return sorted(str(path) for path in needed if not path.is_dir())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with data/ and models/")
    parser.add_argument("--half", choices=HALVES, default="A")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tasks", nargs="+", choices=USUAL, default=list(USUAL))
    parser.add_argument("--only", action="append", default=[], help="a kind's name, or part of it")
    parser.add_argument("--skip", action="append", default=[], help="a kind's name, or part of it, that is left out")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, one thread each")
    parser.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu")
    parser.add_argument("--stop-after", type=float, default=0.0, help="begin no training after so many seconds")
    parser.add_argument("--plan", action="store_true", help="train nothing; print what there is to train")
    parser.add_argument("--again", action="store_true", help="train nothing; judge what is recorded by today's rules")
    parser.add_argument("--output", type=Path, default=Path("coach_matrix.jsonl"))
    return parser.parse_args()


def main() -> None:
    """Train what is not there yet, and print the table."""
    options = _options()
    wanted = cells(options.tasks, options.half, options.seeds, options.only)
    wanted = [cell for cell in wanted if not any(part in cell.kind for part in options.skip)]
    lines = [line for line in read(options.output) if cell_of(line) in set(wanted)]
    if options.again:
        print(table(judged_again(lines, options.output)))
        return
    known = set(map(cell_of, lines))
    wanted = [cell for cell in wanted if cell not in known]
    seconds = sum(expected_seconds(cell.task, cell.how) for cell in wanted)
    print(
        f"{len(wanted)} trainings, about {seconds:,.0f} s of one thread: "
        f"{seconds / options.jobs / 60:.1f} minutes with --jobs {options.jobs}",
        flush=True,
    )
    if options.plan:
        return
    if folders := missing(wanted, options.data):
        sys.exit(f"not there: {', '.join(folders)}")
    for name in ONE_THREAD:
        os.environ[name] = "1"
    for line, evidence in _trained(wanted, options):
        lines.append(line)
        append(options.output, line, evidence)
        print(json.dumps(line), flush=True)
    print(table(lines))


if __name__ == "__main__":
    main()
