from __future__ import annotations

import threading
import time

import pytest
import torch

from distiltune.system.workers import WorkerPlan, Workers, plan_workers


@pytest.mark.parametrize(
    ("n_threads", "n_workers", "each"),
    [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (5, 1, 5), (6, 3, 2), (7, 1, 7), (8, 4, 2), (12, 4, 3), (16, 4, 4)],
)
def test_the_plan_leaves_the_fewest_threads_idle(n_threads: int, n_workers: int, each: int) -> None:
    assert plan_workers(n_threads) == WorkerPlan(n_workers, each)


def test_results_come_in_order_whoever_is_first() -> None:
    with Workers(WorkerPlan(2, 1)) as workers:
        assert workers.run([lambda: time.sleep(0.05) or 1, lambda: 2]) == [1, 2]  # type: ignore[func-returns-value]
        assert list(workers.map(lambda n: n * n, range(20))) == [n * n for n in range(20)]


def test_workers_run_side_by_side_with_their_own_number_of_threads() -> None:
    barrier = threading.Barrier(2, timeout=10)

    def job() -> int:
        barrier.wait()
        return torch.get_num_threads()

    before = torch.get_num_threads()
    with Workers(WorkerPlan(2, 3)) as workers:
        assert workers.run([job, job]) == [3, 3]
    assert torch.get_num_threads() == before


def test_the_first_error_is_raised_when_all_have_ended() -> None:
    ended = []

    def fails() -> None:
        raise ValueError("no")

    with Workers(WorkerPlan(2, 1)) as workers:
        with pytest.raises(ValueError, match="no"):
            workers.run([fails, lambda: time.sleep(0.05) or ended.append(1)])  # type: ignore[func-returns-value]
        assert ended == [1]
        with pytest.raises(ZeroDivisionError):
            list(workers.map(lambda n: 1 // n, [1, 0, 1]))


def test_map_runs_few_items_ahead() -> None:
    taken = []

    def items() -> object:
        for n in range(50):
            taken.append(n)
            yield n

    with Workers(WorkerPlan(2, 1)) as workers:
        results = workers.map(lambda n: n, items())  # type: ignore[arg-type, var-annotated]
        next(results)
        assert len(taken) == 3
        results.close()  # type: ignore[attr-defined]
