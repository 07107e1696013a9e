"""`train --model NAME --train NAME` against a stand-in of the hub on loopback: fetched, cached, offline, refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers import TINY, people, write_squad, write_tiny_model
from tests.hub_stand_in import HubStandIn


def _train(hub: dict[str, str], output: Path, model: str, data: str) -> subprocess.CompletedProcess[str]:
    command = ("train", "--model", model, "--train", data, "--output", str(output), "--epochs", "1", "--threads", "1")
    return subprocess.run(
        [sys.executable, "-m", "distiltune", *command, "--max-length", "48", "--stride", "8"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **hub},
    )


@pytest.fixture
def served(tmp_path: Path) -> HubStandIn:
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    base = write_tiny_model(tmp_path / "served" / "model", known.tokenizer, config)
    data = tmp_path / "served" / "data"
    data.mkdir()
    write_squad(data / "train.json", known.examples)
    write_squad(data / "validation.json", known.examples[:8])
    hub = HubStandIn()
    hub.add_directory("model", "acme/tiny", base)
    hub.add_directory("dataset", "acme/people", data)
    hub.add_directory("model", "acme/gated", base, gated=True)
    return hub


def test_fetched_cached_and_offline(served: HubStandIn, tmp_path: Path) -> None:
    with served:
        environment = served.environment(tmp_path / "home")
        first = _train(environment, tmp_path / "first", "acme/tiny", "acme/people")
        assert first.returncode == 0, first.stderr
    offline = _train(environment, tmp_path / "second", "acme/tiny", "acme/people")
    assert offline.returncode == 0, offline.stderr
    weights = [(tmp_path / run / "model" / "model.safetensors").read_bytes() for run in ("first", "second")]
    assert weights[0] == weights[1]
    card = (tmp_path / "first" / "model" / "README.md").read_text()
    assert "acme/tiny" in card
    assert "acme/people" in card


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("acme/absent", "starter", ("acme/absent",)),
        ("acme/tiny", "acme/absent", ("acme/absent",)),
        ("acme/gated", "starter", ("acme/gated", "log")),
    ],
)
def test_refusals_are_told_apart(
    served: HubStandIn, tmp_path: Path, model: str, data: str, words: tuple[str, ...]
) -> None:
    with served:
        done = _train(served.environment(tmp_path / "home"), tmp_path / "run", model, data)
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_unreachable_names_the_two_ways_on(served: HubStandIn, tmp_path: Path) -> None:
    with served:
        environment = served.environment(tmp_path / "home")
    began = time.monotonic()
    done = _train(environment, tmp_path / "run", "acme/tiny", "starter")
    assert done.returncode == 1
    assert "starter" in done.stderr
    assert "directory" in done.stderr
    assert time.monotonic() - began < 60, "not left hanging (the figure itself is in docs/results.md)"
