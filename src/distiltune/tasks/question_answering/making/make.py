"""Training questions made of plain texts, without labels and without a model.

A span that stands in two passages answers, in one of them, a question made of a sentence of the other (Splinter, Ram et
al. 2021, arXiv:2101.00438; Lewis et al. 2019, arXiv:1906.04980; Fabbri et al. 2020, arXiv:2004.11892). Every row says
why it is there; the same texts and seed give the same rows, byte by byte.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from distiltune.data.row_findings import RowFindings
from distiltune.data.values import generated_id
from distiltune.errors import DataError, RecipeError
from distiltune.progress import tell
from distiltune.system.durable import write_whole
from distiltune.tasks.question_answering.making.pairs import Pair, WordIndex, answerable, is_doubtful, unanswerable
from distiltune.tasks.question_answering.making.sentences import sentences_of
from distiltune.tasks.question_answering.making.spans import Mention, recurring
from distiltune.tasks.question_answering.making.texts import Passage, Passages
from distiltune.tasks.question_answering.making.wording import Question, QuestionForm, ask, asked_for

MOST_PASSAGES: Final = 20
"""A span that more passages have says too little of any of them."""
MOST_OF_SPAN: Final = 16
"""Rows whose answer is the same span: more teach the span and not how to read. The best are taken first."""
FEWEST_QUESTION_WORDS: Final = 5


@dataclass(frozen=True, slots=True)
class MakingSettings:
    """How questions are made.

    Attributes:
        n_rows: most rows; of more that could be made every span has its best, then every span its second, and so
            on.
        unanswerable_share: share of the rows, from 0 to below 1, whose question is put to a passage that does not have
            the answer.
        form: a question word that fits, or a `[MASK]`.
        seed: of the order within such a round.

    Raises:
        RecipeError: if one of them cannot be.

    """

    n_rows: int = 10_000
    unanswerable_share: float = 0.1
    form: QuestionForm = "wh"
    seed: int = 0

    def __post_init__(self) -> None:
        checks = (
            ("rows", self.n_rows >= 1, self.n_rows, "give 1 or more"),
            ("unanswerable-share", 0.0 <= self.unanswerable_share < 1.0, self.unanswerable_share, "give 0.1, say"),
            ("form", self.form in get_args(QuestionForm), self.form, "give wh or mask"),
            ("seed", self.seed >= 0, self.seed, "give 0 or more"),
        )
        for name, is_good, value, fix in checks:
            if not is_good:
                raise RecipeError(f"{name.replace('-', ' ')} is {value!r}.", where=f"--{name}", fix=fix)


@dataclass(frozen=True, slots=True)
class MadeQuestions:
    """Rows for training, and what there is to say of how they came about.

    Attributes:
        rows: each with ``id``, ``question``, ``context``, ``answers`` as the hub has them, and ``why``.
        counts: how many passages, sentences and spans there were, and what became of them, in order.
        findings: what was noticed and left out when the texts were read.

    """

    rows: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    findings: RowFindings

    def lines(self) -> tuple[str, ...]:
        """What was read, what was made and of what, in sentences."""
        n = self.counts
        forms = ", ".join(f"{name.removeprefix('form_')} {n[name]:,}" for name in n if name.startswith("form_"))
        return (
            *self.findings.told(),
            f"read: {n['passages']:,} passages, {n['sentences']:,} sentences, {n['spans']:,} distinct spans",
            f"spans: {n['recurring']:,} stand in 2 to {MOST_PASSAGES} passages; {n['once']:,} in one only, "
            f"{n['too_common']:,} in more",
            f"questions: {n['answerable']:,} with an answer, {n['unanswerable']:,} without one, of {n['candidates']:,} "
            f"that could be made" + (f" ({forms})" if forms else ""),
        )

    def some(self, n: int) -> tuple[Mapping[str, Any], ...]:
        """Rows of all parts of the texts: at most ``n``, evenly spread."""
        step = max(1, len(self.rows) // n)
        return self.rows[::step][:n]

    def write(self, path: Path) -> None:
        """Write the rows as JSON lines, whole or not at all.

        Raises:
            OSError: if it cannot be written.

        """
        write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows).encode())


def make_questions(texts: Passages, settings: MakingSettings) -> MadeQuestions:
    """Make questions of these passages.

    Raises:
        DataError: if no question can be made, since no span stands in two of them.

    """
    passages = texts.passages
    sentences = [each for i, passage in enumerate(passages) for each in sentences_of(i, passage.text)]
    tell("looking for spans", "sentences", len(sentences))
    mentions, counts = recurring(sentences, MOST_PASSAGES)
    index = WordIndex(sentences, len(passages))
    words = {key: asked_for(found) for key, found in mentions.items()}
    pairs = [
        pair
        for pair in _candidates(answerable(mentions, index), settings.seed)
        if len(_asked(pair, words, settings.form).text.split()) >= FEWEST_QUESTION_WORDS
    ]
    if not pairs:
        raise DataError(
            f"No question can be made: of {len(passages):,} passages no two have a span in common and words around it.",
            fix="give more text on the same subjects",
        )
    chosen = _chosen(pairs, settings, index)
    rows = tuple(_row(pair, passages, _asked(pair, words, settings.form)) for pair in chosen)
    forms = Counter(pair.asking.span.form for pair in chosen)
    n_without = sum(pair.answer is None for pair in chosen)
    numbers = {
        "characters": texts.n_characters,
        "passages": len(passages),
        "sentences": len(sentences),
        **counts,
        "recurring": len(mentions),
        "candidates": len(pairs),
        "answerable": len(chosen) - n_without,
        "unanswerable": n_without,
        **{f"form_{name}": forms[name] for name in sorted(forms)},
    }
    return MadeQuestions(rows, numbers, texts.findings)


def _candidates(questions: Iterator[list[Pair]], seed: int) -> list[Pair]:
    """The pairs to take, best first: of every span its best, then of every span its second, each round as drawn.

    Those of whose question and passage it is doubtful that they are about one thing come after all others.
    """
    order = random.Random(seed)
    ranked = [
        (is_doubtful(pair), rank, order.random(), i, pair)
        for i, found in enumerate(questions)
        for rank, pair in enumerate(found[:MOST_OF_SPAN])
    ]
    return [pair for *_, pair in sorted(ranked, key=lambda each: each[:4])]


def _chosen(pairs: Sequence[Pair], settings: MakingSettings, index: WordIndex) -> list[Pair]:
    """The rows to make, the best pairs first, and a share of them put to another passage; in the passages' order."""
    share = settings.unanswerable_share
    n_asked = settings.n_rows - round(settings.n_rows * share)
    n_with = min(len(pairs), n_asked)
    n_without = settings.n_rows - n_asked if n_with == n_asked else round(n_with * share / (1 - share))
    # Where there are enough, questions without an answer are others than those with one.
    others = filter(None, (unanswerable(pair, index) for pair in [*pairs[n_with:], *pairs[:n_with]]))
    rows = [*pairs[:n_with], *itertools.islice(others, n_without)]
    return sorted(rows, key=lambda pair: (pair.passage, pair.asking.sentence.place, pair.asking.span.start))


def _asked(pair: Pair, words: Mapping[str, str], form: QuestionForm) -> Question:
    return ask(pair.asking.sentence.text, pair.asking.span, words[pair.key], form)


def _row(pair: Pair, passages: Sequence[Passage], question: Question) -> Mapping[str, Any]:
    """The row of a pair, with why it is there."""
    asking, answer = pair.asking, pair.answer
    context = passages[pair.passage]
    given = [] if answer is None else [answer]
    return {
        "id": generated_id(question.text, context.text),
        "question": question.text,
        "context": context.text,
        "answers": {
            "text": [each.span.text for each in given],
            "answer_start": [_start(each) for each in given],
        },
        "why": {
            "rule": question.rule if answer is not None else f"{question.rule}, other passage",
            "form": asking.span.form,
            "span": asking.span.text,
            "asking_sentence": asking.sentence.text,
            "answering_sentence": answer.sentence.text if answer is not None else None,
            "shared_words": list(pair.shared),
            "asking_from": passages[asking.sentence.passage].where,
            "context_from": context.where,
        },
    }


def _start(mention: Mention) -> int:
    """Where the answer begins in its passage, in Unicode code points."""
    return mention.sentence.start + mention.span.start
