"""Any model that can be read → a modern model directory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from distiltune.errors import ModelError
from distiltune.model.hf_keys import KeyRule
from distiltune.model.save import ModelToWrite, check_output, told_of_kept, write_model_directory
from distiltune.model.sentence_transformers_form import sentence_transformers_files
from distiltune.model.source import load_source, load_tokenizer, resolve_model
from distiltune.system.durable import writing_to
from distiltune.system.names import as_name, as_path

_OF_THE_FILES: Final = frozenset(
    {"_name_or_path", "auto_map", "dtype", "quantization_config", "torch_dtype", "transformers_version"}
)
"""Entries of config.json that speak of the files beside it; all else says what the model means, and is kept."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was converted.

    Attributes:
        name: the model's, as the user named it.
        directory: the model directory that was made.
        has_head: whether the head was there, and is kept.
        n_parameters: numbers in all tensors that were kept.
        notes: sentences for the user on what was done.

    """

    name: str
    directory: Path
    has_head: bool
    n_parameters: int
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return {
            "source": self.name,
            "model": str(self.directory),
            "has_head": self.has_head,
            "n_parameters": self.n_parameters,
            "notes": list(self.notes),
            "outcome": "done",
        }


def convert(
    name: str | Path,
    output: str | Path,
    *,
    head_rules: Sequence[KeyRule] = (),
    architectures: Sequence[str] = ("DistilBertModel",),
    card: Callable[[Converted], str] | None = None,
    overwrite: bool = False,
    sentence_transformers: bool = False,
) -> Converted:
    """Write the model ``name`` as a model directory in float32 safetensors.

    What its ``config.json`` says of labels, problem, threshold, windows and the like stays as it is.

    ``name`` is anything that `load_source` takes: PyTorch or TensorFlow-era weights, sharded or not, BERT or
    DistilBERT. The head that ``head_rules`` describe is kept if it is there; ``architectures`` is then what
    ``config.json`` names, and ``DistilBertModel`` otherwise. ``card`` writes the model card; without it there is none.
    ``overwrite`` replaces a model that is at ``output``. ``sentence_transformers`` adds what that library reads,
    so that the directory is a model of its with mean pooling.

    Raises:
        ModelError: as `check_output` and `load_source`.
        HubError: as `load_source`.

    """
    name, output = as_name(name, "model"), as_path(output, "output")
    directory = resolve_model(name)
    check_output(output, directory, overwrite=overwrite)
    source = load_source(str(directory), head_rules)
    has_head = bool(head_rules) and not source.missing
    tensors = {key: tensor for key, tensor in source.tensors.items() if has_head or key.startswith("encoder.")}
    head_note = "The head is kept." if has_head else "There is no head for this task; the encoder is kept."
    n_parameters = sum(tensor.numel() for tensor in tensors.values())
    converted = Converted(name, output, has_head, n_parameters, (*source.notes, head_note))
    extra_files = {"README.md": card(converted).encode()} if card is not None else {}
    if sentence_transformers:
        extra_files |= sentence_transformers_files(source.config)
    with writing_to(output, ModelError):
        kept = write_model_directory(
            output,
            ModelToWrite(
                source.config,
                tensors,
                load_tokenizer(source.directory),
                head_rules if has_head else (),
                architectures if has_head else ("DistilBertModel",),
                {key: value for key, value in source.config_hf.items() if key not in _OF_THE_FILES},
            ),
            extra_files=extra_files,
        )
    return replace(converted, notes=(*converted.notes, *told_of_kept(kept)))
