"""The library leaves the process that it works in as it found it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

from distiltune.errors import TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.runs.fine_tune import fine_tune
from distiltune.studies.find_rate import find_learning_rate
from distiltune.system.device import arithmetic, seed_everything, set_threads
from distiltune.system.host import alone_in_training, restored, with_threads

USES = (
    *("fine_tune", "fine_tune, text", "fine_tune, token", "fine_tune, CSV", "fine_tune, from a teacher"),
    *("fine_tune, refused", "resume", "evaluate", "predict"),
    *(f"Answerer, {threads}{what}" for threads in (0, 1, 2) for what in ("", ", asked", ", at length")),
    *("pipeline", "pipeline, asked", "TextClassifier", "TextClassifier, asked", "TextClassifier, auto"),
    *("EntityMarker", "EntityMarker, asked", "find_learning_rate", "tune", "compare_runs", "convert", "export_onnx"),
    *(f"check, {task}" for task in ("question-answering", "text-classification", "token-classification")),
    "serve",
)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each use of the library changed in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.host_program", str(tmp_path_factory.mktemp("host"))],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("use", USES)
def test_nothing_is_changed(changed: dict[str, Any], use: str) -> None:
    assert changed[use] == {}


def test_every_use_is_looked_at(changed: dict[str, Any]) -> None:
    assert set(changed) == set(USES)


@pytest.fixture
def host() -> Any:
    """A host with 3 threads of PyTorch, and 2 of BLAS."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


def blas() -> list[int | None]:
    return [each.num_threads for each in ThreadpoolController().select(user_api="blas").lib_controllers]


@pytest.mark.usefixtures("host")
def test_blocks_within_each_other_each_have_their_number() -> None:
    with restored():
        set_threads(2)
        assert set(blas()) == {1}
        with with_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        assert set(blas()) == {1}
    assert torch.get_num_threads() == 3
    assert set(blas()) == {2}


@pytest.mark.usefixtures("host")
def test_blocks_side_by_side_leave_what_the_first_found_whoever_ends_last() -> None:
    """Also the number that a thread begins with, which is the one that was set last in any thread."""
    inside, outside = threading.Barrier(3), [threading.Event() for _ in range(2)]

    def work(number: int) -> int:
        with with_threads(number + 1):
            inside.wait(10)
            outside[number].wait(10)
            assert torch.get_num_threads() == number + 1
            assert set(blas()) == {1}
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(work, number) for number in range(2)]
        inside.wait(10)
        outside[1].set()
        assert begun[1].result(10) == 3
        assert set(blas()) == {1}
        outside[0].set()
        assert begun[0].result(10) == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result(10) == 3
    assert torch.get_num_threads() == 3
    assert set(blas()) == {2}


@pytest.mark.usefixtures("host")
def test_what_an_error_ends_is_put_back_too() -> None:
    before = torch.rand(1, generator=torch.default_generator.clone_state())

    @restored()
    def fail() -> None:
        set_threads(1)
        seed_everything(7)
        torch.set_float32_matmul_precision("high")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == 3
    assert torch.equal(torch.rand(1), before)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_precision_set_by_backend_is_put_back() -> None:
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32"
    try:
        with restored():
            torch.set_float32_matmul_precision("highest")
        assert products.fp32_precision == "tf32"
    finally:
        products.fp32_precision = before


def test_tf32_is_allowed_within_its_block_only() -> None:
    with arithmetic("tf32", torch.device("cuda")):
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        # Raises where PyTorch's two names for it do not agree, as a product on a GPU does.
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cuda.matmul.fp32_precision != "tf32"
    assert torch.get_float32_matmul_precision() == "highest"


class Gpus:
    """Stands in for the parts of ``torch.cuda`` that know which GPU is current and what their random states are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, used: bool) -> None:
        self.used, self.current, self.states = used, 1 if used else 0, [5, 6] if used else []
        named: dict[str, Any] = {
            "is_initialized": lambda: self.used,
            "is_available": lambda: True,
            "current_device": lambda: self.current,
            "set_device": lambda number: setattr(self, "current", number),
            "get_rng_state_all": lambda: list(self.states),
            "set_rng_state_all": lambda states: setattr(self, "states", list(states)),
            "manual_seed_all": lambda seed: setattr(self, "states", [seed, seed]),
        }
        for name, stand_in in named.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)


def test_gpus_are_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, used=True)
    with restored():
        gpus.current, gpus.states = 0, [1, 2]
    assert (gpus.current, gpus.states) == (1, [5, 6])


@pytest.mark.parametrize("used_within", [False, True])
def test_gpus_that_nobody_had_used_begin_with_the_hosts_seed(
    monkeypatch: pytest.MonkeyPatch, used_within: bool
) -> None:
    torch.manual_seed(11)
    gpus = Gpus(monkeypatch, used=False)
    with restored():
        torch.manual_seed(12)
        if used_within:
            gpus.used, gpus.current, gpus.states = True, 1, [1, 2]
    assert (gpus.current, gpus.states) == (0, [11, 11])


FORKING = """
import os, sys, warnings
import torch
from distiltune.system.device import set_threads
from distiltune.system.host import with_threads

def work():
    with with_threads(set_threads(2)):
        return float(torch.ones(4_000_000).mul_(2).sum()), torch.get_num_threads()

assert work() == (8_000_000.0, 2)
child = os.fork()
if not child:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert work() == (8_000_000.0, 1)
    assert 'get_context("spawn")' in str(told[0].message)
    os._exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_does_not_wait_for_its_parents_threads() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 7, done.stderr


def test_a_second_training_at_the_same_time_is_refused() -> None:
    with alone_in_training():
        with ThreadPoolExecutor(1) as threads:
            second = threads.submit(lambda: alone_in_training().__enter__()).exception()
        assert isinstance(second, TrainingError)
        assert "each in a process of its own" in second.fix
    with alone_in_training(), alone_in_training():
        pass


@pytest.mark.parametrize("train", [fine_tune, lambda recipe, output: find_learning_rate(recipe, n_steps=100)])
def test_whatever_trains_is_refused_while_another_training_is_under_way(
    train: Callable[..., object], tmp_path: Path
) -> None:
    """Before anything is read or written: there is no such data."""
    recipe = Recipe.build({"train": str(tmp_path / "none.json"), "threads": 1})
    with alone_in_training(), ThreadPoolExecutor(1) as threads:
        second = threads.submit(train, recipe, output=tmp_path / "run").exception()
    assert isinstance(second, TrainingError)
    assert "Another training" in second.what
    assert list(tmp_path.iterdir()) == []
