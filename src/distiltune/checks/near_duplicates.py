"""Texts that are nearly the same, found without comparing all with all.

MinHash over shingles (Broder 1997, "On the resemblance and containment of documents"), its signatures cut into bands
(locality-sensitive hashing; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", chapter 3), and every pair
that a band proposes checked against the signatures. All of it is arithmetic on flat arrays.
"""

from __future__ import annotations

import itertools
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.scratch import LongArray

N_HASHES = 64
N_BANDS = 16  # of four hashes: a pair with a resemblance of 0.8 shares a band in 99.98 % of cases
_WORD = re.compile(r"\w+")
_TEXTS_AT_ONCE = 8_192

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Shingles:
    """Hashed pieces of several texts, laid end to end: text i has ``hashes[offsets[i]:offsets[i + 1]]``."""

    hashes: Hashes
    offsets: npt.NDArray[np.int64]


def word_shingles(texts: Sequence[str], width: int = 3, ids: dict[str, int] | None = None) -> Shingles:
    """Runs of ``width`` words, case and punctuation aside; a shorter text is one piece.

    ``ids`` are the numbers of words met before, to which those of these texts are added.
    """
    ids = {} if ids is None else ids
    rows = [[ids.setdefault(word, len(ids)) for word in _WORD.findall(text.lower())] or [-1] for text in texts]
    return _shingles(rows, width)


def character_shingles(texts: Sequence[str], width: int = 4) -> Shingles:
    """Runs of ``width`` letters and digits of texts folded to single spaces; a shorter text is one piece."""
    folded = (" ".join(_WORD.findall(text.lower())) or " " for text in texts)
    return _shingles([np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32) for text in folded], width)


def _shingles(rows: Sequence[Sequence[int] | npt.NDArray[np.uint32]], width: int) -> Shingles:
    """Hash each run of ``width`` numbers of a row."""
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    ends = np.cumsum(lengths)
    flat = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]) if rows else np.zeros(0, np.int64)
    values = (flat + 7).astype(np.uint64)
    mixed = np.zeros(len(values), dtype=np.uint64)
    row_of = np.repeat(np.arange(len(rows)), lengths)
    for step in range(width):
        mixed *= np.uint64(0x9E3779B97F4A7C15)  # odd: wraps around without losing bits
        shifted = np.zeros_like(values)
        n_left = len(values) - step
        if n_left > 0:
            same_row = row_of[step:] == row_of[:n_left]
            shifted[:n_left] = np.where(same_row, values[step:], 0)
        mixed += shifted
        mixed ^= mixed >> np.uint64(29)
    n_shingles = np.maximum(lengths - width + 1, 1)
    within = np.arange(len(values)) - np.repeat(ends - lengths, lengths)
    keep = within < np.repeat(n_shingles, lengths)
    offsets = np.concatenate([[0], np.cumsum(n_shingles)]).astype(np.int64)
    return Shingles(mixed[keep], offsets)


def signatures(shingles: Shingles, seed: int = 0) -> npt.NDArray[np.uint32]:
    """MinHash signatures, ``(n_texts, N_HASHES)``: the share of equal columns estimates two texts' resemblance."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 1 << 63, N_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    addends = rng.integers(0, 1 << 63, N_HASHES, dtype=np.uint64)
    n_texts = len(shingles.offsets) - 1
    out = np.empty((n_texts, N_HASHES), dtype=np.uint32)
    for first in range(0, n_texts, _TEXTS_AT_ONCE):
        last = min(first + _TEXTS_AT_ONCE, n_texts)
        low, high = shingles.offsets[first], shingles.offsets[last]
        hashes = shingles.hashes[low:high]
        starts = shingles.offsets[first:last] - low
        for column in range(N_HASHES):
            # Multiply and shift (Dietzfelbinger et al. 1997): wraps around, and the upper half is the hash.
            hashed = (hashes * factors[column] + addends[column]) >> np.uint64(32)
            out[first:last, column] = np.minimum.reduceat(hashed, starts)
    return out


def word_signatures(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    """The signatures of the `word_shingles` of texts, some of these at a time: of many they lie on disk."""
    ids: dict[str, int] = {}
    return _signatures_of(texts, lambda some: word_shingles(some, ids=ids))


def character_signatures(texts: Sequence[str]) -> npt.NDArray[np.uint32]:
    """The same of the `character_shingles`."""
    return _signatures_of(texts, character_shingles)


def _signatures_of(texts: Sequence[str], cut: Callable[[Sequence[str]], Shingles]) -> npt.NDArray[np.uint32]:
    laid, some = LongArray(np.uint32), iter(texts)
    while part := list(itertools.islice(some, _TEXTS_AT_ONCE)):
        laid.append(signatures(cut(part)).reshape(-1))
    return laid.done().reshape(-1, N_HASHES)


def near_pairs(
    signature: npt.NDArray[np.uint32], threshold: float, within: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Pairs of texts whose estimated resemblance is at least ``threshold``, ``(n_pairs, 2)``, the earlier text first.

    Of a crowd of texts that all share a band only the pairs with its first two members are looked at, so that the work
    stays in proportion to the texts; what is nearly the same still hangs together through those.

    Args:
        signature: of `signatures`.
        threshold: from 0 to 1.
        within: ``(n_texts,)``; only texts with equal values here are compared.

    """
    n_texts = len(signature)
    width = N_HASHES // N_BANDS
    proposed = []
    for band in range(N_BANDS):
        key = np.zeros(n_texts, dtype=np.uint64) if within is None else within.astype(np.uint64)
        for column in range(band * width, (band + 1) * width):
            key = (key ^ signature[:, column]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(31)
        proposed.append(_pairs_of_equal(key))
    pairs = np.unique(np.concatenate(proposed), axis=0) if proposed else np.zeros((0, 2), np.int64)
    if len(pairs) == 0:
        return pairs
    alike = np.empty(len(pairs))
    for first in range(0, len(pairs), _TEXTS_AT_ONCE):
        some = pairs[first : first + _TEXTS_AT_ONCE]
        alike[first : first + len(some)] = (signature[some[:, 0]] == signature[some[:, 1]]).mean(axis=1)
    if within is not None:
        alike = np.where(within[pairs[:, 0]] == within[pairs[:, 1]], alike, 0.0)
    return np.asarray(pairs[alike >= threshold])


def _pairs_of_equal(key: Hashes) -> npt.NDArray[np.int64]:
    """Each text with the first two of those that have its key."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, bool)
    group_start = np.maximum.accumulate(np.where(new, np.arange(len(ordered)), 0))
    pairs = []
    for rank in (0, 1):
        partner = group_start + rank
        ok = np.arange(len(ordered)) > partner
        pairs.append(np.stack([order[partner[ok]], order[ok]], axis=1))
    return np.concatenate(pairs).astype(np.int64)


def group(n_texts: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each text the first text that it hangs together with through pairs, itself if none; ``(n_texts,)``."""
    parent = array("q", range(n_texts))

    def root(text: int) -> int:
        while parent[text] != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for one, other in pairs.tolist():
        a, b = sorted((root(one), root(other)))
        parent[b] = a
    return np.fromiter((root(text) for text in range(n_texts)), dtype=np.int64, count=n_texts)
