"""All that can be known of a data set before a training: `distiltune check`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from distiltune.checks.concerns import Concern, ranked
from distiltune.checks.cost import Estimate, estimate_training
from distiltune.data.array_cache import cache_directory
from distiltune.model.config import EncoderConfig
from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.model.tokenizer import read_json
from distiltune.progress import tell
from distiltune.system.device import choose_device, choose_precision, set_threads
from distiltune.system.host import restored
from distiltune.tasks.labelled_check import spread
from distiltune.tasks.question_answering.check.examples import (
    answer_concerns,
    answer_tenth,
    question_concerns,
    reading_concerns,
    span_concerns,
)
from distiltune.tasks.question_answering.check.repeats import Repeats, find_repeats, repeat_concerns
from distiltune.tasks.question_answering.check.training import in_training
from distiltune.tasks.question_answering.check.windows import pieces_per_word, unknown_share, window_concerns
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.question_class import QUESTION_CLASSES, question_class
from distiltune.tasks.question_answering.question_data import QuestionData, featurise, load_examples
from distiltune.tasks.question_answering.read import ExampleSet, has_own_validation
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings, question_limit


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the checks measure by; the recipe says what each means."""

    windows: WindowSettings
    max_answer_tokens: int = 30
    columns: str = ""
    epochs: int = 5
    batch_size: int = 16
    precision: str = "auto"


@dataclass(frozen=True, slots=True)
class DataReport:
    """What is known of a data set.

    Attributes:
        data: the sources as they were named.
        against: the sources of the other set, empty if there is none.
        n_rows: rows read, the unusable ones included.
        n_examples: questions that can be used.
        concerns: what is wrong, ranked.
        statistics: figures by name, as plain values.
        estimate: expected cost of a training on this machine, None if it was not asked for.
        examples: the questions as they were read.
        repeats: what occurs more than once.
        seconds: how long the check took.

    """

    data: tuple[str, ...]
    against: tuple[str, ...]
    n_rows: int
    n_examples: int
    concerns: tuple[Concern, ...]
    statistics: dict[str, Any]
    estimate: Estimate | None
    examples: ExampleSet
    repeats: Repeats
    seconds: float

    def n_of(self, severity: str) -> int:
        """How many kinds of concern have this severity."""
        return sum(concern.severity == severity for concern in self.concerns)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "data": list(self.data),
            "against": list(self.against),
            "n_rows": self.n_rows,
            "n_examples": self.n_examples,
            "concerns": [concern.as_json() for concern in self.concerns],
            "statistics": self.statistics,
            "estimate": self.estimate.as_json() if self.estimate is not None else None,
            "seconds": round(self.seconds, 2),
        }


@restored()
def check_data(
    data: Sequence[str],
    tokenizer: Tokenizer,
    settings: CheckSettings,
    *,
    against: Sequence[str] = (),
    estimate_for: tuple[EncoderConfig, torch.device] | None = None,
) -> DataReport:
    """Check a data set, and against another one for what the two share.

    Args:
        data: the sources, as ``train`` of the recipe has them.
        tokenizer: of the model that is to be trained.
        settings: what the checks measure by.
        against: the other set, usually the validation data.
        estimate_for: the model's shape and the device, if the cost of a training is to be estimated.

    Raises:
        DataError: if a source cannot be read, or nothing in it can be used.

    """
    began = time.perf_counter()
    examples = load_examples(data, "train", settings.columns, max_rejected_share=1.0)
    other = load_examples(against, "validation", settings.columns, 1.0) if against else None
    featurised = featurise(examples, tokenizer, settings.windows, cache_directory())
    others = other.examples if other is not None else ()
    tell("looking for repeats and leaks")
    repeats = find_repeats(examples.examples, others)
    tell("looking at questions and answers")
    concerns = list_concerns(featurised, tokenizer, settings, repeats, others)
    tell("measuring this machine")
    return DataReport(
        data=tuple(map(str, data)),
        against=tuple(map(str, against)),
        n_rows=examples.findings.n_rows,
        n_examples=len(examples.examples),
        concerns=concerns,
        statistics=statistics(featurised, tokenizer),
        estimate=_estimate(featurised, others, settings, estimate_for),
        examples=examples,
        repeats=repeats,
        seconds=time.perf_counter() - began,
    )


@restored()
def check_sources(data: Sequence[str], against: Sequence[str], settings: QuestionAnsweringSettings) -> DataReport:
    """Check data with a recipe's settings and its model's vocabulary; of the model no weights are read.

    Without ``against``, data sets that have a validation split of their own are checked against that.

    Raises:
        DistiltuneError: if the data or the model cannot be read.

    """
    directory = resolve_model(settings.model)
    device = choose_device(settings.device)
    set_threads(settings.threads)
    config = read_json(directory / "config.json")
    return check_data(
        data,
        load_tokenizer(directory),
        CheckSettings(
            WindowSettings(settings.max_length, settings.stride, question_limit(settings)),
            settings.max_answer_tokens,
            settings.columns,
            settings.epochs,
            settings.batch_size,
            settings.precision,
        ),
        against=against or own_validation(data),
        # a BERT, which is converted when it is trained, has other names for its sizes
        estimate_for=(EncoderConfig.from_hf(config), device) if "dim" in config else None,
    )


def training_concerns(
    training: QuestionData,
    others: Sequence[Example],
    tokenizer: Tokenizer,
    windows: WindowSettings,
    max_answer_tokens: int,
) -> tuple[Concern, ...]:
    """What is wrong with data that is read already and matters to a training, for its coach."""
    repeats = find_repeats(training.examples, others)
    return in_training(list_concerns(training, tokenizer, CheckSettings(windows, max_answer_tokens), repeats, others))


def list_concerns(
    data: QuestionData, tokenizer: Tokenizer, settings: CheckSettings, repeats: Repeats, others: Sequence[Example]
) -> tuple[Concern, ...]:
    """Everything that is wrong or remarkable, ranked."""
    examples = data.examples
    # Shortened questions are findings of the windows, which are looked at below.
    read = replace(data.findings, items=[item for item in data.findings.items if item.kind != "question_truncated"])
    return ranked(
        [
            *reading_concerns(read),
            *span_concerns(examples),
            *question_concerns(examples),
            *answer_concerns(examples),
            *window_concerns(examples, data.question_features, tokenizer, settings.windows, settings.max_answer_tokens),
            *repeat_concerns(repeats, examples, others),
            *_between_sets(examples, others),
        ]
    )


def _between_sets(examples: Sequence[Example], others: Sequence[Example]) -> list[Concern]:
    """What differs between the two sets so much that figures on one say little about the other."""
    if not others:
        return []
    shares = [sum(not example.answers for example in each) / len(each) for each in (examples, others)]
    if min(shares) > 0 or max(shares) < 0.05:
        return []
    message = (
        f"{shares[0]:.0%} of these questions have no answer, and {shares[1]:.0%} of the other set's: "
        "what one trains for the other does not measure"
    )
    return [Concern("warning", "unanswerable_differs", message, "use sets of one kind")]


def statistics(data: QuestionData, tokenizer: Tokenizer) -> dict[str, Any]:
    """Figures on a set: sizes, answers, questions, windows, vocabulary."""
    examples, features = data.examples, data.features
    answered = [example for example in examples if example.answers]
    answer_words = [len(example.answers[0].text.split()) for example in answered]
    tenths = Counter(map(answer_tenth, answered))
    classes = Counter(question_class(example.question) for example in examples)
    unknown = unknown_share(data.question_features, tokenizer)
    windows = np.bincount(features.example_of, minlength=len(examples))
    lengths = features.lengths
    return {
        "questions": len(examples),
        "passages": len({example.context for example in examples}),
        "unanswerable_share": round(1 - len(answered) / len(examples), 4),
        "question_words": spread([len(example.question.split()) for example in examples]),
        "answer_words": spread(answer_words),
        "passage_words": spread([len(context.split()) for context in {example.context for example in examples}]),
        "answer_position_tenths": [round(tenths[i] / len(answered), 4) if answered else 0.0 for i in range(10)],
        "question_classes": {name: classes[name] for name in QUESTION_CLASSES if classes[name]},
        "windows": len(features),
        "windows_a_question": spread(windows.tolist()),
        "tokens": int(lengths.sum()),
        "tokens_a_window": spread(lengths.tolist()),
        "unknown_token_share": round(float(np.average(unknown, weights=lengths)), 5),
        "pieces_a_word": round(float(np.mean(pieces_per_word(examples, data.question_features))), 3),
    }


def _estimate(
    data: QuestionData,
    others: Sequence[Example],
    settings: CheckSettings,
    estimate_for: tuple[EncoderConfig, torch.device] | None,
) -> Estimate | None:
    if estimate_for is None:
        return None
    config, device = estimate_for
    n_tokens = int(data.features.lengths.sum())
    return estimate_training(
        config,
        n_tokens=n_tokens,
        # windows of the other set are not made for this: as long as this set's, a question
        n_validation_tokens=round(n_tokens / len(data.examples) * len(others)),
        n_features=len(data.features),
        longest=int(data.features.lengths.max()),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        device=device,
        precision=choose_precision(settings.precision, device, config.hidden_size),
    )


def own_validation(data: Sequence[str]) -> tuple[str, ...]:
    """The sources again where all of them have a validation split of their own, to be checked against."""
    return tuple(data) if all(map(has_own_validation, data)) else ()
