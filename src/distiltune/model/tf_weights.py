"""TensorFlow-era weights (``tf_model.h5``) under the names and in the layout that PyTorch checkpoints have.

``TFDistilBertModel.save_pretrained`` and its siblings wrote Keras's HDF5 layout: one group a Keras layer,
one data set a weight, under a path such as
``distilbert/tf_distil_bert_model/distilbert/transformer/layer_._0/attention/q_lin/kernel:0``. What stands
first depends on the class, on how often it was built in that process (``_1``, ``_2``) and on who saved it,
so names are found by rules instead of being listed. Compare ``modeling_tf_pytorch_utils.py`` of transformers
4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from distiltune.errors import ModelError, install_extra
from distiltune.model.tensor_bounds import MAX_TENSORS

_MAX_DEPTH: Final = 32

# Applied once each, in this order, to the path of a data set.
_NAME_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r":\d+$", ""),  # TensorFlow's output number
        (r"_\._(\d+)(?=/)", r"/\1"),  # an element of a list: layer_._0 → layer/0
        (r"^(?:.*/)?(?=(?:distilbert|bert)/)", ""),  # whatever stands before the encoder ...
        (
            r"^(?!(?:distil)?bert/).*?/(?=embeddings/|(?:transformer|encoder)/layer/)",
            "",
        ),  # ... by any name ...
        (r"^(?:.*/)?tf_[^/]*/", ""),  # ... or, for a head, before what it has outermost
        (r"^([^/]+)/(?:.*/)?(?=\1/)", ""),  # before the group's name where the weight's own repeats it
        (r"/(?:kernel|gamma|embeddings)$", "/weight"),
        (r"/beta$", "/bias"),
        (r"/", "."),
    )
)


def torch_name(path: str) -> str:
    """The name that PyTorch checkpoints have for the data set at ``path``.

    >>> torch_name("distilbert/tf_distil_bert_model_1/distilbert/transformer/layer_._0/ffn/lin1/kernel:0")
    'distilbert.transformer.layer.0.ffn.lin1.weight'
    """
    for pattern, replacement in _NAME_RULES:
        path = pattern.sub(replacement, path)
    return path


def torch_layout(path: str, array: Tensor) -> Tensor:
    """``(in, out)`` → ``(out, in)`` for the kernel of a dense layer; anything else as it is."""
    is_kernel = re.search(r"/kernel(:\d+)?$", path) is not None
    return array.T.contiguous() if is_kernel and array.ndim == 2 else array


def read_tf_weights(file: Path) -> dict[str, Tensor]:
    """Every tensor of a ``tf_model.h5`` under its PyTorch name, in the types on disk.

    Raises:
        ModelError: if h5py is not installed, the file is not HDF5 or damaged, or two tensors claim one name.

    """
    try:
        import h5py
    except ImportError as error:
        raise ModelError(
            "These weights are from the TensorFlow era, and reading them needs h5py.",
            where=str(file),
            fix=f"install it: {install_extra('tensorflow-era')}",
        ) from error
    try:
        with h5py.File(file, "r") as opened:
            datasets = list(_datasets(h5py, opened))
            return _named(file, [(path, _array(file, path, dataset)) for path, dataset in datasets])
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            "The TensorFlow-era weights cannot be read.",
            where=f"{file} ({type(error).__name__}: {error})",
            fix="fetch the file again; it is damaged or not complete.",
        ) from error


def _datasets(h5py: Any, opened: Any) -> Iterator[tuple[str, Any]]:
    """Every set of floating-point numbers with its path; others, such as an optimiser's step, are no weights.

    Neither soft nor external links are followed, so only what lies in this file is read, and each object once.
    Raises ValueError if there are more than `MAX_TENSORS`, or they lie deeper than `_MAX_DEPTH`.
    """
    seen: set[int] = set()
    waiting = [("", opened, 0)]
    while waiting:
        path, group, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise ValueError(f"its groups are nested deeper than {_MAX_DEPTH}")
        below = []
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MAX_TENSORS:
                raise ValueError(f"it has more than {MAX_TENSORS:,} parts, where a model has some hundreds")
            if isinstance(item, h5py.Group):
                below.append((f"{path}{name}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
                yield f"{path}{name}", item
        waiting += reversed(below)


def _array(file: Path, path: str, dataset: Any) -> Tensor:
    """One data set as a tensor; what would read other files or unfold beyond this file's size is refused."""
    if dataset.external or dataset.is_virtual:
        raise ModelError(
            "The weights point into another file.", where=f"{file}: {path}", fix="save the model again, in one file."
        )
    if dataset.nbytes > file.stat().st_size:
        raise ModelError(
            "The weights claim to be larger than the file that holds them.",
            where=f"{file}: {path} {tuple(dataset.shape)}",
            fix="save them without compression, as save_pretrained does.",
        )
    return torch_layout(path, torch.from_numpy(np.asarray(dataset[()])))


def _named(file: Path, arrays: list[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The arrays under their PyTorch names; a shared weight that was saved twice is kept once."""
    tensors: dict[str, Tensor] = {}
    for path, array in arrays:
        name = torch_name(path)
        if name in tensors and not torch.equal(tensors[name], array):
            raise ModelError(
                "Two different tensors have the same name.",
                where=f"{file}: {path} is {name} again",
                fix="save the model again, as transformers does.",
            )
        tensors[name] = array
    return tensors
