"""What can be said of labelled texts before a training: for tasks whose examples are a text and what is known of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tokenizers import Tokenizer

from distiltune.checks.concerns import LEAKED, MANY_LEAKED, Case, Concern, Severity, concern_of, leak_concern, ranked
from distiltune.checks.cost import Estimate, estimate_training
from distiltune.checks.data_check import Checked, found_lines
from distiltune.data.findings import Findings
from distiltune.data.sources import has_splits
from distiltune.errors import RecipeError
from distiltune.model.config import EncoderConfig
from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.model.tokenizer import read_json
from distiltune.progress import tell
from distiltune.settings.engine import EngineSettings
from distiltune.system.device import choose_device, choose_precision, set_threads
from distiltune.system.host import restored
from distiltune.tasks.base import Dataset, Task
from distiltune.tasks.dataset import TaskData

FEW_EXAMPLES = 100
FEW_OF_A_LABEL = 5
MUCH_OF_ONE_LABEL = 0.9
MANY_UNKNOWN = 0.2
"""A share of tokens of a text that the vocabulary does not have."""
_MANY_REJECTED, _MANY_CONFLICTS = 0.05, 0.1
_SHOWN_CHARACTERS = 60

E = TypeVar("E")
S = TypeVar("S", bound=EngineSettings)

_HEADLINES = {
    "text_leaked": "the same texts are in the training and in the validation data",
    "label_conflict": "the same texts have different labels",
    "hardly_covered": "the vocabulary hardly covers the texts",
    "few_examples": "there are few examples",
}


@dataclass(frozen=True, slots=True)
class LabelledText:
    """An example as the checks see it.

    Attributes:
        id: the example's.
        text: all of it.
        gold: what is known of it, in any form that is equal where the same is known; None: nothing is.
        labels: the labels that occur in it; none where there are no classes.

    """

    id: str
    text: str
    gold: object
    labels: tuple[str, ...]


LabelledTexts = Callable[[Dataset], list[LabelledText]]
"""A task's set of examples as the checks see it."""


@restored()
def check_labelled(
    data: Sequence[str],
    against: Sequence[str],
    settings: S,
    fix: Path | None,
    make_task: Callable[[S], Task],
    as_texts: LabelledTexts,
) -> Checked:
    """Check data with a recipe's settings and its model's vocabulary; of the model no weights are read.

    Without ``against``, data sets that have a validation split of their own are checked against that.

    Raises:
        RecipeError: if the data is to be mended.
        DistiltuneError: if the data or the model cannot be read.

    """
    if fix is not None:
        raise RecipeError(
            f"Data for {settings.task} cannot be mended by itself.",
            where="--fix",
            fix="leave it out; mend what is named",
        )
    began = time.perf_counter()
    directory = resolve_model(settings.model)
    tokenizer = load_tokenizer(directory)
    set_threads(settings.threads)
    other = tuple(against) or (tuple(data) if all(map(has_splits, data)) else ())
    sources: dict[str, Any] = {"train": tuple(data), "validation": other, "validation_share": 0.0}
    settings = settings.model_copy(update={**sources, "max_rejected_share": 1.0})
    training, validation = make_task(settings).ready().load_training(tokenizer)
    texts, others = as_texts(training), as_texts(validation) if validation is not None else []
    tell("looking at texts and labels")
    concerns = labelled_concerns(training, texts, others, tokenizer)
    figures = _statistics(training, texts, tokenizer)
    tell("measuring this machine")
    config = read_json(directory / "config.json")
    # A BERT, which is converted when it is trained, has other names for its sizes.
    estimate = _estimate(training, validation, settings, EncoderConfig.from_hf(config)) if "dim" in config else None
    seconds = time.perf_counter() - began
    lines = [*_lines(training, figures), *found_lines(concerns, estimate, seconds)]
    values = {
        "task": settings.task,
        "data": list(data),
        "against": list(other),
        "n_rows": training.findings.n_rows,
        "n_examples": training.n_examples,
        "concerns": [concern.as_json() for concern in concerns],
        "statistics": figures,
        "estimate": estimate.as_json() if estimate is not None else None,
        "seconds": round(seconds, 2),
    }
    return Checked(lines, values)


def labelled_concerns(
    data: Dataset, texts: Sequence[LabelledText], others: Sequence[LabelledText], tokenizer: Tokenizer
) -> tuple[Concern, ...]:
    """Everything that is wrong or remarkable, ranked."""
    return ranked(
        [
            *reading_concerns(data.findings),
            *_size_concerns(texts),
            *_repeat_concerns(texts, others),
            *_label_concerns(texts),
            *_vocabulary_concerns(data, texts, tokenizer),
        ]
    )


def in_training(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """The concerns that matter to a training, as its coach is told of them."""
    return tuple(
        replace(concern, headline=_HEADLINES[concern.kind])
        for concern in concerns
        if concern.kind in _HEADLINES
        and (concern.severity == "error" or concern.kind == "few_examples")
        and (not concern.kind.endswith(LEAKED) or concern.share >= MANY_LEAKED)
    )


def reading_concerns(findings: Findings) -> list[Concern]:
    """What was noticed while the rows were read, by kind."""
    cases: dict[tuple[str, str], list[Case]] = {}
    for item in findings.items:
        row = item.row_id or item.where
        cases.setdefault((item.outcome, item.kind), []).append(Case(row, item.message))
    found = []
    for (outcome, kind), each in cases.items():
        much = len(each) > _MANY_REJECTED * findings.n_rows
        severity: Severity = "note" if outcome != "rejected" else "error" if much else "warning"
        message = f"{outcome}: {kind.replace('_', ' ')}"
        found += concern_of(severity, kind, message, each, findings.n_rows, "mend these rows" * (severity != "note"))
    return found


def _size_concerns(texts: Sequence[LabelledText]) -> list[Concern]:
    if len(texts) >= FEW_EXAMPLES:
        return []
    message = f"there are only {len(texts):,} examples; a model learns so few by heart and little else"
    repair = "add examples, or start from a model that is fine-tuned already: --model RUN"
    return [Concern("warning", "few_examples", message, repair)]


def _repeat_concerns(texts: Sequence[LabelledText], others: Sequence[LabelledText]) -> list[Concern]:
    """The same text more than once, up to case and white space: alike, labelled otherwise, in both sets."""
    first: dict[str, LabelledText] = {}
    copies: list[Case] = []
    conflicts: list[Case] = []
    for each in texts:
        before = first.setdefault(_key(each), each)
        if before is not each:
            case = Case(each.id, f"{_short(each.text)}, as {before.id}")
            (copies if before.gold == each.gold else conflicts).append(case)
    there = {_key(each): each for each in others}
    leaks = [Case(e.id, f"{_short(e.text)}, as {there[_key(e)].id}") for e in texts if _key(e) in there]
    n = len(texts)
    return [
        *concern_of("note", "text_repeated", "the same text with the same labels again", copies, n, ""),
        *concern_of(
            "error" if len(conflicts) > _MANY_CONFLICTS * n else "warning",
            "label_conflict",
            "the same text again with other labels",
            conflicts,
            n,
            "decide which is right",
        ),
        *leak_concern(
            "text_leaked",
            "texts of the other set are in this one too, so figures on the other are too good",
            leaks,
            sum(_key(each) in first for each in others),
            len(others),
            "take these texts out of one of the two",
        ),
    ]


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


def _vocabulary_concerns(data: Dataset, texts: Sequence[LabelledText], tokenizer: Tokenizer) -> list[Concern]:
    unknown = np.zeros(len(texts))
    np.maximum.at(unknown, data.features.example_of, _unknown_shares(data, tokenizer))
    bad = np.flatnonzero(unknown > MANY_UNKNOWN)
    cases = [Case(texts[i].id, f"{unknown[i]:.0%} [UNK]: {_short(texts[i].text)}") for i in bad.tolist()]
    return concern_of(
        "error" if len(cases) > 0.5 * len(texts) else "warning",
        "hardly_covered",
        "the model's vocabulary hardly covers the text",
        cases,
        len(texts),
        "use a model of the texts' language, or remove these rows",
    )


def _unknown_shares(data: Dataset, tokenizer: Tokenizer) -> np.ndarray[Any, np.dtype[np.float64]]:
    """``(n_features,)`` share of each one's tokens that are [UNK]."""
    features = data.features
    is_unknown = (features.token_ids == tokenizer.token_to_id("[UNK]")).astype(np.float64)
    return np.add.reduceat(is_unknown, features.offsets[:-1]) / features.lengths


def _statistics(data: Dataset, texts: Sequence[LabelledText], tokenizer: Tokenizer) -> dict[str, Any]:
    features = data.features
    windows = np.bincount(features.example_of, minlength=len(texts))
    return {
        "examples": len(texts),
        "labels": dict(Counter(label for each in texts for label in each.labels).most_common()),
        "words": spread([len(each.text.split()) for each in texts]),
        "windows": len(features),
        "windows_a_text": spread(windows.tolist()),
        "tokens": int(features.lengths.sum()),
        "tokens_a_window": spread(features.lengths.tolist()),
        "unknown_token_share": round(float(np.average(_unknown_shares(data, tokenizer), weights=features.lengths)), 5),
    }


def spread(values: Sequence[int]) -> dict[str, float]:
    """Middle, 95th percentile and largest of some counts."""
    if not values:
        return {"median": 0, "p95": 0, "max": 0}
    return {
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "max": float(max(values)),
    }


def _lines(data: Dataset, figures: dict[str, Any]) -> list[str]:
    def shown(name: str) -> str:
        return "{median:.0f} / {p95:.0f} / {max:.0f}".format(**figures[name])

    labels = ", ".join(f"{name} {count:,}" for name, count in figures["labels"].items())
    return [
        f"{data.n_examples:,} examples, {data.findings.n_rows - data.n_examples:,} rows left out",
        *([f"labels: {labels}"] if labels else []),
        f"words (median / 95 % / most): {shown('words')}",
        f"windows: {figures['windows']:,} ({shown('windows_a_text')} a text), tokens {shown('tokens_a_window')}, "
        f"{figures['unknown_token_share']:.2%} [UNK]",
    ]


def _estimate(
    training: Dataset, validation: Dataset | None, settings: EngineSettings, config: EncoderConfig
) -> Estimate:
    device = choose_device(settings.device)
    return estimate_training(
        config,
        n_tokens=int(training.features.lengths.sum()),
        n_validation_tokens=int(validation.features.lengths.sum()) if validation is not None else 0,
        n_features=len(training.features),
        longest=int(training.features.lengths.max()),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=device,
        precision=choose_precision(settings.precision, device, config.hidden_size),
    )


def _key(each: LabelledText) -> str:
    return " ".join(each.text.casefold().split())


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")


def examples_as(data: Dataset, kind: type[E], as_text: Callable[[E], LabelledText]) -> list[LabelledText]:
    """The examples of a task's set as the checks see them."""
    assert isinstance(data, TaskData)
    assert all(isinstance(example, kind) for example in data.examples[:1])
    return [as_text(example) for example in data.examples]
