"""Dynamic batching: everybody gets the outputs of their own features, whatever else is going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.model.encoder import Encoder, TaskModel
from distiltune.serving.batching import BatchSettings, DynamicBatcher, Job, OverloadedError
from distiltune.tasks.text_classification.head import SequenceHead
from tests.helpers import TINY, feature_set, random_features, tiny_qa_model


class Echo(nn.Module):
    """Gives each token's id and position back; waits where it is told to; fails at the token 99."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.empty(0))
        self.go = threading.Event()
        self.go.set()
        self.sizes: list[list[int]] = []

    def forward(self, batch: PackedBatch) -> Tensor:
        self.go.wait(10)
        self.sizes.append(list(batch.lengths))
        if 99 in batch.token_ids.tolist():
            raise ZeroDivisionError("the token 99")
        return torch.stack([batch.token_ids, batch.position_ids], dim=1).float()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def batcher(echo: Echo) -> Iterator[DynamicBatcher]:
    made = DynamicBatcher(echo, BatchSettings(max_batch_tokens=50, max_wait_s=0.02, max_queued_tokens=200))
    yield made
    echo.go.set()
    made.close()


def test_each_request_gets_its_own_outputs_in_order(batcher: DynamicBatcher) -> None:
    rng = np.random.default_rng(0)
    requests = [
        [rng.integers(1, 90, rng.integers(1, 30)).tolist() for _ in range(rng.integers(1, 6))] for _ in range(30)
    ]
    jobs = []
    for request in requests:
        while True:
            try:
                jobs.append(batcher.submit(feature_set(request)))
                break
            except OverloadedError:
                time.sleep(0.001)
    for request, job in zip(requests, jobs, strict=True):
        outputs = job.future.result(timeout=10)
        assert [output[:, 0].astype(int).tolist() for output in outputs] == request
        assert [output[:, 1].astype(int).tolist() for output in outputs] == [list(range(len(row))) for row in request]
        assert job.n_done == job.n_features == len(request)
    assert batcher.queued_tokens == 0


def test_the_outputs_are_those_of_the_model_alone() -> None:
    model, features = tiny_qa_model().eval(), random_features(40)
    batcher = DynamicBatcher(model, BatchSettings(max_batch_tokens=64))
    outputs = batcher.submit(features).future.result(timeout=10)
    batcher.close()
    with torch.inference_mode():
        for i, output in enumerate(outputs):
            alone = model(features.batch(np.array([i]))).numpy()
            np.testing.assert_allclose(output, alone, atol=1e-5)


def test_of_a_model_that_gives_a_row_a_text_each_gets_its_row() -> None:
    torch.manual_seed(0)
    model, features = TaskModel(Encoder(TINY), SequenceHead(TINY.hidden_size, 3, 0.0)).eval(), random_features(40)
    batcher = DynamicBatcher(model, BatchSettings(max_batch_tokens=64))
    outputs = batcher.submit(features).future.result(timeout=10)
    batcher.close()
    assert {output.shape for output in outputs} == {(1, 3)}
    with torch.inference_mode():
        np.testing.assert_allclose(np.concatenate(outputs), model(features.batch(np.arange(40))), atol=1e-5)


def test_one_window_alone_has_all_threads_and_others_wait_for_it() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    threads: list[tuple[int, int]] = []
    both_run = threading.Barrier(2)

    class Told(Echo):
        def forward(self, batch: PackedBatch) -> Tensor:
            threads.append((torch.get_num_threads(), batch.n_features))
            output = super().forward(batch)
            if batch.n_tokens == 500:
                both_run.wait(10)  # else the last could find itself alone, rightly
            return output

    try:
        echo = Told()
        batcher = DynamicBatcher(echo, BatchSettings(max_batch_tokens=600, max_wait_s=0.0))
        for _ in range(5):
            batcher.submit(feature_set([[1, 2]])).future.result(timeout=10)
        assert threads == [(2, 1)] * 5
        threads.clear()
        echo.go.clear()
        first = batcher.submit(feature_set([[1, 2]]))
        while not threads:
            time.sleep(0.001)
        second = batcher.submit(feature_set([[3] * 500, [4] * 500]))
        time.sleep(0.05)
        assert threads == [(2, 1)]  # the other worker does not begin beside it
        echo.go.set()
        for job in (first, second):
            job.future.result(timeout=10)
        assert sorted(threads[1:]) == [(1, 1), (1, 1)]
        batcher.close()
    finally:
        torch.set_num_threads(before)


def test_requests_that_wait_together_go_together(batcher: DynamicBatcher, echo: Echo) -> None:
    echo.go.clear()
    jobs = [batcher.submit(feature_set([[1, 2, 3]])) for _ in range(9)]
    echo.go.set()
    for job in jobs:
        job.future.result(timeout=10)
    assert max(map(len, echo.sizes)) > 4
    assert all(sum(sizes) <= 50 for sizes in echo.sizes)


def test_a_long_request_does_not_hold_up_a_short_one(echo: Echo) -> None:
    batcher = DynamicBatcher(echo, BatchSettings(max_batch_tokens=50, max_wait_s=0.0, max_queued_tokens=10_000))
    echo.go.clear()
    long = batcher.submit(feature_set([[1] * 25] * 60))
    while batcher.queued_tokens == 60 * 25:
        time.sleep(0.001)  # until a batch of it is on its way
    short = batcher.submit(feature_set([[2, 2]]))
    echo.go.set()
    short.future.result(timeout=10)
    long.future.result(timeout=10)
    batcher.close()
    assert next(i for i, sizes in enumerate(echo.sizes) if 2 in sizes) <= 3


def test_more_than_may_wait_is_refused_with_a_time(batcher: DynamicBatcher, echo: Echo) -> None:
    echo.go.clear()
    accepted: list[Job] = []

    def submit_many() -> None:
        for _ in range(100):
            accepted.append(batcher.submit(feature_set([[1] * 20])))

    with pytest.raises(OverloadedError) as refused:
        submit_many()
    assert 1 <= refused.value.retry_after_s <= 30
    assert batcher.queued_tokens <= 200
    echo.go.set()
    for job in accepted:
        assert len(job.future.result(timeout=10)) == 1
    assert batcher.submit(feature_set([[1] * 20])).future.result(timeout=10)


def test_a_request_longer_than_the_queue_is_taken_when_nothing_waits(batcher: DynamicBatcher) -> None:
    assert len(batcher.submit(feature_set([[1] * 30] * 20)).future.result(timeout=10)) == 20


def test_what_is_given_up_is_not_run(batcher: DynamicBatcher, echo: Echo) -> None:
    echo.go.clear()
    first = batcher.submit(feature_set([[1] * 40]))
    while batcher.queued_tokens:
        time.sleep(0.001)
    second = batcher.submit(feature_set([[7] * 30] * 3))
    second.cancel()
    third = batcher.submit(feature_set([[3] * 10]))
    echo.go.set()
    first.future.result(timeout=10)
    third.future.result(timeout=10)
    assert [30] not in echo.sizes
    assert batcher.queued_tokens == 0


def test_an_error_reaches_those_in_its_batch_and_nobody_else(batcher: DynamicBatcher) -> None:
    bad = batcher.submit(feature_set([[99]] + [[5] * 30] * 5))
    with pytest.raises(ZeroDivisionError):
        bad.future.result(timeout=10)
    assert batcher.submit(feature_set([[5, 6]])).future.result(timeout=10)[0][:, 0].tolist() == [5.0, 6.0]
    assert batcher.queued_tokens == 0


def test_closing_ends_the_threads_and_refuses(echo: Echo) -> None:
    before = {thread for thread in threading.enumerate() if thread.name == "serving"}
    batcher = DynamicBatcher(echo)
    assert batcher.submit(feature_set([])).future.result() == []
    batcher.close()
    assert {thread for thread in threading.enumerate() if thread.name == "serving"} <= before
    with pytest.raises(OverloadedError):
        batcher.submit(feature_set([[1]]))


def wait_until_taken(batcher: DynamicBatcher, n_tokens: int) -> None:
    """Until a batch of so many queued tokens is on its way."""
    while batcher.queued_tokens >= n_tokens:
        time.sleep(0.001)


def _note(ended: list[int], number: int, future: object) -> None:
    ended.append(number)


def test_long_requests_are_finished_one_after_another_the_oldest_first(echo: Echo) -> None:
    batcher = DynamicBatcher(
        echo, BatchSettings(max_batch_tokens=50, max_wait_s=0.0, max_queued_tokens=100_000), n_threads=1
    )
    ended: list[int] = []
    echo.go.clear()
    jobs = [batcher.submit(feature_set([[number] * 25] * 40)) for number in range(1, 6)]
    for number, job in enumerate(jobs):
        job.future.add_done_callback(partial(_note, ended, number))
    echo.go.set()
    for job in jobs:
        job.future.result(timeout=10)
    batcher.close()
    assert ended == [0, 1, 2, 3, 4]
    assert all(job.n_done == 40 for job in jobs)


def test_short_requests_never_take_more_than_half_from_the_oldest(echo: Echo) -> None:
    tokens: list[list[int]] = []

    class Told(Echo):
        def forward(self, batch: PackedBatch) -> Tensor:
            output = super().forward(batch)
            tokens.append(batch.token_ids.tolist())
            return output

    told = Told()
    batcher = DynamicBatcher(told, BatchSettings(max_batch_tokens=600, max_wait_s=0.0), n_threads=1)
    told.go.clear()
    first = batcher.submit(feature_set([[9] * 600]))
    wait_until_taken(batcher, 600)
    long = batcher.submit(feature_set([[1] * 100] * 30))
    short = [batcher.submit(feature_set([[2] * 100])) for _ in range(12)]
    told.go.set()
    for job in (first, long, *short):
        job.future.result(timeout=10)
    batcher.close()
    assert [(each.count(1), each.count(2)) for each in tokens[1:5]] == [(300, 300)] * 4


class Slow(Echo):
    """Takes a hundredth of a second for ten tokens."""

    def forward(self, batch: PackedBatch) -> Tensor:
        output = super().forward(batch)
        time.sleep(batch.n_tokens / 1_000)
        return output


@pytest.fixture
def slow() -> Iterator[DynamicBatcher]:
    model = Slow()
    settings = BatchSettings(max_batch_tokens=100, max_wait_s=0.0, max_queued_tokens=10**9, max_reckoned_s=2.5)
    made = DynamicBatcher(model, settings, n_threads=1)
    made.warm_up(feature_set([[1] * 100]))
    assert made.tokens_per_second == pytest.approx(1_000, rel=0.2)
    yield made
    made.close()


def test_what_would_wait_too_long_is_refused_with_the_time_that_it_would_take(slow: DynamicBatcher) -> None:
    """Each takes a second, and two and a half are allowed."""
    taken = [slow.submit(feature_set([[1] * 20] * 50)) for _ in range(2)]
    with pytest.raises(OverloadedError) as refused:
        slow.submit(feature_set([[1] * 20] * 50))
    assert 1 <= refused.value.retry_after_s <= 2
    with pytest.raises(OverloadedError):
        slow.check_room(5_000)
    slow.check_room(100)
    began = time.monotonic()
    slow.submit(feature_set([[2] * 50])).future.result(timeout=5)  # a short one is taken, and is soon answered
    assert time.monotonic() - began < 1.0
    for job in taken:
        job.future.result(timeout=10)


def test_a_request_that_is_read_at_once_is_taken_however_long_it_is(slow: DynamicBatcher) -> None:
    job = slow.submit(feature_set([[1] * 100] * 40))
    assert slow.seconds_left(job) == pytest.approx(4.0, rel=0.3)
    job.cancel()


def test_what_is_stopped_keeps_what_was_read(slow: DynamicBatcher) -> None:
    job = slow.submit(feature_set([[1] * 100] * 40))
    while job.n_done < 2:
        time.sleep(0.01)
    outputs = job.stop()
    read = [each for each in outputs if each is not None]
    assert 2 <= len(read) < 40
    assert all(each is not None for each in outputs[: len(read)])  # those from the beginning
    assert slow.submit(feature_set([[5]])).future.result(timeout=5)[0][0, 0] == 5
    assert slow.queued_tokens == 0


def test_whether_it_is_alive(echo: Echo) -> None:
    batcher = DynamicBatcher(echo)
    assert batcher.is_alive
    batcher.close()
    assert not batcher.is_alive
