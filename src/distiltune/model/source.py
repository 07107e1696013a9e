"""From the name of a model to its pieces: a directory, a run, ``starter``, ``starter-qa`` or a name on the hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor

from distiltune.errors import HubError, ModelError
from distiltune.model.bert import fold_bert
from distiltune.model.config import EncoderConfig, list_some
from distiltune.model.hf_keys import (
    KeyRule,
    encoder_rules,
    expected_shape,
    find_name,
    from_hf,
    missing_from_hf,
    unexpected_in_hf,
)
from distiltune.model.small_json import read_json
from distiltune.model.tokenizer import check_vocabulary_file, n_token_ids, tokenizer_file
from distiltune.model.tokenizer import load_tokenizer as load_tokenizer  # part of what a source is
from distiltune.model.vocabulary_case import case_doubt
from distiltune.model.weights import WEIGHT_FILES, HfWeights, read_weights
from distiltune.system.hub import hub_errors, within_deadline
from distiltune.system.names import RUNS, as_name, did_you_mean, means_a_path_here, names_beside, nearly

PACKAGED: Final = {"starter": "model", "starter-qa": "model-qa"}
"""The small models inside the package, by name, and their directories: an encoder, and one that answers questions."""

UNTRAINED: Final = "distiltune_untrained"
"""Entry of config.json that says: this directory has no weights on purpose, a training starts from random ones."""

_CONFIG = "config.json"
_HUB_REQUEST_S = 10.0
_MAX_SPARE_IDS = 1_024
_HUB_SMALL_FILES: Final = (
    _CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
_HUB_SHARDS: Final = {  # index → the pattern of the files that it names
    "model.safetensors.index.json": "model-*.safetensors",
    "pytorch_model.bin.index.json": "pytorch_model-*.bin",
}


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as it was found, checked and under our names.

    Attributes:
        directory: the model directory; for a name on the hub, the one in the local cache.
        config: the encoder's shape.
        config_hf: the whole ``config.json``; for a BERT checkpoint, its DistilBERT form.
        tensors: float32, under our names: all of ``encoder.*``, and of the head those that are present; none any more
            beside a model that was built of them, which has copies.
        missing: our names of the head's tensors that are not there and must be trained.
        unexpected: Hugging Face's names of what was not used, such as another task's head.
        notes: sentences for the user on what is remarkable.
        tokenizer_file: ``tokenizer.json``, or ``vocab.txt`` where there is none.
        is_untrained: whether there are no weights on purpose, so that a training starts from random ones.

    """

    directory: Path
    config: EncoderConfig
    config_hf: dict[str, Any]
    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    notes: tuple[str, ...]
    tokenizer_file: Path
    is_untrained: bool = False


def resolve_model(name: str | Path) -> Path:
    """The model directory that ``name`` means.

    A path means a directory. A string means, in this order: a directory with a ``config.json``; a run, which means its
    ``model``; ``starter`` or ``starter-qa``, the models inside the package; a name on the Hugging Face hub, fetched
    once and then taken from the local cache. Of a hub repository only the configuration, the tokenizer and one form of
    the weights are fetched, safetensors if it can be.

    Raises:
        ModelError: if a path does not exist or is not a model directory, or a hub repository has no
            readable weights.
        HubError: if the hub cannot be reached within 15 seconds and the model is not cached, or the hub has
            no such model or does not let the user read it.
        RecipeError: if ``name`` is neither a string nor a path.

    """
    name = as_name(name, "model")
    try:
        path = Path(name).expanduser()
        local = _local_model(path)
    except (OSError, RuntimeError) as error:  # no permission, a name too long, no such user's home
        if name in PACKAGED:  # the folder that we are in may not be searched, and need not be
            return _packaged(name)
        raise ModelError(
            "The model directory cannot be opened.",
            where=f"{name} ({error})",
            fix="check the path, and that you may read it.",
        ) from error
    if local is not None:
        return local
    if name in PACKAGED:
        return _packaged(name)
    if path.is_dir():
        raise ModelError(
            "The directory holds no model.",
            where=f"{path} (neither {_CONFIG} nor model/{_CONFIG})",
            fix="give a model directory, a run that has finished an epoch, `starter` or `starter-qa`.",
        )
    if path.exists():
        raise ModelError("A model is a directory, and this is a file.", where=name, fix=_instead_of(path))
    packaged = nearly(name, PACKAGED)
    if _looks_like_a_path(name) or packaged:
        raise _no_such_directory(name, path, packaged)
    if means_a_path_here(name):
        cached = _cached(name)
        if cached is None:
            raise _no_such_directory(name, path)
        return cached
    try:
        return _fetch(name)
    except HubError as error:
        what = f"There is no directory {name!r} here, and as a name on the hub: {error.what}"
        raise HubError(what, where=error.where, fix=did_you_mean(names_beside(path)) + error.fix) from error


def _no_such_directory(name: str, path: Path, packaged: str = "") -> ModelError:
    near = [packaged] if packaged else names_beside(path)
    may_be_hubs = "/" in name and not _looks_like_a_path(name) and not name.startswith(f"{RUNS}/")
    fetched = f", and is found once it is fetched: hf download {name}" if may_be_hubs else ""
    return ModelError(
        "There is no such model directory.",
        where=str(path.absolute()),
        fix=f"{did_you_mean(near) or _there(path)}A name on the Hugging Face hub is written `owner/name`{fetched}.",
    )


def _there(path: Path) -> str:
    """What is in the folder where a model was looked for, if it is one of runs or models."""
    try:
        inside = sorted(each.name for each in path.parent.iterdir() if _local_model(each) is not None)
    except OSError:
        inside = []
    return f"in {path.parent} there is {list_some(inside)}. " if inside else "check the path. "


def model_config(name: str | Path) -> dict[str, Any]:
    """The ``config.json`` of the model that ``name`` means.

    Raises:
        ModelError: as `resolve_model`, or if the file cannot be read.
        HubError: as `resolve_model`.

    """
    return read_json(resolve_model(name) / _CONFIG)


def _local_model(path: Path) -> Path | None:
    """The directory itself if it is a model's, its ``model`` if it is a run's, else None."""
    return next((place for place in (path, path / "model") if (place / _CONFIG).is_file()), None)


def _instead_of(file: Path) -> str:
    """What to give in place of a file: the folder that it is in, if that holds a model."""
    if (file.parent / _CONFIG).is_file():
        return f"give {file.parent}"
    return "give a model directory, a run, `starter` or `starter-qa`"


def _looks_like_a_path(name: str) -> bool:
    return not name or name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name


def _packaged(name: str) -> Path:
    directory = Path(str(files("distiltune.starter").joinpath(PACKAGED[name])))
    if not (directory / _CONFIG).is_file():
        raise ModelError(
            f"This installation lacks the starter model {name!r}.", where=str(directory), fix="reinstall distiltune."
        )
    return directory


def _fetch(name: str) -> Path:
    """The local copy of a model on the hub, fetched or brought up to date where the hub can be reached."""
    # Imported here because it costs a third of a second that local models do not need.
    from huggingface_hub import HfApi, snapshot_download

    with hub_errors(name, "model"):
        try:
            info = within_deadline(lambda: HfApi().model_info(name, timeout=_HUB_REQUEST_S))
        except Exception:
            # Whatever keeps the hub from answering, a complete copy from before will do.
            cached = _cached(name)
            if cached is None:
                raise
            return cached
        listed = [sibling.rfilename for sibling in info.siblings or ()]
        patterns = [*_HUB_SMALL_FILES, *_weight_patterns(name, listed)]
        return Path(snapshot_download(name, allow_patterns=patterns, etag_timeout=_HUB_REQUEST_S))


def _cached(name: str) -> Path | None:
    """The copy of a model in the local cache, or None if there is none with a configuration and weights."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        directory = Path(snapshot_download(name, allow_patterns=[_CONFIG], local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    has_weights = any((directory / file).is_file() for file in WEIGHT_FILES)
    return directory if has_weights and (directory / _CONFIG).is_file() else None


def _weight_patterns(name: str, listed: Sequence[str]) -> tuple[str, ...]:
    """The patterns of the one form of weights to fetch, the best of those that the repository lists."""
    best = next((file for file in WEIGHT_FILES if file in listed), None)
    if best is None:
        raise ModelError(
            "The model on the hub has no weights that can be read.",
            where=f"{name}: {list_some(sorted(listed))}",
            fix=f"one of these is needed: {', '.join(WEIGHT_FILES)}.",
        )
    return (best, _HUB_SHARDS[best]) if best in _HUB_SHARDS else (best,)


def load_source(name: str | Path, head_rules: Iterable[KeyRule] = (), leave_out: Sequence[str] = ()) -> ModelSource:
    """Find, read and check a model; ``head_rules`` say which tensors the task's head is made of.

    Tensors named in ``leave_out`` are copies of others, and are not missed where they are not used.

    Raises:
        ModelError: if it is neither DistilBERT nor a BERT that fits; if its configuration is nonsense; if a
            tensor of the encoder is missing; if any has the wrong shape, is not made of plain floating-point
            numbers or holds NaN or infinity; or if the tokenizer is missing or has more tokens than the
            model.
        HubError: as `resolve_model`.

    """
    directory = resolve_model(name)
    given_config = read_json(directory / _CONFIG)
    model_type = _check_model_type(given_config, directory)
    if model_type == "distilbert":
        EncoderConfig.from_hf(given_config)  # refuse nonsense before the weights are read
    tokenizer = load_tokenizer(directory)
    token_file, n_tokens = tokenizer_file(directory), n_token_ids(tokenizer)
    check_vocabulary_file(directory, tokenizer)
    if given_config.get(UNTRAINED) is True:
        untrained = _untrained(directory, given_config, n_tokens, token_file, head_rules)
        return replace(untrained, notes=(*untrained.notes, *_case_notes(directory, tokenizer)))
    weights = read_weights(directory)

    config_hf, hf_tensors, fold_notes = (
        fold_bert(given_config, weights.tensors) if model_type == "bert" else (given_config, weights.tensors, ())
    )
    config = EncoderConfig.from_hf(config_hf)
    head = tuple(head_rules)
    encoder = encoder_rules(config.n_layers)
    where = f"{directory} ({', '.join(weights.files)})"

    _check_complete(missing_from_hf(hf_tensors, encoder), list(weights.tensors), where)
    _check_tensors(hf_tensors, encoder, config, where)
    _check_head(hf_tensors, head, config, where)
    _check_tensors(hf_tensors, head, config, where)
    _check_added(tokenizer, config, directory)
    _check_vocabulary(n_tokens, config, token_file)
    tensors = from_hf(hf_tensors, (*encoder, *head))
    unexpected = tuple(
        key for key in unexpected_in_hf(hf_tensors, (*encoder, *head)) if not _is_counter(key) and key not in leave_out
    )
    return ModelSource(
        directory=directory,
        config=config,
        config_hf=dict(config_hf),
        tensors=tensors,
        missing=tuple(rule.ours for rule in head if rule.ours not in tensors),
        unexpected=unexpected,
        notes=(*fold_notes, *_notes(weights, unexpected), *_case_notes(directory, tokenizer)),
        tokenizer_file=token_file,
    )


def _untrained(
    directory: Path, config_hf: dict[str, Any], n_tokens: int, token_file: Path, head_rules: Iterable[KeyRule]
) -> ModelSource:
    """A source that has a shape and a tokenizer only, so that everything is yet to be trained."""
    config = EncoderConfig.from_hf(config_hf)
    _check_vocabulary(n_tokens, config, token_file)
    return ModelSource(
        directory=directory,
        config=config,
        config_hf={key: value for key, value in config_hf.items() if key != UNTRAINED},
        tensors={},
        missing=tuple(rule.ours for rule in head_rules),
        unexpected=(),
        notes=("This model has no pretrained weights: everything starts from random ones, so expect little of it.",),
        tokenizer_file=token_file,
        is_untrained=True,
    )


def _check_model_type(config: Mapping[str, Any], directory: Path) -> str:
    # The first DistilBERT configurations of 2019 did not say what they were; only they call the width `dim`.
    model_type = config.get("model_type", "distilbert" if "dim" in config else None)
    if model_type not in ("distilbert", "bert"):
        raise ModelError(
            f"The model is of the type {model_type!r}; distiltune fine-tunes DistilBERT.",
            where=str(directory / _CONFIG),
            fix="take a model whose config.json says distilbert, or a BERT, which is converted.",
        )
    return str(model_type)


def _check_complete(missing: Sequence[str], there: Sequence[str], where: str) -> None:
    if missing:
        raise ModelError(
            f"The weights lack {len(missing)} of the encoder's tensors: {list_some(missing)}.",
            where=f"{where}, which has {list_some(there) or 'none'}",
            fix="fetch or save the whole model again; config.json and the weights must belong together, and names must "
            "be those of transformers, with whatever before them.",
        )


def _check_head(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule], config: EncoderConfig, where: str) -> None:
    """Check that the head has as many outputs as the task needs, which `config.json` does not say of every task."""
    for rule in rules:
        name = find_name(tensors, rule.theirs[0])
        expected = expected_shape(rule, config)
        needed = rule.shape[0] if rule.shape else None
        if name is None or not isinstance(needed, int) or tuple(tensors[name].shape[1:]) != expected[1:]:
            continue
        n_outputs = len(tensors[name])
        if n_outputs != needed:
            raise ModelError(
                f"The model's head has {n_outputs} outputs ({name}), and this task needs {needed}.",
                where=where,
                fix="if it is another task's or for other labels, start from the model that it was trained from; if it "
                "is this task's, use the config.json that was saved with it.",
            )


def _check_tensors(tensors: Mapping[str, Tensor], rules: Iterable[KeyRule], config: EncoderConfig, where: str) -> None:
    """Check the shape, type and finiteness of each tensor that the rules use, before any of them is used."""
    for rule in rules:
        expected = expected_shape(rule, config)
        for name in (find_name(tensors, theirs) for theirs in rule.theirs):
            if name is not None:
                _check_tensor(name, tensors[name], expected, where)


def _check_tensor(name: str, tensor: Tensor, expected: tuple[int, ...], where: str) -> None:
    if expected and tuple(tensor.shape) != expected:
        raise ModelError(
            f"The tensor {name} has the shape {tuple(tensor.shape)}; config.json makes it {expected}.",
            where=where,
            fix="use the config.json that was saved with these weights.",
        )
    if tensor.dtype != torch.float32:
        raise ModelError(
            f"The tensor {name} is of the type {tensor.dtype}, which cannot be trained.",
            where=where,
            fix="use the model before it was quantised.",
        )
    # A sum is not finite if any of its numbers is not, and a fifth of the work; it may also overflow.
    if not bool(torch.isfinite(tensor.sum()) or torch.isfinite(tensor).all()):
        raise ModelError(f"The tensor {name} holds NaN or infinity.", where=where, fix="use another checkpoint.")


def _check_added(tokenizer: Tokenizer, config: EncoderConfig, directory: Path) -> None:
    """Check that the model has embeddings for the tokens that were added to its vocabulary."""
    added = tokenizer.get_added_tokens_decoder()
    without = [f"{token.content!r} ({i})" for i, token in sorted(added.items()) if i >= config.vocab_size]
    if without:
        raise ModelError(
            f"Tokens were added that the model has none of its {config.vocab_size:,} embeddings for: "
            f"{list_some(without)}.",
            where=str(directory),
            fix="use the tokenizer files that the model was trained with, or take these tokens out of them.",
        )


def _check_vocabulary(n_tokens: int, config: EncoderConfig, file: Path) -> None:
    if n_tokens > config.vocab_size:
        raise ModelError(
            f"The tokenizer's ids go up to {n_tokens - 1:,}, the model's to {config.vocab_size - 1:,}.",
            where=str(file),
            fix="use the tokenizer that the model was trained with.",
        )

    # Vocabularies are padded up for speed, by less than this; a tokenizer much smaller is another model's.
    if config.vocab_size - n_tokens > max(_MAX_SPARE_IDS, config.vocab_size // 20):
        raise ModelError(
            f"The tokenizer has {n_tokens:,} tokens, the model embeddings for {config.vocab_size:,}.",
            where=str(file),
            fix="use the tokenizer that the model was trained with.",
        )


def _case_notes(directory: Path, tokenizer: Tokenizer) -> list[str]:
    doubt = case_doubt(directory, tokenizer)
    return [] if doubt is None else [doubt.note]


def _is_counter(name: str) -> bool:
    """Whether a tensor is the row of numbers 0, 1, 2, … that early BERTs saved with their weights."""
    return name.endswith("embeddings.position_ids")


def _notes(weights: HfWeights, unexpected: Sequence[str]) -> list[str]:
    notes = []
    if weights.dtype_on_disk not in ("", "float32"):
        notes.append(f"The weights are saved as {weights.dtype_on_disk}; they are used as float32.")
    if weights.prefix:
        notes.append(f"The weights' names have {weights.prefix!r} before them, which is left out.")
    if weights.files[0].endswith(".h5"):
        notes.append("The weights are from the TensorFlow era (tf_model.h5).")
    if unexpected:
        notes.append(f"Not used by the encoder or this task's head: {list_some(unexpected)}.")
    return notes
