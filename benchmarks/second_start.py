"""A second start: from the command of a distillation to its first step, everything that can be kept being kept.

    python -m benchmarks.second_start --teacher TEACHER --train train.json.gz --validation dev.json.gz

One run fills a cache of its own; then the same command is given again as often as --rounds says, and each time the
seconds are printed until the log has its first line `start` (features and teacher's answers are there) and its first
line `step`. The teacher is a model with a trained head, such as a run. Other flags are those of `distill`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = ("start", "step")
SECONDS_BETWEEN_LOOKS = 0.02


def seconds_until(command: list[str], log: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run a training until its log has a line of each kind; → seconds until each, from the command on."""
    began = time.perf_counter()
    seen: dict[str, float] = {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while len(seen) < len(KINDS):
                if process.poll() is not None:
                    raise SystemExit(f"it ended before its first step, with {process.returncode}")
                time.sleep(SECONDS_BETWEEN_LOOKS)
                lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
                for kind in {json.loads(line)["kind"] for line in lines if line.endswith("}")} & set(KINDS) - set(seen):
                    seen[kind] = time.perf_counter() - began
        finally:
            process.kill()
    return seen


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--teacher", "--train", "--validation"):
        parser.add_argument(name, required=True)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=4)
    options, settings = parser.parse_known_args(arguments)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DISTILTUNE_CACHE": str(Path(folder) / "cache")}
        for number in range(options.rounds + 1):
            output = Path(folder) / str(number)
            command = [sys.executable, "-m", "distiltune", "distill", "--log-every", "1", "--output", str(output)]
            for name in ("teacher", "model", "train", "validation"):
                command += [f"--{name}", getattr(options, name)]
            command += ["--train-questions", str(options.questions), *settings]
            rounds.append(seconds_until(command, output / "log.jsonl", environment))
            shown = ", ".join(f"{kind} {rounds[-1][kind]:.2f} s" for kind in KINDS)
            print(f"{'first' if number == 0 else 'again'}: {shown}", flush=True)
    for kind in KINDS:
        print(f"again, median: {kind} {statistics.median(each[kind] for each in rounds[1:]):.2f} s")


if __name__ == "__main__":
    main()
