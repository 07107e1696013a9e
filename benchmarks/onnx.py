"""torch, ONNX, ONNX int8 and transformers on the same questions in one run: ``python -m benchmarks.onnx``.

Each contestant is a process of its own that answers all questions when it is its turn: windows through the model and
answers read out, tokenising left out, since that is the same for all. transformers gets the windows longest first,
padded to the longest of each batch of 16, and the same decoder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.contestant import padded
from distiltune.data.packing import PackedBatch
from distiltune.export.onnx import export_onnx
from distiltune.model.source import model_config
from distiltune.recipe.recipe import Recipe
from distiltune.system.device import describe_machine, keep_freed_memory, set_threads
from distiltune.tasks.table import TASKS
from distiltune.tasks.trained import load_trained

RESULTS = Path("benchmarks/results")
PACKAGES = ("distiltune", "torch", "transformers", "onnxruntime", "onnx")
PADDED_BATCH = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant: the median over the rounds."""

    name: str
    size_mb: float
    questions_per_second: float
    exact_match: float
    f1: float
    rounds: tuple[float, ...]


class Padded(nn.Module):
    """A transformers model behind the call that ours have: packed in, packed out, padded in between."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        import transformers

        self.model = transformers.AutoModelForQuestionAnswering.from_pretrained(directory, dtype=torch.float32).eval()

    def forward(self, batch: PackedBatch) -> Tensor:
        """Logits ``(total_tokens, 2)``."""
        lengths = list(batch.lengths)
        rows = [{"input_ids": row.tolist(), "start_positions": 0, "end_positions": 0} for row in self._rows(batch)]
        found = []
        for first in range(0, len(rows), PADDED_BATCH):
            inputs = padded(rows[first : first + PADDED_BATCH], 0)
            output = self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
            found += [logits[i, : lengths[first + i]] for i in range(len(logits))]
        return torch.cat(found)

    @staticmethod
    def _rows(batch: PackedBatch) -> Sequence[Tensor]:
        return torch.split(batch.token_ids, list(batch.lengths))


def contestant(name: str, directory: str, data: Sequence[str], n: int) -> None:
    """Answer everything at each line read, and print seconds and scores."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    keep_freed_memory()
    set_threads(0)
    recipe = Recipe(task="question-answering", model=directory, validation_examples=n)
    recipe = recipe.with_stored(model_config(directory))
    trained = load_trained(directory, TASKS[recipe.task](recipe), "cpu")
    task, loaded = trained.task, trained.loaded
    dataset = task.load_data(list(data), loaded.tokenizer)
    model = Padded(directory) if name == "transformers" else loaded.model
    for _ in sys.stdin:
        began = time.perf_counter()
        metrics = task.evaluate(model, dataset).metrics
        seconds = time.perf_counter() - began
        line = {"seconds": seconds, "questions": dataset.n_examples, "f1": metrics["f1"]}
        answers.write(json.dumps({**line, "exact_match": metrics["exact_match"]}) + "\n")
        answers.flush()


def turns(process: subprocess.Popen[str]) -> Iterator[dict[str, float]]:
    """One turn after another."""
    while True:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("run\n")
        process.stdin.flush()
        yield json.loads(process.stdout.readline())


def compete(places: dict[str, Path], data: Sequence[str], n: int, rounds: int) -> list[Row]:
    """All contestants in turns."""
    arguments = ["--data", *data, "--questions", str(n)]
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", "benchmarks.onnx", "--contestant", name, "--model", str(place), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name, place in places.items()
    }  # fmt: skip
    try:
        lines = {name: turns(process) for name, process in processes.items()}
        last = {name: next(line) for name, line in lines.items()}  # warm up
        rates: dict[str, list[float]] = {name: [] for name in places}
        for number in range(rounds):
            for name, line in lines.items():
                last[name] = next(line)
                rates[name].append(last[name]["questions"] / last[name]["seconds"])
                print(f"round {number + 1}/{rounds}  {name:14} {rates[name][-1]:7.1f} questions/s", flush=True)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return [
        Row(
            name,
            _size_mb(place),
            float(statistics.median(rates[name])),
            last[name]["exact_match"],
            last[name]["f1"],
            tuple(rates[name]),
        )
        for name, place in places.items()
    ]


def _size_mb(directory: Path) -> float:
    names = ("model.onnx", "model.safetensors")
    return sum((directory / name).stat().st_size for name in names if (directory / name).is_file()) / 1e6


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="starter", help="a fine-tuned model directory")
    parser.add_argument("--data", nargs="+", default=["starter"])
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant, arguments.model, arguments.data, arguments.questions)
        return
    with tempfile.TemporaryDirectory() as folder:
        places = {"torch": Path(arguments.model), "transformers": Path(arguments.model)}
        checks: dict[str, Any] = {}
        for name, int8 in (("onnx", False), ("onnx int8", True)):
            places[name] = Path(folder) / name.replace(" ", "-")
            made = export_onnx(
                arguments.model, places[name], int8=int8, data=tuple(arguments.data), questions=arguments.questions,
                accept_loss=True, on_note=print,
            )  # fmt: skip
            checks[name] = made.as_json() | {"directory": ""}
        rows = compete(places, arguments.data, arguments.questions, arguments.rounds)
    results = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "model": Path(arguments.model).name,
        "questions": arguments.questions,
        "rows": [asdict(row) for row in rows],
        "checks": checks,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "onnx.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(
            f"{row.name:14} {row.size_mb:7.1f} MB {row.questions_per_second:7.1f} questions/s  "
            f"exact match {row.exact_match:.2f}  F1 {row.f1:.2f}"
        )
    assert all(np.isfinite(row.f1) for row in rows)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
