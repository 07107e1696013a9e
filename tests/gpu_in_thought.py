"""A GPU in thought: PyTorch's meta tensors have shapes and types and hold nothing, so that no GPU is needed.

Within `recording`, what cannot be recorded as a CUDA graph is an error: tensors of the host in an operation, copies
from there or to it, and whatever waits for a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("meta")

_COPIES = frozenset({"_to_copy", "copy_"})
_WAITING = frozenset({"_local_scalar_dense", "equal", "is_nonzero", "masked_select", "nonzero"})
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)
_FROM_LISTS = (torch.tensor, torch.as_tensor, Tensor.new_tensor)


@contextmanager
def recording() -> Iterator[Operations]:
    """Raise an AssertionError at what cannot be recorded; counts and names the operations."""
    with _Lists(), Operations() as operations:
        yield operations


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Looks at every operation on its way to a kernel."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        # A number may come along as a tensor of no dimensions: it is given to the kernel by value.
        from_host = [tuple(each.shape) for each in given if each.device != GPU and (each.ndim or name in _COPIES)]
        if any(each.device == GPU for each in given):
            self.count += 1
            self.names.add(name)
            assert not from_host, f"{name} takes {from_host[0]} from the host"
            assert name not in _WAITING, f"{name} waits for the GPU"
        out = func(*args, **(kwargs or {}))
        if name in _COPIES:
            assert {each.device for each in (out, *given)} in ({GPU}, {torch.device("cpu")}), f"{name} to or from there"
        return out


class _Lists(TorchFunctionMode):
    """Looks for lists that become tensors on the GPU, which is a copy that meta tensors do without."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _INDEXING and args[0].device == GPU:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            assert not any(isinstance(each, list) for each in index), "a list as an index is copied from the host"
        out = func(*args, **(kwargs or {}))
        if func in _FROM_LISTS:
            assert out.device != GPU, f"{func.__name__} copies from the host"
        return out
