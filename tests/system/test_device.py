from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from distiltune.errors import RecipeError
from distiltune.system import device
from distiltune.system.device import (
    arithmetic,
    check_trainable,
    choose_device,
    choose_precision,
    describe_machine,
    has_bfloat16,
    instructions,
    is_out_of_memory,
    keep_freed_memory,
    seed_dropout,
    seed_everything,
    set_threads,
    usable_cores,
    widest_float,
    works_at_once,
)

CPU = torch.device("cpu")


@pytest.fixture
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Gpus:
    """Stands in for the parts of ``torch.cuda`` that know which GPU is the current one and seed it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.current, self.seeds = 0, dict[int, int]()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", self._set)
        monkeypatch.setattr(torch.cuda, "device", self._within)
        monkeypatch.setattr(torch.cuda, "manual_seed", lambda seed: self.seeds.update({self.current: seed}))

    def _set(self, gpu: torch.device) -> None:
        assert gpu.index is not None
        self.current = gpu.index

    @contextlib.contextmanager
    def _within(self, gpu: torch.device) -> Iterator[None]:
        before = self.current
        self._set(gpu)
        yield
        self.current = before


@pytest.mark.parametrize(("count", "expected"), [(0, "cpu"), (1, "cuda:0")])
def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch, count: int, expected: str) -> None:
    Gpus(monkeypatch, count)
    assert choose_device("auto") == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "place_here", "gpu"), [("auto", 2, 2), ("cuda", 1, 1), ("cuda:1", 0, 1), ("cuda", 0, 0)]
)
def test_the_gpu_that_is_taken_becomes_the_current_one(
    monkeypatch: pytest.MonkeyPatch, name: str, place_here: int, gpu: int
) -> None:
    gpus = Gpus(monkeypatch, 3)
    assert choose_device(name, place_here) == torch.device("cuda", gpu)
    assert gpus.current == gpu
    assert choose_device("cpu", place_here) == CPU


@pytest.mark.parametrize(("name", "place_here"), [("cuda:2", 0), ("auto", 2), ("cuda", 5)])
def test_more_gpus_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, place_here: int) -> None:
    Gpus(monkeypatch, 2)
    with pytest.raises(RecipeError, match="PyTorch sees 2"):
        choose_device(name, place_here)


def test_each_process_draws_dropout_of_its_own_on_the_gpu_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever GPU is the current one; after a stop not what it drew at the start."""
    gpus = Gpus(monkeypatch, 3)
    for place in range(3):
        seed_dropout(torch.device("cuda", place), 7, place)
    assert gpus.seeds.keys() == {0, 1, 2}
    first = dict(gpus.seeds)
    seed_dropout(torch.device("cuda", 2), 7, 2, step=40)
    assert len({*first.values(), gpus.seeds[2]}) == 4
    seed_dropout(torch.device("cuda", 2), 7, 2)
    assert gpus.seeds == first
    before = torch.get_rng_state()
    seed_dropout(CPU, 7, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_memory_that_ran_out_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 55)
    assert is_out_of_memory(raised.value)
    for error in (MemoryError(), torch.OutOfMemoryError(), RuntimeError("CUDA error: out of memory")):
        assert is_out_of_memory(error)
    for other in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyboardInterrupt()):
        assert not is_out_of_memory(other)


@pytest.mark.parametrize("name", ["abacus", "", "mps", "meta", "cuda", "cuda:0", "cpu:x", "mps:1"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RecipeError) as caught:
        choose_device(name)
    assert caught.value.fix
    assert caught.value.where


APPLE = torch.device("mps")


def test_apples_gpu_is_taken_where_it_is_named_and_never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it has run: there was no such machine."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == APPLE
    assert choose_device("auto") == CPU
    assert describe_machine(APPLE).device == "Apple GPU"


def test_what_apples_gpu_has(tmp_path: Path) -> None:
    """Neither float64 nor, as far as is known, bfloat16; steps are taken plainly, as on a CPU."""
    assert [widest_float(each) for each in (CPU, APPLE)] == [torch.float64, torch.float32]
    assert works_at_once(CPU)
    assert works_at_once(APPLE)
    assert not works_at_once(torch.device("meta"))
    assert choose_precision("auto", APPLE, 768) == "float32"
    with pytest.raises(RecipeError, match="no bfloat16"):
        choose_precision("bfloat16", APPLE, 768)


def test_float16_is_for_models_in_use_on_a_gpu() -> None:
    assert choose_precision("float16", APPLE, 160) == "float16"
    with pytest.raises(RecipeError, match="slower than float32"):
        choose_precision("float16", CPU, 768)
    with pytest.raises(RecipeError, match="small gradients are 0") as caught:
        check_trainable("float16")
    assert "bfloat16" in caught.value.fix
    for name in ("auto", "float32", "tf32", "bfloat16"):
        check_trainable(name)


def test_products_in_float16_are_what_they_say() -> None:
    """On a CPU, which can do it, slowly: the way that a GPU takes."""
    one = torch.randn(8, 8)
    with arithmetic("float16", CPU):
        assert (one @ one).dtype == torch.float16
    assert (one @ one).dtype == torch.float32


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("250000 100000", 2),  # two and a half: more threads than that would wait for each other
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("nonsense", 8),
        ("1 2 3", 8),
        (None, 8),
    ],
)
def test_cores_are_bounded_by_the_containers_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    found = device._container_quota(tmp_path / "cpu.max")
    monkeypatch.setattr(device, "_container_quota", lambda path: found)
    assert usable_cores() == cores


@pytest.mark.usefixtures("threads_restored")
def test_threads_are_those_asked_for_or_all_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "usable_cores", lambda: 3)
    for asked, expected in ((2, 2), (0, 3)):
        assert set_threads(asked) == expected
        assert torch.get_num_threads() == expected


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_a_seed_repeats_every_generator() -> None:
    draws = []
    for seed in (5, 5, 6, 2**63 - 1):
        seed_everything(seed)
        draws.append(draw())
    assert draws[0] == draws[1]
    for other in draws[2:]:
        assert all(a != b for a, b in zip(draws[0], other, strict=True))


def test_the_machine_is_described_in_plain_values() -> None:
    machine = describe_machine(torch.device("cpu")).as_json()
    assert machine.keys() == {"device", "processor", "threads", "memory_gib", "system", "python"}
    assert machine["device"] == "cpu"
    assert machine["threads"] == torch.get_num_threads()
    assert all(machine.values())


def test_keeping_freed_memory_does_no_harm_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distiltune.system.device.sys.platform", "win32")
    keep_freed_memory()
    monkeypatch.setattr("distiltune.system.device.sys.platform", "linux")

    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("distiltune.system.device.ctypes.CDLL", absent)
    keep_freed_memory()


@pytest.mark.parametrize(
    ("flags", "hidden_size", "expected"),
    [
        ("sse2 avx2 avx512f avx512_bf16 fma", 768, "bfloat16"),
        ("sse2 amx_bf16", 384, "bfloat16"),
        ("sse2 amx_bf16", 128, "float32"),  # too narrow to gain
        ("sse2 avx2 avx512f", 768, "float32"),
        ("avx512_bf16_like", 768, "float32"),
    ],
)
def test_auto_is_half_precision_where_the_processor_is_made_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, hidden_size: int, expected: str
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    has_it = has_bfloat16(CPU, cpuinfo)
    monkeypatch.setattr(device, "has_bfloat16", lambda _: has_it)
    assert choose_precision("auto", CPU, hidden_size) == expected
    assert choose_precision("float32", CPU, hidden_size) == "float32"
    if not has_it:
        with pytest.raises(RecipeError, match="no bfloat16 instructions"):
            choose_precision("bfloat16", CPU, hidden_size)
    with pytest.raises(RecipeError, match="NVIDIA"):
        choose_precision("tf32", CPU, hidden_size)


def test_half_precision_is_of_products_alone() -> None:
    weight = torch.ones(4, 4)
    with arithmetic("bfloat16", CPU):
        assert (weight @ weight).dtype == torch.bfloat16
        assert torch.nn.functional.layer_norm(weight, (4,)).dtype == torch.float32
    with arithmetic("float32", CPU):
        assert (weight @ weight).dtype == torch.float32


def test_instructions_are_those_that_torch_takes_and_what_limits_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (
        *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
        *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "OPENBLAS_CORETYPE"),
    )
    for name in limits:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")  # by ATEN_CPU_CAPABILITY
    assert instructions() == "DEFAULT"
    for name in limits:
        monkeypatch.setenv(name, "AVX2")
    assert instructions() == ", ".join(["DEFAULT", *(f"{name}=AVX2" for name in limits)])


@pytest.mark.parametrize("n_threads", [-1, 1_025, 100_000])
def test_a_number_of_threads_that_no_machine_gives_is_refused(n_threads: int) -> None:
    with pytest.raises(RecipeError, match="threads is"):
        set_threads(n_threads)
