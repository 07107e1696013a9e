"""Writing a Hugging Face model directory that transformers loads, whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor

from distiltune.errors import ModelError
from distiltune.model.config import EncoderConfig
from distiltune.model.hf_keys import KeyRule, encoder_rules, to_hf
from distiltune.model.sentence_transformers_form import MODULES, POOLING_FOLDER, SENTENCE_SETTINGS
from distiltune.model.tokenizer import tokenizer_files
from distiltune.system.durable import (
    alone_in,
    clear_leftovers,
    read_file,
    try_writing,
    write_synced,
    writing_directory,
    writing_to,
)

SavedDtype = Literal["float32", "float16"]

_DTYPES: Final[dict[SavedDtype, torch.dtype]] = {"float32": torch.float32, "float16": torch.float16}
_CONFIG_DEFAULTS: Final[dict[str, object]] = {  # what DistilBertConfig has besides the encoder's shape
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "tie_word_embeddings": True,
}
_CARD: Final = "README.md"
_PART: Final = r"(-\d+-of-\d+)?"
_WEIGHTS: Final = re.compile(
    rf"model{_PART}\.safetensors|pytorch_model{_PART}\.bin|tf_model{_PART}\.h5|flax_model{_PART}\.msgpack"
    r"|model\.onnx(\.data)?|(model\.safetensors|pytorch_model\.bin|tf_model\.h5|flax_model\.msgpack)\.index\.json"
)
_ABOUT: Final = frozenset(
    {
        *("config.json", "generation_config.json", _CARD, "example.py"),
        *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json"),
        *(MODULES, SENTENCE_SETTINGS, "config_sentence_transformers.json"),
    }
)
"""Files of a model directory that ``transformers`` or we write, beside the weights."""


@dataclass(frozen=True, slots=True)
class ModelToWrite:
    """A model and all that its directory says of it.

    Attributes:
        config: the encoder's shape.
        tensors: under our names, on any device: the whole encoder and, if there is one, its head.
        tokenizer: what cuts its texts.
        head_rules: the names of the head's tensors.
        architectures: the class of ``transformers`` that holds such weights.
        extra_config: is added to ``config.json`` and wins over the usual values there.

    """

    config: EncoderConfig
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer
    head_rules: Sequence[KeyRule] = ()
    architectures: Sequence[str] = ("DistilBertModel",)
    extra_config: Mapping[str, object] = field(default_factory=dict)


def write_model_directory(
    directory: Path,
    model: ModelToWrite,
    *,
    extra_files: Mapping[str, bytes] | None = None,
    dtype: SavedDtype = "float32",
) -> tuple[str, ...]:
    """Write a model directory: configuration, weights, tokenizer and ``extra_files`` (name → contents).

    A directory that was there is replaced, as `replace_directory` says.

    Returns:
        the names of what stays there and is no model's.

    Raises:
        ModelError: if a tensor of the encoder is missing, one has no Hugging Face name or does not fit into
            float16, or ``directory`` is something else than a model directory.

    """
    encoder = encoder_rules(model.config.n_layers)
    missing = [rule.ours for rule in encoder if rule.ours not in model.tensors]
    if missing:
        raise ModelError(
            "The model to be saved is not complete.",
            where=", ".join(missing),
            fix="take a model whose weights are all there; fine-tuning one without weights makes them",
        )
    hf_tensors = _to_dtype(to_hf(model.tensors, (*encoder, *model.head_rules)), dtype)
    contents = {
        "config.json": _config_json(model, dtype),
        "model.safetensors": save(hf_tensors, metadata={"format": "pt"}),
        **tokenizer_files(model.tokenizer, model.config.max_position_embeddings),
        **(extra_files or {}),
    }

    def write(beside: Path) -> None:
        for name, content in contents.items():
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            write_synced(beside / name, content)

    return replace_directory(directory, write)


def _to_dtype(tensors: Mapping[str, Tensor], dtype: SavedDtype) -> dict[str, Tensor]:
    """Copies on the host that share no memory, which safetensors would refuse."""
    copies = {
        name: tensor.detach().to("cpu", _DTYPES[dtype], copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    if dtype == "float16":
        for name, copy in copies.items():
            if bool(torch.isinf(copy).any()):
                raise ModelError(f"The tensor {name} does not fit into float16.", fix="save it as float32.")
    return copies


def _config_json(model: ModelToWrite, dtype: SavedDtype) -> bytes:
    """``config.json`` as transformers writes it for DistilBERT."""
    values = {
        **_CONFIG_DEFAULTS,
        **model.extra_config,
        **model.config.to_hf(),
        "architectures": list(model.architectures),
        "dtype": dtype,
    }
    return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()


def replace_directory(directory: Path, write: Callable[[Path], None]) -> tuple[str, ...]:
    """Let ``write`` fill a new directory beside ``directory``, then put it in its place.

    At no time does ``directory`` hold half of a model: it is written beside, brought to the disk, and
    renamed. What else lay in an earlier model directory than what we or ``transformers`` write, such as a note, is
    carried over.

    Returns:
        the names of what was carried over.

    Raises:
        ModelError: if ``directory`` is a file, or a directory that holds something other than a model.

    """
    _check_replaceable(directory)
    # A link is followed, so that what it points to is replaced and not the link.
    directory = directory.resolve()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(directory.parent) as alone:
        if alone:
            clear_leftovers(directory, _carry_over)
        with writing_directory(directory, carry_over=_carry_over) as beside:
            write(beside)
    return tuple(sorted(entry.name for entry in directory.iterdir() if not _is_of_a_model(entry)))


def told_of_kept(names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for the user on what `replace_directory` left where it was; none if that is nothing."""
    return (f"What is not of a model stays in the output: {', '.join(names)}.",) if names else ()


def check_output(output: Path, source: Path, *, overwrite: bool) -> None:
    """Check, before the work is done, that what is made of the model ``source`` may and can be written to ``output``.

    Raises:
        ModelError: if it is ``source`` itself, a file, a directory with something other than a model, the user's home
            or the folder that this process is in; if it holds a model and ``overwrite`` does not allow to replace that;
            or if the system lets nothing be written there.

    """
    with writing_to(output, ModelError):
        _check_not_lived_in(output)
        _check_replaceable(output)
        directory = output.resolve()
        if directory == source.resolve():
            raise ModelError(
                "The output is the model itself, whose weights would be lost.",
                where=str(output),
                fix="choose another --output",
            )
        if directory.is_dir() and any(directory.iterdir()) and not overwrite:
            raise ModelError(
                "The output holds a model already, whose weights would be lost.",
                where=str(output),
                fix="choose another --output, or replace it with --overwrite",
            )
        try_writing(directory.parent)


def _check_replaceable(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ModelError(
            "A model is written as a directory, and this is a file.",
            where=str(directory),
            fix="choose another --output",
        )
    if any(directory.iterdir()) and not _is_a_model(directory):
        raise ModelError(
            "The directory holds something other than a model, which would be lost.",
            where=str(directory),
            fix="give an empty or a new directory.",
        )


def _check_not_lived_in(directory: Path) -> None:
    """Check that a directory that is to be replaced is not the user's home, nor has this process in it."""
    lived_in: list[Path] = []
    with suppress(OSError):  # it was removed, or may not be told
        lived_in += [Path.cwd(), *Path.cwd().parents]
    with suppress(OSError, RuntimeError):  # there is no home
        lived_in.append(Path("~").expanduser().resolve())
    if directory.resolve() in lived_in:
        raise ModelError(
            "The output is your home, or the folder that you are in or one above it: another would take its place.",
            where=str(directory),
            fix=f"name a folder inside it: --output {directory / 'model'}",
        )


def _is_a_model(directory: Path) -> bool:
    """Whether a directory is what `transformers` or we write: its config.json is of a model, and not of anything."""
    try:
        config = json.loads(read_file(directory / "config.json").decode())
    except (OSError, ValueError, RecursionError):
        return False
    folders = [entry for entry in directory.iterdir() if entry.name in _ABOUT and not entry.is_file()]
    of_a_model = isinstance(config, dict) and not {"model_type", "architectures", "vocab_size"}.isdisjoint(config)
    return of_a_model and not folders


def _is_of_a_model(entry: Path) -> bool:
    """Whether an entry of a model directory is a file of a model, and goes with it."""
    if entry.is_dir():
        return entry.name == POOLING_FOLDER and [each.name for each in entry.iterdir()] == ["config.json"]
    return entry.name in _ABOUT or _WEIGHTS.fullmatch(entry.name) is not None


def _carry_over(before: Path, directory: Path) -> None:
    """Move what is not of the old model, and its card where the new one has none."""
    for entry in before.iterdir():
        stays = not _is_of_a_model(entry) or entry.name == _CARD
        if stays and not os.path.lexists(directory / entry.name):
            entry.rename(directory / entry.name)
