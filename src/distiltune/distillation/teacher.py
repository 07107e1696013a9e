"""The teacher: a model directory, run once over a data set; what it says is kept on disk in half precision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.data.array_cache import cache_key, map_or_fill
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import gather_rows
from distiltune.errors import ModelError
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import Encoder
from distiltune.model.source import ModelSource, load_tokenizer


@dataclass(frozen=True, slots=True)
class TeacherSays:
    """What a teacher says of every token of a set: features with targets, and whether these were there already."""

    features: FeatureSet
    from_cache: bool


def with_targets(
    model: nn.Module,
    model_fingerprint: str,
    features: FeatureSet,
    width: int,
    cache: Path,
    max_tokens: int,
) -> TeacherSays:
    """The features with what ``model`` says of each of their tokens, run now or taken from the cache.

    Args:
        model: packed batch → ``(total_tokens, width)``.
        model_fingerprint: of the weights and of what is read out of them.
        features: as the student reads them; windows and tokens of other settings make another entry.
        width: numbers a token.
        cache: the cache's directory.
        max_tokens: most tokens in a batch.

    Raises:
        DataError: if the outputs cannot be written.

    """
    n_tokens = int(features.offsets[-1])
    digest = hashlib.sha256(features.token_ids.tobytes() + features.offsets.tobytes())
    key = cache_key({"teacher": model_fingerprint, "features": digest.hexdigest(), "width": width})

    def fill(array: npt.NDArray[np.float16]) -> None:
        for batch, output in outputs(model, features, np.arange(len(features)), max_tokens):
            rows = gather_rows(np.arange(n_tokens), features.offsets, batch.feature_ids)
            array[rows] = output.to(torch.float16).cpu().numpy()

    targets, from_cache = map_or_fill(cache, key, (n_tokens, width), fill)
    return TeacherSays(replace(features, targets=targets), from_cache)


def fingerprint(module: nn.Module) -> str:
    """Hash of a module's weights."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def teacher_encoder(source: ModelSource, device: torch.device) -> Encoder:
    """The teacher's encoder, frozen."""
    encoder = Encoder(source.config)
    encoder.load_state_dict(
        {n.removeprefix("encoder."): t for n, t in source.tensors.items() if n.startswith("encoder.")}
    )
    return encoder.to(device).eval().requires_grad_(False)


def check_same_tokens(teacher: ModelSource, student_tokenizer: Tokenizer) -> None:
    """Check that teacher and student cut texts into the same tokens.

    Raises:
        ModelError: if they do not.

    """
    ours, theirs = student_tokenizer, load_tokenizer(teacher.directory)
    if ours.to_str() == theirs.to_str():
        return
    probe = "The Quick-brown fox's café: 3.14 naïve ÅNGSTRÖMS, 漢字 unbelievably!"
    same = ours.get_vocab() == theirs.get_vocab() and ours.encode(probe).ids == theirs.encode(probe).ids
    if not same:
        raise ModelError(
            "Teacher and student cut texts into different tokens, so what one says of a token is lost on the other.",
            where=f"{teacher.tokenizer_file}",
            fix="take a teacher with the student's tokenizer, such as one of the same family",
        )


def variances(states: npt.NDArray[np.float16], size: int, n_sampled: int = 20_000) -> torch.Tensor:
    """Of each block of ``size`` columns, the variances of its columns over the rows summed: ``(n_blocks,)``.

    Taken from about ``n_sampled`` rows in a hundred stretches, which is as good as all of them.
    """
    n_rows = states.shape[0]
    stretch = max(1, min(n_rows, n_sampled) // 100)
    firsts = np.unique(np.linspace(0, n_rows - stretch, 100).astype(np.int64))
    sample = np.concatenate([states[first : first + stretch] for first in firsts]).astype(np.float64)
    by_column = sample.var(axis=0).reshape(-1, size)
    return torch.from_numpy(by_column.sum(axis=1)).float()
