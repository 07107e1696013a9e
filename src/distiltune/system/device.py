"""The machine: device, precision, threads, memory, seeds."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from distiltune.errors import RecipeError
from distiltune.system.host import FLOAT32_PRODUCTS, one_blas_thread, threads_to_use

MAX_THREADS = 1_024
"""The most threads of tensor work: asked for many more than the system gives, PyTorch ends in a segmentation fault."""

_M_TRIM_THRESHOLD = -1  # of glibc's mallopt(3)
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_KEEP_BYTES = 1 << 30

_LIMITS_OF_INSTRUCTIONS = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "OPENBLAS_CORETYPE"),
)
_BFLOAT16_MIN_HIDDEN = 256
_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")
"""What a GPU's driver, PyTorch's allocator for the host, the system and NVIDIA's libraries say, in small letters."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run ran on, as it is written into the run directory."""

    device: str
    processor: str
    n_threads: int
    memory_gib: float
    system: str
    python: str

    def as_json(self) -> dict[str, str | int | float]:
        """The machine as plain values."""
        return {
            "device": self.device,
            "processor": self.processor,
            "threads": self.n_threads,
            "memory_gib": self.memory_gib,
            "system": self.system,
            "python": self.python,
        }


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the host's or the GPU's memory ran out; PyTorch has no one type for that."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY)


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device; ``auto`` takes a GPU if there is one.

    Of several processes on a machine each takes the GPU of its number, ``local_rank``. A GPU becomes this thread's
    current one: what PyTorch does without being told where, such as NCCL's barrier, is then done there.

    Raises:
        RecipeError: if the device is not there.

    """
    device = _named_device(name, local_rank)
    if device.type == "cuda":
        if device.index >= torch.cuda.device_count():
            raise RecipeError(
                f"GPU {device.index} was asked for (they count from 0), and PyTorch sees {torch.cuda.device_count()}.",
                where="recipe: device",
                fix="use another --device, or start as many processes on this machine as it has GPUs",
            )
        torch.cuda.set_device(device)
    return device


def _named_device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(f"No device is called {name!r}.", fix="use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(
            "A CUDA device was asked for, and PyTorch sees none.",
            fix="use --device cpu, or install a CUDA build of PyTorch",
        )
    if device.type not in ("cpu", "cuda"):
        raise RecipeError(f"Device {name!r} is not supported.", fix="use auto, cpu or cuda")
    return torch.device("cuda", local_rank) if device.type == "cuda" and device.index is None else device


Precision = Literal["float32", "tf32", "bfloat16"]


def choose_precision(name: str, device: torch.device, hidden_size: int) -> Precision:
    """Turn ``auto`` or a precision into one that the device has.

    ``auto`` is bfloat16 on a device with instructions for it and float32 elsewhere; on a CPU also for narrow models,
    whose products are too small to gain (docs/performance.md has the measurement). It is a rule and not a timing, so
    that the same machine always takes the same way to the same bits.

    Args:
        name: ``auto``, ``float32``, ``tf32`` or ``bfloat16``; ``int8`` is refused, which only trained models have
            (``inference/int8.py``).
        device: where the model is trained.
        hidden_size: width of the model.

    Raises:
        RecipeError: if the device has no instructions for it: emulated, it would be slower than float32.

    """
    check_can_be_trained(name)
    if name == "auto":
        gains = device.type == "cuda" or hidden_size >= _BFLOAT16_MIN_HIDDEN
        return "bfloat16" if gains and has_bfloat16(device) else "float32"
    if name == "tf32":
        if device.type != "cuda":
            raise RecipeError("tf32 is a format of NVIDIA GPUs.", where="recipe: precision", fix="use float32")
        return "tf32"
    if name == "bfloat16":
        if not has_bfloat16(device):
            raise RecipeError(
                "This processor has no bfloat16 instructions; it would be slower than float32.",
                where="recipe: precision",
                fix="use float32",
            )
        return "bfloat16"
    return "float32"


def check_can_be_trained(name: str) -> None:
    """Check that a precision is one for training.

    Raises:
        RecipeError: if it is for trained models only.

    """
    if name == "int8":
        raise RecipeError(
            "Nothing is trained in int8: a step is far smaller than what 8 bits can tell apart.",
            where="recipe: precision",
            fix="train in float32 or bfloat16, and use the model with --precision int8",
        )


def has_bfloat16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether matrix products in bfloat16 run on instructions made for them: those of x86 processors, or a GPU's."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    with contextlib.suppress(OSError):
        flags = cpuinfo.read_text(encoding="utf-8", errors="replace").split()
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def allow_tf32(allowed: bool) -> None:
    """Let a GPU round the operands of float32 products to TF32's ten bits, or not; off unless asked for."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")


def arithmetic(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Within it, matrix products are taken in that precision; weights, sums and the optimiser stay in float32."""
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    if precision == "tf32":
        return _rounding_to_tf32()
    return contextlib.nullcontext()


@contextlib.contextmanager
def _rounding_to_tf32() -> Iterator[None]:
    """Within it, a GPU rounds the operands of float32 products.

    Set by PyTorch's older name, which sets the newer too: where only the newer says so, it refuses the product.
    """
    before = [products.fp32_precision for products in FLOAT32_PRODUCTS]
    allow_tf32(True)
    try:
        yield
    finally:
        allow_tf32(before[0] == "tf32")
        for products, precision in zip(FLOAT32_PRODUCTS, before, strict=True):
            products.fp32_precision = precision


def usable_cores() -> int:
    """How many cores this process may use: the affinity mask, bounded by the container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_quota(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, min(cores, int(quota))) if quota is not None else cores


def _container_quota(path: Path) -> float | None:
    """CPUs that a version-2 control group grants, None if unbounded or unknown."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else max(1.0, int(quota) / int(period))
    except (OSError, ValueError):
        return None


def set_threads(n_threads: int) -> int:
    """Use that many threads for tensor work; 0 means as many as there are usable cores. Returns the number.

    That is for good: a process that is not ours gets its own number back by `restored`.

    NumPy's products get one thread a caller: their threads and PyTorch's would wait for each other's cores.

    Raises:
        RecipeError: if it is below 0, or more than `MAX_THREADS`.

    """
    if n_threads > MAX_THREADS:
        raise RecipeError(
            f"threads is {n_threads:,}; it may be at most {MAX_THREADS:,}.", where="threads", fix="0 takes all cores"
        )
    if n_threads < 0:
        raise RecipeError(f"threads is {n_threads}; it must be at least 0.", where="threads", fix="0 takes all cores")
    chosen = threads_to_use(n_threads or usable_cores())
    torch.set_num_threads(chosen)
    one_blas_thread()
    return chosen


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next step instead of returning and faulting it in again.

    Every step frees and asks for the same few hundred megabytes. By default each piece over 32 MiB goes back to the
    kernel and costs page faults when it returns (mallopt(3)). One heap serves all threads, since the heaps that glibc
    gives to further threads hold no large pieces. Elsewhere than on glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back_freed_memory() -> None:
    """Return what is free inside glibc's heap to the system (malloc_trim(3)); elsewhere this does nothing.

    Steps of ever different sizes leave holes in the heap that never quite fit again: without this, the memory of a
    long run grows to several times what a step needs.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_dropout(device: torch.device, seed: int, rank: int, step: int = 0) -> None:
    """Let a GPU draw dropout's masks anew: others for each process, and others after ``step`` steps than at the start.

    On a CPU this does nothing: there all processes have one random state and share out the seeds drawn from it.

    Args:
        device: that the model is on.
        seed: the run's.
        rank: number of this process among those that train together.
        step: optimiser steps done.

    """
    if device.type == "cuda":
        (own,) = np.random.SeedSequence((seed, rank, step)).generate_state(1, np.uint64)
        with torch.cuda.device(device):
            torch.cuda.manual_seed(int(own))


def describe_machine(device: torch.device) -> Machine:
    """What this run runs on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Machine(
        device=name,
        processor=_processor_name(),
        n_threads=torch.get_num_threads(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def instructions() -> str:
    """The processor's instructions that PyTorch takes, and what the environment says of its libraries' own choice.

    Another processor, or another of these (``ATEN_CPU_CAPABILITY`` decides the first), rounds products otherwise.
    """
    limits = [f"{name}={os.environ[name]}" for name in _LIMITS_OF_INSTRUCTIONS if os.environ.get(name)]
    return ", ".join([torch.backends.cpu.get_cpu_capability(), *limits])


def _processor_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 0
