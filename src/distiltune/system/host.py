"""The library leaves the process that it works in as it found it: threads, random states, arithmetic.

What is called once, such as a training or loading a model, is done within `restored`; what may be called thousands of
times a second, such as asking a model, within `with_threads`, which takes a few microseconds.
"""

from __future__ import annotations

import csv
import functools
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from distiltune.errors import DistiltuneError, TrainingError

_CUDA: Any = torch.cuda
FLOAT32_PRODUCTS: tuple[Any, ...] = (torch.backends.cuda.matmul, vars(torch.backends)["mkldnn"].matmul)
"""Whose ``fp32_precision`` says how operands are rounded: GPUs', CPUs'."""


_OPENBLAS = [f"{before}openblas_set_num_threads{after}" for before in ("", "scipy_") for after in ("", "64_", "_64")]


@dataclass(frozen=True, slots=True)
class _Blas:
    """A library of linear algebra: its threads of a product, None if it does not tell, and what sets them."""

    threads: Callable[[], int | None]
    set_threads: Callable[[int | None], object]


@functools.cache
def _blas() -> tuple[_Blas, ...]:
    """The libraries that are loaded, NumPy's among them; to look for them takes milliseconds."""
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(_Blas(each.get_num_threads, _setter(each)) for each in found)


def _setter(controller: Any) -> Callable[[int | None], object]:
    """What sets the threads from any thread: threadpoolctl's own listens to the first alone that called it."""
    is_one_for_all = getattr(controller, "threading_layer", "") == "pthreads"
    names = _OPENBLAS if controller.internal_api == "openblas" and is_one_for_all else []
    functions = [function for name in names if (function := getattr(controller.dynlib, name, None)) is not None]
    set_threads: Callable[[int], object] = functions[0] if functions else controller.set_num_threads
    return lambda n_threads: set_threads(n_threads) if n_threads is not None else None


def one_blas_thread() -> None:
    """Let NumPy's products have one thread a caller, for good; its threads and PyTorch's would wait for each other."""
    for library in _blas():
        library.set_threads(1)


@dataclass(slots=True)
class _Within:
    """Who is at work, in all threads, and what the first of them found.

    Attributes:
        lock: held while any of this changes.
        count: how many are at work.
        blas: threads of each library of `_blas` before; a number of the whole process.
        threads: PyTorch's threads before, in the thread of the first.
        in_force: PyTorch's threads as last set by one that is at work.
        was_used: whether anybody ever was at work in this process.
        is_forked: whether this process is the fork of one in which somebody was.

    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0
    blas: tuple[int | None, ...] = ()
    threads: int = 0
    in_force: int = 0
    was_used: bool = False
    is_forked: bool = False


class _Depth(threading.local):
    """How many blocks this thread is within."""

    value = 0


_WITHIN = _Within()
_DEPTH = _Depth()


def _after_fork() -> None:
    """In the child: it has this thread alone, and nobody else will let a lock go or end a block."""
    _WITHIN.lock = threading.Lock()
    _WITHIN.count = _DEPTH.value
    _WITHIN.is_forked = _WITHIN.is_forked or _WITHIN.was_used
    _TRAINING.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def threads_to_use(n_threads: int) -> int:
    """So many threads of tensor work; one in the fork of a process that has done some, with a warning.

    A fork has none of its parent's threads, and OpenMP waits for them for ever (so it is with PyTorch's own).

    Raises:
        DistiltuneError: if the parent has used a GPU, which its forks cannot.

    """
    if not _WITHIN.is_forked:
        return n_threads
    if _CUDA.is_available() and getattr(_CUDA, "_is_in_bad_fork", lambda: False)():
        raise DistiltuneError(
            "This process is the fork of one that uses a GPU, which it cannot.",
            where=f"process {os.getpid()}",
            fix='start it anew: multiprocessing.get_context("spawn")',
        )
    if n_threads > 1:
        warnings.warn(
            "this process is the fork of one that has used a model, whose threads it does not have: tensor work has "
            f'one thread here instead of {n_threads}; one that is started anew (multiprocessing.get_context("spawn")) '
            "has all",
            RuntimeWarning,
            stacklevel=3,
        )
    return 1


@dataclass(slots=True)
class _Training:
    lock: Any = field(default_factory=threading.RLock)  # one within another in one thread is put back by `restored`


_TRAINING = _Training()


@contextmanager
def alone_in_training() -> Iterator[None]:
    """Only one thread trains at a time: two would draw by turns from the process's random states.

    Raises:
        TrainingError: if another one is under way in this process.

    """
    lock = _TRAINING.lock
    if not lock.acquire(blocking=False):
        raise TrainingError(
            "Another training is under way in this process; both would draw from the same random numbers.",
            where="fine_tune",
            fix="train one after the other, or each in a process of its own",
        )
    try:
        yield
    finally:
        lock.release()


def _enter() -> int:
    """Hold NumPy's products to one thread a caller; returns PyTorch's threads as they are to be afterwards."""
    with _WITHIN.lock:
        _WITHIN.was_used = True
        if _WITHIN.is_forked:
            torch.set_num_threads(1)
        own = torch.get_num_threads()
        if _WITHIN.count == 0:
            _WITHIN.threads = own
            _WITHIN.blas = tuple(library.threads() for library in _blas())
            one_blas_thread()
        elif _DEPTH.value == 0 and own == _WITHIN.in_force:
            # A thread begins with the number that was set last, in whichever thread: this one began under ours.
            own = _WITHIN.threads
        _WITHIN.count += 1
        _DEPTH.value += 1
        return own


def _leave(own: int) -> None:
    with _WITHIN.lock:
        torch.set_num_threads(own)  # in any case: workers of ours have set it for the threads that are yet to begin
        _WITHIN.count -= 1
        _DEPTH.value -= 1
        if _WITHIN.count == 0:
            for library, before in zip(_blas(), _WITHIN.blas, strict=True):
                library.set_threads(before)


@contextmanager
def with_threads(n_threads: int) -> Iterator[None]:
    """Within it, tensor work of this thread has so many threads, and NumPy's products one a caller; then as before.

    Blocks may lie within each other, and side by side in several threads.
    """
    n_threads = threads_to_use(n_threads)
    own = _enter()
    try:
        _WITHIN.in_force = n_threads
        torch.set_num_threads(n_threads)
        yield
    finally:
        _leave(own)


@contextmanager
def restored() -> Iterator[None]:
    """After it, threads, random states and what arithmetic is done in are as before, whatever was set within.

    Random states are Python's, NumPy's and PyTorch's, those of all GPUs too. That freed memory is kept
    (`keep_freed_memory`) stays so: glibc does not tell what was set before.
    """
    own, state = _enter(), _State.now()
    try:
        yield
    finally:
        state.put_back()
        _leave(own)


@dataclass(frozen=True, slots=True)
class _Gpus:
    """The current GPU, and all GPUs' random states."""

    current: int
    random: list[torch.Tensor]


@dataclass(frozen=True, slots=True)
class _State:
    python: tuple[Any, ...]
    numpy: dict[str, Any]
    torch: torch.Tensor
    gpus: _Gpus | None
    apple: Tensor | None
    matmul: str | None
    by_backend: tuple[str, ...]
    longest_cell: int

    @classmethod
    def now(cls) -> _State:
        gpus = None
        if _CUDA.is_initialized():
            gpus = _Gpus(torch.cuda.current_device(), torch.cuda.get_rng_state_all())
        try:
            matmul: str | None = torch.get_float32_matmul_precision()
        except RuntimeError:  # it was set by backend, and says so
            matmul = None
        return cls(
            random.getstate(),
            np.random.get_state(legacy=False),
            torch.get_rng_state(),
            gpus,
            torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
            matmul,
            tuple(each.fp32_precision for each in FLOAT32_PRODUCTS),
            csv.field_size_limit(),
        )

    def put_back(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        csv.field_size_limit(self.longest_cell)
        if self.apple is not None:
            torch.mps.set_rng_state(self.apple)
        if self.matmul is not None:
            torch.set_float32_matmul_precision(self.matmul)
        for products, before in zip(FLOAT32_PRODUCTS, self.by_backend, strict=True):
            products.fp32_precision = before
        if self.gpus is not None:
            torch.cuda.set_rng_state_all(self.gpus.random)
            torch.cuda.set_device(self.gpus.current)
        elif torch.cuda.is_available():
            # Nobody had used a GPU: each would have begun with the CPU's seed, and the first one is current.
            torch.cuda.manual_seed_all(torch.initial_seed())
            if _CUDA.is_initialized():
                torch.cuda.set_device(0)
