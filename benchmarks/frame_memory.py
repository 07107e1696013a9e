"""What training on a table in memory takes beside the table: bytes of Python's objects while a model trains on it.

    python -m benchmarks.frame_memory --rows 100000

A table of so many texts of 30 words is made (a pandas DataFrame where pandas is there, else an Arrow table), and a
model of a few thousand weights trains on it for one epoch, so that what is measured is the data. Counted are the
objects of Python by `tracemalloc`, from just before the call: at the end of the epoch, while everything that training
needs is held, and at the highest, which is while rows are read and checked. Also the objects of one example each that
are alive, and the process's resident memory, which the tokenizer's and PyTorch's own buffers are in.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa

import distiltune
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.training.loop import EpochReport
from distiltune.training.reporter import Quiet

MEGA = 1e6


class AtTheEnd(Quiet):
    """Notes what is held when the epoch is over."""

    def __init__(self) -> None:
        self.examples, self.held = 0, 0.0

    def epoch(self, report: EpochReport, is_best: bool) -> None:
        """Count."""
        self.examples = sum(type(each) is TextExample for each in gc.get_objects())
        self.held = tracemalloc.get_traced_memory()[0] / MEGA


def table_of(n_rows: int) -> Any:
    """Texts of 30 words with one of two labels."""
    draw = random.Random(0)
    words = [f"{first}{second}" for first in ("ta", "no", "mi", "re") for second in ("la", "ko", "su", "pe", "vi")]
    texts = [" ".join(draw.choices(words, k=30)) for _ in range(n_rows)]
    table = pa.table({"text": texts, "label": [("one", "two")[i % 2] for i in range(n_rows)]})
    try:
        return table.to_pandas()
    except ImportError:
        return table


def resident() -> float:
    """The process's resident memory, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGA


def measure(n_rows: int, folder: Path) -> dict[str, float | int | str]:
    """Train on a table of so many rows."""
    from tests.helpers import TINY, word_pieces, write_tiny_model  # a model of a few thousand weights

    words = [f"{first}{second}" for first in ("ta", "no", "mi", "re") for second in ("la", "ko", "su", "pe", "vi")]
    tokenizer = word_pieces(words)
    from dataclasses import replace

    model = write_tiny_model(folder / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    table, end = table_of(n_rows), AtTheEnd()
    gc.collect()
    before = resident()
    tracemalloc.start()
    distiltune.fine_tune(
        train=table, model=str(model), output=folder / "run", reporter=end, epochs=1, batch_size=512, max_length=48,
        stride=8, validation_share=0.01, threads=1, device="cpu", precision="float32",
    )  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1] / MEGA
    tracemalloc.stop()
    return {
        "table": type(table).__module__.partition(".")[0],
        "rows": n_rows,
        "text_mb": round(n_rows * 149 / MEGA, 1),
        "held_mb": round(end.held, 1),
        "peak_mb": round(peak, 1),
        "example_objects": end.examples,
        "resident_before_mb": round(before, 1),
        "resident_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGA, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args().rows, Path(folder))))


if __name__ == "__main__":
    main()
