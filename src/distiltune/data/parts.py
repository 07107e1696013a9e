"""Some of a set's examples: without those that cannot be used, drawn, set aside, or parted for a cross-validation.

What becomes of an example is decided in the order of the set and by its number, so that it is the same whether the
examples lie in memory or on disk (`distiltune.data.stored`), where none is looked at that need not be.
"""

from __future__ import annotations

import dataclasses
import random
import sys
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from distiltune.data.example_set import DataSettings, ExampleSet
from distiltune.data.rejections import at_fault_of, rejection_lines
from distiltune.data.row_findings import RowFindings
from distiltune.data.stored import OnDisk, all_but, changed, chosen
from distiltune.data.values import gold_ignored, rejected, short_hash
from distiltune.errors import DataError

E = TypeVar("E")

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def keep_if(
    read: ExampleSet[E], reason_against: Callable[[E], str], kind: str, max_rejected_share: float, fix: str
) -> ExampleSet[E]:
    """The set without the examples that there is a reason against, each with a finding of that kind.

    The reason must be one against all examples of a kind, where the examples on disk have kinds.

    Raises:
        DataError: if these are more than may be.

    """
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))
    against: list[int] = []
    for place, example, reason in _with_reasons(read.examples, reason_against):
        against.append(place)
        findings.add(rejected(kind, getattr(example, "where", ""), getattr(example, "id", ""), reason))
    at_fault, n_rows = at_fault_of(findings, max(findings.n_rows, len(read.examples)))
    if against and len(at_fault) > max_rejected_share * n_rows:
        raise DataError(
            "\n".join([f"{len(at_fault):,} of {n_rows:,} rows cannot be used:", *rejection_lines(findings)]),
            where=", ".join(read.sources),
            fix=fix,
        )
    if not against:
        return read
    return replace(read, examples=chosen(read.examples, all_but(against, len(read.examples))), findings=findings)


def forget_gold(read: ExampleSet[E], reason_against: Callable[[E], str], kind: str) -> ExampleSet[E]:
    """The set whose examples lose a ``gold`` that there is a reason against, each with a finding of that kind."""
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))

    def forget(example: E) -> E:
        reason = reason_against(example)
        if not reason:
            return example
        findings.add(gold_ignored(kind, getattr(example, "where", ""), getattr(example, "id", ""), reason))
        record: Any = example
        return cast(E, dataclasses.replace(record, gold=None))

    return replace(read, examples=changed(read.examples, forget), findings=findings)


def _with_reasons(examples: Sequence[E], reason_against: Callable[[E], str]) -> Iterator[tuple[int, E, str]]:
    """The number of each example that there is a reason against, the example, and the reason."""
    places: Iterable[int] = range(len(examples))
    if isinstance(examples, OnDisk) and examples.form.kind:
        is_bad = np.array([bool(reason_against(first)) for first in examples.kinds.firsts], dtype=bool)
        places = np.flatnonzero(is_bad[examples.kinds.of]).tolist()
        examples_there: Iterable[E] = map(examples.__getitem__, places)
    else:
        examples_there = examples
    for place, example in zip(places, examples_there, strict=True):
        if reason := reason_against(example):
            yield place, example, reason


def draw(read: ExampleSet[E], n: int, seed: int) -> ExampleSet[E]:
    """The first ``n`` examples after ``random.Random(seed).shuffle`` of all in file order; all if ``n`` is 0."""
    if n == 0 or n >= len(read.examples):
        return read
    first = np.frombuffer(_shuffled(len(read.examples), seed), dtype=np.int64)[:n]
    return replace(read, examples=chosen(read.examples, first), fingerprint=f"{read.fingerprint}/drawn-{n}-seed-{seed}")


def set_aside(
    read: ExampleSet[E], share: float, seed: int, group: Callable[[E], Hashable], told_apart_by: str
) -> tuple[ExampleSet[E], ExampleSet[E]]:
    """Set aside about ``share`` of the examples for validation so that no group is on both sides.

    Groups are taken in the order of a shuffled list; where examples differ in their labels, so that each label has its
    share on both sides, as far as its groups let it.

    Args:
        read: all of them.
        share: 0 to 1.
        seed: of the draw.
        group: what examples have in common that must not be parted.
        told_apart_by: that, in a word, for the message.

    Raises:
        DataError: if there is only one group, so that nothing can be set aside.

    """
    group_of = _group_numbers(read.examples, group)
    counts = np.bincount(group_of)
    if len(counts) < 2:
        raise DataError(
            f"All training examples share one {told_apart_by}, so none can be set aside for validation.",
            where=", ".join(read.sources),
            fix="name a validation set with --validation, or train without one: --validation-share 0",
        )
    strata = _strata(read.examples, group_of)
    order = _shuffled(len(counts), seed)
    is_balanced = len(np.unique(strata)) > 1
    is_aside = _balanced_groups(counts, strata, order, share) if is_balanced else _first_groups(counts, order, share)
    aside = is_aside[group_of]

    how = " by label" if is_balanced else ""

    def part(inside: bool) -> ExampleSet[E]:
        return replace(
            read,
            examples=chosen(read.examples, np.flatnonzero(aside == inside)),
            fingerprint=f"{read.fingerprint}/{'aside' if inside else 'rest'}-{share}-seed-{seed}{how}",
            findings=RowFindings() if inside else read.findings,
        )

    return part(False), part(True)


def _first_groups(counts: Numbers, order: Sequence[int], share: float) -> Flags:
    """``(n_groups,)`` the first groups of that order that have the share of the examples, at least one, never all."""
    is_aside = np.zeros(len(counts), dtype=bool)
    n_aside, wanted = 0, share * int(counts.sum())
    for number in order[:-1]:
        if n_aside and n_aside >= wanted:
            break
        is_aside[number] = True
        n_aside += int(counts[number])
    return is_aside


def _balanced_groups(counts: Numbers, strata: Numbers, order: Sequence[int], share: float) -> Flags:
    """``(n_groups,)`` groups that have the share of the examples, and of those of each stratum about as much.

    A group that would bring its stratum above its share is passed over. A stratum of which none was taken then gives
    its smallest group, if it is due one example and keeps as many; one of a single group gives none. Where that is too
    little in all the rest comes in the order given.
    """
    is_aside = np.zeros(len(counts), dtype=bool)
    strata = _rare_together(counts, strata, share)
    rows_of, groups_of = np.bincount(strata, weights=counts), np.bincount(strata)
    most = np.ceil(np.round(share * rows_of, 6))
    most[groups_of < 2] = 0
    taken = np.zeros(len(rows_of), dtype=np.int64)
    n_aside, wanted = 0, share * int(counts.sum())

    def take(number: int) -> None:
        nonlocal n_aside
        is_aside[number] = True
        taken[strata[number]] += counts[number]
        n_aside += int(counts[number])

    for number in order:
        if n_aside >= wanted:
            break
        if taken[strata[number]] + counts[number] <= most[strata[number]]:
            take(number)
    is_due = (share * rows_of >= 1) & (taken == 0)
    for number in sorted(order, key=counts.__getitem__) if is_due.any() else ():
        stratum = strata[number]
        if is_due[stratum] and not taken[stratum] and 2 * counts[number] <= rows_of[stratum]:
            take(number)
    for is_single in (False, True):
        for number in order[:-1]:
            if n_aside and n_aside >= wanted:
                break
            if not is_aside[number] and (groups_of[strata[number]] < 2) == is_single:
                take(number)
    return is_aside


def _rare_together(counts: Numbers, strata: Numbers, share: float) -> Numbers:
    """The strata, those that are too small for a share of their own as one, if many of them are of a single group.

    So it is with numbers, and with several labels a text, nearly all of which stand together once: what is set aside is
    to have of these too, and not of the frequent ones alone.
    """
    rows_of, groups_of = np.bincount(strata, weights=counts), np.bincount(strata)
    if rows_of[groups_of == 1].sum() <= share * counts.sum():
        return strata
    return np.where(share * rows_of[strata] < 1, len(rows_of), strata)


def leave_out(
    read: ExampleSet[E], settings: DataSettings, group: Callable[[E], Hashable], told_apart_by: str
) -> tuple[ExampleSet[E], ExampleSet[E]]:
    """All parts of a cross-validation but one, and that one.

    Groups are drawn in the order of ``sample_seed`` and dealt out, each to the part that has the fewest examples; those
    with the same gold one after the other, so that all parts have about as many of each label.

    Args:
        read: all examples.
        settings: how many parts, which one, and the seed.
        group: what examples have in common that must not be parted.
        told_apart_by: that, in a word, for the message.

    Raises:
        DataError: if there are fewer groups than parts.

    """
    n_folds, fold, seed = settings.n_folds, settings.fold, settings.sample_seed
    group_of = _group_numbers(read.examples, group)
    counts = np.bincount(group_of)
    if len(counts) < n_folds:
        raise DataError(
            f"The training examples have {len(counts):,} different {told_apart_by}s, too few for {n_folds} folds.",
            where=", ".join(read.sources),
            fix=f"take at most --folds {len(counts)}, or more data",
        )
    strata = _strata(read.examples, group_of)
    groups = sorted(_shuffled(len(counts), seed), key=strata.__getitem__)
    sizes, part_of = [0] * n_folds, np.zeros(len(counts), dtype=np.int64)
    for number in groups:
        part_of[number] = sizes.index(min(sizes))
        sizes[part_of[number]] += int(counts[number])
    is_left_out = part_of[group_of] == fold

    def part(inside: bool) -> ExampleSet[E]:
        which = "fold" if inside else "all but fold"
        return replace(
            read,
            examples=chosen(read.examples, np.flatnonzero(is_left_out == inside)),
            fingerprint=f"{read.fingerprint}/{which} {fold} of {n_folds}-seed-{seed}",
            findings=RowFindings() if inside else read.findings,
        )

    return part(False), part(True)


def _shuffled(n: int, seed: int) -> array[int]:
    """The numbers from 0 as ``random.Random(seed).shuffle`` orders any list of so many."""
    numbers = array("q", range(n))
    random.Random(seed).shuffle(numbers)
    return numbers


def _group_numbers(examples: Sequence[E], group: Callable[[E], Hashable]) -> Numbers:
    """The number of each example's group, ``(n_examples,)``, in order of first appearance.

    Of examples on disk the groups are told apart by 8 bytes of a hash; should two be taken for one, which of ten
    million happens once in 400,000 times, they are not parted either.
    """
    if not isinstance(examples, OnDisk):
        numbers: dict[Hashable, int] = {}
        of = (numbers.setdefault(group(example), len(numbers)) for example in examples)
        return np.fromiter(of, dtype=np.int64, count=len(examples))
    hashes = np.fromiter((short_hash(repr(group(each))) for each in examples), dtype=np.uint64, count=len(examples))
    _, firsts, of_sorted = np.unique(hashes, return_index=True, return_inverse=True)
    rank = np.empty(len(firsts), dtype=np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    return rank[of_sorted]


def _strata(examples: Sequence[object], group_of: Numbers) -> Numbers:
    """``(n_groups,)`` by what each group is dealt out, as a number: of its first example's labels, in their order."""
    firsts = np.unique(group_of, return_index=True)[1]
    if isinstance(examples, OnDisk) and examples.form.kind:
        of_kinds = _ranks([_stratum(first) for first in examples.kinds.firsts])
        return np.take(of_kinds, examples.kinds.of[firsts])
    return _ranks([sys.intern(_stratum(examples[first])) for first in firsts.tolist()])


def _ranks(names: Sequence[str]) -> Numbers:
    """Each name's number in alphabetical order."""
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.fromiter(map(number.__getitem__, names), dtype=np.int64, count=len(names))


def _stratum(example: object) -> str:
    """What an example is to be dealt out by: its labels; of spans and answers, whether there are any; of choices none.

    Which of its choices is the right one says nothing of a question.
    """
    gold = getattr(example, "gold", getattr(example, "answers", ()))
    if isinstance(gold, tuple) and gold and all(isinstance(each, str) for each in gold):
        return "|".join(gold)
    return str(bool(gold)) if gold is None or isinstance(gold, tuple) else ""
