"""Dynamic batching: features of several requests go through the model together, each request's own share in turn."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, cumulative_lengths, pack
from distiltune.errors import DistiltuneError
from distiltune.model.encoder import model_device, rows_of
from distiltune.system.host import with_threads
from distiltune.system.workers import plan_workers

Output = npt.NDArray[np.float32]

_LEAST_TOKENS = 512
"""Fewer than this are not split up between workers."""
_RATE_MEMORY = 0.9


class OverloadedError(DistiltuneError):
    """More is waiting than may wait; ``retry_after_s`` says when to come again."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__("The server is busy.", fix=f"ask again in {retry_after_s} s")


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How requests are put together.

    Attributes:
        max_batch_tokens: most tokens in a batch; a longer feature has a batch of its own.
        max_wait_s: how long a batch that is not full waits for more.
        max_queued_tokens: most tokens that may wait; beyond that requests are refused.

    """

    max_batch_tokens: int = 2_048
    max_wait_s: float = 0.003
    max_queued_tokens: int = 600_000


OnBatch = Callable[[int, int, float], None]
"""Told of each batch: its features, its tokens, the seconds that it took."""


@dataclass(slots=True, eq=False)
class Job:
    """A request's features on their way: ``future`` gets one array ``(n_rows, n_outputs)`` a feature, in order."""

    features: FeatureSet
    outputs: list[Output | None]
    future: Future[list[Output]] = field(default_factory=Future)
    n_taken: int = 0
    n_done: int = 0

    @property
    def n_features(self) -> int:
        """How many windows the request makes."""
        return len(self.outputs)

    @property
    def n_tokens_left(self) -> int:
        """Tokens that are not yet in a batch."""
        return int(self.features.offsets[-1] - self.features.offsets[self.n_taken])

    def cancel(self) -> None:
        """Give it up: what is not yet in a batch will never be."""
        self.future.cancel()


class DynamicBatcher:
    """Threads that take batches from all waiting requests, turn by turn, and run them through one model."""

    def __init__(self, model: nn.Module, settings: BatchSettings = BatchSettings(), n_threads: int = 0) -> None:
        """Start the threads; `close` ends them.

        Args:
            model: what runs the batches.
            settings: how they are put together.
            n_threads: threads of tensor work on the CPU, all together; 0 means as many as PyTorch has now.

        """
        self.on_batch: OnBatch = lambda n_features, n_tokens, seconds: None
        self._model = model.eval()
        self._rows = rows_of(model)
        self._device = model_device(model)
        self._settings = settings
        self._jobs: deque[Job] = deque()
        self._queued_tokens = 0
        self._tokens_per_second = 0.0
        self._n_running = 0
        self._is_alone = False
        self._closed = False
        self._changed = threading.Condition()
        plan = plan_workers(n_threads or torch.get_num_threads())
        n_workers = plan.n_workers if self._device.type == "cpu" else 1
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(plan.threads_each, plan.threads_each * n_workers if number == 0 else 0),
                name="serving",
                daemon=True,
            )
            for number in range(n_workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait for a batch."""
        return self._queued_tokens

    def submit(self, features: FeatureSet) -> Job:
        """Put a request's features into the queue.

        Raises:
            OverloadedError: if too much is waiting already, or the batcher is closed.

        """
        job = Job(features, [None] * len(features))
        n_tokens = len(features.token_ids)
        if not len(features):
            job.future.set_result([])
            return job
        with self._changed:
            waiting = self._queued_tokens
            if self._closed or (waiting and waiting + n_tokens > self._settings.max_queued_tokens):
                raise OverloadedError(self._retry_after())
            self._queued_tokens += n_tokens
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def close(self, timeout_s: float = 10.0) -> None:
        """Take no more, cancel what waits, and end the threads."""
        with self._changed:
            self._closed = True
            for job in self._jobs:
                job.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _retry_after(self) -> int:
        if self._tokens_per_second == 0.0:
            return 1
        return min(30, max(1, math.ceil(self._queued_tokens / self._tokens_per_second)))

    def _work(self, n_threads: int, n_threads_alone: int) -> None:
        """Run batches until closed.

        A single window that nobody waits behind has all workers' threads. Only one worker does that: OpenMP keeps
        threads for each thread that ever used them, and with more of them than cores they wait asleep, which is slow.
        """
        while taken := self._take(may_be_alone=bool(n_threads_alone)):
            began = time.perf_counter()
            try:
                batch = _pack(taken)
                with with_threads(n_threads_alone if self._is_alone else n_threads), torch.inference_mode():
                    output = self._model(batch.to(self._device)).float().cpu()
                parts = [part.numpy() for part in torch.split(output, list(batch.row_counts(self._rows)))]
            except Exception as error:  # the requests in this batch fail; the next ones may well succeed
                self._fail(taken, error)
                continue
            seconds = time.perf_counter() - began
            self._deliver(taken, parts, batch.n_tokens / seconds)
            self.on_batch(batch.n_features, batch.n_tokens, seconds)

    def _take(self, *, may_be_alone: bool) -> list[tuple[Job, int]]:
        """The next batch as (job, number of the feature in it); empty when closed."""
        with self._changed:
            waited_until = 0.0
            while True:
                self._drop_cancelled()
                if self._closed:
                    return []
                if not self._jobs or self._is_alone or (self._is_for_one_alone() and not may_be_alone):
                    self._changed.wait()
                    waited_until = 0.0
                elif self._queued_tokens < self._settings.max_batch_tokens and waited_until == 0.0:
                    waited_until = time.monotonic() + self._settings.max_wait_s
                    self._changed.wait(self._settings.max_wait_s)
                elif self._queued_tokens < self._settings.max_batch_tokens and time.monotonic() < waited_until:
                    self._changed.wait(max(0.0, waited_until - time.monotonic()))
                else:
                    self._is_alone = self._is_for_one_alone()
                    return self._take_in_turn()

    def _take_in_turn(self) -> list[tuple[Job, int]]:
        """One feature of each job after another, until the batch is full or this worker has its share."""
        share = math.ceil(self._queued_tokens / len(self._threads))
        most = min(self._settings.max_batch_tokens, max(_LEAST_TOKENS, share))
        taken: list[tuple[Job, int]] = []
        n_tokens = 0
        while self._jobs:
            job = self._jobs[0]
            length = int(job.features.offsets[job.n_taken + 1] - job.features.offsets[job.n_taken])
            if taken and n_tokens + length > most:
                break
            taken.append((job, job.n_taken))
            n_tokens += length
            job.n_taken += 1
            self._jobs.popleft()
            if job.n_taken < job.n_features:
                self._jobs.append(job)
        self._queued_tokens -= n_tokens
        self._n_running += 1
        return taken

    def _is_for_one_alone(self) -> bool:
        """Whether all that is to be done is a single window; to be called with the lock held."""
        return self._n_running == 0 and len(self._jobs) == 1 and self._jobs[0].n_features - self._jobs[0].n_taken == 1

    def _end_batch(self) -> None:
        """To be called with the lock held."""
        self._n_running -= 1
        self._is_alone = False
        self._changed.notify_all()

    def _drop_cancelled(self) -> None:
        if any(job.future.cancelled() for job in self._jobs):
            gone = [job for job in self._jobs if job.future.cancelled()]
            self._queued_tokens -= sum(job.n_tokens_left for job in gone)
            self._jobs = deque(job for job in self._jobs if not job.future.cancelled())

    def _deliver(self, taken: list[tuple[Job, int]], parts: list[Output], rate: float) -> None:
        finished = []
        with self._changed:
            was_alone = self._is_alone
            self._end_batch()
            rate *= 1 if was_alone else len(self._threads)
            known = self._tokens_per_second
            self._tokens_per_second = rate if known == 0.0 else _RATE_MEMORY * known + (1 - _RATE_MEMORY) * rate
            for (job, number), part in zip(taken, parts, strict=True):
                job.outputs[number] = part
                job.n_done += 1
                if job.n_done == job.n_features:
                    finished.append(job)
        for job in finished:
            if job.future.set_running_or_notify_cancel():
                job.future.set_result([output for output in job.outputs if output is not None])

    def _fail(self, taken: list[tuple[Job, int]], error: Exception) -> None:
        failed = {id(job): job for job, _ in taken}
        with self._changed:
            self._end_batch()
            for job in failed.values():
                if job in self._jobs:
                    self._jobs.remove(job)
                    self._queued_tokens -= job.n_tokens_left
        for job in failed.values():
            if not job.future.done() and job.future.set_running_or_notify_cancel():
                job.future.set_exception(error)


def _pack(taken: list[tuple[Job, int]]) -> PackedBatch:
    """The features taken, laid end to end."""
    rows = [
        job.features.token_ids[job.features.offsets[number] : job.features.offsets[number + 1]] for job, number in taken
    ]
    return pack(np.concatenate(rows), cumulative_lengths([len(row) for row in rows]), np.arange(len(rows)))
