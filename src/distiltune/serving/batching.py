"""Dynamic batching: features of several requests go through the model together, the oldest request's first.

What waits is bounded by the time that it will take: tokens that wait, over the tokens a second that were measured.
"""

from __future__ import annotations

import itertools
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
from distiltune.serving.pace import Pace
from distiltune.system.host import with_threads
from distiltune.system.workers import plan_workers

Output = npt.NDArray[np.float32]

_LEAST_TOKENS = 512
"""Fewer than this are not split up between workers."""
_PACE_TOKENS = 16_384
"""Half of what is known of the pace is from so many tokens ago or less."""

_SHORT_WINDOWS = 4
"""A request of no more windows is short: it need not wait for the long ones before it."""

_AT_ONCE = 0.1
"""A request before which less than this share of the longest wait is queued is taken, however long it is."""

RECKONED_SHARE = 0.75
"""How much of an answer's time a request may have to wait, as reckoned; the pace is never quite what it was."""

_LONGEST_RETRY_S = 60


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
        max_reckoned_s: longest time that a request may have to wait until it is read, as reckoned when it comes.

    """

    max_batch_tokens: int = 2_048
    max_wait_s: float = 0.003
    max_queued_tokens: int = 600_000
    max_reckoned_s: float = 45.0


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
    taken_at: float = math.inf  # when the first of its windows was put into a batch, as `time.perf_counter` has it

    @property
    def n_features(self) -> int:
        """How many windows the request makes."""
        return len(self.outputs)

    @property
    def n_tokens_left(self) -> int:
        """Tokens that are not yet in a batch."""
        return int(self.features.offsets[-1] - self.features.offsets[self.n_taken])

    @property
    def is_short(self) -> bool:
        """Whether it need not wait for long requests before it."""
        return self.n_features - self.n_taken <= _SHORT_WINDOWS

    def next_length(self) -> int:
        """Tokens of the feature that is next."""
        return int(self.features.offsets[self.n_taken + 1] - self.features.offsets[self.n_taken])

    def cancel(self) -> None:
        """Give it up: what is not yet in a batch will never be."""
        self.future.cancel()

    def stop(self) -> list[Output | None]:
        """Give it up, and keep what there is: an array a feature, None for those that have not been read."""
        self.cancel()
        return list(self.outputs)


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
        self._pace = Pace(_PACE_TOKENS)
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

    @property
    def tokens_per_second(self) -> float:
        """What the model reads, all threads together; 0 while nothing is known."""
        return self._pace.per_second * len(self._threads)

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken and worked on."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def seconds_for(self, n_tokens: int) -> float:
        """How long so many tokens take where nothing else is to be read; 0 while nothing is known."""
        return self._pace.seconds_for(n_tokens) / len(self._threads)

    def seconds_left(self, job: Job) -> float:
        """How long it will be, as far as can be told now, until a request is read; 0 while nothing is known."""
        with self._changed:
            return self.seconds_for(self._tokens_before(job, job.is_short) + job.n_tokens_left)

    def warm_up(self, features: FeatureSet) -> None:
        """Read these and forget them, so that the pace is known before the first requests come."""
        self.submit(features).future.result()

    def check_room(self, n_tokens: int) -> None:
        """See whether a request of at least so many tokens would be taken, before they are made.

        Raises:
            OverloadedError: if not.

        """
        with self._changed:
            self._check_room(n_tokens, n_tokens <= _SHORT_WINDOWS * _LEAST_TOKENS)

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
            self._drop_cancelled()
            self._check_room(n_tokens, job.is_short)
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

    def _check_room(self, n_tokens: int, is_short: bool) -> None:
        """To be called with the lock held.

        Raises:
            OverloadedError: if the request would wait too long, or what waits would be too much.

        """
        waiting, longest = self._queued_tokens, self._settings.max_reckoned_s
        before, own = self.seconds_for(self._tokens_before(None, is_short)), self.seconds_for(n_tokens)
        if before + own > longest and before > _AT_ONCE * longest:
            raise OverloadedError(self._when_again(max(before + own - longest, min(own, longest))))
        if self._closed or (waiting and waiting + n_tokens > self._settings.max_queued_tokens):
            raise OverloadedError(self.retry_after())

    def retry_after(self) -> int:
        """In how many seconds all that waits now will be read; 1 to 60."""
        return self._when_again(self.seconds_for(self._queued_tokens))

    @staticmethod
    def _when_again(seconds: float) -> int:
        return min(_LONGEST_RETRY_S, max(1, math.ceil(seconds)))

    def _tokens_before(self, job: Job | None, is_short: bool) -> int:
        """Tokens that are read before those of this job, or of one that comes now; with the lock held.

        Short requests wait for short ones only, but where there are long ones these have half of each batch.
        """
        n_short, n_long, is_found = 0, 0, False
        for each in self._jobs:
            is_found = is_found or each is job
            if each.is_short:
                n_short += 0 if is_found and is_short else each.n_tokens_left
            elif not is_found:
                n_long += each.n_tokens_left
        return n_short + (min(n_short, n_long) if is_short else n_long)

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
            self._deliver(taken, parts, batch.n_tokens, seconds)
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
        """Windows until the batch is full or this worker has its share: half of them at least are the oldest request's,
        then come the short ones', one each in turn, then the others' by age."""
        share = math.ceil(self._queued_tokens / len(self._threads))
        most = min(self._settings.max_batch_tokens, max(_LEAST_TOKENS, share))
        taken: list[tuple[Job, int]] = []
        n_tokens = self._take_from(self._jobs[0], taken, 0, most // 2)
        short = deque(job for job in itertools.islice(self._jobs, 1, None) if job.is_short)
        while short and n_tokens + short[0].next_length() <= most:
            job = short.popleft()
            n_tokens = self._take_one(job, taken, n_tokens)
            if job.n_taken < job.n_features:
                short.append(job)
        for job in self._jobs:
            n_tokens = self._take_from(job, taken, n_tokens, most)
            if job.n_taken < job.n_features:
                break
        self._jobs = deque(job for job in self._jobs if job.n_taken < job.n_features)
        self._queued_tokens -= n_tokens
        self._n_running += 1
        return taken

    def _take_from(self, job: Job, taken: list[tuple[Job, int]], n_tokens: int, most: int) -> int:
        """Take windows of one request while there is room, and one in any case if there is none yet; tokens taken."""
        while job.n_taken < job.n_features and (not taken or n_tokens + job.next_length() <= most):
            n_tokens = self._take_one(job, taken, n_tokens)
        return n_tokens

    @staticmethod
    def _take_one(job: Job, taken: list[tuple[Job, int]], n_tokens: int) -> int:
        n_tokens += job.next_length()
        taken.append((job, job.n_taken))
        job.taken_at = min(job.taken_at, time.perf_counter())
        job.n_taken += 1
        return n_tokens

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

    def _deliver(self, taken: list[tuple[Job, int]], parts: list[Output], n_tokens: int, seconds: float) -> None:
        finished = []
        with self._changed:
            self._pace.add(n_tokens, seconds * (len(self._threads) if self._is_alone else 1))
            self._end_batch()
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
