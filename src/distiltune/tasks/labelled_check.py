"""What can be said of labelled texts before a training: for tasks whose examples are a text and what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.checks.concerns import Case, Cases, Concern, concern_of, leak_concern, ranked
from distiltune.checks.data_check import Checked, LookedAt, begin_check, end_check
from distiltune.checks.reading import MAX_REJECTED_SHARE, Noted, ReadingWords, decisions_on, reading_concerns
from distiltune.checks.spoilt_text import spoilt_concerns
from distiltune.checks.windows import (
    hardly_covered,
    spread,
    spread_text,
    unknown_of_examples,
    window_line,
    window_statistics,
    work_of,
)
from distiltune.data.values import short_hash
from distiltune.errors import RecipeError
from distiltune.progress import counted, tell
from distiltune.settings.engine import EngineSettings
from distiltune.system.host import restored
from distiltune.tasks.base import D, Dataset
from distiltune.tasks.checking import check_request

FEW_EXAMPLES = 100
FEW_OF_A_LABEL = 5
MUCH_OF_ONE_LABEL = 0.9
MANY_UNKNOWN = 0.2
"""A share of tokens of a text that the vocabulary does not have."""
_MANY_CONFLICTS = 0.1
FAR_OUT = 0.5
"""A share of the variance of numbers that a hundredth part of them has, from which on nothing else is learned."""
_FEW_NUMBERS = 30
_SHOWN_CHARACTERS = 60

S = TypeVar("S", bound=EngineSettings)

_READING = ReadingWords(
    certain=frozenset({"end_inclusive", "offset_in_utf16", "offset_in_bytes"}),
    errors=frozenset({"tag_of_no_scheme"}),
    noted={
        "text_cut": Noted("note", "the text is longer than is read; the rest is cut off", "raise --max-length"),
        "label_spelled_differently": Noted(
            "warning", "a label is spelled in several ways, each of which is a label of its own", "use one spelling"
        ),
        "label_like_none": Noted(
            "warning", "a label looks as if it stood for none", "leave these cells empty, if there is none"
        ),
        "row_like_header": Noted(
            "warning", "the first row of a table may be no example", "if it is none, delete that line"
        ),
        "sentences_not_parted": Noted(
            "warning",
            "a file in columns has hardly any empty lines, and sentences run together",
            "write an empty line after each sentence; if each is meant as one text, take no notice",
        ),
        "label_not_parted": Noted(
            "warning", "labels are taken whole that may be several", "if they are several: --label-separator"
        ),
        "many_without_labels": Noted(
            "warning",
            "many texts are learnt as ones to which no label applies",
            "if nobody labelled them, leave them out",
        ),
        "numbers_as_classes": Noted(
            "warning",
            "numbers that may be a measure are taken as classes, of which none is near another",
            "if they are a measure: --problem regression",
        ),
        "labels_by_number": Noted(
            "warning", "the labels are numbers whose names the file does not have", "export it with the labels' names"
        ),
        "word_split": Noted(
            "note", "a mark begins or ends inside a word; it is cut in training, and has one label in use"
        ),
        "word_cut": Noted("note", "the word has more pieces than a window holds", "raise --max-length"),
    },
)
_HEADLINES = {
    "text_leaked": "the same texts are in the training and in the validation data",
    "label_conflict": "the same texts have different labels",
    "hardly_covered": "the vocabulary hardly covers the texts",
    "few_examples": "there are few examples",
    "targets_unscaled": "a few numbers lie far out from all others",
}


@dataclass(frozen=True, slots=True)
class LabelledText:
    """An example as the checks see it.

    Attributes:
        id: the example's.
        text: all of it.
        gold: what is known of it, in any form that is equal where the same is known; None: nothing is.
        labels: the labels that occur in it; none where there are no classes.
        number: the one to be predicted; None where there are classes.

    """

    id: str
    text: str
    gold: object
    labels: tuple[str, ...]
    number: float | None = None


OpenData = Callable[[S, Tokenizer], tuple[D, D | None]]
"""Reads a training's examples, and those to validate on if there are any, and makes features of them."""


@restored()
def check_labelled(
    data: Sequence[str],
    against: Sequence[str],
    settings: S,
    fix: Path | None,
    open_data: OpenData[S, D],
    as_texts: Callable[[D], Sequence[LabelledText]],
    architecture: str,
) -> Checked:
    """Check data with a recipe's settings and its model's vocabulary; of the model no weights are read.

    Without ``against``, data sets that have a validation split of their own are checked against that. ``as_texts``
    says what the checks see of a set.

    Raises:
        RecipeError: if the data is to be mended.
        DistiltuneError: if the data or the model cannot be read.

    """
    if fix is not None:
        raise RecipeError(
            f"Data for {settings.task} cannot be mended by itself.",
            where="--fix",
            fix=f"mend it by hand; what is wrong and what to do: distiltune check {' '.join(map(str, data))}",
        )
    request = check_request(data, against, settings, architecture)
    basis = begin_check(request)
    sources = {"train": request.data, "validation": basis.against, "validation_share": 0.0, "max_rejected_share": 1.0}
    training, validation = open_data(settings.model_copy(update=sources), basis.tokenizer)
    texts, others = as_texts(training), as_texts(validation) if validation is not None else ()
    tell("looking at texts and labels")
    figures = _statistics(training, texts, basis.tokenizer)
    looked = LookedAt(
        n_rows=training.findings.n_rows,
        n_examples=training.n_examples,
        concerns=labelled_concerns(training, texts, others, basis.tokenizer, settings.max_rejected_share)
        + (decisions_on(validation.findings) if validation is not None else ()),
        statistics=figures,
        lines=_lines(training, figures),
        work=work_of(training.features, int(validation.features.lengths.sum()) if validation is not None else 0),
    )
    return end_check(request, basis, looked)


def labelled_concerns(
    data: Dataset,
    texts: Sequence[LabelledText],
    others: Sequence[LabelledText],
    tokenizer: Tokenizer,
    max_rejected_share: float = MAX_REJECTED_SHARE,
) -> tuple[Concern, ...]:
    """Everything that is wrong or remarkable, ranked."""
    return ranked(
        [
            *reading_concerns(data.findings, _READING, max_rejected_share),
            *_size_concerns(texts),
            *_repeat_concerns(texts, others),
            *_label_concerns(texts),
            *_number_concerns([each.number for each in texts if each.number is not None]),
            *_vocabulary_concerns(data, texts, tokenizer),
            *spoilt_concerns(((each.id, each.text) for each in texts), len(texts)),
        ]
    )


def in_training(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """The concerns that matter to a training, as its coach is told of them."""
    return tuple(
        replace(concern, headline=_HEADLINES[concern.kind])
        for concern in concerns
        if concern.kind in _HEADLINES and (concern.severity == "error" or concern.kind == "few_examples")
    )


def _size_concerns(texts: Sequence[LabelledText]) -> list[Concern]:
    if len(texts) >= FEW_EXAMPLES:
        return []
    are = "is only 1 example" if len(texts) == 1 else f"are only {len(texts):,} examples"
    message = f"there {are}; a model learns so few by heart and little else"
    or_else = ", or start from a model that is fine-tuned already: --model RUN"
    return [Concern("warning", "few_examples", message, "add examples", repair_of_fresh=or_else)]


def _repeat_concerns(texts: Sequence[LabelledText], others: Sequence[LabelledText]) -> list[Concern]:
    """The same text more than once, up to case and white space: alike, labelled otherwise, in both sets.

    Texts are told apart by 8 bytes of a hash each: of ten million, two that differ are taken for one once in 400,000
    times.
    """
    hashes, hashes_there = _hashes(texts), _hashes(others)
    _, firsts, number = np.unique(hashes, return_index=True, return_inverse=True)
    copies, conflicts, leaks = Cases(), Cases(), Cases()
    for place in np.flatnonzero(firsts[number] != np.arange(len(texts))).tolist():
        each, before = texts[place], texts[int(firsts[number[place]])]
        case = Case(each.id, f"{_short(each.text)}, as {before.id}")
        (copies if before.gold == each.gold else conflicts).append(case)
    last_there = dict(zip(hashes_there.tolist(), range(len(others)), strict=True))
    for place in np.flatnonzero(np.isin(hashes, hashes_there)).tolist():
        each, there = texts[place], others[last_there[int(hashes[place])]]
        leaks.append(Case(each.id, f"{_short(each.text)}, as {there.id}"))
    n = len(texts)
    return [
        *concern_of("note", "text_repeated", "the same text with the same labels again", copies, n, ""),
        *concern_of(
            "error" if conflicts.n_all > _MANY_CONFLICTS * n else "warning",
            "label_conflict",
            "the same text again with other labels",
            conflicts,
            n,
            _what_to_do(conflicts.n_all, len(firsts), [each for each in texts if each.labels]),
        ),
        *leak_concern(
            "text_leaked",
            "texts of the other set are in this one too, so figures on the other are too good",
            leaks,
            int(np.isin(hashes_there, hashes).sum()),
            len(others),
            "take these texts out of one of the two",
        ),
    ]


def _what_to_do(n_conflicts: int, n_different: int, labelled: Sequence[LabelledText]) -> str:
    """What to do about texts that have other labels elsewhere: where most stand several times, that has a reason."""
    is_one_each = bool(labelled) and all(len(each.labels) == 1 for each in labelled)
    if not is_one_each or n_conflicts < _MANY_CONFLICTS * len(labelled) or n_different > len(labelled) / 2:
        return "decide which is right"
    return (
        "if each row has one of several labels of its text, put them into one row (a column labels, parted by |); if "
        "several people labelled each text, keep the label that most of them gave"
    )


def _label_concerns(texts: Sequence[LabelledText]) -> list[Concern]:
    counts = Counter(label for each in texts for label in each.labels)
    rare = [Case(label, f"{count} of {len(texts)}") for label, count in counts.items() if count < FEW_OF_A_LABEL]
    concerns = concern_of(
        "warning",
        "rare_label",
        f"the label occurs fewer than {FEW_OF_A_LABEL} times, which is too seldom to be learnt",
        rare,
        len(counts),
        "add examples of it, or leave it out",
    )
    if len(counts) > 1:
        label, count = counts.most_common(1)[0]
        if count > MUCH_OF_ONE_LABEL * sum(counts.values()):
            share = f"{count / sum(counts.values()):.0%}"
            message = f"{share} of the labels are {label!r}; a model that always says so does well"
            concerns.append(Concern("warning", "one_label", message, "balance the labels, or watch F1, not accuracy"))
    return concerns


def _number_concerns(numbers: Sequence[float]) -> list[Concern]:
    """Numbers of which a few lie so far out that the squared error is of them alone, whatever unit they are taken in.

    Of normal numbers the hundredth part that lies farthest out has 8 % of the variance, of exponential ones 25 %.
    """
    if len(numbers) < _FEW_NUMBERS:
        return []
    squares = np.sort(np.square(np.asarray(numbers) - np.mean(numbers)))
    n_far = max(1, len(squares) // 100)
    share = float(squares[-n_far:].sum() / squares.sum()) if squares[-1] > 0 else 0.0
    if share < FAR_OUT:
        return []
    low, middle, high = min(numbers), float(np.median(numbers)), max(numbers)
    message = (
        f"{n_far:,} of {len(numbers):,} numbers have {share:.0%} of all their variance (from {low:.4g} over "
        f"{middle:.4g}, the middle one, to {high:.4g}); a model learns these alone"
    )
    repair = "train on their logarithms, or leave out or cut off what is no true value"
    return [Concern("error", "targets_unscaled", message, repair)]


def _vocabulary_concerns(data: Dataset, texts: Sequence[LabelledText], tokenizer: Tokenizer) -> list[Concern]:
    unknown = unknown_of_examples(data.features, len(texts), tokenizer)
    bad = np.flatnonzero(unknown > MANY_UNKNOWN)
    cases = Cases()
    for place in bad.tolist():
        cases.append(Case(texts[place].id, f"{unknown[place]:.0%} [UNK]: {_short(texts[place].text)}"))
    return hardly_covered(cases, len(texts))


def _statistics(data: Dataset, texts: Sequence[LabelledText], tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "examples": len(texts),
        "labels": dict(Counter(label for each in texts for label in each.labels).most_common()),
        "words": spread(np.fromiter((len(each.text.split()) for each in texts), np.int64, len(texts))),
        **window_statistics(data.features, len(texts), tokenizer, "text"),
    }


def _lines(data: Dataset, figures: dict[str, Any]) -> list[str]:
    labels = ", ".join(f"{name} {count:,}" for name, count in figures["labels"].items())
    return [
        f"{counted(data.n_examples, 'example')}, {counted(data.findings.n_rows - data.n_examples, 'row')} left out",
        *([f"labels: {labels}"] if labels else []),
        f"words (median / 95 % / most): {spread_text(figures['words'])}",
        window_line(figures, "text"),
    ]


def _hashes(texts: Sequence[LabelledText]) -> npt.NDArray[np.uint64]:
    """``(n_texts,)`` the same for texts that differ in case and white space only."""
    found = (short_hash(" ".join(each.text.casefold().split())) for each in texts)
    return np.fromiter(found, dtype=np.uint64, count=len(texts))


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")
