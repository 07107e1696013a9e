"""Play the matrix: train every kind of training that is not in the file yet, and print what the coach said of each.

    python -m benchmarks.coach_matrix --data ../shared --half A --seeds 1 --output coach.jsonl
    python -m benchmarks.coach_matrix --data ../shared --half B --seeds 3 --output coach.jsonl

The first line of a file says which half of the texts makes the rules and which judges them, before anything is trained.
A sick training counts as told if the first advice above a note names what was done to it; a healthy one as accused if
there is any. Each is one line, appended as it ends: a matrix that was stopped goes on where it was. What the coach went
by lies beside it, so that --again judges the same trainings by today's rules without training anything.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.coach_matrix.kinds import HEALTHY, SICK, USUAL, Kind, kinds_of
from benchmarks.coach_matrix.rows import HALVES, Row, rows_of
from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence
from distiltune.recipe.auto import fitting_rate
from distiltune.recipe.recipe import Recipe
from distiltune.runs import fine_tune as fine_tuning
from distiltune.runs import results

Line = dict[str, Any]
CHOSEN = ("epochs", "warmup_share", "max_gradient_norm")
"""What the recipe `auto` chooses, with the rate."""
DIVERGED = "is not a finite number"
COMMANDS: dict[str, Any] = {
    "find_lr": "distiltune find-lr --recipe RUN/recipe.toml",
    "check": "distiltune check TRAIN --recipe RUN/recipe.toml",
    "again": "distiltune train --recipe RUN/recipe.toml --output RUN-2",
}
"""As a run in a directory of that name has them."""


def draw(kind: Kind, data: Path, half: str, seed: int) -> tuple[list[Row], list[Row]]:
    """The rows of one training, spoilt as its kind has it."""
    train, validation = rows_of(kind.source, data, half)
    rng = random.Random(_drawn_by(half, seed))
    if kind.n_train:
        train = rng.sample(train, min(kind.n_train, len(train)))
    if kind.n_validation:
        validation = rng.sample(validation, min(kind.n_validation, len(validation)))
    return kind.change((train, validation), rng)


def _drawn_by(half: str, seed: int) -> int:
    """Other numbers for the other half, whose rows are the same where these are too few to be parted."""
    return seed + 1_000 * list(HALVES).index(half)


def run(task: str, kind: Kind, shared: Path, half: str, seed: int) -> tuple[Line, Evidence | None]:
    """One training; what the coach says about it, and what it goes by."""
    began = time.perf_counter()
    known: list[Evidence] = []
    prepare, sum_up = fine_tuning.prepare, results.sum_up_run  # type: ignore[attr-defined]

    def prepared(*arguments: Any, **more: Any) -> Any:
        ready = prepare(*arguments, **more)
        if kind.still:
            getattr(ready.loaded.model, kind.still).requires_grad_(False)
        if kind.rate is None:
            return ready
        n_steps = ready.recipe.epochs * ready.steps_per_epoch
        fitting = fitting_rate(ready.task.name, ready.loaded.source.config.hidden_size, n_steps)
        return replace(ready, recipe=ready.recipe.with_changes(learning_rate=min(1.0, kind.rate * fitting)))

    def kept(*arguments: Any) -> Any:
        findings = sum_up(*arguments)
        known.append(arguments[3].evidence)
        return findings

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, rows in zip(("train", "validation"), draw(kind, shared / "data", half, seed), strict=True):
            files.append(Path(folder) / f"{name}.jsonl")
            files[-1].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        settings = {
            "seed": _drawn_by(half, seed),
            "threads": 1,
            "log_every": 2,
            "max_rejected_share": 0.3,
            **kind.settings,
            "model": kind.model if kind.model == "starter" else str(shared / "models" / kind.model),
            "train": (str(files[0]),),
            "validation": (str(files[1]),),
        }
        if kind.rate is None:
            settings = {name: value for name, value in settings.items() if name not in CHOSEN}
        fine_tuning.prepare, results.sum_up_run = prepared, kept  # type: ignore[attr-defined, assignment]
        error = ""
        try:
            fine_tuning.fine_tune(Recipe.build(settings), output=Path(folder) / "run")
        except Exception as raised:  # a training that stops with an error is told by that
            error = f"{type(raised).__name__}: {raised}"
        finally:
            fine_tuning.prepare, results.sum_up_run = prepare, sum_up  # type: ignore[attr-defined]
    line = {**_asked(task, kind, half, seed), "seconds": round(time.perf_counter() - began, 1)}
    if not known:
        is_right = DIVERGED in error and "learning_rate_too_high" in kind.expected
        return {**line, "first": error.splitlines()[0], "right": is_right}, None
    facts = replace(known[-1].facts, **{name: COMMANDS[name] for name in COMMANDS})
    evidence = replace(known[-1], facts=facts)
    return {**line, **judge(kind, evidence)}, evidence


def _asked(task: str, kind: Kind, half: str, seed: int) -> Line:
    return {"task": task, "kind": kind.name, "half": half, "seed": seed, "expected": list(kind.expected)}


def judge(kind: Kind, evidence: Evidence) -> Line:
    """What the coach says about a training, and whether that is right."""
    found = advise(evidence)
    severe = [advice for advice in found if advice.severity != "note"]
    first = severe[0].sickness if severe else "none"
    return {
        "first": first,
        "right": first in kind.expected if kind.expected else first == "none",
        "all": [f"{advice.severity} {advice.sickness}" for advice in found],
        "evidence": severe[0].evidence if severe else "",
        "command": severe[0].command if severe else "",
        "blind_loss": round(evidence.facts.blind_loss, 4),
        "train_losses": [round(epoch.train["loss"], 4) for epoch in evidence.epochs],
        "validation_losses": [round(epoch.validation["loss"], 4) for epoch in evidence.epochs],
        "scores": {
            blind.metric: [round(epoch.validation.get(blind.metric, 0.0), 4) for epoch in evidence.epochs]
            for blind in evidence.facts.blind_scores
        },
    }


def _key(line: Line) -> tuple[str, str, str, int]:
    return line["task"], line["kind"], line["half"], line["seed"]


def _pickle(output: Path, line: Line) -> Path:
    name = "-".join(map(str, _key(line))).replace(" ", "_")
    return output.with_suffix(".evidence") / f"{name}.pickle"


def again(line: Line, output: Path) -> Line:
    """A training judged by today's rules, from what was recorded of it."""
    kind = next((each for each in kinds_of(line["task"]) if each.name == line["kind"]), None)
    path = _pickle(output, line)
    if kind is None or not path.is_file():
        return line
    return {**line, "expected": list(kind.expected), **judge(kind, pickle.loads(path.read_bytes()))}


def table(lines: Sequence[Line]) -> str:
    """The trainings by task and kind."""
    rows = ["| task | training | runs | right | said first |", "|---|---|---:|---:|---|"]
    for task in USUAL:
        for title, kinds in (("sick", SICK[task]), ("healthy", HEALTHY[task])):
            n_right = n_runs = 0
            for kind in kinds:
                runs = [line for line in lines if (line["task"], line["kind"]) == (task, kind.name)]
                right = sum(line["right"] for line in runs)
                said = ", ".join(dict.fromkeys(line["first"] for line in runs))
                if runs:
                    rows.append(f"| {task} | {kind.name} | {len(runs)} | {right} | {said} |")
                n_right, n_runs = n_right + right, n_runs + len(runs)
            if n_runs:
                rows.append(f"| **{task}** | **all {title}** | {n_runs} | {n_right} ({n_right / n_runs:.0%}) | |")
    return "\n".join(rows)


def _read(output: Path) -> list[Line]:
    """The file's trainings; a new file is begun with which half is for what."""
    if not output.is_file():
        output.write_text(json.dumps({"halves": HALVES, "parted by": "CRC-32 of the text, modulo 2"}) + "\n", "utf-8")
    return [line for line in map(json.loads, output.read_text("utf-8").splitlines()) if "halves" not in line]


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with data/ and models/")
    parser.add_argument("--half", choices=HALVES, default="A")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tasks", nargs="+", choices=USUAL, default=list(USUAL))
    parser.add_argument("--only", action="append", default=[], help="a kind's name, or part of it")
    parser.add_argument("--again", action="store_true", help="train nothing; judge what is recorded by today's rules")
    parser.add_argument("--output", type=Path, default=Path("coach_matrix.jsonl"))
    options = parser.parse_args()
    lines = [line for line in _read(options.output) if line["half"] == options.half]
    if options.again:
        print(table([again(line, options.output) for line in lines if line["task"] in options.tasks]))
        return
    known = {_key(line) for line in lines}
    for seed in range(options.seeds):
        for task in options.tasks:
            for kind in kinds_of(task):
                wanted = not options.only or any(part in kind.name for part in options.only)
                if not wanted or _key(_asked(task, kind, options.half, seed)) in known:
                    continue
                line, evidence = run(task, kind, options.data, options.half, seed)
                lines.append(line)
                path = _pickle(options.output, line)
                path.parent.mkdir(parents=True, exist_ok=True)
                if evidence is not None:
                    path.write_bytes(pickle.dumps(evidence))
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(json.dumps(line), flush=True)
    print(table(lines))


if __name__ == "__main__":
    main()
