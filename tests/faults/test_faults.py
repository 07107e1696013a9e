"""The short part of the fault suite; the long part is `make soak`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fuzz import CORPUS, check
from tests.faults.readers import Reader, make_readers, place
from tests.faults.stops import SCENARIOS

ROOT = Path(__file__).parents[2]
SLOW = ("two-processes",)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or not Path("/proc").is_dir(), reason="needs fork and /proc")


def run(module: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run a part of the suite in a fresh process, from which it can fork; its lines."""
    source = str(Path(sys.modules["distiltune"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{module}", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([source, str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert done.stdout, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.mark.timeout(1_600)
def test_killed_runs_end_bit_for_bit_as_undisturbed_ones(folder: Path) -> None:
    *seeds, totals = run("kills", folder, "--seeds", "6")
    assert [seed["problems"] for seed in seeds] == [[]] * 6
    assert totals["kills"] >= 6
    assert totals["most_lost"] <= totals["interval"]


@pytest.mark.timeout(1_600)
def test_a_write_that_fails_damages_nothing(folder: Path) -> None:
    *runs, totals = run("failing_writes", folder, "--first", "3", "--every", "67")
    assert [each["problems"] for each in runs] == [[]] * len(runs)
    assert totals["changes"] > 200
    assert totals["stopped"] > 0


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, list[str]]:
    names = [name for name in SCENARIOS if name not in SLOW]
    return {line["name"]: line["problems"] for line in run("stops", folder, *names)}


@pytest.mark.timeout(1_600)
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in SLOW])
def test_the_promise_holds(told: dict[str, list[str]], name: str) -> None:
    problems = told[name]
    if problems and problems[0].startswith("SKIP"):
        pytest.skip(problems[0])
    assert problems == []


@pytest.mark.slow
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("name", SLOW)
def test_the_promise_holds_for_several_processes(folder: Path, name: str) -> None:
    (line,) = run("stops", folder, name)
    assert line["problems"] == []


@pytest.mark.timeout(1_600)
def test_no_reader_fails_on_damaged_inputs(folder: Path) -> None:
    """A few of each; they are others than those of the soak's first thousands."""
    results = run("fuzz", folder / "fuzz", "--inputs", "60", "--first", "5000000")
    assert {each["reader"]: each["problems"] for each in results if each["findings"]} == {}
    assert len(results) >= 15
    assert max(each["grown_mib"] for each in results) < 1_024


@pytest.fixture(scope="module")
def readers(folder: Path) -> dict[str, Reader]:
    return make_readers(folder / "valid")


@pytest.mark.parametrize("kept", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_stays_mended(kept: Path, readers: dict[str, Reader], folder: Path) -> None:
    if kept.parent.name not in readers:
        pytest.skip(f"{kept.parent.name} needs an extra that is not installed")
    reader = readers[kept.parent.name]
    place(reader, folder / "valid", folder / "work")
    assert check(reader, folder / "work", kept.read_bytes()) == ""


def test_valid_inputs_are_read(readers: dict[str, Reader], folder: Path) -> None:
    """So that the inputs made of them reach beyond the first check."""
    for reader in readers.values():
        for seed in reader.seeds:
            place(reader, folder / "valid", folder / "work")
            (folder / "work" / reader.file).write_bytes(seed)
            if reader.name != "document":
                reader.read(folder / "work")
    shutil.rmtree(folder / "work")
