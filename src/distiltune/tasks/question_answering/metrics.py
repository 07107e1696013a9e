"""The official SQuAD scores: exact match and F1, with and without unanswerable questions.

Written from the definitions in Rajpurkar et al. 2016 (SQuAD 1.1) and Rajpurkar et al. 2018 (SQuAD 2.0) and
the behaviour of their scorers, `evaluate-v1.1.py` and `evaluate-v2.0.py`. Where the two scorers differ, this
module follows the second: a gold answer that normalises to nothing (such as "the") is dropped if others
remain, and two texts that both normalise to nothing have an F1 of 1. The first keeps such a gold answer and
gives those two texts an F1 of 0. Everything else is the same, so a set whose gold answers all have a word
left has the same scores under both.
"""

from __future__ import annotations

import dataclasses
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distiltune.tasks.held_out import first_half, gains
from distiltune.tasks.question_answering.examples import Example

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")


def normalise_answer(text: str) -> str:
    """The form in which answers are compared: no case, ASCII punctuation, articles or extra white space.

    The order is the official one and matters: punctuation goes before the articles, so that "A-Team" becomes
    "ateam" and keeps its "a". Other signs, such as “ or –, stay; they bound words, so the "a" of "a–b" is
    dropped.
    """
    text = text.lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", text).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 if both texts are the same once normalised, else 0.0."""
    return float(normalise_answer(prediction) == normalise_answer(gold))


def f1(prediction: str, gold: str) -> float:
    """Harmonic mean of the precision and recall of the prediction's words against the gold's, from 0 to 1.

    Words are counted as often as they occur. If either text has no word once normalised, the value is 1.0 if
    neither has one and 0.0 otherwise (the rule of SQuAD 2.0; the scorer of SQuAD 1.1 gives 0.0 to both).
    """
    return _word_f1(normalise_answer(prediction).split(), normalise_answer(gold).split())


def _word_f1(predicted: list[str], gold: list[str]) -> float:
    if not predicted or not gold:
        return float(predicted == gold)
    n_common = sum((Counter(predicted) & Counter(gold)).values())
    if n_common == 0:
        return 0.0
    precision = n_common / len(predicted)
    recall = n_common / len(gold)
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True, slots=True)
class AnswerScore:
    """The scores of one prediction, each from 0.0 to 1.0."""

    exact: float
    f1: float


def score_answer(prediction: str, golds: Sequence[str]) -> AnswerScore:
    """The best exact match and the best F1 of a prediction over its gold answers.

    No gold answers, or only ones that normalise to nothing, mean that the empty answer is the right one.
    """
    # Annotators often agree, so each distinct gold is scored once.
    distinct = {normalised for gold in golds if (normalised := normalise_answer(gold))} or {""}
    normalised_prediction = normalise_answer(prediction)
    if normalised_prediction in distinct:
        return AnswerScore(exact=1.0, f1=1.0)
    words = normalised_prediction.split()
    return AnswerScore(exact=0.0, f1=max(_word_f1(words, gold.split()) for gold in distinct))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says to one question, before the choice between its best answer and none.

    `best_text` is the best answer that is not "no answer" ("" if the search found none).
    `null_score_difference` is the score of "no answer" minus the score of `best_text`, the official
    `score_diff_null`: above 0, none is likelier.
    """

    id: str
    best_text: str
    null_score_difference: float

    def final_text(self, threshold: float | None) -> str:
        """The answer given: "" if the difference is above `threshold`. With None, always the best answer."""
        if threshold is not None and self.null_score_difference > threshold:
            return ""
        return self.best_text


@dataclass(frozen=True, slots=True)
class SquadScores:
    """The scores of a set of questions; exact match and F1 are in percent, from 0 to 100.

    The fields from `answerable_exact_match` on are None unless the set has unanswerable questions (and, for
    the two `answerable_` ones, answerable questions too). On unanswerable questions F1 equals exact match.
    What the best scores and thresholds are says `best_threshold`.
    """

    n: int
    exact_match: float
    f1: float
    n_answerable: int
    n_unanswerable: int
    answerable_exact_match: float | None = None
    answerable_f1: float | None = None
    unanswerable_exact_match: float | None = None
    best_exact_match: float | None = None
    best_exact_match_threshold: float | None = None
    best_f1: float | None = None
    best_f1_threshold: float | None = None

    def as_json(self) -> dict[str, int | float]:
        """The fields by name, in order, those that are None left out."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class _ScoredQuestion:
    """What is kept of one question: enough for every score at every threshold, and no text."""

    answerable: bool
    empty_is_right: bool  # differs from `not answerable` only if every gold normalises to nothing
    answered: bool  # the best text is not ""
    exact: float  # of the best text
    f1: float  # of the best text
    null_score_difference: float


class ScoreKeeper:
    """Collects scores question by question, and sums them up under any threshold without a second pass."""

    def __init__(self) -> None:
        self._questions: list[_ScoredQuestion] = []

    def __len__(self) -> int:
        """How many questions were added."""
        return len(self._questions)

    def add(self, example: Example, prediction: Prediction) -> AnswerScore:
        """Score one prediction, keep a few numbers of it, and return the score of its best text.

        Each question is to be added once; this is not checked.

        Raises:
            ValueError: the two are not of the same question, or the null score difference is not a number.
        """
        if prediction.id != example.id:
            raise ValueError(f"prediction {prediction.id!r} was scored against example {example.id!r}")
        if math.isnan(prediction.null_score_difference):
            raise ValueError(f"the null score difference of {prediction.id!r} is not a number")
        golds = example.gold_texts
        score = score_answer(prediction.best_text, golds)
        self._questions.append(
            _ScoredQuestion(
                answerable=bool(golds),
                empty_is_right=not any(normalise_answer(gold) for gold in golds),
                answered=bool(prediction.best_text),
                exact=score.exact,
                f1=score.f1,
                null_score_difference=prediction.null_score_difference,
            )
        )
        return score

    def scores(self, threshold: float | None) -> SquadScores:
        """The scores when every difference above `threshold` means "no answer" (None: always answer).

        The best scores and thresholds do not depend on `threshold`; see `best_threshold`.

        Raises:
            ValueError: no question was added.
        """
        if not self._questions:
            raise ValueError("no question was scored, so there is nothing to average")
        answerable, empty_is_right, answered, best_text_exact, best_text_f1, differences = self._columns()

        says_none = np.zeros_like(answerable) if threshold is None else differences > threshold
        exact = np.where(says_none, empty_is_right, best_text_exact)
        word_f1 = np.where(says_none, empty_is_right, best_text_f1)
        n_answerable = int(answerable.sum())
        overall = SquadScores(
            n=len(exact),
            exact_match=_percent(exact),
            f1=_percent(word_f1),
            n_answerable=n_answerable,
            n_unanswerable=len(exact) - n_answerable,
        )
        if overall.n_unanswerable == 0:
            return overall
        best_exact, best_exact_threshold = best_threshold(best_text_exact, differences, answerable, answered)
        best_f1, best_f1_threshold = best_threshold(best_text_f1, differences, answerable, answered)
        return dataclasses.replace(
            overall,
            answerable_exact_match=_percent(exact[answerable]) if n_answerable else None,
            answerable_f1=_percent(word_f1[answerable]) if n_answerable else None,
            unanswerable_exact_match=_percent(exact[~answerable]),
            best_exact_match=best_exact,
            best_exact_match_threshold=best_exact_threshold,
            best_f1=best_f1,
            best_f1_threshold=best_f1_threshold,
        )

    def threshold_holds(self) -> bool:
        """Whether the threshold of the best F1 is better than 0 on questions that it was not chosen on.

        It is chosen on each half of the questions and tried on the other; see `distiltune.tasks.held_out`.
        """
        answerable, empty_is_right, answered, _, best_text_f1, differences = self._columns()
        inside, better = first_half(len(answerable)), np.zeros(len(answerable))
        for chosen_on in (inside, ~inside):
            columns = (best_text_f1, differences, answerable, answered)
            _, threshold = best_threshold(*(column[chosen_on] for column in columns))
            at_it, at_zero = (np.where(differences > each, empty_is_right, best_text_f1) for each in (threshold, 0.0))
            better[~chosen_on] = (at_it - at_zero)[~chosen_on]
        return gains(better)

    def _columns(self) -> tuple[npt.NDArray[Any], ...]:
        """What is kept of the questions, ``(n,)`` each, in the order of the fields."""
        return tuple(np.array(column) for column in zip(*map(dataclasses.astuple, self._questions), strict=True))


def best_threshold(
    scores: npt.NDArray[np.float64],
    null_score_differences: npt.NDArray[np.float64],
    answerable: npt.NDArray[np.bool_],
    answered: npt.NDArray[np.bool_],
) -> tuple[float, float]:
    """The best mean score in percent over all thresholds, and the threshold that gives it.

    Equal to `find_best_thresh` of `evaluate-v2.0.py` to the last bit, corners included: questions leave "no
    answer" one by one in the order of their difference, and the first highest sum wins, so within questions
    of equal difference (kept in the given order) the sum may be one that no threshold reaches; and the
    threshold is 0.0 if nothing beats answering no question at all, though differences may lie below 0.

    Args:
        scores: `(n,)` score of each question's best text, from 0 to 1.
        null_score_differences: `(n,)` score of "no answer" minus that of the best text.
        answerable: `(n,)` whether the question has gold answers.
        answered: `(n,)` whether the best text is not "".
    """
    if not len(scores):
        return 0.0, 0.0
    order = np.argsort(null_score_differences, kind="stable")
    # What each question adds when its best text takes the place of no answer.
    gains = np.where(answerable, scores, np.where(answered, -1.0, 0.0))[order]
    n_right_without_answers = float(np.count_nonzero(~answerable))
    sums = np.cumsum(np.concatenate(([n_right_without_answers], gains)))
    best = int(np.argmax(sums))  # the first of the highest, as a sweep with ">" finds it
    threshold = 0.0 if best == 0 else float(null_score_differences[order[best - 1]])
    return 100.0 * float(sums[best]) / len(scores), threshold


def _percent(values: npt.NDArray[np.float64]) -> float:
    """The mean of `(n,)` scores from 0 to 1, in percent; n > 0."""
    return 100.0 * float(values.sum()) / len(values)
