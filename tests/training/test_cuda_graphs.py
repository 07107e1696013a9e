"""Recording and replaying, with a stand-in for the recorder: the real one needs a GPU (tests/gpu)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.data.loader import epoch_order, split_batches
from distiltune.model import encoder
from distiltune.model.attention import padded_attention
from distiltune.model.lora import LoraSettings, adapt
from distiltune.tasks.question_answering.head import span_loss
from distiltune.training import cuda_graphs
from distiltune.training.backward import Gradients
from distiltune.training.cuda_graphs import Replayed, fill, make_static
from distiltune.training.parameters import freeze
from tests.helpers import random_features, tiny_qa_model, weights_of
from tests.training.whole_batch import WholeBatch

CPU = torch.device("cpu")
FEATURES = random_features(64)
LONGEST = 12


class StandIn:
    """Replays by doing the work again; like the real one it works a few times first, and knows no other tensors."""

    def __init__(self) -> None:
        self.n_recorded = self.n_replayed = 0

    def __call__(self, run: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
        self.n_recorded += 1
        result = run().clone()
        run()

        def replay() -> Tensor:
            self.n_replayed += 1
            return result.copy_(run())

        return replay


@pytest.fixture(autouse=True)
def _attention_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's attention reads the lengths on the host, where a replay would not see them change."""

    def attention(flat: Tensor, boundaries: Tensor, _: tuple[int, ...], *sizes: Any) -> Tensor:
        return padded_attention(flat, boundaries, *sizes)

    monkeypatch.setattr(encoder, "packed_attention", attention)


def steps(gradients: Gradients, model: torch.nn.Module, n_epochs: int = 2) -> list[Tensor]:
    """Plain gradient descent; every step's metrics."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    metrics = []
    for epoch in range(n_epochs):
        for ids in split_batches(epoch_order(len(FEATURES), 0, epoch), 6):  # the last batch has 4
            metrics.append(gradients.add([FEATURES.batch(ids)], len(ids)))
            gradients.finish()
            optimiser.step()
            gradients.clear()
    return metrics


def test_replays_train_as_the_plain_way_does() -> None:
    plain, replayed, recorder = tiny_qa_model(), tiny_qa_model(), StandIn()
    expected = steps(WholeBatch(plain, span_loss), plain)
    ours = steps(Replayed(replayed, span_loss, "float32", LONGEST, recorder), replayed)
    torch.testing.assert_close(torch.stack(ours), torch.stack(expected), rtol=1e-5, atol=1e-5)
    for ours_parameter, theirs in zip(replayed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours_parameter, theirs, rtol=1e-5, atol=1e-6)
    assert recorder.n_recorded < 8, "sizes repeat"
    assert recorder.n_replayed > 10


@pytest.mark.parametrize("part", ["frozen", "adapters"])
def test_where_only_a_part_is_trained(part: str) -> None:
    """What is frozen has no gradient, in a recording either."""
    models = [tiny_qa_model(), tiny_qa_model()]
    for model in models:
        torch.manual_seed(3)
        if part == "frozen":
            freeze(model, "1")
        else:
            adapt(model, LoraSettings(2))
    plain, replayed = models
    before = weights_of(plain)
    expected = steps(WholeBatch(plain, span_loss), plain)
    ours = steps(Replayed(replayed, span_loss, "float32", LONGEST, StandIn()), replayed)
    torch.testing.assert_close(torch.stack(ours), torch.stack(expected), rtol=1e-5, atol=1e-5)
    moved = set()
    for (name, ours_parameter), theirs in zip(replayed.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours_parameter, theirs, rtol=1e-5, atol=1e-6)
        assert (ours_parameter.grad is not None) == ours_parameter.requires_grad
        moved |= {name} if not torch.equal(ours_parameter, before[name]) else set()
    assert moved == {name for name, each in plain.named_parameters() if each.requires_grad}


def test_parts_of_a_step_add_up_also_where_one_is_recorded_between() -> None:
    model, expected_model = tiny_qa_model(), tiny_qa_model()
    gradients = Replayed(model, span_loss, "float32", LONGEST, StandIn())
    plain = WholeBatch(expected_model, span_loss)
    for n_parts in (3, 1, 2):  # the first: run, recorded, replayed
        for first in range(n_parts):
            part = [FEATURES.batch(np.arange(6) + first % 2)]
            gradients.add(part, 18)
            plain.add(part, 18)
        gradients.finish()
        for ours, theirs in zip(model.parameters(), expected_model.parameters(), strict=True):
            assert ours.grad is not None
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)
        gradients.clear()
        plain.clear()


def test_a_step_of_which_this_process_has_no_part_has_gradients_of_nought() -> None:
    model = tiny_qa_model()
    gradients = Replayed(model, span_loss, "float32", LONGEST, StandIn())
    for parts in ([FEATURES.batch(np.arange(6))], []):
        gradients.add(parts, 6)
        gradients.finish()
        largest = max(
            float(parameter.grad.abs().max()) for parameter in model.parameters() if parameter.grad is not None
        )
        gradients.clear()
        assert (largest == 0.0) == (not parts)


def test_a_static_batch_keeps_its_tensors_and_takes_the_content() -> None:
    batches = [fill(FEATURES.batch(np.arange(start, start + 4)), LONGEST) for start in range(0, 64, 4)]
    first = batches[0]
    second = next(batch for batch in batches[1:] if batch.n_tokens == first.n_tokens)
    static = make_static(first, CPU)
    places = [static.batch.token_ids.data_ptr(), static.batch.labels.data_ptr()]
    static.load(second, 0.5)
    assert torch.equal(static.batch.token_ids, second.token_ids)
    assert torch.equal(static.batch.cu_seqlens, second.cu_seqlens)
    assert torch.equal(static.batch.labels, second.labels)
    assert float(static.weight) == 0.5
    assert [static.batch.token_ids.data_ptr(), static.batch.labels.data_ptr()] == places
    assert all((place - static.memory.data_ptr()) % 256 == 0 for place in places)
    assert all(static.memory.data_ptr() < place < static.memory.data_ptr() + static.memory.nbytes for place in places)
    assert first.token_ids.data_ptr() not in places


def test_a_batch_of_another_shape_is_refused() -> None:
    static = make_static(fill(FEATURES.batch(np.arange(4)), LONGEST), CPU)
    with pytest.raises(ValueError, match="for a place of shape"):
        static.load(fill(FEATURES.batch(np.arange(5)), LONGEST), 1.0)


class FakeStream:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_stream(self, other: FakeStream) -> None:
        assert other.device == self.device


def test_a_recording_is_made_on_the_device_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another one is current. All of a recorder on one stream, as
    PyTorch asks of recordings that share their memory; another recorder has other memory."""
    captured = []

    @contextlib.contextmanager
    def graph(
        graph: Any, pool: Any = None, stream: FakeStream | None = None, capture_error_mode: str = "global"
    ) -> Any:
        assert capture_error_mode == "thread_local", "what other threads do is no fault of a recording's"
        captured.append((pool, stream))
        yield

    fakes = {
        "Stream": FakeStream,
        "current_stream": FakeStream,
        "stream": lambda stream: contextlib.nullcontext(),
        "CUDAGraph": object,
        "graph": graph,
        "graph_pool_handle": object,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    cuda_graphs._side_stream.cache_clear()
    recorders = cuda_graphs.Recorder(), cuda_graphs.Recorder()
    for recorder, number in ((0, 1), (0, 1), (1, 2)):
        recorders[recorder](lambda: torch.zeros(1), torch.device("cuda", number))
    cuda_graphs._side_stream.cache_clear()
    pools, streams = zip(*captured, strict=True)
    assert [stream.device.index for stream in streams] == [1, 1, 2]
    assert streams[0] is streams[1]
    assert pools[0] is pools[1] is not pools[2]


def test_filler_changes_neither_loss_nor_gradients() -> None:
    batch = FEATURES.batch(np.arange(5))
    filled = fill(batch, LONGEST)
    assert filled.n_tokens % LONGEST == 0
    results = []
    for each in (batch, filled):
        model = tiny_qa_model()
        sums = span_loss(model(each), each)
        sums.loss.backward()  # type: ignore[no-untyped-call]
        results.append((sums.metrics, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(results[0][0], results[1][0])
    for ours, theirs in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
