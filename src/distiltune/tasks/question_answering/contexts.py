"""The different contexts of a set of questions, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distiltune.data.stored import Beside, Mapped, OnDisk
from distiltune.data.tokens import distinct
from distiltune.data.values import short_hash
from distiltune.tasks.question_answering.examples import Example

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contexts:
    """Different texts in order of first appearance.

    Attributes:
        texts: ``(n_contexts,)`` each once; of questions on disk made when it is looked at.
        firsts: ``(n_contexts,)`` the first question on each.
        of: ``(n_examples,)`` the number of each question's context.

    """

    texts: Sequence[str]
    firsts: Ints
    of: Ints


def contexts_of(examples: Sequence[Example]) -> Contexts:
    """The contexts of these questions.

    Of questions on disk they are told apart by 8 bytes of a hash: of two million contexts, two that differ are taken
    for one once in nine million times.
    """
    if not isinstance(examples, OnDisk | Beside):
        texts, of = distinct([example.context for example in examples])
        return Contexts(texts, np.unique(of, return_index=True)[1], of)
    firsts, of = first_and_number(_hashes(examples))
    return Contexts(Mapped(firsts.tolist(), _context_at(examples)), firsts, of)


def first_and_number(hashes: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Where each different value stands first, in that order, and ``(n,)`` the number of each among these."""
    _, firsts, sorted_number = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    number = np.empty(len(firsts), dtype=np.int64)
    number[order] = np.arange(len(firsts))
    return firsts[order], number[sorted_number]


def hashes_of(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """``(n_texts,)`` a hash of each."""
    return np.fromiter(map(short_hash, texts), dtype=np.uint64, count=len(texts))


def _hashes(examples: Sequence[Example]) -> npt.NDArray[np.uint64]:
    """``(n_examples,)`` a hash of each question's context; on disk each context is looked at once."""
    if isinstance(examples, Beside):
        return np.concatenate([_hashes(examples.one), _hashes(examples.other)])
    if isinstance(examples, OnDisk) and examples.shared is not None:
        numbers = np.asarray(examples.column("context"), dtype=np.int64)
        return hashes_of(examples.shared)[numbers]
    return hashes_of(Mapped(examples, lambda example: example.context))


def _context_at(examples: Sequence[Example]) -> Callable[[int], str]:
    """Gives the context of the question at a place."""
    if isinstance(examples, Beside):
        one, other, n = _context_at(examples.one), _context_at(examples.other), len(examples.one)
        return lambda place: one(place) if place < n else other(place - n)
    if isinstance(examples, OnDisk) and (shared := examples.shared) is not None:
        numbers = np.asarray(examples.column("context"))
        return lambda place: shared[int(numbers[place])]
    return lambda place: examples[place].context
