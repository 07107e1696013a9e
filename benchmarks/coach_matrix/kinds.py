"""The ways to train: of each what is done to it, and what the coach is to say first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.coach_matrix import spoil
from benchmarks.coach_matrix.spoil import Spoil

LOW, HIGH = "learning_rate_too_low", "learning_rate_too_high"


@dataclass(frozen=True)
class Kind:
    """One way to train.

    Attributes:
        name: in the table, unique in its task.
        expected: the sicknesses, any of which is right first; none for a healthy training.
        source: which rows (`rows_of`); empty: the task's usual ones.
        rate: the learning rate, as a share of the fitting one; None: the recipe's default.
        settings: of the recipe, over the usual ones.
        change: spoils the rows.
        n_train: how many training rows are drawn; 0: all.
        n_validation: how many validation rows are.
        model: which; empty: the task's usual one.
        still: the part of the model that is kept from learning, ``encoder`` or ``head``.

    """

    name: str
    expected: tuple[str, ...] = ()
    source: str = ""
    rate: float | None = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    change: Spoil = spoil.nothing
    n_train: int = -1
    n_validation: int = -1
    model: str = ""
    still: str = ""


@dataclass(frozen=True)
class Usual:
    """What holds for a task's trainings unless their kind says otherwise."""

    source: str
    model: str
    settings: Mapping[str, Any]
    n_train: int
    n_validation: int
    score: str
    rate: float = 1.0


_GENTLE = {"warmup_share": 0.1, "max_gradient_norm": 1.0}
_QUESTIONS = {"task": "question-answering", "max_length": 128, "stride": 32, "epochs": 4, **_GENTLE}
_TEXTS = {"task": "text-classification", "max_length": 48, "epochs": 6, **_GENTLE}
_TOKENS = {"task": "token-classification", "max_length": 64, "epochs": 16, **_GENTLE}
USUAL = {
    "questions": Usual("starter-questions", "starter", _QUESTIONS, 150, 54, "f1"),
    "texts": Usual("emotion", "starter", _TEXTS, 300, 150, "accuracy"),
    "tokens": Usual("starter-tokens", "starter", _TOKENS, 0, 0, "f1", 0.6),
}
_REAL = {
    "questions": ("squad", {"max_length": 128, "stride": 32, "epochs": 3}, 128, 80),
    "texts": ("emotion", {"epochs": 5}, 300, 150),
    "tokens": ("wnut17", {"epochs": 4}, 400, 150),
}
"""Sets of other people, trained on with the wider of the models at hand."""
_SMALL = {"questions": ("squad", 240), "texts": ("emotion", 400), "tokens": ("wnut17", 500)}
"""Sets of other people, trained on by the default recipe and judged by few examples, on which losses are noisy."""
_N_SMALL = 80
_BY_LOSS = {"monitor": "validation_loss"}
_CLASSIC = {"warmup_share": 0.0, "max_gradient_norm": 0.0}
_FEW = {"questions": "few_questions", "texts": "few_examples", "tokens": "few_examples"}
_STARTER = {"questions": "starter-questions", "texts": "starter-texts", "tokens": "starter-tokens"}
_LONG: dict[str, Mapping[str, Any]] = {
    task: {**_BY_LOSS, "epochs": n} for task, n in (("questions", 12), ("texts", 16), ("tokens", 16))
}
_PLENTY: dict[str, dict[str, Any]] = {
    "questions": {"source": "squad", "n_train": 200, "n_validation": 300},
    "texts": {"n_train": 300, "n_validation": 400},
    "tokens": {"source": "wnut17", "n_train": 500, "n_validation": 300},
}
_MANY_EPOCHS = {"questions": 10, "texts": 14, "tokens": 24}


def _sick(task: str) -> tuple[Kind, ...]:
    leak = "question_leaked" if task == "questions" else "text_leaked"
    dropouts = dict.fromkeys(("dropout", "attention_dropout", "head_dropout"), 0.9)
    too_few = ("too_few_steps", "underfitting", "predicts_nothing", "one_class", "not_learning")
    return (
        Kind("rate a thousandth", (LOW,), rate=1e-3),
        Kind("rate a tenth", (LOW,), rate=0.1),
        Kind("rate a quarter", (LOW,), rate=0.25),
        Kind("rate a third", (LOW,), rate=0.33),
        Kind("as in 2022", (LOW,), rate=0.05, settings={**_CLASSIC, "epochs": 3}),
        Kind("rate 30 times", (HIGH,), rate=30.0),
        Kind("rate 300 times", (HIGH,), rate=300.0),
        Kind("dropout 0.9", ("dropout_too_high",), settings=dropouts),
        Kind("shuffled", ("wrong_labels",), settings={"epochs": _MANY_EPOCHS[task]}, change=spoil.shuffled),
        Kind("40 rows, 30 epochs", ("overfitting", _FEW[task]), settings={"epochs": 30}, n_train=40),
        Kind("leaked", (leak,), change=spoil.leaked),
        Kind("encoder still", ("frozen",), still="encoder"),
        Kind("head still", ("dead_head", "frozen"), still="head"),
        Kind("a handful of steps", too_few, settings={"epochs": 1}, n_train=104),
        Kind("best by loss, for long", ("epoch_against_score", "overfitting"), settings=_LONG[task], **_PLENTY[task]),
        Kind("15 validation rows", ("validation_too_small",), n_validation=15),
    )


SICK: dict[str, tuple[Kind, ...]] = {
    "questions": (
        *_sick("questions"),
        Kind("answers shifted", ("answer_cut_into_word",), change=spoil.shifted),
        Kind("5 % swapped", ("answer_not_found",), change=spoil.some_swapped),
        Kind(
            "nine in ten not answerable",
            ("all_null", "mostly_unanswerable"),
            settings={"epochs": 8},
            change=spoil.mostly_unanswerable,
        ),
        Kind("none answerable", ("nothing_answerable",), change=spoil.unanswerable),
        Kind("all at the start", ("position_bias", "one_answer"), change=spoil.at_the_start),
        Kind(
            "windows that cut",
            ("answer_in_no_window", "question_truncated"),
            settings={"max_length": 32, "stride": 0},
        ),
    ),
    "texts": (
        *_sick("texts"),
        Kind("contradicting", ("label_conflict",), change=spoil.contradicting),
        Kind("other script", ("hardly_covered",), change=spoil.other_script),
        Kind("numbers far out", ("targets_unscaled",), source="valence", change=spoil.one_far_out),
        Kind("numbers, rate a tenth", (LOW,), source="valence", rate=0.1),
        Kind("numbers shuffled", ("wrong_labels",), "valence", settings={"epochs": 14}, change=spoil.shuffled),
        Kind("several labels shuffled", ("wrong_labels",), "pairs", settings={"epochs": 14}, change=spoil.shuffled),
        Kind("several labels, rate a tenth", (LOW, "predicts_nothing"), source="pairs", rate=0.1),
        Kind("one label nearly always", ("one_class",), change=spoil.rarely, n_train=500),
    ),
    "tokens": (
        *_sick("tokens"),
        Kind("contradicting", ("label_conflict",), change=spoil.contradicting),
        Kind("other script", ("hardly_covered",), change=spoil.other_script),
        Kind("nine in ten unmarked", ("predicts_nothing",), change=spoil.unmarked),
    ),
}


def _healthy(task: str) -> tuple[Kind, ...]:
    usual = USUAL[task]
    source, settings, n_train, n_validation = _REAL[task]
    epochs = usual.settings["epochs"]
    small, n_small = _SMALL[task]
    wide = "minilm-l6-distilbert"
    return (
        Kind("usual"),
        Kind("default recipe, starter data", source=_STARTER[task], rate=None, n_train=0, n_validation=0),
        Kind("default recipe, small validation set", (), small, None, n_train=n_small, n_validation=_N_SMALL),
        Kind("default recipe, more validation", (), small, None, n_train=n_small, n_validation=200),
        Kind("gentler, more epochs", rate=0.75, settings={"epochs": epochs + epochs // 3}),
        Kind("stronger", rate=1.6),
        Kind("small batches", rate=0.7, settings={"batch_size": 8}),
        Kind("plain", rate=0.85, settings={"warmup_share": 0.0, "max_gradient_norm": 0.0}),
        Kind("weight decay, best by score", settings={"weight_decay": 0.01, "monitor": usual.score}),
        Kind(
            "real set, wider model", (), source, 1.0, settings, n_train=n_train, n_validation=n_validation, model=wide
        ),
    )


HEALTHY: dict[str, tuple[Kind, ...]] = {
    "questions": _healthy("questions"),
    "texts": (
        *_healthy("texts"),
        Kind("numbers", source="valence"),
        Kind("several labels", source="pairs", settings={"epochs": 8}),
    ),
    "tokens": _healthy("tokens"),
}


def kinds_of(task: str) -> tuple[Kind, ...]:
    """All of a task's, with what is usual filled in, the sick ones first."""
    usual = USUAL[task]

    def filled(kind: Kind) -> Kind:
        return replace(
            kind,
            source=kind.source or usual.source,
            rate=None if kind.rate is None else kind.rate * usual.rate,
            model=kind.model or usual.model,
            settings={**usual.settings, **kind.settings},
            n_train=usual.n_train if kind.n_train < 0 else kind.n_train,
            n_validation=usual.n_validation if kind.n_validation < 0 else kind.n_validation,
        )

    return tuple(map(filled, (*SICK[task], *HEALTHY[task])))


_WHOLE = {"questions": 210, "texts": 150, "tokens": 150}
"""Of the starter data, where no number is drawn."""
_BY_DEFAULT = {"questions": 6, "texts": 12, "tokens": 12}
"""About how many epochs the default recipe makes."""
_OF_A_FEATURE = {"questions": 0.012, "texts": 0.005, "tokens": 0.0055}
"""Seconds of one thread for one pass of the starter over one training example."""
_OF_EVALUATION = 0.3
"""Of a pass of training, what one of evaluation takes."""
_OF_WIDER, _BEGIN = 3.0, 3.0
"""How many times as long the wider model takes; seconds for all else."""


def expected_seconds(task: str, kind: Kind) -> float:
    """About how long a training takes on one thread, of a machine of 2026."""
    n_train = kind.n_train or _WHOLE[task]
    epochs = float(kind.settings["epochs"]) if kind.rate is not None else _BY_DEFAULT[task]
    wider = 1.0 if kind.model == "starter" else _OF_WIDER
    passes = n_train + _OF_EVALUATION * (kind.n_validation or n_train // 3)
    return _BEGIN + _OF_A_FEATURE[task] * wider * epochs * passes
