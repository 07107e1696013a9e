"""What is wrong with questions and answers, each by itself and as a set. Pure functions over examples."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from distiltune.checks.concerns import Case, Concern, Severity, concern_of
from distiltune.checks.reading import MANY_SHARE, Noted, ReadingWords
from distiltune.data.marks import end_over_marks, ends_in_mark
from distiltune.data.values import short_hash
from distiltune.tasks.question_answering.check.scripts import weighed_letters
from distiltune.tasks.question_answering.check.spans import slipped_span
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.metrics import normalise_answer

FEW_QUESTIONS = 100
FEW_LETTERS = 8
"""A single word of fewer is worth a look: it is a question if it is a question word."""
_MUCH_OF_ONE_TENTH, _MOST_OF_ONE_TENTH, _ALL_OF_ONE_TENTH = 0.25, 0.5, 0.9
_SHORTEST_FOR_POSITION = 200  # characters: in a sentence or two a tenth is a word
_FEW_FOR_SHARES = 30
_PLACEHOLDERS = frozenset(
    {
        *("na", "none", "null", "nil", "nan", "todo", "tbd", "fixme", "test", "question", "no question", "unknown"),
        *("undefined", "empty", "placeholder", "lorem ipsum", "your question here", "insert question", "xxx", "asdf"),
    }
)

READING: Final = ReadingWords(
    repaired={
        "answer_moved": "the answer is not at its offset and was found elsewhere in the text, where alone it stands",
        "answer_at_nearest": "the answer is not at its offset and of several places the nearest to it is taken",
        "offset_in_bytes": "the answer's offset counts UTF-8 bytes, not characters",
        "offset_in_utf16": "the answer's offset counts UTF-16 units, not characters",
        "answer_trimmed": "the answer has white space at an end",
        "answer_respelled": "the answer is spelled with other case, white space or Unicode form than in the text",
        "gold_answer_dropped": "one of several answers cannot be placed and is left out",
    },
    noted={
        "answer_ambiguous": Noted(
            "warning",
            "the answer has no offset and occurs several times; the first place is taken",
            "say which is meant: give answer_start",
        ),
        "impossible_with_answers": Noted(
            "warning",
            "marked as impossible, and yet there are answers, which are left out",
            "decide which of the two is right; --fix keeps it as impossible",
            fixable=True,
        ),
        "answer_like_none": Noted(
            "warning",
            "the answer looks as if it stood for no answer, and is taken as a text",
            "if it means that there is none, say so with --no-answer",
        ),
        "id_repeated": Noted("note", "the id is taken by an earlier row", "--fix gives it a new one", fixable=True),
        "no_answer_column": Noted(
            "note", "a file has no answers at all", "name the column with --columns answer_text=NAME"
        ),
    },
    certain=frozenset({"answer_moved", "offset_in_bytes", "offset_in_utf16", "answer_trimmed", "answer_respelled"}),
    mends=True,
)
"""What is said of what reading questions came upon."""


def span_concerns(examples: Sequence[Example]) -> list[Concern]:
    """Answers that begin or end inside a word."""
    cut: list[Case] = []
    for example in examples:
        for answer in example.answers:
            if slipped := slipped_span(example.context, answer):
                text = f"{_around(example.context, answer.start, answer.end)} → {slipped.text!r}"
                cut.append(Case(example.id, text))
                break
    many = len(cut) > MANY_SHARE * len(examples)
    return concern_of(
        "error" if many else "warning",
        "answer_cut_into_word",
        "the answer begins or ends inside a word" + (", as offsets that are off by one make them" if many else ""),
        cut,
        len(examples),
        "--fix moves the answer back by one character or widens it to whole words",
        fixable=True,
    )


def question_concerns(examples: Sequence[Example]) -> list[Concern]:
    """Questions that ask nothing."""
    cases = [Case(example.id, repr(_short(example.question))) for example in examples if asks_nothing(example.question)]
    repair = "write a question or remove the row; --fix removes it"
    n = len(examples)
    return [
        *concern_of("warning", "no_question", "the question asks nothing", cases, n, repair, fixable=True),
        *_short_questions(examples),
    ]


def _short_questions(examples: Sequence[Example]) -> list[Concern]:
    """Questions that are one word of few letters, and are kept."""
    cases = [
        Case(example.id, repr(example.question))
        for example in examples
        if sum(map(str.isalpha, example.question)) < FEW_LETTERS and len(example.question.split()) < 2
        if not asks_nothing(example.question)
    ]
    message = "the question is one short word, or few letters without a blank: taken as asking something, and kept"
    return concern_of("note", "question_short", message, cases, len(examples), "")


def mark_concerns(examples: Sequence[Example]) -> list[Concern]:
    """Answers whose last letter carries combining marks, with these or cut off before them."""
    cases = [
        Case(example.id, repr(answer.text))
        for example in examples
        for answer in example.answers[:1]
        if ends_in_mark(answer.text) or end_over_marks(example.context, answer.end) > answer.end
    ]
    message = "the answer ends in a combining mark, or before one: its last token takes the mark in"
    return concern_of("note", "mark_at_the_end", message, cases, len(examples), "")


def asks_nothing(question: str) -> bool:
    """Whether this is no question in any language: no word at all, or a placeholder. A question word alone is one."""
    folded = " ".join(re.sub(r"[\W_]+", " ", question.lower()).split())
    if folded in _PLACEHOLDERS or folded.replace(" ", "") in _PLACEHOLDERS:
        return True
    # The shortest question words have two letters of an alphabet (wo, où, מי), or one sign of a script of words.
    return weighed_letters(question) < 2


def answer_concerns(examples: Sequence[Example]) -> list[Concern]:
    """What the answers as a set show: none at all, few, always the same, always in the same place."""
    n, answered = len(examples), _answered(examples)
    concerns: list[Concern] = []
    share_without = 1 - answered.n / n
    if not answered.n:
        concerns.append(
            Concern(
                "error",
                "nothing_answerable",
                "no question has an answer, so a model can only learn to say that there is none",
                "give answers, or name their column: --columns answer_text=NAME",
            )
        )
    elif share_without > 0.8:
        message = f"{share_without:.0%} of the questions have no answer; a model that never answers does well on these"
        concerns.append(Concern("warning", "mostly_unanswerable", message, "add questions that have an answer"))
    if n < FEW_QUESTIONS:
        are = "is only 1 question" if n == 1 else f"are only {n:,} questions"
        message = f"there {are}; a model learns so few by heart and little else"
        or_else = ", or start from a model that is fine-tuned already: --model RUN"
        concerns.append(Concern("warning", "few_questions", message, "add questions", repair_of_fresh=or_else))
    concerns += _whole_texts(answered)
    if answered.n >= _FEW_FOR_SHARES:
        concerns += _same_answer(answered)
        concerns += _position_bias(answered)
    return concerns


@dataclass(frozen=True, slots=True)
class _Answered:
    """What the questions that have an answer come to.

    Attributes:
        n: how many they are.
        whole: those whose answer is all of their text.
        answer: the answer that most have, as scoring compares answers.
        n_alike: how many have it.
        tenths: in which tenth of its text how many answers begin; of short texts it is not asked.

    """

    n: int
    whole: list[Case]
    answer: str
    n_alike: int
    tenths: Counter[int]


def _answered(examples: Sequence[Example]) -> _Answered:
    whole: list[Case] = []
    tenths: Counter[int] = Counter()
    hashes, places = array("Q"), array("q")
    for place, example in enumerate(examples):
        if not example.answers:
            continue
        text = example.answers[0].text
        if text.strip() == example.context.strip():
            whole.append(Case(example.id, repr(_short(example.context))))
        if len(example.context) >= _SHORTEST_FOR_POSITION:
            tenths[answer_tenth(example)] += 1
        hashes.append(short_hash(normalise_answer(text)))
        places.append(place)
    if not hashes:
        return _Answered(0, whole, "", 0, tenths)
    _, firsts, counts = np.unique(np.asarray(hashes), return_index=True, return_counts=True)
    first = int(firsts[counts == counts.max()].min())
    answer = normalise_answer(examples[places[first]].answers[0].text)
    return _Answered(len(hashes), whole, answer, int(counts.max()), tenths)


def _whole_texts(answered: _Answered) -> list[Concern]:
    """Answers that are all of their text, from which nothing can be learnt about where an answer is."""
    return concern_of(
        "error" if len(answered.whole) > MANY_SHARE * answered.n else "warning",
        "answer_is_whole_text",
        "the answer is the whole text",
        answered.whole,
        answered.n,
        "mark the words that answer the question, or name the right column: --columns answer_text=NAME",
    )


def _same_answer(answered: _Answered) -> list[Concern]:
    if answered.n_alike < 0.3 * answered.n:
        return []
    message = f"{answered.n_alike / answered.n:.0%} of the answers are {_short(answered.answer)!r}"
    repair = "a model can do well without reading; balance the answers"
    return [Concern("warning", "one_answer", message, repair, answered.n_alike, answered.n)]


def _position_bias(answered: _Answered) -> list[Concern]:
    """Whether answers crowd in one tenth of their texts."""
    n_placed = answered.tenths.total()
    if n_placed < _FEW_FOR_SHARES:
        return []
    tenth, count = answered.tenths.most_common(1)[0]
    share = count / n_placed
    if share < _MUCH_OF_ONE_TENTH:
        return []
    severity: Severity = "error" if share >= _ALL_OF_ONE_TENTH else "warning" if share >= _MOST_OF_ONE_TENTH else "note"
    message = f"{share:.0%} of the answers begin in the {_ordinal(tenth + 1)} tenth of their text"
    if severity == "error":
        message += "; a model can learn the place in place of the question"
    repair = "" if severity == "note" else "add questions that are answered elsewhere, or cut the texts differently"
    return [Concern(severity, "position_bias", message, repair, count, n_placed)]


def answer_tenth(example: Example) -> int:
    """In which tenth of its text the first answer begins, 0 to 9."""
    return min(9, 10 * example.answers[0].start // max(1, len(example.context)))


def _ordinal(n: int) -> str:
    return {1: "first", 2: "second", 3: "third", 10: "last"}.get(n, f"{n}th")


def _around(context: str, start: int, end: int) -> str:
    """The answer in brackets with a few characters on either side."""
    answer = context[start:end]
    if len(answer) > 40:
        answer = f"{answer[:18]}…{answer[-18:]}"
    text = f"…{context[max(0, start - 12) : start]}[{answer}]{context[end : end + 12]}…"
    return text.replace("\n", " ")


def _short(text: str, longest: int = 80) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
