"""A model exported to ONNX, behind the same call as ours: packed batch in, packed logits out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch, Rows, gather_rows
from distiltune.errors import ModelError, install_extra
from distiltune.system.workers import plan_workers

ONNX_FILE: Final = "model.onnx"

_INPUTS: Final = ("input_ids", "attention_mask")
_SPAN: Final = ("start_logits", "end_logits")

_LEAST_FILLED = 0.8
"""Sequences are padded together only if the shortest fills this share of the longest."""


class OnnxModel(nn.Module):
    """Runs ``model.onnx`` through onnxruntime.

    The graph takes ``input_ids`` and ``attention_mask``, both ``(n_sequences, length)`` int64. It has an output
    ``(n_sequences, length)`` for each column, or one for all: ``(n_sequences, length, n_columns)``, or
    ``(n_sequences, n_columns)`` where the first token of each sequence is read. A session may be called from several
    threads at once.
    """

    def __init__(self, file: Path, device: torch.device, *, alone: bool = False) -> None:
        """Load the graph.

        Args:
            file: the graph.
            device: where it runs.
            alone: run each sequence by itself. A graph that takes the ranges of its 8-bit numbers from what it is
                given takes them from everything padded together, so that an answer would depend on who else asked.

        Raises:
            ModelError: if onnxruntime is not installed or cannot read the file.

        """
        super().__init__()
        # Who runs a model asks its first parameter where it lives.
        self.anchor = nn.Parameter(torch.empty(0), requires_grad=False)
        self._session = _open_session(file, device)
        self._process = os.getpid()
        self._device = device
        self._alone = alone
        self._file = file
        _check_inputs(self._session, file)
        outputs = {output.name: output for output in self._session.get_outputs()}
        self._outputs = _output_names(list(outputs))
        is_one = len(self._outputs) == 1
        self.rows: Rows = "sequence" if is_one and len(outputs[self._outputs[0]].shape) == 2 else "token"

    def forward(self, batch: PackedBatch) -> Tensor:
        """``(total_tokens, n_columns)`` or ``(n_features, n_columns)`` for a packed batch on the CPU.

        Raises:
            ModelError: if the graph fails, gives something of another form, or NaN or infinity.

        """
        tokens = batch.token_ids.numpy()
        offsets = batch.cu_seqlens.numpy().astype(np.int64)
        out = np.zeros((0, 0), dtype=np.float32)
        groups = (np.array([row]) for row in range(len(batch.lengths))) if self._alone else _groups(batch.lengths)
        for rows in groups:
            lengths = np.diff(offsets)[rows]
            mask = np.arange(lengths.max()) < lengths[:, None]
            ids = np.zeros(mask.shape, dtype=np.int64)
            ids[mask] = gather_rows(tokens, offsets, rows)
            results = self._run(ids, mask)
            if self.rows == "sequence":
                places, scores = rows, results[0]
            else:
                places = gather_rows(np.arange(len(tokens)), offsets, rows).astype(np.int64)
                of_tokens = [result[mask] for result in results]
                scores = of_tokens[0] if of_tokens[0].ndim == 2 else np.stack(of_tokens, axis=1)
            if not len(out):
                out = np.zeros((sum(batch.row_counts(self.rows)), scores.shape[1]), dtype=np.float32)
            if scores.shape[1] != out.shape[1]:
                raise _unfit(f"gives {scores.shape[1]} columns, and {out.shape[1]} for a text before", self._file)
            out[places] = scores
        return torch.from_numpy(out)

    def _run(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float32]]:
        """The graph's outputs for ``(n_sequences, length)`` ids, in `_output_names`' order."""
        given = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self._process != os.getpid():  # a fork, which has none of the session's threads and would wait for them
            self._session, self._process = _open_session(self._file, self._device), os.getpid()
        try:
            results = self._session.run(self._outputs, given)
        except Exception as error:  # onnxruntime has no common class for its errors
            raise _unfit(f"fails: {_first_line(error)}", self._file) from error
        wanted = ids.shape[:1] if self.rows == "sequence" else ids.shape
        for name, result in zip(self._outputs, results, strict=True):
            shape = np.shape(result)
            n_more = len(shape) - len(wanted)
            if shape[: len(wanted)] != wanted or n_more != (1 if len(results) == 1 else 0):
                raise _unfit(f"gives {name!r} of the shape {shape} for inputs of {ids.shape}", self._file)
            if not np.isfinite(result).all():
                raise _unfit(f"gives NaN or infinity ({name!r})", self._file)
        return list(results)


def _check_inputs(session: Any, file: Path) -> None:
    """Refuse a graph that wants something else than we have."""
    wanted = {each.name: each.type for each in session.get_inputs()}
    if wanted != dict.fromkeys(_INPUTS, "tensor(int64)"):
        shown = ", ".join(f"{name} ({kind})" for name, kind in wanted.items())
        raise _unfit(f"takes {shown or 'nothing'}, and not {' and '.join(_INPUTS)}", file)


def _output_names(names: list[str]) -> list[str]:
    """The outputs to read, whatever their order in the graph: a start and an end, or one of its name, or all."""
    if set(_SPAN) <= set(names):
        return list(_SPAN)
    return ["logits"] if "logits" in names else names


def _unfit(what: str, file: Path) -> ModelError:
    return ModelError(f"The ONNX model {what}.", where=str(file), fix="export it with `distiltune export`")


def _groups(lengths: Sequence[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Sequences of like lengths, so that little is padded."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    first = 0
    for i, row in enumerate(order.tolist()):
        if lengths[row] < _LEAST_FILLED * lengths[int(order[first])]:
            yield order[first:i]
            first = i
    yield order[first:]


def _open_session(file: Path, device: torch.device) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            "The model is in ONNX form, which needs onnxruntime.",
            where=str(file),
            fix=f"use the model that was exported, or install it: {install_extra('export')}",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = plan_workers(torch.get_num_threads()).threads_each
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    providers = [*(name for name in wanted if name in available), "CPUExecutionProvider"]
    try:
        # Without its fallback, which would print to standard output and try the same once more.
        return onnxruntime.InferenceSession(str(file), options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime has no common class for its errors
        raise ModelError(
            "The ONNX model cannot be read.", where=f"{file} ({_first_line(error)})", fix="export it again"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
