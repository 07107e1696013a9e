from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from distiltune.tasks.heads import TokenHead
from distiltune.tasks.question_answering.head import METRIC_NAMES, SpanHead, span_loss, span_losses, unpack_logits
from tests.helpers import batch_of, random_features, tiny_qa_model

FEATURE = st.integers(1, 9).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, 2**32))
)


def logits_of(length: int, seed: int) -> Tensor:
    return torch.randn(length, 2, generator=torch.Generator().manual_seed(seed)) * 3


def plain_loss(logits: Tensor, start: int, end: int) -> float:
    """(cross-entropy of start + cross-entropy of end) / 2 over one feature's own tokens, in double precision."""
    values = logits.double().tolist()
    total = 0.0
    for column, label in ((0, start), (1, end)):
        total += math.log(sum(math.exp(row[column]) for row in values)) - values[label][column]
    return total / 2


@given(st.lists(FEATURE, min_size=1, max_size=5))
def test_the_loss_and_the_accuracies_are_sums_over_features(
    features: list[tuple[int, int, int, int]],
) -> None:
    parts = [logits_of(length, seed) for length, _, _, seed in features]
    batch = batch_of([[2] * length for length, *_ in features], [[start, end] for _, start, end, _ in features])
    sums = span_loss(torch.cat(parts), batch)
    losses = [plain_loss(part, start, end) for part, (_, start, end, _) in zip(parts, features, strict=True)]
    right = [
        (int(part[:, 1].argmax()) == end, int(part[:, 0].argmax()) == start)
        for part, (_, start, end, _) in zip(parts, features, strict=True)
    ]
    assert float(sums.loss) == pytest.approx(sum(losses), rel=1e-5, abs=1e-5)  # single precision, near 0 too
    assert span_losses(torch.cat(parts), batch).tolist() == pytest.approx(losses, rel=1e-5, abs=1e-5)
    named = dict(zip(METRIC_NAMES, sums.metrics.tolist(), strict=True))
    assert named["loss"] == float(sums.loss)
    assert named["end_accuracy"] == sum(end for end, _ in right)
    assert named["start_accuracy"] == sum(start for _, start in right)


def test_a_features_loss_is_the_same_in_any_company() -> None:
    """Padding never takes part: beside a much longer feature, a short one's loss and gradient stay."""
    short, long = logits_of(3, 0), logits_of(50, 1)
    alone = short.clone().requires_grad_()
    beside = short.clone().requires_grad_()
    long_alone = span_loss(long, batch_of([[2] * 50], [[7, 9]])).loss
    loss_alone = span_loss(alone, batch_of([[2] * 3], [[1, 2]])).loss
    loss_beside = span_loss(torch.cat([long, beside]), batch_of([[2] * 50, [2] * 3], [[7, 9], [1, 2]])).loss
    torch.testing.assert_close(loss_beside, loss_alone + long_alone, rtol=1e-6, atol=0)
    loss_alone.backward()  # type: ignore[no-untyped-call]
    loss_beside.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(beside.grad, alone.grad, rtol=1e-6, atol=1e-7)


def test_unpacked_logits_have_nothing_behind_a_features_end() -> None:
    logits = torch.arange(8.0).view(4, 2)
    dense = unpack_logits(logits, batch_of([[2, 3], [2], [3]]))
    inf = math.inf
    assert dense.tolist() == [[[0, 2], [1, 3]], [[4, -inf], [5, -inf]], [[6, -inf], [7, -inf]]]


def test_at_the_first_step_the_loss_is_that_of_a_guess() -> None:
    """With small logits every token is as likely as any other: ln(tokens), the mean over features."""
    features = random_features(20)
    batch = features.batch(torch.arange(20).numpy())
    model = tiny_qa_model().eval()
    guess = sum(math.log(length) for length in batch.lengths) / batch.n_features
    assert isinstance(model.head, TokenHead)
    for factor, tolerance in ((0.0, 1e-6), (0.01, 0.02)):
        with torch.no_grad():
            model.head.output.weight.mul_(factor)
            loss = float(span_loss(model(batch), batch).loss) / batch.n_features
        assert loss == pytest.approx(guess, rel=tolerance)
        model = tiny_qa_model().eval()


def test_metrics_hold_no_graph_and_the_loss_does() -> None:
    logits = logits_of(3, 0).requires_grad_()
    sums = span_loss(logits, batch_of([[2, 2, 2]]))
    assert sums.loss.requires_grad
    assert not sums.metrics.requires_grad


def test_half_precision_logits_lose_nothing_in_the_softmax() -> None:
    batch = batch_of([[2] * 400], [[1, 2]])
    halves = logits_of(400, 0).half()
    assert float(span_loss(halves, batch).loss) == pytest.approx(plain_loss(halves, 1, 2), rel=1e-5)


def test_the_head_is_dropout_and_one_linear_layer() -> None:
    torch.manual_seed(0)
    head, hidden = SpanHead(6, 0.5), torch.randn(4, 6)
    expected = hidden @ head.output.weight.T + head.output.bias
    torch.testing.assert_close(head.eval()(hidden), expected)
    assert not torch.allclose(head.train()(hidden), expected)
