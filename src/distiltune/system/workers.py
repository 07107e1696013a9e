"""Threads that each work alone on a part of a batch, rather than all on every single product.

A step is thousands of small operations. With PyTorch's own threads every one of them ends at a barrier, which costs
a fifth of the time on two cores and more where something else runs. A worker meets the others once a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import torch

MAX_WORKERS = 4
"""Each worker has gradients of its own, which take as much memory as the weights."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How the threads of tensor work are shared out."""

    n_workers: int
    threads_each: int


def plan_workers(n_threads: int) -> WorkerPlan:
    """The plan that leaves the fewest threads idle; among equals, that of most workers."""
    counts = range(1, min(MAX_WORKERS, n_threads) + 1)
    n_workers = max(counts, key=lambda count: (count * (n_threads // count), count))
    return WorkerPlan(n_workers, n_threads // n_workers)


class Workers:
    """Threads for tensor work, each with its own share of PyTorch's threads."""

    def __init__(self, plan: WorkerPlan) -> None:
        self.plan = plan
        self._pool = ThreadPoolExecutor(
            plan.n_workers, "worker", initializer=torch.set_num_threads, initargs=(plan.threads_each,)
        )

    def run(self, jobs: Sequence[Callable[[], R]]) -> list[R]:
        """Run the jobs side by side and return what they return, in order.

        Raises:
            Exception: the first job's that failed, after all have ended.

        """
        futures = [self._pool.submit(job) for job in jobs]
        wait(futures)
        results: list[R] = []
        try:
            while futures:
                results.append(futures.pop(0).result())
            return results
        finally:
            futures.clear()  # an error's traceback holds this frame: without this the two keep each other alive

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Apply a function to items side by side; results in order, few items ahead of the one wanted."""
        pending: list[Future[R]] = []
        try:
            for item in items:
                pending.append(self._pool.submit(function, item))
                if len(pending) > self.plan.n_workers:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        finally:
            for future in pending:
                future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
