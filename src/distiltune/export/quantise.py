"""8-bit forms of a float32 graph, by onnxruntime: dynamic, and static with calibration data."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet

CALIBRATION_FEATURES = 128
_MATMULS = ["MatMul"]


def quantise_dynamic(graph: Path, output: Path) -> None:
    """Weights to 8 bits beforehand, activations by the range that each input turns out to have."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _without_advice():
        quantize_dynamic(
            str(graph),
            str(output),
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=[*_MATMULS, "Gather"],
            extra_options={"MatMulConstBOnly": True},
        )


def quantise_static(graph: Path, output: Path, features: FeatureSet) -> None:
    """Weights to 8 bits, activations by the ranges that they have on some features of real data."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _without_advice():
        quantize_static(
            str(graph),
            str(output),
            _Reader(features, min(CALIBRATION_FEATURES, len(features))),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_MATMULS,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"MatMulConstBOnly": True},
        )


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser advises an image model's pre-processing through the root logger; that is not for users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _inputs(features: FeatureSet, numbers: Sequence[int]) -> Iterator[dict[str, npt.NDArray[np.int64]]]:
    for number in numbers:
        ids = features.token_ids[features.offsets[number] : features.offsets[number + 1]][None].astype(np.int64)
        yield {"input_ids": ids, "attention_mask": np.ones_like(ids)}


class _Reader:
    """Features one by one, as onnxruntime's calibration asks for them."""

    def __init__(self, features: FeatureSet, n: int) -> None:
        self._features = features
        self._numbers = np.linspace(0, len(features) - 1, n).astype(int).tolist()
        self.rewind()

    def get_next(self) -> dict[str, Any] | None:
        """The next feature, None at the end."""
        return next(self._rest, None)

    def rewind(self) -> None:
        """Begin again."""
        self._rest = _inputs(self._features, self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Read only these."""
        self._rest = _inputs(self._features, self._numbers[start_index:end_index])
