"""Where a step's time goes on the GPU: its kernels, the costliest first, and how long it stood idle."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler

from benchmarks.gpu.ours import Enough, setup_of
from benchmarks.gpu.work import DISTILBERT, MODELS, Say, Work, now
from distiltune.system.device import Precision
from distiltune.training.loop import LoopState, NothingKept, train

N_KERNELS: Final = 30


class _Watch(NothingKept):
    """Lets the profiler look at some steps after the warm-up; the loop does not wait for the device in between."""

    def __init__(self, device: torch.device, warm_up: int, steps: int) -> None:
        on_gpu = device.type == "cuda"
        self.profiler: Any = profiler(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU])
        self.seconds = self.host_seconds = 0.0
        self._device, self._first, self._last = device, warm_up, warm_up + steps

    def between_steps(self, step: int, state: Callable[[], LoopState]) -> None:
        if step == self._first:
            self.profiler.start()
            self.seconds = now(self._device)
        elif step == self._last:
            self.seconds = now(self._device) - self.seconds
            self.profiler.stop()
            raise Enough


def profile(work: Work, say: Say) -> None:
    """Look at both models."""
    precision: Precision = "bfloat16" if work.device.type == "cuda" else "float32"
    kind = DeviceType.CUDA if work.device.type == "cuda" else DeviceType.CPU
    for name in MODELS if not work.rehearses else (DISTILBERT,):
        warm_up, steps = work.n(200), work.n(40)
        watch = _Watch(work.device, warm_up, steps)
        with contextlib.suppress(Enough):
            train(setup_of(work, name, work.model(name), precision, log_every=10_000), dict, watch)
        kernels = [each for each in watch.profiler.key_averages() if each.device_type == kind]
        times = {each.key: _microseconds(each, kind) / steps for each in kernels}
        counts = {each.key: each.count / steps for each in kernels}
        wall = 1e6 * watch.seconds / steps
        say(
            {
                "model": name,
                "microseconds_a_step": wall,
                "of_them_kernels": sum(times.values()),
                "kernels_a_step": sum(counts.values()),
            }
        )
        for key in sorted(times, key=times.__getitem__, reverse=True)[:N_KERNELS]:
            say({"us": round(times[key], 1), "n": round(counts[key], 1), "kernel": key[:110]})


def _microseconds(average: Any, kind: DeviceType) -> float:
    return float(average.self_device_time_total if kind == DeviceType.CUDA else average.self_cpu_time_total)
