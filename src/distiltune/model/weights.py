"""Reading the weights of a Hugging Face model directory in any of its formats, without running any of it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import torch
from safetensors.torch import load_file
from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.config import list_some, shown
from distiltune.model.small_json import read_json
from distiltune.model.tensor_bounds import check_pickle, check_safetensors
from distiltune.model.tf_weights import read_tf_weights
from distiltune.model.wrapped_names import inner_weights, without_wrapper

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
)
"""The files that weights are read from, the preferred first."""

_TO_FLOAT32 = (torch.float16, torch.bfloat16, torch.float64)
_LEGACY_ENDINGS = {".gamma": ".weight", ".beta": ".bias"}  # layer norms of the first PyTorch BERTs
_LFS_POINTER = b"version https://git-lfs"
_MAX_SHARING = 4
"""How often, in the mean, a number of a file may be in its tensors: some share an embedding with their head."""

_MAX_NAME_BYTES = 255
"""The longest name that file systems take; asking for a longer one is an error of the system, not a missing file."""


@dataclass(frozen=True, slots=True)
class HfWeights:
    """The weights of a model directory under Hugging Face's names.

    Attributes:
        tensors: float32 where the file held floating-point numbers; anything else is left as it was.
        dtype_on_disk: ``float16`` or the like; several are joined by ``+``.
        files: the names of the files read, inside the directory.
        prefix: what stood before all names of the encoder, such as ``module.``, and is left out.

    """

    tensors: dict[str, Tensor]
    dtype_on_disk: str
    files: tuple[str, ...]
    prefix: str = ""


def read_weights(directory: Path) -> HfWeights:
    """Read the first of `WEIGHT_FILES` that ``directory`` holds. Pickled code is never run.

    Raises:
        ModelError: if there are no weights, a file is damaged, incomplete or a Git LFS pointer, an index
            names a file outside the directory or a tensor that its shard lacks, or h5py is needed and
            missing.

    """
    name = next((name for name in WEIGHT_FILES if (directory / name).is_file()), None)
    if name is None:
        raise _no_weights(directory)
    if name.endswith(".index.json"):
        raw, files = _read_shards(directory, name)
    else:
        raw, files = _read_file(directory / name), (name,)
    tensors = {_modern_name(key): _float32(tensor) for key, tensor in raw.items()}
    bare, prefix = without_wrapper(tensors, f"{directory} ({', '.join(files)})")
    return HfWeights(bare, _dtypes(raw.values()), files, prefix)


def _no_weights(directory: Path) -> ModelError:
    others = sorted(path.name for path in directory.glob("*") if path.suffix in (".msgpack", ".onnx", ".ot", ".ckpt"))
    return ModelError(
        "The model directory has no weights that can be read.",
        where=str(directory) + (f" (it has {', '.join(others)})" if others else ""),
        fix=f"one of these is needed: {', '.join(WEIGHT_FILES)}.",
    )


def _read_file(file: Path) -> dict[str, Tensor]:
    """The tensors of one file as they are on disk; the file's ending says how it is read."""
    readers: dict[str, Callable[[Path], dict[str, Tensor]]] = {
        ".safetensors": _read_safetensors,
        ".bin": _read_bin,
        ".h5": read_tf_weights,
    }
    with file.open("rb") as opened:
        start = opened.read(len(_LFS_POINTER))
    if start == _LFS_POINTER:
        raise ModelError(
            "The weights were not downloaded: the file is a Git LFS pointer.",
            where=str(file),
            fix="run `git lfs pull` in that directory, or give the model's name on the hub instead.",
        )
    return readers[file.suffix](file)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        check_safetensors(file)
        return load_file(file)
    except Exception as error:  # the library raises its own error, and for odd types or sizes several others
        raise _damaged(file, error) from error


def _read_bin(file: Path) -> dict[str, Tensor]:
    try:
        check_pickle(file)
        # Files from before PyTorch 1.6 are not zip archives and cannot be mapped into memory.
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception as error:  # a damaged file makes torch.load raise nearly anything
        raise _damaged(file, error) from error
    if not isinstance(loaded, Mapping):
        raise ModelError("The file holds no tensors by name.", where=str(file), fix="save the model's state_dict().")
    inner, _ = inner_weights(loaded, str(file))
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    for key, tensor in tensors.items():
        _check_plain(file, key, tensor)
    if sum(tensor.nbytes for tensor in tensors.values()) > _MAX_SHARING * file.stat().st_size:
        raise ModelError(
            "Many tensors share the same numbers, and come to more than the file holds.",
            where=str(file),
            fix="save the model again, each weight once.",
        )
    return {key: tensor.detach() for key, tensor in tensors.items()}


def _check_plain(file: Path, key: str, tensor: Tensor) -> None:
    """Refuse sparse and absent tensors, and views that would grow beyond what the file holds when copied."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ModelError(
            "Something in the weights is not a plain tensor.",
            where=f"{file}: {key}",
            fix="save the model again, with dense tensors on the CPU.",
        )


def _damaged(file: Path, error: Exception) -> ModelError:
    first_line = (str(error).strip().splitlines() or [""])[0]
    return ModelError(
        "The weights cannot be read.",
        where=f"{file} ({type(error).__name__}: {first_line})",
        fix="fetch or copy the file again; it is damaged, not complete, or not what its name says.",
    )


def _read_shards(directory: Path, index_name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of a sharded checkpoint, each from the shard that the index names; the shards' names."""
    shard_of = _weight_map(directory / index_name)
    tensors: dict[str, Tensor] = {}
    shards = tuple(dict.fromkeys(shard_of.values()))
    for shard in shards:
        file = directory / shard
        if not file.is_file():
            raise ModelError("A part of the weights is missing.", where=str(file), fix="fetch the whole model again.")
        held = _read_file(file)
        wanted = [key for key, where in shard_of.items() if where == shard]
        absent = [key for key in wanted if key not in held]
        if absent:
            raise ModelError(
                "The index names tensors that are not where it says.",
                where=f"{file}: {list_some(absent)}",
                fix="fetch the whole model again; its parts do not belong together.",
            )
        tensors.update((key, held[key]) for key in wanted)
    return tensors, shards


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor name → name of the shard that holds it, every one a plain name of the index's own kind."""
    ending = ".safetensors" if ".safetensors." in index.name else ".bin"
    try:
        pairs = dict(read_json(index)["weight_map"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(index, error) from error
    for shard in pairs.values():
        if not (isinstance(shard, str) and _is_plain_name(shard) and shard.endswith(ending)):
            raise ModelError(
                f"The index names {shown(shard)}, which is not a {ending} file in its own directory.",
                where=str(index),
                fix="do not use this model: its index is damaged or made to read other files.",
            )
    return pairs


def _is_plain_name(name: str) -> bool:
    """Whether ``name`` stays inside a directory on every system, and can be a file's name at all."""
    is_short = len(name.encode("utf-8", "surrogatepass")) <= _MAX_NAME_BYTES
    return is_short and PurePosixPath(name).name == name == PureWindowsPath(name).name and "\0" not in name


def _modern_name(name: str) -> str:
    for legacy, modern in _LEGACY_ENDINGS.items():
        if name.endswith(legacy):
            return name.removesuffix(legacy) + modern
    return name


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in _TO_FLOAT32 else tensor


def _dtypes(tensors: Iterable[Tensor]) -> str:
    """The floating-point types met, ``float16+float32``; counters and the like aside."""
    return "+".join(sorted({str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()}))
