"""The referee: `python -m benchmarks.gpu [--shared ../shared] [--output FILE] [--only STAGE ...] [--rehearse]`.

Every stage is a process with a time of its own, and what it finds is written as it is found: a stage that hangs or
breaks down costs its own figures and no others. Only wrong numbers end the run: times of them would mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Final

import torch

from benchmarks.gpu import ceiling, correct, infer, ours, prepare, profile, trainer
from benchmarks.gpu.work import EPOCHS, RESULT, Say, Work, say_line
from distiltune.system.device import describe_machine

RESULTS: Final = Path("benchmarks/results/gpu.json")
PACKAGES: Final = ("distiltune", "torch", "triton", "numpy", "transformers", "accelerate", "tokenizers")
ALL_SECONDS: Final = 415.0
"""For everything; a stage that no time is left for is left out, and the results say so."""

COMMAND: Final = (sys.executable, "-m", "benchmarks.gpu")
LEAST_SECONDS: Final = 12.0
"""Less than this is not worth starting a process."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the run and the most seconds it may take."""

    work: Callable[[Work, Say], None]
    seconds: float


STAGES: Final[Mapping[str, Stage]] = {
    "features": Stage(prepare.prepare, 60),
    "correct": Stage(correct.correctness, 90),
    "ceiling": Stage(ceiling.ceilings, 30),
    "training": Stage(ours.stretches, 90),
    "profile": Stage(profile.profile, 45),
    "whole": Stage(ours.whole, 170),
    "trainer": Stage(trainer.stretches, 90),
    "inference": Stage(infer.inference, 60),
    "compiled": Stage(trainer.compiled, 60),
    "whole, small": Stage(ours.whole_small, 100),
}
"""In the order of what matters most."""

NEEDED: Final = ("features", "correct")
"""Without these nothing is timed."""


class Results:
    """All that was found, on disk after every line."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path = path
        self.found: dict[str, Any] = {
            "machine": describe_machine(device).as_json(),
            "versions": {name: _version(name) for name in PACKAGES},
            "cuda": torch.version.cuda,
            "python": platform.python_version(),
            "stages": {},
        }
        self._write()

    def begin(self, stage: str) -> None:
        """Open a stage."""
        self.found["stages"][stage] = {"results": []}

    def add(self, stage: str, result: Mapping[str, Any]) -> None:
        """Keep one of its results."""
        self.found["stages"][stage]["results"].append(result)
        self._write()

    def end(self, stage: str, outcome: str, seconds: float) -> None:
        """Close it."""
        self.found["stages"].setdefault(stage, {"results": []}).update(outcome=outcome, seconds=round(seconds, 1))
        self._write()

    def of(self, stage: str) -> list[dict[str, Any]]:
        """What a stage found."""
        results: list[dict[str, Any]] = self.found["stages"].get(stage, {}).get("results", [])
        return results

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".part")
        beside.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        beside.replace(self._path)


def referee(
    names: Sequence[str], results: Results, options: Sequence[str], all_seconds: float, *, even_if_wrong: bool
) -> bool:
    """Run the stages; returns whether what they all need was there and right."""
    right = True
    began = time.monotonic()
    for name in names:
        left = all_seconds - (time.monotonic() - began)
        if left < LEAST_SECONDS:
            print(f"{name}: left out, no time was left", flush=True)
            results.end(name, "left out: no time was left", 0.0)
            continue
        print(f"{name}:", flush=True)
        results.begin(name)
        started = time.monotonic()
        outcome = run_stage(name, [*options, "--stage", name], min(STAGES[name].seconds, left), results)
        took = time.monotonic() - started
        results.end(name, outcome, took)
        print(f"  {outcome}, {took:.1f} s", flush=True)
        if outcome != "done" and name in NEEDED:
            print(f"\nWRONG: {name} is needed for all that follows. {outcome}", flush=True)
            right = False
            if not even_if_wrong:
                break
    return right


def run_stage(name: str, options: Sequence[str], seconds: float, results: Results) -> str:
    """Run a stage in a process of its own; returns how it ended."""
    command = [*COMMAND, *options]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as complaints:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True
        )
        try:
            for result in _results_of(process, time.monotonic() + seconds):
                results.add(name, result)
                print(f"  {shown(result)}", flush=True)
        except TimeoutError:
            return f"stopped after {seconds:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        if status == 0:
            return "done"
        complaints.seek(0)
        lines = [line.strip() for line in complaints if line.strip()]
        print("  " + "\n  ".join(lines[-12:]), flush=True)
        return f"failed: {lines[-1] if lines else f'exit status {status}'}"


def _results_of(process: subprocess.Popen[str], deadline: float) -> Iterator[dict[str, Any]]:
    """A process's results as they come; TimeoutError at the deadline."""
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if line is None:
            break
        if line.startswith(RESULT):
            yield json.loads(line.removeprefix(RESULT))
    try:
        process.wait(timeout=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None


def _read(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def shown(result: Mapping[str, Any]) -> str:
    """A result in one line: what is long is left to the file."""
    parts = []
    for name, value in result.items():
        if name in ("stretches", "seconds") and isinstance(value, list):
            continue
        parts.append(f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)


def table(results: Results) -> str:
    """Training and inference in two tables, best figures of the machine above."""
    best = {
        (each["precision"], name): rate
        for each in results.of("ceiling")
        if "tflops" in each
        for name, rate in each["tflops"].items()
    }
    lines = [f"{results.found['machine']['device']}, PyTorch {results.found['versions']['torch']}", ""]
    lines += [f"products, {precision}, {name}: {rate:,.0f} TFLOP/s" for (precision, name), rate in best.items()]
    lines += [
        "",
        "| training | model | tokens/s | features/s | steps/s | TFLOP/s | of bfloat16 products "
        f"| SQuAD x {EPOCHS} extrapolated |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in [*results.of("training"), *results.of("trainer"), *results.of("compiled")]:
        ceiling_here = best.get(("bfloat16", each["model"]))
        share = f"{each['tflops'] / ceiling_here:.0%}" if ceiling_here else "?"
        lines.append(
            f"| {each['contestant']} | {each['model']} | {each['tokens_per_second']:,.0f} "
            f"| {each['features_per_second']:,.0f} | {each['steps_per_second']:.1f} | {each['tflops']:.1f} | {share} "
            f"| {each['extrapolated_squad_seconds']:,.0f} s |"
        )
    for each in [*results.of("whole"), *results.of("whole, small")]:
        if "whole" in each:
            lines.append(
                f"| {each['whole']}, for real | {each['model']} | {each['tokens_per_second']:,.0f} "
                f"| | {each['steps'] / each['seconds']:.1f} | | | {each['seconds']:,.1f} s, not extrapolated |"
            )
    lines += ["", "| inference | model | features/s | tokens/s |", "|---|---|---:|---:|"]
    lines += [
        f"| {each['contestant']} | {each['model']} | {each['features_per_second']:,.0f} "
        f"| {each['tokens_per_second']:,.0f} |"
        for each in results.of("inference")
        if "contestant" in each
    ]
    lines += [
        f"{name}: {stage['outcome']}"
        for name, stage in results.found["stages"].items()
        if stage.get("outcome", "done") != "done"
    ]
    return "\n".join(lines)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _device(rehearses: bool) -> torch.device:
    if rehearses:
        torch.set_num_threads(1)  # two that wait for each other at tiny products take a hundred times as long
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA device here; --rehearse finds mistakes without one.")
    return torch.device("cuda", 0)


def main() -> None:
    """Run all stages, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds SQuAD and the small model")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--only", nargs="*", choices=list(STAGES), default=[], help="these stages, after the needed")
    parser.add_argument("--seconds", type=float, default=ALL_SECONDS, help="for everything")
    parser.add_argument("--even-if-wrong", action="store_true", help="time also what gives wrong numbers")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the CPU: the figures mean nothing")
    parser.add_argument("--stage", choices=list(STAGES), help="be this stage; what the referee calls")
    parser.add_argument("--folder", type=Path, help="what stages leave to each other")
    arguments = parser.parse_args()
    device = _device(arguments.rehearse)
    if arguments.stage:
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print must not get between the results

        def say(result: Mapping[str, Any]) -> None:
            answers.write(say_line(dict(result)) + "\n")
            answers.flush()

        STAGES[arguments.stage].work(Work(device, arguments.folder, arguments.shared, arguments.rehearse), say)
        return
    names = [name for name in STAGES if not arguments.only or name in arguments.only or name == "features"]
    results = Results(arguments.output, device)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--shared", str(arguments.shared), "--folder", folder]
        options += ["--rehearse"] if arguments.rehearse else []
        right = referee(names, results, options, arguments.seconds, even_if_wrong=arguments.even_if_wrong)
    print(f"\n{table(results)}\n\nwritten: {arguments.output}", flush=True)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
