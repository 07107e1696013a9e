"""The teacher: a model directory, run once over a data set; what it says is kept on disk."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import nn

from distiltune.data.cache import ArrayForm, FloatArray, FloatType, fingerprint_of, map_or_fill
from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import TargetRows
from distiltune.data.tokens import tokenise
from distiltune.errors import ModelError
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import rows_of
from distiltune.model.source import ModelSource, load_tokenizer
from distiltune.progress import tell

CHUNK = 2_048
"""Features whose outputs are kept together."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model that is learnt from, and what it says of a token or a feature.

    Attributes:
        name: for messages.
        model: packed batch → ``(total_tokens, width)``, or ``(n_features, width)`` if its ``rows`` are "sequence".
        fingerprint: of the weights and of what is read out of them.
        width: numbers a row.
        dtype: what the numbers are kept in.

    """

    name: str
    model: nn.Module
    fingerprint: str
    width: int
    dtype: FloatType


@dataclass(frozen=True, slots=True)
class TeacherSays:
    """What a teacher says of a set, a row a token or a row a feature.

    Attributes:
        features: with these as targets.
        from_cache: whether they were there already.
        problems: why they could not be kept, in sentences.

    """

    features: FeatureSet
    from_cache: bool
    problems: tuple[str, ...] = ()


def with_targets(teacher: Teacher, features: FeatureSet, max_tokens: int) -> TeacherSays:
    """The features with what the teacher says of each of them, or of each of their tokens, run now or from the cache.

    It is kept in chunks of ``CHUNK`` features, each under its own content: a run that was stopped goes on at the chunk
    where it was, and the first 20,000 questions of 40,000 are not run again.

    Args:
        teacher: who is asked.
        features: as the student reads them; windows and tokens of other settings make other entries.
        max_tokens: most tokens in a batch.

    Raises:
        DataError: if there is no room for the outputs anywhere.
        ModelError: if one of them is not finite, or does not fit into the teacher's ``dtype``.

    """
    chunks: list[FloatArray] = []
    contents: list[str] = []
    problems: dict[str, None] = {}
    all_from_cache = True
    rows = rows_of(teacher.model)
    for first in range(0, len(features), CHUNK):
        ids = np.arange(first, min(first + CHUNK, len(features)))
        bounds = features.offsets[first : ids[-1] + 2]
        tokens = features.token_ids[bounds[0] : bounds[-1]]
        content = hashlib.sha256(tokens.tobytes() + (bounds - bounds[0]).tobytes()).hexdigest()
        made_of = {
            "teacher": teacher.fingerprint,
            "features": content,
            "width": teacher.width,
            "dtype": np.dtype(teacher.dtype).name,
            "rows": rows,
        }
        chunk, from_cache = map_or_fill(
            made_of,
            ArrayForm((len(tokens) if rows == "token" else len(ids), teacher.width), teacher.dtype),
            _filler(teacher, features, ids, max_tokens),
            code=_code_of(teacher.model),
            on_problem=lambda problem: problems.update({problem: None}),
        )
        chunks.append(chunk)
        contents.append(content)
        all_from_cache &= from_cache
    targets = Chunks(chunks, fingerprint_of([teacher.fingerprint, np.dtype(teacher.dtype).name, *contents]))
    return TeacherSays(replace(features, targets=targets, target_rows=rows), all_from_cache, tuple(problems))


def _code_of(model: nn.Module) -> set[str]:
    """The modules in which the parts of a model are written, without those of PyTorch."""
    names = {type(part).__module__ for part in model.modules()}
    return {name for name in names if not name.startswith("torch.")}


def _filler(
    teacher: Teacher, features: FeatureSet, ids: npt.NDArray[np.int64], max_tokens: int
) -> Callable[[FloatArray], None]:
    """What writes the model's outputs for these features, which follow one another, into an array."""
    rows = rows_of(teacher.model)

    def fill(array: FloatArray) -> None:
        first_row = features.offsets[:-1] if rows == "token" else np.arange(len(features))
        start = first_row[ids[0]]
        n_done = int(ids[0])
        tell("teacher", "windows", n_done, len(features))
        for batch, output in outputs(teacher.model, features, ids, max_tokens, alone=True):
            kept_in = torch.float16 if array.dtype == np.float16 else torch.float32
            said = output.to(kept_in).cpu().numpy()
            if not np.isfinite(said).all():
                raise _not_finite(output, teacher.name)
            counts = batch.row_counts(rows)
            for feature, count, end in zip(batch.feature_ids, counts, np.cumsum(counts), strict=True):
                row = first_row[feature] - start
                array[row : row + count] = said[end - count : end]
            n_done += batch.n_features
            tell("teacher", "windows", n_done, len(features))

    return fill


def _not_finite(output: torch.Tensor, name: str) -> ModelError:
    largest = float(output.float().abs().max())
    if not math.isfinite(largest):
        return ModelError(
            "The teacher's outputs are not all finite numbers.",
            where=name,
            fix="take another teacher; evaluate this one to see what it is worth",
        )
    return ModelError(
        f"The teacher's outputs do not fit into half precision, in which they are kept: one is {largest:,.0f} large, "
        "and 65,504 is the most.",
        where=name,
        fix="take another teacher",
    )


class Chunks:
    """Arrays of rows that lie end to end, each of which may be a memory map; stretches of rows are taken of them.

    Attributes:
        fingerprint: of what made the rows: the teacher and the tokens that it read.

    """

    def __init__(self, arrays: Sequence[FloatArray], fingerprint: str = "") -> None:
        self._arrays = arrays
        self.fingerprint = fingerprint
        self._ends = np.cumsum([len(array) for array in arrays]).tolist()

    def __getitem__(self, rows: slice) -> npt.NDArray[np.floating]:
        """Rows ``start:stop``; a view where they lie in one of the arrays."""
        start, stop, _ = rows.indices(self._ends[-1])
        parts = []
        for number in range(bisect_right(self._ends, start), len(self._arrays)):
            array = self._arrays[number]
            before = self._ends[number] - len(array)
            parts.append(array[start - before : stop - before])
            if stop <= self._ends[number]:
                break
            start = self._ends[number]
        return parts[0] if len(parts) == 1 else np.concatenate([self._arrays[0][:0], *parts])


def check_same_tokens(teacher: ModelSource, student_tokenizer: Tokenizer) -> None:
    """Check that teacher and student cut texts into the same tokens.

    Raises:
        ModelError: if they do not.

    """
    ours, theirs = student_tokenizer, load_tokenizer(teacher.directory)
    if ours.to_str() == theirs.to_str():
        return
    probe = "The Quick-brown fox's café: 3.14 naïve ÅNGSTRÖMS, 漢字 unbelievably!"
    tokens = [tokenise(each, [probe]).ids.tolist() for each in (ours, theirs)]
    same = ours.get_vocab() == theirs.get_vocab() and tokens[0] == tokens[1]
    if not same:
        raise ModelError(
            "Teacher and student cut texts into different tokens, so what one says of a token is lost on the other.",
            where=f"{teacher.tokenizer_file}",
            fix="take a teacher with the student's tokenizer, such as one of the same family",
        )


def variances(states: TargetRows, n_rows: int, size: int, n_sampled: int = 8_000) -> torch.Tensor:
    """Of each block of ``size`` columns, the variances of its columns over the rows summed: ``(n_blocks,)``.

    Taken from about ``n_sampled`` rows in a hundred stretches, which is as good as all of them.
    """
    stretch = max(1, min(n_rows, n_sampled) // 100)
    firsts = np.unique(np.linspace(0, n_rows - stretch, 100).astype(np.int64))
    sample = np.concatenate([states[first : first + stretch] for first in firsts]).astype(np.float64)
    by_column = sample.var(axis=0).reshape(-1, size)
    return torch.from_numpy(by_column.sum(axis=1)).float()
