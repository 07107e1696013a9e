"""Short trainings as real processes, to be killed, starved and compared with one that nobody disturbed.

A process that has PyTorch loaded forks one child a training, so that each is a real process and begins at once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.helpers import TINY, people, write_squad, write_tiny_model

SETTINGS = (
    *("--epochs", "3", "--batch-size", "4", "--max-length", "64", "--stride", "16", "--learning-rate", "1e-3"),
    *("--threads", "1", "--log-every", "1", "--checkpoint-steps", "4"),
)
CHECKPOINT_STEPS = 4
N_STEPS = 18
_TIMES = ("time", "tokens_per_second", "train_seconds", "validation_seconds", "seconds")


def write_sources(folder: Path) -> None:
    """A tiny model with dropout, training and validation data."""
    known = people()
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), dropout=0.1, attention_dropout=0.1)
    write_tiny_model(folder / "model", known.tokenizer, shape)
    write_squad(folder / "train.json", known.examples[:23])
    write_squad(folder / "dev.json", known.examples[23:])


def new_run(folder: Path, output: Path) -> list[str]:
    """The command's arguments for a new run."""
    data = ["--train", str(folder / "train.json"), "--validation", str(folder / "dev.json")]
    return ["train", *data, "--model", str(folder / "model"), "--output", str(output), *SETTINGS]


def resumed_run(output: Path) -> list[str]:
    """The command's arguments to go on; where there is nothing yet, a user would begin again: see `next_run`."""
    return ["train", "--resume", str(output)]


def next_run(folder: Path, output: Path) -> list[str]:
    """What a user does after a stop: resume, or begin where the run was not even begun."""
    return resumed_run(output) if (output / "recipe.toml").is_file() else new_run(folder, output)


def load_everything() -> None:
    """Import all that a training imports, so that forked children need not."""
    import matplotlib
    import torch

    matplotlib.use("Agg")
    torch.set_num_threads(1)

    from distiltune.report import console, curves, page  # noqa: F401
    from distiltune.runs import fine_tune, resume  # noqa: F401


@dataclass(slots=True)
class Child:
    """A training under way."""

    pid: int
    output: Path
    said: Path
    status: int | None = None

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit code once it has ended: negative if a signal ended it."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def wait(self, timeout_s: float = 1_200.0) -> int:
        """Wait for its end; a child that takes longer is a failure."""
        deadline = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"the training hangs: {self.said.read_text()}")
            time.sleep(0.002)
        return code


def fork_training(arguments: list[str], output: Path, prepare: Callable[[], None] = lambda: None) -> Child:
    """Run the command in a forked child; ``prepare`` is called in it first. What it says goes into a file."""
    said = output.with_name(f"{output.name}.said.txt")
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Child(pid, output, said)
    code = 99
    try:
        descriptor = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.argv = ["distiltune", *arguments]
        prepare()
        from distiltune.cli import main

        main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def last_step(output: Path) -> int:
    """How many steps a run's log tells of."""
    try:
        lines = (output / "log.jsonl").read_bytes().splitlines()
    except OSError:
        return 0
    steps = [int(match[1]) for line in lines if (match := re.search(rb'"kind": "step".*"step": (\d+)', line))]
    return max(steps) + 1 if steps else 0


def figures(output: Path) -> list[dict[str, Any]]:
    """The log's lines on steps, epochs and evaluations without what is a time."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if line["kind"] in ("step", "epoch", "evaluation")]
    return [{name: value for name, value in line.items() if name not in _TIMES} for line in told]


def resumed_at(output: Path) -> list[int]:
    """The steps at which a run was resumed, by its log."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [int(line["step"]) for line in lines if line.get("event") == "resumed"]


def differences(output: Path, undisturbed: Path) -> list[str]:
    """In what a finished run differs from one that nobody disturbed; nothing is what is promised."""
    found = []
    for name in (
        "model/model.safetensors",
        "model/config.json",
        "model/tokenizer.json",
        "predictions.json",
        "nbest.jsonl",
    ):
        if (output / name).read_bytes() != (undisturbed / name).read_bytes():
            found.append(name)
    if figures(output) != figures(undisturbed):
        found.append("log.jsonl")
    # A lock whose removal failed at the very end says nothing: nobody holds it.
    names = [{path.name for path in each.iterdir()} - {".lock"} for each in (output, undisturbed)]
    if names[0] != names[1]:
        found.append(f"files: {names[0] ^ names[1]}")
    checkpoints = [{path.name for path in (each / "checkpoints").iterdir()} for each in (output, undisturbed)]
    if checkpoints[0] != checkpoints[1]:
        found.append(f"checkpoints: {checkpoints[0] ^ checkpoints[1]}")
    return found
