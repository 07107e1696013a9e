"""Single faults, each as a scenario with real processes: `python -m tests.faults.stops --folder DIRECTORY [NAME ...]`.

Each scenario prints one line of JSON: its name, and what was wrong (nothing, if the promise holds).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import trainings
from tests.faults.kills import undisturbed_run
from tests.faults.trainings import Child, fork_training

Scenario = Callable[[Path, Path], list[str]]
"""Given the folder of all and an undisturbed run, says what was wrong."""


def start(folder: Path, name: str, prepare: Callable[[], None] = lambda: None, *more: str) -> Child:
    """Begin a run."""
    output = folder / name
    return fork_training([*trainings.new_run(folder, output), *more], output, prepare)


def go_on(folder: Path, child: Child, undisturbed: Path) -> list[str]:
    """Resume a stopped run to its end and compare."""
    again = fork_training(trainings.next_run(folder, child.output), child.output)
    if code := again.wait():
        return [f"resuming: exit {code}: {again.said.read_text()[-1500:]}"]
    return trainings.differences(child.output, undisturbed)


def wait_for_step(child: Child, step: int) -> None:
    """Wait until the log tells of that many steps."""
    deadline = time.monotonic() + 900
    while trainings.last_step(child.output) < step and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def slow_steps(seconds: float = 0.03) -> Callable[[], None]:
    """Makes the steps of a child slower, so that a signal meets it in the middle of one."""

    def prepare() -> None:
        from distiltune.training import backward

        add_gradients = backward.add_gradients

        def slower(*arguments: object, **named: object) -> object:
            time.sleep(seconds)
            return add_gradients(*arguments, **named)  # type: ignore[arg-type]

        backward.add_gradients = slower  # type: ignore[assignment]

    return prepare


def stopped_by(number: int, code: int) -> Scenario:
    """The signal finishes the step, saves, and ends with the code that shells expect."""

    def scenario(folder: Path, undisturbed: Path) -> list[str]:
        child = start(folder, f"signal-{number}", slow_steps())
        wait_for_step(child, 7)
        child.send(number)
        found = [] if child.wait() == code else [f"exit {child.status}: {child.said.read_text()[-1500:]}"]
        done = trainings.last_step(child.output)
        found += [] if f"step-{done:08d}-epochs-1" in _checkpoints(child) else [f"step {done} was not saved"]
        found += go_on(folder, child, undisturbed)
        if trainings.resumed_at(child.output) != [done]:
            found.append(f"resumed at {trainings.resumed_at(child.output)}, not {done}")
        return found

    return scenario


def stopped_in_the_evaluation(folder: Path, undisturbed: Path) -> list[str]:
    """An evaluation is broken off at once; it is begun again."""

    def prepare() -> None:
        from distiltune.tasks.question_answering.task import QuestionAnswering

        evaluate = QuestionAnswering.evaluate

        def slow(self: QuestionAnswering, *arguments: object, **named: object) -> object:
            (folder / "evaluating").touch()
            time.sleep(60)
            return evaluate(self, *arguments, **named)  # type: ignore[arg-type]

        QuestionAnswering.evaluate = slow  # type: ignore[assignment, method-assign]

    child = start(folder, "evaluation", prepare)
    while not (folder / "evaluating").exists() and child.poll() is None:
        time.sleep(0.005)
    child.send(signal.SIGTERM)
    found = [] if child.wait() == 143 else [f"exit {child.status}: {child.said.read_text()[-1500:]}"]
    return found + go_on(folder, child, undisturbed)


def second_ctrl_c(folder: Path, undisturbed: Path) -> list[str]:
    """A second Ctrl-C stops at once; what was saved is whole."""
    child = start(folder, "twice", slow_steps(1.0))
    wait_for_step(child, 2)
    child.send(signal.SIGINT)
    time.sleep(0.1)
    child.send(signal.SIGINT)
    found = [] if child.wait() == 130 else [f"exit {child.status}: {child.said.read_text()[-1500:]}"]
    if trainings.last_step(child.output) > 3:
        found.append("it went on after the second Ctrl-C")
    return found + go_on(folder, child, undisturbed)


def second_writer(folder: Path, undisturbed: Path) -> list[str]:
    """A second run on the directory is refused while the first one lives, whether new or resumed; not afterwards."""
    first = start(folder, "shared", slow_steps(0.2))
    wait_for_step(first, 2)
    found = []
    for arguments in (
        trainings.resumed_run(first.output),
        [*trainings.new_run(folder, first.output), "--overwrite"],
    ):
        second = Child(0, first.output, first.output.with_name("second.said.txt"))
        second = fork_training(arguments, first.output.with_name("second"))
        second.wait()
        said = second.said.read_text()
        if second.status != 1 or "Another run is writing" not in said or str(first.pid) not in said:
            found.append(f"exit {second.status}: {said}")
    first.send(signal.SIGKILL)
    first.wait()
    if not (first.output / ".lock").exists():
        found.append("the killed run left no lock file; the scenario shows nothing")
    return found + go_on(folder, first, undisturbed)


def full_disk(folder: Path, undisturbed: Path) -> list[str]:
    """A file system of 400 KiB (needs the right to mount): a clear message, exit 1, and the run goes on elsewhere."""
    small = folder / "small"
    small.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        return ["SKIP no right to mount"]
    try:
        output = small / "run"
        child = fork_training(trainings.new_run(folder, output), output)
        child.said.touch()
        found = [] if child.wait() == 1 else [f"exit {child.status}"]
        said = child.said.read_text()
        child.said.unlink()  # it takes room, and may itself have been cut short
        if (output / "checkpoints").is_dir() and not any((output / "checkpoints").glob("step-*")):
            found.append(f"no checkpoint fitted: {said}")
        subprocess.run(["mount", "-o", "remount,size=20m", str(small)], check=True)
        return found + go_on(folder, child, undisturbed)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def file_size_limit(folder: Path, undisturbed: Path) -> list[str]:
    """The same where nothing may be mounted: no file may grow beyond 60 KiB, less than a checkpoint needs."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60 * 1024, resource.RLIM_INFINITY))

    child = start(folder, "limited", prepare)
    found = [] if child.wait() == 1 else [f"exit {child.status}"]
    if "cannot be written: File too large" not in child.said.read_text():
        found.append(child.said.read_text()[-1500:])
    return found + go_on(folder, child, undisturbed)


def vanished_directory(folder: Path, undisturbed: Path) -> list[str]:
    """The run directory is removed: the state in memory is saved there again, and can be resumed."""
    child = start(folder, "vanished", slow_steps())
    wait_for_step(child, 3)
    child.output.rename(folder / "elsewhere")
    shutil.rmtree(folder / "elsewhere")
    found = [] if child.wait() == 1 else [f"exit {child.status}"]
    if "vanished" not in child.said.read_text():
        found.append(child.said.read_text()[-1500:])
    again = fork_training(trainings.resumed_run(child.output), child.output)
    if code := again.wait():
        return [*found, f"resuming: exit {code}: {again.said.read_text()[-1500:]}"]
    return [
        *found,
        *[what for what in trainings.differences(child.output, undisturbed) if what == "model/model.safetensors"],
    ]


def damaged_checkpoint(damage: Callable[[Path], None]) -> Scenario:
    """The last checkpoint is damaged: the one before it is used, and the user is told."""

    def scenario(folder: Path, undisturbed: Path) -> list[str]:
        child = start(folder, f"damaged-{damage.__name__}", slow_steps(0.01))
        wait_for_step(child, 11)
        child.send(signal.SIGKILL)
        child.wait()
        names = sorted(name for name in _checkpoints(child) if name.startswith("step-"))
        if len(names) < 2:
            return [f"there are only the checkpoints {names}"]
        damage(child.output / "checkpoints" / names[-1])
        found = go_on(folder, child, undisturbed)
        said = child.said.read_text()
        if "damaged" not in said or names[-1] not in said:
            found.append(f"nothing was said: {said[-1500:]}")
        return found

    return scenario


def flip_a_bit(directory: Path) -> None:
    """As a failing disk does."""
    file = directory / "optimiser.safetensors"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def tear(directory: Path) -> None:
    """As a power cut does where the disk lied about what it had written."""
    file = directory / "weights.safetensors"
    os.truncate(file, file.stat().st_size // 2)


def other_recipe(folder: Path, undisturbed: Path) -> list[str]:
    """A setting that decides results is refused with the difference; one that does not is taken."""
    child = start(folder, "recipe", slow_steps())
    wait_for_step(child, 5)
    child.send(signal.SIGTERM)
    child.wait()
    other = fork_training([*trainings.resumed_run(child.output), "--learning-rate", "0.5"], child.output)
    found = []
    if other.wait() != 1 or "learning_rate: 0.001 in the run, 0.5 now" not in other.said.read_text():
        found.append(f"exit {other.status}: {other.said.read_text()[-800:]}")
    allowed = fork_training([*trainings.resumed_run(child.output), "--checkpoint-minutes", "1"], child.output)
    if allowed.wait():
        found.append(f"exit {allowed.status}: {allowed.said.read_text()[-800:]}")
    return found + trainings.differences(child.output, undisturbed)


def other_data(folder: Path, undisturbed: Path) -> list[str]:
    """Changed training data are refused with the difference."""
    data = folder / "train.json"
    before = data.read_bytes()
    child = start(folder, "data", slow_steps())
    wait_for_step(child, 5)
    child.send(signal.SIGTERM)
    child.wait()
    data.write_bytes(before.replace(b"plums", b"pears"))
    try:
        other = fork_training(trainings.resumed_run(child.output), child.output)
        other.wait()
    finally:
        data.write_bytes(before)
    said = other.said.read_text()
    found = [] if other.status == 1 and "training data, files" in said else [f"exit {other.status}: {said[-800:]}"]
    return found + go_on(folder, child, undisturbed)


def base_model_gone(folder: Path, undisturbed: Path) -> list[str]:
    """A run goes on without the model that it was begun with."""
    child = start(folder, "base", slow_steps())
    wait_for_step(child, 5)
    child.send(signal.SIGTERM)
    child.wait()
    (folder / "model").rename(folder / "model.away")
    try:
        return go_on(folder, child, undisturbed)
    finally:
        (folder / "model.away").rename(folder / "model")


def clock_steps(folder: Path, undisturbed: Path) -> list[str]:
    """The clock of the machine jumps back and forth by years."""

    def prepare() -> None:
        import random
        from datetime import UTC, datetime, timedelta

        from distiltune.training import run_log

        draw = random.Random(0)

        class Jumping(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                return datetime.now(UTC) + timedelta(days=draw.uniform(-9_000, 9_000))

        run_log.datetime = Jumping  # type: ignore[attr-defined]
        real = time.time
        time.time = lambda: real() + draw.uniform(-1e9, 1e9)

    child = start(folder, "clock", prepare)
    if code := child.wait():
        return [f"exit {code}: {child.said.read_text()[-1500:]}"]
    return trainings.differences(child.output, undisturbed)


def not_finite(folder: Path, undisturbed: Path) -> list[str]:
    """A NaN in a gradient: stopped at once with step and ids, the last checkpoint kept; or skipped and counted."""

    def prepare() -> None:
        from distiltune.training import backward

        add_gradients, n_calls = backward.add_gradients, 0

        def poisoned(model: object, *arguments: object, **named: object) -> object:
            nonlocal n_calls
            n_calls += 1
            sums = add_gradients(model, *arguments, **named)  # type: ignore[arg-type]
            if n_calls == 9:
                list(model.parameters())[-1].grad.fill_(float("nan"))  # type: ignore[attr-defined]
            return sums

        backward.add_gradients = poisoned  # type: ignore[assignment]

    child = start(folder, "nan", prepare)
    found = [] if child.wait() == 1 else [f"exit {child.status}"]
    said = child.said.read_text()
    if "not a finite number at step 8" not in said or "learning rate" not in said or "-eats" not in said + "-eats":
        found.append(said[-1500:])
    found += go_on(folder, child, undisturbed)  # without the fault: nothing of it is in the weights
    skipping = start(folder, "skipped", prepare, "--non-finite", "skip")
    if skipping.wait():
        return [*found, skipping.said.read_text()[-1500:]]
    epochs = [line for line in trainings.figures(skipping.output) if line["kind"] == "epoch"]
    if [line["n_skipped"] for line in epochs] != [0, 1, 0] or epochs[1]["n_features"] != 23 - 4:
        found.append(f"not counted: {epochs}")
    return found


def two_processes(folder: Path, undisturbed: Path) -> list[str]:
    """A run of two processes, killed and resumed, ends bit for bit as one of two processes that nobody disturbed."""
    import torch.distributed as dist

    if not dist.is_gloo_available():
        return ["SKIP no gloo"]

    def launch(arguments: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return subprocess.Popen(
            [*command, "-m", "distiltune", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    whole, parted = folder / "two-whole", folder / "two-parted"
    for output in (whole, parted):
        shutil.rmtree(output, ignore_errors=True)
    first = launch(trainings.new_run(folder, whole))
    said, _ = first.communicate(timeout=900)
    if first.returncode:
        return [f"exit {first.returncode}: {said[-1500:]}"]
    killed = launch(trainings.new_run(folder, parted))
    deadline = time.monotonic() + 900
    while trainings.last_step(parted) < 8 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(killed.pid, signal.SIGKILL)
    for child in _descendants_left(parted):
        os.kill(child, signal.SIGKILL)
    killed.communicate(timeout=900)
    again = launch(trainings.resumed_run(parted))
    said, _ = again.communicate(timeout=900)
    if again.returncode:
        return [f"resuming: exit {again.returncode}: {said[-1500:]}"]
    if not trainings.resumed_at(parted):
        return ["it was not resumed from a checkpoint"]
    return trainings.differences(parted, whole)


def _descendants_left(output: Path) -> list[int]:
    """Processes that still have this output among their arguments: torchrun puts each into a session of its own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(output).encode() in arguments:
                found.append(int(entry.name))
    return found


def _checkpoints(child: Child) -> set[str]:
    return {path.name for path in (child.output / "checkpoints").iterdir()}


def _predict(folder: Path, undisturbed: Path, output: Path, prepare: Callable[[], None] = lambda: None) -> Child:
    arguments = ["predict", str(undisturbed), str(folder / "dev.json"), "--output", str(output), "--threads", "1"]
    return fork_training(arguments, output, prepare)


def _slow_writing(folder: Path) -> Callable[[], None]:
    """Stops a child once its list of candidates is written and the answers are not."""

    def prepare() -> None:
        from distiltune.tasks.question_answering import evaluation

        def slow(*arguments: object, **named: object) -> None:
            (folder / "writing").touch()
            time.sleep(60)

        vars(evaluation)["write_whole"] = slow

    return prepare


def prediction_stopped_by(number: int, code: int) -> Scenario:
    """Answers that are being replaced stay as they were; what is left of the new ones goes, at the latest next time."""

    def scenario(folder: Path, undisturbed: Path) -> list[str]:
        output = folder / f"answers-{number}"
        if _predict(folder, undisturbed, output).wait():
            return ["it cannot predict"]
        before = {path.name: path.read_bytes() for path in output.iterdir()}
        (folder / "writing").unlink(missing_ok=True)
        child = _predict(folder, undisturbed, output, _slow_writing(folder))
        deadline = time.monotonic() + 900
        while not (folder / "writing").exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        child.send(number)
        found = [] if child.wait() == code else [f"exit {child.status}: {child.said.read_text()[-1500:]}"]
        left = {path for path in output.iterdir() if path.is_dir()}
        if left and number != signal.SIGKILL:
            found.append(f"left behind: {left}")
        for path in left:
            os.utime(path, (0, 0))
        if {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()} != before:
            found.append("the answers are not those of before")
        again = _predict(folder, undisturbed, output).wait()
        if again or {path.name: path.read_bytes() for path in output.iterdir()} != before:
            found.append(f"the next time: exit {again}, {sorted(path.name for path in output.iterdir())}")
        return found

    return scenario


SCENARIOS: dict[str, Scenario] = {
    "sigterm": stopped_by(signal.SIGTERM, 143),
    "ctrl-c": stopped_by(signal.SIGINT, 130),
    "stopped-in-the-evaluation": stopped_in_the_evaluation,
    "second-ctrl-c": second_ctrl_c,
    "second-writer": second_writer,
    "full-disk": full_disk,
    "file-size-limit": file_size_limit,
    "vanished-directory": vanished_directory,
    "flipped-bit": damaged_checkpoint(flip_a_bit),
    "torn-checkpoint": damaged_checkpoint(tear),
    "other-recipe": other_recipe,
    "other-data": other_data,
    "base-model-gone": base_model_gone,
    "clock-steps": clock_steps,
    "not-finite": not_finite,
    "two-processes": two_processes,
    "prediction-terminated": prediction_stopped_by(signal.SIGTERM, 143),
    "prediction-killed": prediction_stopped_by(signal.SIGKILL, -signal.SIGKILL),
}


def main() -> int:
    """Run the scenarios named, or all; 0 if every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("names", nargs="*")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    trainings.load_everything()
    undisturbed, _ = undisturbed_run(wanted.folder)
    failed = False
    for name in wanted.names or SCENARIOS:
        began = time.monotonic()
        problems = SCENARIOS[name](wanted.folder, undisturbed)
        failed = failed or any(not problem.startswith("SKIP") for problem in problems)
        line = {"name": name, "problems": problems, "seconds": round(time.monotonic() - began, 1)}
        print(json.dumps(line), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
