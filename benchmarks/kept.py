"""Results of long benchmarks: a line of JSON for each training, kept as soon as it ends, and never trained twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Keyed(Protocol):
    """A training that is known by a key."""

    @property
    def key(self) -> tuple[object, ...]:
        """What its line says of it."""


J = TypeVar("J", bound=Keyed)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The trainings done so far; a last line that is cut is not there."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def keep(row: Mapping[str, Any], path: Path) -> None:
    """Add the line of a training that has ended."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def train_each(
    jobs: Iterable[J],
    train: Callable[[J], dict[str, Any]],
    path: Path,
    told: Callable[[dict[str, Any]], str],
    minutes: float,
) -> None:
    """Train one after the other, keep each and print what is told of it; none is begun after so many minutes."""
    ends = time.monotonic() + 60 * minutes
    for job in jobs:
        if time.monotonic() > ends:
            return
        row = train(job)
        keep(row, path)
        print(f"{job.key}: {told(row)}", flush=True)
