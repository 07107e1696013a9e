"""Kill -9 at random moments: `python -m tests.faults.kills --seeds 200 --folder DIRECTORY`.

Each seed is one short run that is killed and resumed, at times several times, until it ends; it must then be bit for
bit what the undisturbed run is, and no kill may have cost more steps than the interval of checkpoints. A third of the
seeds are killed while a checkpoint is being written, a third at a random step, a third at a random moment of all.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.faults import trainings
from tests.faults.trainings import CHECKPOINT_STEPS, N_STEPS, Child


def undisturbed_run(folder: Path) -> tuple[Path, float]:
    """The run to compare with, and how long it took."""
    output = folder / "undisturbed"
    if not (folder / "model").is_dir():
        trainings.write_sources(folder)
    for _ in range(2):  # the first one fills the cache of features
        shutil.rmtree(output, ignore_errors=True)
        began = time.monotonic()
        code = trainings.fork_training(trainings.new_run(folder, output), output).wait()
        assert code == 0, (output.parent / "undisturbed.said.txt").read_text()
    return output, time.monotonic() - began


def kill_at_random(child: Child, draw: random.Random, seconds: float) -> None:
    """Let it run for a part of the time that a whole run takes."""
    deadline = time.monotonic() + draw.uniform(0.0, seconds)
    while time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.001)
    child.send(signal.SIGKILL)


def kill_at_a_step(child: Child, draw: random.Random, seconds: float) -> None:
    """Wait for a random step, and a little longer."""
    step = draw.randrange(N_STEPS)
    deadline = time.monotonic() + 3 * seconds
    while trainings.last_step(child.output) < step and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    time.sleep(draw.uniform(0.0, 0.02))
    child.send(signal.SIGKILL)


def kill_while_writing(child: Child, draw: random.Random, seconds: float) -> None:
    """Wait for a random one of the checkpoints to be under way."""
    n_awaited = draw.randrange(8)
    folder = child.output / "checkpoints"
    deadline = time.monotonic() + 3 * seconds
    seen: set[str] = set()
    while time.monotonic() < deadline and child.poll() is None:
        try:
            writing = {path.name for path in folder.iterdir() if path.name.endswith(".new")}
        except OSError:
            writing = set()
        seen |= writing
        if len(seen) > n_awaited and writing:
            time.sleep(draw.uniform(0.0, 0.005))
            break
        time.sleep(0.0003)
    child.send(signal.SIGKILL)


def one_seed(seed: int, folder: Path, undisturbed: Path, seconds: float) -> dict[str, object]:
    """Kill and resume until the run ends; what came of it."""
    draw = random.Random(seed)
    output = folder / f"seed-{seed}"
    kill = (kill_while_writing, kill_at_a_step, kill_at_random)[seed % 3]
    n_kills = n_in_writing = most_lost = 0
    n_planned = draw.choice((1, 1, 2, 3))
    problems: list[str] = []
    while True:
        child = trainings.fork_training(trainings.next_run(folder, output), output)
        if n_kills < n_planned:
            kill(child, draw, seconds)
        code = child.wait()
        if code == 0:
            break
        if code != -signal.SIGKILL:
            problems.append(f"exit {code}: {child.said.read_text()[-2000:]}")
            break
        n_kills += 1
        n_in_writing += any((output / "checkpoints").glob(".*.new"))
        done = trainings.last_step(output)
        probe = _resume_place(output)
        most_lost = max(most_lost, done - probe)
    if not problems:
        problems = trainings.differences(output, undisturbed)
    if most_lost > CHECKPOINT_STEPS:
        problems.append(f"{most_lost} steps were lost")
    if not problems:
        shutil.rmtree(output)
        output.with_name(f"{output.name}.said.txt").unlink()
    return {
        "seed": seed,
        "kills": n_kills,
        "kills_in_writing": n_in_writing,
        "most_lost": most_lost,
        "problems": problems,
    }


def _resume_place(output: Path) -> int:
    """The step at which resuming would go on."""
    from distiltune.runs.directory import RunDirectory
    from distiltune.runs.resume import find_resumable

    run = RunDirectory(output)
    if not run.recipe.is_file():
        return 0
    found = find_resumable(run)
    return found.position.steps_done if found is not None else 0


def main() -> int:
    """Run all seeds; 0 if every run came through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    trainings.load_everything()
    undisturbed, seconds = undisturbed_run(wanted.folder)
    totals = {"runs": 0, "kills": 0, "kills_in_writing": 0, "most_lost": 0, "failed": 0}
    for seed in range(wanted.first, wanted.first + wanted.seeds):
        result = one_seed(seed, wanted.folder, undisturbed, seconds)
        totals["runs"] += 1
        totals["kills"] += int(str(result["kills"]))
        totals["kills_in_writing"] += int(str(result["kills_in_writing"]))
        totals["most_lost"] = max(totals["most_lost"], int(str(result["most_lost"])))
        totals["failed"] += bool(result["problems"])
        print(json.dumps(result), flush=True)
    print(json.dumps({**totals, "interval": CHECKPOINT_STEPS, "seconds_of_a_run": round(seconds, 2)}), flush=True)
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
