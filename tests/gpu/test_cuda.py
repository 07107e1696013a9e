"""The same figures on a CUDA device as on the CPU. Run with `pytest -m gpu` where there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distiltune.fine_tuning import FineTuned, fine_tune
from distiltune.model.attention import packed_attention
from distiltune.tasks.question_answering.head import span_loss
from tests.helpers import TINY, people, random_features, tiny_qa_model, write_squad, write_tiny_model

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
