"""Questions and passages that occur more than once, within a set and across two: copies, contradictions, leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt

from distiltune.checks.concerns import Case, Concern, concern_of, leak_concern
from distiltune.checks.near_duplicates import character_signatures, group, near_pairs, word_signatures
from distiltune.data.ids import FirstOf
from distiltune.data.stored import Mapped, both
from distiltune.data.values import short_hash
from distiltune.tasks.question_answering.contexts import contexts_of, first_and_number, hashes_of
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.metrics import f1, normalise_answer

NEARLY_SAME_PASSAGE = 0.7
"""Estimated resemblance (shared runs of three words) from which on two passages count as one."""
NEARLY_SAME_QUESTION = 0.7
"""The same of questions on one passage, by runs of four characters: from here on they are looked at closely."""
SMALL_EDIT = 0.965
"""Share of characters in common (Ratcliff & Obershelp) from which on two such questions with one answer are copies: a
typing error in a question of usual length. One word more or less than that may be another question."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A question that repeats an earlier one, or one of the other set.

    ``index`` counts in the set that is checked; ``of`` in the same set, or in the other one for leaks.
    """

    index: int
    of: int


@dataclass(frozen=True, slots=True)
class Repeats:
    """What is found more than once.

    Attributes:
        copies: the same question on the same passage, with the same or an overlapping answer; or on one that is nearly
            the same and holds the answer at its place.
        near_copies: nearly the same question on such passages, with the same answer.
        contradictions: the same question on the same passage, with answers that share no word.
        leaks: questions that are in the other set too, on such passages.
        leaked_passages: questions whose passage is in the other set, under other questions.
        near_leaked_passages: questions whose passage is nearly that of a question of the other set.
        near_passages: pairs of different passages of the checked set that are nearly the same (example indices).

    """

    copies: tuple[Repeat, ...]
    near_copies: tuple[Repeat, ...]
    contradictions: tuple[Repeat, ...]
    leaks: tuple[Repeat, ...]
    leaked_passages: tuple[Repeat, ...]
    near_leaked_passages: tuple[Repeat, ...]
    near_passages: tuple[Repeat, ...]


def find_repeats(examples: Sequence[Example], against: Sequence[Example] = ()) -> Repeats:
    """Look for copies inside ``examples`` and between it and ``against``."""
    everything, n = both(examples, against), len(examples)
    contexts = contexts_of(everything)
    pairs = near_pairs(word_signatures(contexts.texts), NEARLY_SAME_PASSAGE)
    passage_of = group(len(contexts.texts), pairs)[contexts.of]
    same_of = same_passage_of(contexts.texts)[contexts.of]
    copies, contradictions, leaks = _exact(examples, everything, same_of, passage_of)
    near_copies, near_leaks = _near(everything, n, passage_of)
    known = {repeat.index for repeat in (*copies, *contradictions)}
    leaked = {repeat.index for repeat in leaks}
    leaks += [repeat for repeat in near_leaks if repeat.index not in leaked]
    leaked |= {repeat.index for repeat in near_leaks}
    return Repeats(
        copies=tuple(copies),
        near_copies=tuple(repeat for repeat in near_copies if repeat.index not in known),
        contradictions=tuple(contradictions),
        leaks=tuple(sorted(leaks, key=lambda repeat: repeat.index)),
        leaked_passages=tuple(_leaked_passages(n, same_of, leaked)),
        near_leaked_passages=tuple(_near_leaked_passages(n, same_of, passage_of, leaked)),
        near_passages=tuple(_near_passages(n, contexts.of, passage_of)),
    )


def _exact(
    examples: Sequence[Example],
    everything: Sequence[Example],
    same_of: npt.NDArray[np.int64],
    passage_of: npt.NDArray[np.int64],
) -> tuple[list[Repeat], list[Repeat], list[Repeat]]:
    """Copies, contradictions and leaks by questions that are equal once case, punctuation and articles are dropped."""
    n = len(examples)
    asked = _asked(everything)
    keys = _Keys(asked + same_of.astype(np.uint64) * _ODD, asked + passage_of.astype(np.uint64) * _ODD)
    here, there = _Earlier(everything, keys), _Earlier(everything, keys)
    for index in range(n, len(everything)):
        there.add(everything[index], index)
    copies: list[Repeat] = []
    contradictions: list[Repeat] = []
    leaks: list[Repeat] = []
    for index, example in enumerate(examples):
        if not asked[index]:
            continue
        earlier = here.like(example, index)
        if earlier is None:
            here.add(example, index)
        elif not _answers_agree(everything[earlier], example):
            contradictions.append(Repeat(index, earlier))
        elif _nothing_is_lost(everything[earlier], example):
            copies.append(Repeat(index, earlier))
        leaked = there.like(example, index)
        if leaked is not None:
            leaks.append(Repeat(index, leaked - n))
    return copies, contradictions, leaks


def _asked(examples: Sequence[Example]) -> npt.NDArray[np.uint64]:
    """``(n_examples,)`` a hash of what each asks; 0 where nothing is left of the question."""
    asked = (normalise_answer(example.question) for example in examples)
    hashes = (short_hash(question) if question else 0 for question in asked)
    return np.fromiter(hashes, dtype=np.uint64, count=len(examples))


@dataclass(frozen=True, slots=True)
class _Keys:
    """``(n_examples,)`` hashes, each equal for equal questions on passages that are one but for white space, or nearly.

    With 64 bits two of ten million that differ are taken for equal once in 400,000 times.
    """

    on_same: npt.NDArray[np.uint64]
    on_near: npt.NDArray[np.uint64]


class _Earlier:
    """Questions by what makes another one a repeat of them: the passage itself, or the same answer in the same place.

    Two passages that are nearly the same, as two leases are, are two passages: what is right for one may be wrong for
    the other.
    """

    def __init__(self, everything: Sequence[Example], keys: _Keys) -> None:
        self._everything, self._keys = everything, keys
        self._of_context, self._of_answer = FirstOf(), FirstOf()

    def add(self, example: Example, index: int) -> None:
        """Remember a question, the first of its kind."""
        self._of_context.add(int(self._keys.on_same[index]), index)
        for answer in example.answers:
            self._of_answer.add(self._of(index, answer), index)

    def like(self, example: Example, index: int) -> int | None:
        """The first question remembered that this one repeats."""
        found = self._of_context.get(int(self._keys.on_same[index]))
        if found is None and example.answers:
            found = self._of_answer.get(self._of(index, example.answers[0]))
            if found is not None and not is_held(self._everything[found], example):
                return None
        return found

    def _of(self, index: int, answer: Answer) -> int:
        return short_hash(f"{self._keys.on_near[index]} {answer.start} {answer.text}")


def _nothing_is_lost(earlier: Example, example: Example) -> bool:
    """Whether the answers of ``example`` are known when only ``earlier`` stays with those that fit there."""
    there = {normalise_answer(answer.text) for answer in earlier.answers}
    return is_held(earlier, example) or {normalise_answer(answer.text) for answer in example.answers} <= there


def is_held(earlier: Example, example: Example) -> bool:
    """Whether ``earlier`` can take in the answers of ``example``: the passages are one, or each answer fits there."""
    if earlier.context == example.context:
        return True
    return bool(example.answers) and all(fits(earlier, answer) for answer in example.answers)


def fits(example: Example, answer: Answer) -> bool:
    """Whether another question's answer stands at its place in this one's text."""
    return example.context.startswith(answer.text, answer.start)


def same_passage_of(contexts: Sequence[str]) -> npt.NDArray[np.int64]:
    """``(n_contexts,)`` a number for each, equal where the contexts are equal but for white space."""
    return first_and_number(hashes_of(Mapped(contexts, _spaced)))[1]


def _spaced(context: str) -> str:
    return " ".join(context.split())


def _near(
    everything: Sequence[Example], n: int, passage_of: npt.NDArray[np.int64]
) -> tuple[list[Repeat], list[Repeat]]:
    """Copies and leaks by questions that are nearly equal and have the same answer in the same place."""
    signature = character_signatures(Mapped(everything, lambda example: example.question))
    copies: dict[int, int] = {}
    leaks: dict[int, int] = {}
    for one, other in near_pairs(signature, NEARLY_SAME_QUESTION, within=passage_of).tolist():
        if not _is_same_answer(everything[one], everything[other]):
            continue
        if not _differ_little(everything[one].question, everything[other].question):
            continue
        if other < n:
            copies.setdefault(other, one)
        elif one < n:
            leaks.setdefault(one, other - n)
    return _as_repeats(copies), _as_repeats(leaks)


def _differ_little(one: str, other: str) -> bool:
    """Whether two questions differ by a slip only, or one says a little before or after what the other says."""
    one, other = (" ".join(_WORD.findall(text.lower())) for text in (one, other))
    if _NUMBER.findall(one) != _NUMBER.findall(other):  # another year is another question
        return False
    if one in other or other in one:
        return True
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= SMALL_EDIT


def _as_repeats(found: dict[int, int]) -> list[Repeat]:
    return [Repeat(index, of) for index, of in sorted(found.items())]


def _is_same_answer(one: Example, other: Example) -> bool:
    """Whether both have the same first answer and the earlier one's passage holds all of the later one's."""
    if not one.answers or not other.answers:
        return not one.answers and not other.answers and one.context == other.context
    same = normalise_answer(one.answers[0].text) == normalise_answer(other.answers[0].text)
    return same and _overlap(one.answers[0], other.answers[0]) and is_held(one, other)


def _overlap(one: Answer, other: Answer) -> bool:
    return one.start < other.end and other.start < one.end


def _answers_agree(one: Example, other: Example) -> bool:
    """Whether the two may both be right: some answer of one shares a word with some answer of the other."""
    if not one.answers or not other.answers:
        return not one.answers and not other.answers
    return any(f1(a.text, b.text) > 0 for a in one.answers for b in other.answers)


def _leaked_passages(n: int, same_of: npt.NDArray[np.int64], leaked: set[int]) -> list[Repeat]:
    in_other = _first_of(same_of[n:])
    there = np.flatnonzero(np.isin(same_of[:n], same_of[n:])).tolist()
    return [Repeat(index, in_other[int(same_of[index])]) for index in there if index not in leaked]


def _near_leaked_passages(
    n: int, same_of: npt.NDArray[np.int64], passage_of: npt.NDArray[np.int64], leaked: set[int]
) -> list[Repeat]:
    near = _first_of(passage_of[n:])
    is_near = np.isin(passage_of[:n], passage_of[n:]) & ~np.isin(same_of[:n], same_of[n:])
    there = np.flatnonzero(is_near).tolist()
    return [Repeat(index, near[int(passage_of[index])]) for index in there if index not in leaked]


def _first_of(passages: npt.NDArray[np.int64]) -> dict[int, int]:
    different, firsts = np.unique(passages, return_index=True)
    return dict(zip(different.tolist(), firsts.tolist(), strict=True))


def _near_passages(n: int, context_of: npt.NDArray[np.int64], passage_of: npt.NDArray[np.int64]) -> list[Repeat]:
    """The first question on each context that is not the first on its passage, and that one."""
    of_contexts = np.sort(np.unique(context_of[:n], return_index=True)[1])
    _, firsts, number = np.unique(passage_of[:n], return_index=True, return_inverse=True)
    earlier = firsts[number[of_contexts]]
    is_later = earlier != of_contexts
    return list(map(Repeat, of_contexts[is_later].tolist(), earlier[is_later].tolist()))


def repeat_concerns(repeats: Repeats, examples: Sequence[Example], against: Sequence[Example]) -> list[Concern]:
    """The repeats as concerns."""
    return [*_leak_concerns(repeats, examples, against), *_copy_concerns(repeats, examples)]


def _leak_concerns(repeats: Repeats, examples: Sequence[Example], against: Sequence[Example]) -> list[Concern]:
    """What is in the other set too."""
    n = len(examples)
    return [
        *leak_concern(
            "question_leaked",
            "questions of the other set are in this one too, on the same passage or nearly the same with the answer at "
            "the same place, so figures on the other are too good",
            _cases(repeats.leaks, examples, against),
            len({repeat.of for repeat in repeats.leaks}),
            len(against),
            "--fix removes them from this set",
            fixable=True,
        ),
        *concern_of(
            "warning",
            "passage_leaked",
            "the passage is in the other set too, under other questions",
            _cases(repeats.leaked_passages, examples, against),
            n,
            "part the sets by passage; --fix removes these questions from this set",
            fixable=True,
        ),
        *concern_of(
            "warning",
            "passage_nearly_leaked",
            "the passage is nearly the same as one of the other set",
            _cases(repeats.near_leaked_passages, examples, against),
            n,
            "keep such passages on one side; --fix leaves them, since other names and numbers may make them others",
        ),
    ]


def _copy_concerns(repeats: Repeats, examples: Sequence[Example]) -> list[Concern]:
    """What is in this set more than once."""
    n = len(examples)
    return [
        *concern_of(
            "warning",
            "answers_contradict",
            "the same question on the same passage has another answer elsewhere",
            _cases(repeats.contradictions, examples, examples),
            n,
            "decide which answer is right; only a person can, so --fix leaves both",
        ),
        *concern_of(
            "warning",
            "question_repeated",
            "the same question occurs again, on the same passage or on nearly the same that holds its answers",
            _cases(repeats.copies, examples, examples),
            n,
            "--fix keeps the first, with the answers of both",
            fixable=True,
        ),
        *concern_of(
            "warning",
            "question_nearly_repeated",
            "nearly the same question with the same answer occurs again, on the same passage or nearly the same",
            _cases(repeats.near_copies, examples, examples),
            n,
            "--fix keeps the first, with the answers of both",
            fixable=True,
        ),
        *concern_of(
            "note",
            "passage_nearly_repeated",
            "the passage is nearly the same as another",
            [
                Case(examples[each.index].id, f"like the passage of {examples[each.of].id}")
                for each in repeats.near_passages
            ],
            n,
            "keep such passages on one side when you part training from validation",
        ),
    ]


def _cases(found: Sequence[Repeat], examples: Sequence[Example], others: Sequence[Example]) -> list[Case]:
    return [Case(examples[each.index].id, _beside(examples[each.index], others[each.of])) for each in found]


def _beside(one: Example, other: Example) -> str:
    def said(example: Example) -> str:
        question = " ".join(example.question.split())
        question = question if len(question) <= 70 else f"{question[:69]}…"
        answer = example.answers[0].text if example.answers else "no answer"
        return f"{question!r} → {answer[:40]!r}"

    return said(one) + (f"; {other.id}: {said(other)}" if said(one) != said(other) else f"; also {other.id}")
