"""8 bits: what is rounded, that no sum overflows, and that an answer does not depend on who else is in the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet
from distiltune.errors import RecipeError
from distiltune.inference import int8
from distiltune.inference.int8 import Int8Linear, bytes_of, check_int8_can_be, quantise, to_int8
from distiltune.inference.onnx_model import OnnxModel
from distiltune.inference.precision import in_precision
from distiltune.model.build import load_model
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.system.device import check_can_be_trained, choose_precision
from distiltune.tasks.heads import TokenHead
from distiltune.tasks.text_classification.head import SequenceHead
from tests.helpers import TINY, people, random_features, write_tiny_model

WIDE = replace(TINY, hidden_size=40, n_heads=2, intermediate_size=72)  # no multiple of what a register holds


def random_values(n: int, width: int, *, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(n * width)
    rows = torch.logspace(-3, 3, n)[:, None] * spread  # rows of ever different ranges
    return torch.randn(n, width, generator=generator) * rows


@pytest.mark.parametrize("least", [None, -0.17, 0.0])
def test_every_row_is_rounded_to_the_nearest_step_of_its_own(least: float | None) -> None:
    values = random_values(9, 37)
    if least is not None:
        values = values.clamp_min(least)
    codes, scales = quantise(values, least)
    assert codes.dtype == torch.uint8
    back = scales * (codes.double() - 128) if least is None else least + scales * codes.double()
    assert bool(((back - values).abs() <= 0.501 * scales).all())
    extreme = codes.int() - 128 if least is None else codes.int()
    assert extreme.abs().amax(dim=1).tolist() == [127 if least is None else 255] * len(values)


def test_what_is_all_zero_stays_so_and_what_is_no_number_is_seen() -> None:
    layer = Int8Linear(nn.Linear(24, 5))
    values = random_values(3, 24)
    values[0] = 0.0
    values[1, 7] = float("nan")
    found = layer(values)
    torch.testing.assert_close(found[0], layer.bias)
    assert found[1].isnan().all()
    assert found[2].isfinite().all()


@pytest.mark.parametrize("least", [None, -0.17])
def test_a_layer_is_its_formula_in_whole_numbers(least: float | None) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(72, 40)
    values = random_values(11, 72, spread=0.01) if least is None else F.gelu(random_values(11, 72))
    with torch.no_grad():
        limit = int8._weight_limit()
        steps = plain.weight.abs().amax(dim=1, keepdim=True) / limit
        weights = torch.round(plain.weight / steps).double()
        codes, scales = quantise(values, least)
        inputs = scales * (codes.double() - 128) if least is None else scales * codes.double() + least
        expected = inputs @ (weights * steps).T + plain.bias
        found = Int8Linear(plain, least)(values)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_no_activation_is_below_what_is_taken_for_its_least_value() -> None:
    assert float(F.gelu(torch.linspace(-2, 0, 20_001)).min()) > int8._LEAST_GELU


def in_sixteen_bits(inputs: Tensor, zero: int, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """As a processor without VNNI multiplies: two products are added in 16 bits, and what is too large is cut off."""
    pairs = inputs.int()[:, None, 0::2] * packed.int()[:, 0::2] + inputs.int()[:, None, 1::2] * packed.int()[:, 1::2]
    sums = pairs.clamp(-(2**15), 2**15 - 1).sum(dim=2) - zero * packed.int().sum(dim=1)
    return sums.float() * scales


def test_where_pairs_are_added_in_sixteen_bits_weights_have_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_multiply", in_sixteen_bits)
    monkeypatch.setattr(int8, "_pack", lambda weights: weights)
    int8._weight_limit.cache_clear()
    try:
        assert int8._weight_limit() == 63
        layer, values = nn.Linear(64, 8), torch.ones(3, 64)
        nn.init.constant_(layer.weight, 2.0)  # the worst case: all as large as can be
        torch.testing.assert_close(Int8Linear(layer)(values), layer(values).detach(), rtol=1e-5, atol=1e-5)
    finally:
        int8._weight_limit.cache_clear()


LARGEST = """
import torch
from torch import nn
from distiltune.inference.int8 import Int8Linear, _weight_limit
layer, values = nn.Linear(768, 96), torch.ones(32, 768)
nn.init.constant_(layer.weight, 2.0)
assert torch.allclose(Int8Linear(layer)(values), layer(values), rtol=1e-4)
assert torch.allclose(Int8Linear(layer, 0.0)(values), layer(values), rtol=1e-4)
print(_weight_limit())
"""


@pytest.mark.slow
def test_no_sum_overflows_on_a_processor_of_avx2_only() -> None:
    older = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run([sys.executable, "-c", LARGEST], env=older, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "63"


def model_with(head: nn.Module) -> TaskModel:
    torch.manual_seed(0)
    model = TaskModel(Encoder(WIDE), head)
    initialise(model, 0.3)
    return model.eval()


def heads() -> dict[str, Callable[[], nn.Module]]:
    return {"token": lambda: TokenHead(40, 0.0, 3), "sequence": lambda: SequenceHead(40, 3, 0.0)}


def logits(model: nn.Module, features: FeatureSet, ids: list[int]) -> list[Tensor]:
    """Of every feature, from one batch of them."""
    batch = features.batch(np.array(ids))
    with torch.inference_mode():
        return list(torch.split(model(batch), list(batch.row_counts(model.rows))))  # type: ignore[arg-type]


@pytest.mark.parametrize("head", sorted(heads()))
def test_the_same_logits_to_the_bit_alone_and_in_any_batch(head: str) -> None:
    model, features = model_with(heads()[head]()), random_features(23)
    exact = logits(model, features, list(range(23)))
    to_int8(model)
    together = logits(model, features, list(range(23)))
    for number in range(23):
        (alone,) = logits(model, features, [number])
        assert torch.equal(alone, together[number])
    some = [7, 3, 19, 11]
    for number, found in zip(some, logits(model, features, some), strict=True):
        assert torch.equal(found, together[number])
    spread = torch.cat(exact).std()
    differences = torch.cat(exact) - torch.cat(together)
    assert 0.0 < float(differences.std()) < 0.15 * float(spread)


def test_a_long_batch_goes_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, features = model_with(TokenHead(40, 0.0, 2)), random_features(23)
    to_int8(model)
    whole = logits(model, features, list(range(23)))
    monkeypatch.setattr(int8, "_CHUNK_ROWS", 5)
    for one, other in zip(whole, logits(model, features, list(range(23))), strict=True):
        assert torch.equal(one, other)


def test_a_quarter_of_the_memory_and_it_is_told(tmp_path: Path) -> None:
    write_tiny_model(tmp_path, people().tokenizer, replace(WIDE, vocab_size=people().tokenizer.get_vocab_size()))
    loaded = load_model(str(tmp_path), (), lambda hidden, dropout: TokenHead(hidden, dropout, 2), torch.device("cpu"))
    before = bytes_of(loaded.model)
    ours = in_precision(loaded, "int8")
    linear = [part for part in ours.model.modules() if isinstance(part, Int8Linear)]
    assert len(linear) == 4 * WIDE.n_layers
    assert not any(isinstance(part, nn.Linear) for part in ours.model.modules())
    assert bytes_of(ours.model) < 0.6 * before  # at this width biases and scales are a large part
    assert f"{bytes_of(ours.model) / 1e6:,.1f} MB" in ours.source.notes[-1]


@pytest.mark.parametrize(
    ("machine", "device", "why"),
    [("arm64", "cpu", "no quick products of 8 bits"), ("x86_64", "cuda", "int8 is for a processor")],
)
def test_it_is_refused_with_the_reason(machine: str, device: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(RecipeError, match=why) as caught:
        check_int8_can_be(torch.device(device))
    assert "bfloat16" in caught.value.fix


def test_a_graph_has_its_own_precision() -> None:
    loaded: Any = type("Loaded", (), {"model": OnnxModel.__new__(OnnxModel)})()
    with pytest.raises(RecipeError, match="ONNX form") as caught:
        in_precision(loaded, "int8")
    assert "--int8" in caught.value.fix


def test_nothing_is_trained_in_it() -> None:
    for refusing in (lambda: check_can_be_trained("int8"), lambda: choose_precision("int8", torch.device("cpu"), 768)):
        with pytest.raises(RecipeError, match="Nothing is trained in int8"):
            refusing()
