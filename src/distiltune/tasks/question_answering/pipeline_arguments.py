"""The arguments of the pipeline that transformers had until version 4, in our terms: of loading, and of a call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer

from distiltune.errors import ArgumentError, ModelError, RecipeError
from distiltune.model.build import LoadedModel
from distiltune.model.source import resolve_model
from distiltune.model.tokenizer import load_tokenizer, n_token_ids, tokenizer_file
from distiltune.settings.bounds import check_values
from distiltune.settings.engine import Count, Positive, WindowLength
from distiltune.system.names import as_path
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.inference import DecodingSettings

_DTYPES: Final = {"auto": "float32", "float32": "float32", "bfloat16": "bfloat16", "float16": "bfloat16"}
"""A type of numbers by name → our precision; `auto` was that of the saved weights, which we use as float32."""


class _Bounds(BaseModel):
    """What settings of a call may be: the bounds of our own settings."""

    model_config = ConfigDict(strict=True)

    top_k: Positive
    max_answer_len: Positive
    max_question_len: Positive
    max_seq_len: WindowLength
    doc_stride: Count
    batch_size: Positive
    handle_impossible_answer: bool
    align_to_words: bool


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The settings of a call, with the names and defaults that transformers gave them.

    Attributes:
        top_k: most answers to return; over 1, they come as a list.
        doc_stride: tokens that neighbouring windows share; by default 128, or half of a shorter window.
        max_answer_len: longest answer, in tokens.
        max_seq_len: most tokens in a window; by default 384, or what the model has.
        max_question_len: longer questions are cut.
        handle_impossible_answer: whether "" may be an answer.
        align_to_words: whether answers are widened to whole words.
        batch_size: most windows that are read at once; by default as many as suit the machine. It changes speed and
            memory, not results.

    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    batch_size: int | None = None

    def __post_init__(self) -> None:
        try:
            check_values(_Bounds, asdict(self))
        except RecipeError as error:
            raise ArgumentError(error.what, where=error.where, fix=error.fix) from None

    def changed(self, given: Mapping[str, Any]) -> CallSettings:
        """These settings with others; None leaves one as it is.

        Raises:
            ArgumentError: if one has no such value.

        """
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def windows(self, n_positions: int) -> WindowSettings:
        """The windows that these settings mean for a model with so many positions.

        Raises:
            ArgumentError: if windows could not move on.

        """
        max_length = min(self.max_seq_len or 384, n_positions)
        stride = min(max_length // 2, 128) if self.doc_stride is None else self.doc_stride
        most = max_length - 3 - 2  # [CLS] question [SEP] context [SEP], a token of the question, and one more
        if stride > most:
            raise ArgumentError(
                f"doc_stride is {stride}, and windows of {max_length} tokens leave no room to move on with it.",
                where="argument: doc_stride",
                fix=f"give a value at most {most}, or a longer max_seq_len",
            )
        return WindowSettings(max_length, stride, min(self.max_question_len, max_length - 4 - stride))

    def batch_tokens(self, windows: WindowSettings) -> int:
        """Most tokens in a batch of these windows."""
        return self.batch_size * windows.max_length if self.batch_size else DecodingSettings().batch_tokens


USUAL: Final = CallSettings()
"""Those of a call that says nothing."""


def take_call(arguments: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take the settings of a call out of ``arguments``, ``topk`` under its later name.

    Raises:
        ArgumentError: if both of its names are there.

    """
    if "topk" in arguments:
        if "top_k" in arguments:
            raise ArgumentError("topk and top_k are one setting.", where="argument: topk", fix="give top_k")
        warnings.warn("topk is the old name of top_k", FutureWarning, stacklevel=3)
        arguments["top_k"] = arguments.pop("topk")
    return {name: arguments.pop(name) for name in CallSettings.__dataclass_fields__ if name in arguments}


def loading_arguments(arguments: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take ``device``, ``framework``, ``torch_dtype`` and ``dtype`` out of ``arguments``; what they mean to `Answerer`.

    Raises:
        ArgumentError: if one has no meaning here, or the type of numbers is given twice.

    """
    framework = arguments.pop("framework", None)
    if framework not in (None, "pt"):
        raise ArgumentError(f"framework is {framework!r}.", where="argument: framework", fix="distiltune runs on 'pt'")
    loading = {"device": _device(arguments.pop("device", None))}
    given = {name: arguments.pop(name) for name in ("torch_dtype", "dtype") if name in arguments}
    given = {name: value for name, value in given.items() if value is not None}
    if len(given) > 1 or (given and "precision" in arguments):
        said = ", ".join((*given, *(["precision"] if "precision" in arguments else [])))
        raise ArgumentError(f"{said} say the same.", where="argument: torch_dtype", fix="give one of them")
    for name, value in given.items():
        loading["precision"] = _precision(name, value)
    return loading


def _device(device: object) -> str:
    """``-1`` for the processor, ``0`` and more for a GPU by its number, or the device by its name."""
    if device is None:
        return "auto"
    if isinstance(device, torch.device | str):
        return str(device)
    if type(device) is not int or device < -1:
        raise ArgumentError(
            f"device is {device!r}.", where="argument: device", fix="give -1 (the processor), a GPU's number, or a name"
        )
    return "cpu" if device == -1 else f"cuda:{device}"


def _precision(name: str, dtype: object) -> str:
    written = str(dtype).removeprefix("torch.")
    if written not in _DTYPES:
        raise ArgumentError(f"{name} is {dtype!r}.", where=f"argument: {name}", fix=f"give {', '.join(_DTYPES)}")
    if written == "float16":
        warnings.warn(
            "float16 is taken as bfloat16, whose numbers do not grow too large",
            UserWarning,
            stacklevel=4,
        )
    return _DTYPES[written]


def as_tokenizer(given: object, loaded: LoadedModel) -> Tokenizer | None:
    """The tokenizer that stands in for a model's own; None if none was given.

    Args:
        given: a directory or a name on the hub; or a tokenizer of the library `tokenizers`, or a quick one of
            `transformers`, of which a copy is taken.
        loaded: the model that it is for.

    Raises:
        ArgumentError: if it is something else.
        ModelError: if it cannot be read, or has more tokens than the model.
        HubError: if a hub name cannot be fetched.

    """
    if given is None:
        return None
    if isinstance(given, str | Path):
        directory = as_path(given, "tokenizer")
        directory = directory if directory.is_dir() else resolve_model(str(given))
        tokenizer, where = load_tokenizer(directory), str(tokenizer_file(directory))
    else:
        inner = given if isinstance(given, Tokenizer) else getattr(given, "backend_tokenizer", None)
        if not isinstance(inner, Tokenizer):
            raise ArgumentError(
                f"tokenizer is of the type {type(given).__name__}.",
                where="argument: tokenizer",
                fix="give a directory, a name, or a quick tokenizer",
            )
        tokenizer, where = Tokenizer.from_str(inner.to_str()), "tokenizer"
        tokenizer.no_truncation()
        tokenizer.no_padding()
    n_embeddings = loaded.source.config.vocab_size
    if n_token_ids(tokenizer) > n_embeddings:
        raise ModelError(
            f"The tokenizer's ids go up to {n_token_ids(tokenizer) - 1:,}, the model's to {n_embeddings - 1:,}.",
            where=where,
            fix="use the tokenizer that the model was trained with.",
        )
    return tokenizer
