"""The same figures on a CUDA device as on the CPU. Run with `pytest -m gpu` where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.data.packing import PackedBatch
from distiltune.model.attention import packed_attention
from distiltune.runs.fine_tune import FineTuned, fine_tune
from distiltune.system.device import Precision, arithmetic, choose_precision
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.training.backward import Gradients
from distiltune.training.cuda_graphs import Replayed
from distiltune.training.finite import BadStep
from distiltune.training.loop import NothingKept, StepReport, train
from distiltune.training.objective import StepSums
from distiltune.training.optimiser import Adam
from distiltune.training.schedule import PolynomialDecay
from distiltune.training.setup import LoopSettings, TrainingSetup
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
            recipe="classic",
            precision="float32",
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


def test_parts_of_a_step_add_up() -> None:
    features, grads = random_features(24), []
    for device in ("cpu", "cuda"):
        model = tiny_qa_model().to(device).train()
        gradients: Gradients = (
            Replayed(model, span_loss, "float32", 12) if device == "cuda" else WholeBatch(model, span_loss)
        )
        for _ in range(3):  # run, recorded, replayed
            for part in range(3):
                gradients.add([features.batch(np.arange(8) + 8 * part)], 24)
            gradients.finish()
            found = [each.grad.cpu() for each in model.parameters() if each.grad is not None]
            gradients.clear()
        grads.append(found)
    for ours, expected in zip(grads[1], grads[0], strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_the_loop_trains_as_on_the_cpu_and_skips_what_has_no_numbers(clip: float) -> None:
    """Twice in this process: what an earlier training recorded is none of a later one's business."""
    ends = [trained(device, clip) for device in ("cpu", "cuda", "cuda")]
    for weights, losses in ends[1:]:
        assert losses == pytest.approx(ends[0][1], rel=1e-3)
        for name, expected in ends[0][0].items():
            torch.testing.assert_close(weights[name], expected, rtol=1e-3, atol=1e-4, msg=name)


def trained(device: str, clip: float) -> tuple[dict[str, Tensor], list[float]]:
    features = random_features(60)

    def objective(output: Tensor, batch: PackedBatch) -> StepSums:
        """Without numbers for about every fourth batch."""
        sums = span_loss(output, batch)
        factor = torch.where(batch.labels.sum() % 4 == 0, torch.nan, 1.0)
        return StepSums(sums.loss * factor, sums.metrics * factor)

    class Keeper(NothingKept):
        def on_bad_step(self, bad: BadStep) -> None:
            skipped.append(bad.step)

        def on_step(self, report: StepReport) -> None:
            losses.append(report.loss)

    losses, skipped = list[float](), list[int]()
    model = tiny_qa_model().to(device)
    optimiser = Adam(model, beta1=0.9, beta2=0.99, epsilon=1e-3, weight_decay=0.01)
    rate = PolynomialDecay(1e-3, 0.0, 1.0, 0, 24)
    settings = LoopSettings(4, 10, 1, clip, seed=0, log_every=6)
    train(TrainingSetup(model, features, objective, METRIC_NAMES, optimiser, rate, settings), dict, Keeper())
    assert 2 <= len(skipped) <= 12
    return {name: value.cpu() for name, value in model.state_dict().items()}, [*losses, *skipped]


def test_tf32_rounds_products_and_nothing_else() -> None:
    """By both of PyTorch's names for it, or it refuses the product."""
    left, right = torch.randn(2, 256, 256, device="cuda").unbind(0)
    exact = left @ right
    with arithmetic("tf32", torch.device("cuda")):
        rounded = left @ right
    assert 0.0 < float((rounded - exact).norm() / exact.norm()) < 1e-2
    assert torch.equal(left @ right, exact)


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
            recipe="classic",
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
