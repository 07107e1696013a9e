"""The same figures on a CUDA device as on the CPU. Run with `pytest -m gpu` where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distiltune.model.attention import packed_attention
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.system.device import Precision, choose_precision
from distiltune.tasks.question_answering.head import span_loss
from distiltune.training.backward import Gradients
from distiltune.training.cuda_graphs import Replayed
from tests.helpers import TINY, people, random_features, tiny_qa_model, write_squad, write_tiny_model
from tests.training.whole_batch import WholeBatch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_loss_and_gradients_are_those_of_the_cpu() -> None:
    batch = random_features(8).batch(np.arange(8))
    grads = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        model = tiny_qa_model().to(device)
        there = batch.to(device)
        span_loss(model(there), there).loss.backward()  # type: ignore[no-untyped-call]
        grads.append({name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None})
    for name, expected in grads[0].items():
        torch.testing.assert_close(grads[1][name], expected, rtol=1e-3, atol=1e-5, msg=name)


def test_dropout_of_attention_runs_there() -> None:
    values = torch.randn(10, 24, device="cuda", requires_grad=True)
    bounds = torch.tensor([0, 4, 10], dtype=torch.int32, device="cuda")
    packed_attention(values, bounds, (4, 6), 6, 2, 0.5).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert bool(torch.isfinite(values.grad).all())


def test_a_run_on_cuda_ends_where_one_on_the_cpu_does(tmp_path: Path) -> None:
    known = people()
    data = write_squad(tmp_path / "people.json", known.examples)
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    base = write_tiny_model(tmp_path / "base", known.tokenizer, config)

    def run(device: str) -> FineTuned:
        return fine_tune(
            train=str(data),
            validation=str(data),
            model=str(base),
            output=tmp_path / device,
            device=device,
            epochs=2,
            learning_rate=1e-3,
            head_dropout=0.0,
            max_length=48,
            stride=8,
        )

    cpu, cuda = run("cpu"), run("cuda")
    assert cuda.best.validation["loss"] == pytest.approx(cpu.best.validation["loss"], rel=1e-3)


def test_flash_attention_is_the_exact_one_but_for_rounding() -> None:
    torch.manual_seed(0)
    lengths = (5, 64, 17)
    exact = torch.randn(sum(lengths), 3 * 64, device="cuda", requires_grad=True)
    half = exact.detach().to(torch.bfloat16).requires_grad_()
    bounds = torch.tensor([0, 5, 69, 86], dtype=torch.int32, device="cuda")
    results = []
    for values in (exact, half):
        mixed = packed_attention(values, bounds, lengths, max(lengths), 2, 0.0)
        mixed.float().square().sum().backward()  # type: ignore[no-untyped-call]
        assert values.grad is not None
        results.append((mixed.detach().float(), values.grad.float()))
    for ours, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 3e-2)])
def test_replayed_steps_train_as_the_plain_way_does(precision: Precision, tolerance: float) -> None:
    """Sizes come again and again, so that each is run, recorded and then replayed with other lengths."""
    features = random_features(64)
    losses = []
    for replayed in (False, True):
        model = tiny_qa_model().cuda().train()
        gradients: Gradients = (
            Replayed(model, span_loss, precision, 12) if replayed else WholeBatch(model, span_loss, precision)
        )
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        sums = []
        for step in range(40):
            ids = np.arange(8) + step % 8 * 8
            sums.append(gradients.add([features.batch(ids)], len(ids)))
            gradients.finish()
            optimiser.step()
            gradients.clear()
        losses.append(torch.stack(sums)[:, 0].cpu())
    torch.testing.assert_close(losses[1], losses[0], rtol=tolerance, atol=tolerance)
    assert losses[0][-8:].mean() < losses[0][:8].mean()


def test_dropout_differs_between_replays() -> None:
    """The random state of a recording moves on, or every step would drop the same units."""
    model = tiny_qa_model(head_dropout=0.5).cuda().train()
    gradients = Replayed(model, span_loss, "float32", 12)
    batch = random_features(8).batch(np.arange(8))
    sums = {float(gradients.add([batch], 8)[0]) for _ in range(6)}
    assert len(sums) == 6


def test_half_precision_is_the_one_chosen_and_ends_near_the_exact_run(tmp_path: Path) -> None:
    known = people()
    data = write_squad(tmp_path / "people.json", known.examples)
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    base = write_tiny_model(tmp_path / "base", known.tokenizer, config)
    losses = {}
    for precision in ("float32", "bfloat16"):
        done = fine_tune(
            train=str(data),
            validation=str(data),
            model=str(base),
            output=tmp_path / precision,
            device="cuda",
            precision=precision,
            epochs=3,
            learning_rate=1e-3,
            max_length=48,
            stride=8,
        )
        losses[precision] = done.best.validation["loss"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.1)
    assert choose_precision("auto", torch.device("cuda"), 128) == "bfloat16"
