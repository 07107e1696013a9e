from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from distiltune.model import products
from distiltune.model.products import linear, openblas_is_quicker, product


@pytest.fixture(params=[False, True], ids=["torch", "numpy"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(products, "openblas_is_quicker", lambda: request.param)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("n", [1, 7, 130])
def test_linear_and_its_gradients_are_pytorchs(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    tensors = [torch.randn(shape, generator=generator) for shape in ((n, 12), (20, 12), (20,))]
    factors = torch.randn(n, 20, generator=generator)
    results = []
    for function in (linear, F.linear):
        inputs = [tensor.clone().requires_grad_() for tensor in tensors]
        out = function(*inputs)
        (out * factors).sum().backward()  # type: ignore[no-untyped-call]
        results.append([out.detach(), *(each.grad for each in inputs)])
    for ours, expected in zip(*results, strict=True):
        assert ours is not None
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("_library")
def test_products_of_views_land_in_views() -> None:
    packed = torch.randn(9, 2, 4, 5)
    left, right = packed[:, 0].transpose(0, 1), packed[:, 1].transpose(0, 1)  # (4, 9, 5)
    out = torch.empty(4, 9, 9)
    product(left, right.transpose(1, 2), out)
    torch.testing.assert_close(out, left @ right.transpose(1, 2))
    target = torch.full((9, 3, 4, 5), 7.0)
    product(out, left, target[:, 1].transpose(0, 1))
    torch.testing.assert_close(target[:, 1].transpose(0, 1), out @ left)
    assert bool((target[:, [0, 2]] == 7).all()), "the neighbours stay"


@pytest.mark.parametrize(("vendor", "expected"), [("AuthenticAMD", True), ("GenuineIntel", False)])
def test_the_vendor_decides(tmp_path: Path, vendor: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\n")
    numpy_has_openblas = products.numpy_blas() == "openblas"
    assert openblas_is_quicker(tmp_path / "cpuinfo") is (expected and numpy_has_openblas)


def test_an_unknown_processor_stays_with_pytorch(tmp_path: Path) -> None:
    assert openblas_is_quicker(tmp_path / "absent") is False
