"""Weights whose names stand under those of something around the model: of a trainer, of parallel training, of a class.

``module.distilbert.…`` (DataParallel), ``model.distilbert.…`` (Lightning), ``{"state_dict": {…}}`` (any training loop),
``encoder.…`` (a class with an encoder of its own): what stands before the embeddings' name is what is around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.config import list_some

_ANCHOR: Final = "embeddings.word_embeddings.weight"
_LAYERS: Final = {"transformer.layer.": "distilbert", "encoder.layer.": "bert"}
"""How the layers are called of an encoder whose own name is this."""
_USUAL: Final = ("state_dict", "model_state_dict", "model", "module")
"""Under which a training loop saves the weights, beside its optimiser's state."""


def inner_weights(loaded: Mapping[Any, Any], where: str) -> tuple[Mapping[Any, Any], str]:
    """What of a loaded file holds the weights, and under which name; that is empty where it is the whole.

    Raises:
        ModelError: if several parts could, or none holds a tensor, naming the parts.

    """
    if any(isinstance(value, Tensor) and value.dim() for value in loaded.values()):
        return loaded, ""
    parts = {
        str(name): part
        for name, part in loaded.items()
        if isinstance(part, Mapping) and any(isinstance(value, Tensor) for value in part.values())
    }
    name = next((each for each in _USUAL if each in parts), next(iter(parts), ""))
    if not parts or (name not in _USUAL and len(parts) > 1):
        raise ModelError(
            "The file holds no tensors by name." if not parts else "Several parts of the file hold tensors.",
            where=f"{where} (it has {list_some(list(map(str, loaded))) or 'nothing'})",
            fix="save the model's state_dict().",
        )
    return parts[name], name


def without_wrapper(tensors: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], str]:
    """The tensors with the names that a bare model has, and what stood before them; empty if nothing did.

    Raises:
        ModelError: if there are several encoders, and none of them is the whole model.

    """
    around = {_around(name, tensors) for name in tensors if _is_anchor(name)}
    if not around or "" in around:
        return dict(tensors), ""
    if len(around) > 1:
        raise ModelError(
            f"The weights hold several encoders, under {list_some(sorted(around))}.",
            where=where,
            fix="save the state_dict() of the one that is meant.",
        )
    prefix = around.pop()
    parts = prefix.split(".")[:-1]
    prefixes = ["".join(f"{part}." for part in parts[:n]) for n in range(len(parts), 0, -1)]
    bare: dict[str, Tensor] = {}
    for each in (*prefixes, ""):  # what is nearest to the encoder has its name first
        for name, tensor in tensors.items():
            if next(known for known in (*prefixes, "") if name.startswith(known)) == each:
                bare.setdefault(name.removeprefix(each), tensor)
    return bare, prefix


def _is_anchor(name: str) -> bool:
    return name == _ANCHOR or name.endswith(f".{_ANCHOR}")


def _around(anchor: str, names: Iterable[str]) -> str:
    """What stands before a model's own names, given that of its embeddings."""
    before = anchor.removesuffix(_ANCHOR)
    found = [base for layers, base in _LAYERS.items() if any(name.startswith(before + layers) for name in names)]
    for own in found or _LAYERS.values():
        if before == f"{own}." or before.endswith(f".{own}."):
            return before.removesuffix(f"{own}.")
    return before
