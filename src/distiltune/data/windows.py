"""Windows over token sequences, and features laid out from them. Pure functions on arrays, no loop a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.packing import cumulative_lengths, positions
from distiltune.data.tokens import SpecialTokens

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Where each window lies: ``(n_windows,)`` each."""

    example: Ints
    first: Ints  # first token, counted from the sequence's start
    n_tokens: Ints


@dataclass(frozen=True, slots=True)
class SequencePart:
    """A part of each feature: its tokens ``ids[start[i] : start[i] + length[i]]``, ``(n_features,)`` each."""

    ids: npt.NDArray[np.int32]
    start: Ints
    length: Ints


def cut_windows(lengths: Ints, room: Ints, stride: int) -> Windows:
    """Windows of ``room`` tokens, each ``room - stride`` after the one before, up to the first that reaches the end.

    A sequence without any token still has one (empty) window.

    Args:
        lengths: ``(n,)`` of the sequences.
        room: ``(n,)`` most tokens in each one's windows, more than ``stride``.
        stride: tokens that neighbouring windows share.

    """
    step = room - stride
    n_windows = np.where(lengths <= room, 1, 1 + -(-(lengths - room) // step))
    example = np.repeat(np.arange(len(lengths)), n_windows)
    first = positions(n_windows) * step[example]
    return Windows(example=example, first=first, n_tokens=np.minimum(room[example], lengths[example] - first))


def lay_out(special: SpecialTokens, parts: Sequence[SequencePart]) -> tuple[npt.NDArray[np.int32], Ints]:
    """``[CLS] part [SEP]``, or ``[CLS] part [SEP] part [SEP]``, for every feature, laid end to end.

    Returns:
        the token ids ``(all_tokens,)``, and their boundaries ``(n_features + 1,)``.

    """
    offsets = cumulative_lengths(sum((part.length + 1 for part in parts), np.ones_like(parts[0].length)))
    token_ids = np.full(offsets[-1], special.sep, dtype=np.int32)
    token_ids[offsets[:-1]] = special.cls
    target = offsets[:-1] + 1
    for part in parts:
        within = positions(part.length)
        token_ids[np.repeat(target, part.length) + within] = part.ids[np.repeat(part.start, part.length) + within]
        target = target + part.length + 1
    return token_ids, offsets
