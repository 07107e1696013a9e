"""8-bit forms of a float32 graph, by onnxruntime: dynamic, and static with calibration data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.data.feature_set import FeatureSet

CALIBRATION_FEATURES = 128
_MATMULS = ["MatMul"]


def quantise_dynamic(graph: Path, output: Path, *, mixed: bool = False) -> None:
    """Weights to 8 bits beforehand, activations by the range that each input turns out to have.

    Args:
        graph: of float32.
        output: where the other is written.
        mixed: leave the products that take more in than they give out in float32: the second of each feed-forward
            block, whose inputs have few large values among many small ones, and so lose most in 8 bits.

    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _without_advice(), _with_small_embeddings(graph) as small:
        quantize_dynamic(
            str(small),
            str(output),
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_MATMULS,
            nodes_to_exclude=_contracting_products(small) if mixed else [],
            extra_options={"MatMulConstBOnly": True},
        )


def quantise_static(graph: Path, output: Path, features: FeatureSet) -> None:
    """Weights to 8 bits, activations by the ranges that they have on some features of real data."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with _without_advice(), _with_small_embeddings(graph) as small:
        quantize_static(
            str(small),
            str(output),
            _Reader(features, min(CALIBRATION_FEATURES, len(features))),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_MATMULS,
            nodes_to_exclude=_contracting_products(small),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"MatMulConstBOnly": True},
        )


@contextmanager
def _with_small_embeddings(graph: Path) -> Iterator[Path]:
    """The graph with its embeddings in 8 bits, each row by its own largest value.

    onnxruntime's own way has one scale for the whole table, which a few large values spoil for all rows.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(graph))
    tables = {each.name: each for each in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.data_type != onnx.TensorProto.FLOAT:
            nodes.append(node)
            continue
        name, ids, out = table.name, node.input[1], node.output[0]
        rows = numpy_helper.to_array(table)
        scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
        model.graph.initializer.remove(table)
        model.graph.initializer.extend(
            [
                numpy_helper.from_array(np.rint(rows / scales).astype(np.int8), f"{name}_rows"),
                numpy_helper.from_array(scales.astype(np.float32), f"{name}_scales"),
            ]
        )
        nodes += [
            helper.make_node("Gather", [f"{name}_rows", ids], [f"{out}_row"], name=f"{node.name}_row"),
            helper.make_node("Gather", [f"{name}_scales", ids], [f"{out}_scale"], name=f"{node.name}_scale"),
            helper.make_node("Cast", [f"{out}_row"], [f"{out}_whole"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}_whole", f"{out}_scale"], [out]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.onnx"
        onnx.save(model, str(small))
        yield small


def _contracting_products(graph: Path) -> list[str]:
    """The names of the products by constant matrices of at least twice as many rows as columns; the head's is one."""
    import onnx

    model = onnx.load(str(graph))
    shapes = {each.name: tuple(each.dims) for each in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and len(shape := shapes.get(node.input[1], ())) == 2 and shape[0] >= 2 * shape[1]
    ]


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
