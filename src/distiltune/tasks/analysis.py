"""What a task finds out about a model's answers, in words and figures that the report and the coach understand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the interval that holds it with a confidence of 95 %."""

    value: float
    low: float
    high: float

    def in_percent(self) -> Interval:
        """The same of a hundred."""
        return Interval(100 * self.value, 100 * self.low, 100 * self.high)


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """One class of examples: its name, how many there are, and what the model reaches on it, by metric title."""

    label: str
    n: int
    scores: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A set of examples parted by one property; the scores are in percent."""

    title: str
    rows: tuple[BreakdownRow, ...]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers of like confidence: how many, how sure the model was on average, and how often it was right (0 to 1)."""

    n: int
    confidence: float
    right: Interval


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a passage; ``marks`` are any of "gold" and "given"."""

    text: str
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """An answer in its passage; ``confidence`` is None where nothing was given that it could be of."""

    title: str
    given: str
    wanted: str
    confidence: float | None
    passage: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class LabelScores:
    """One label: how much has it, how much was given it, and how well the two agree (0 to 1)."""

    name: str
    n: int
    n_given: int
    n_right: int

    @property
    def precision(self) -> float:
        """Of what was given it, the share that has it; 0 of nothing."""
        return self.n_right / max(1, self.n_given)

    @property
    def recall(self) -> float:
        """Of what has it, the share that was given it; 0 of nothing."""
        return self.n_right / max(1, self.n)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.n_right / max(1, self.n + self.n_given)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often what has each label (row) was given each label (column); ``n_labels`` counts those left out too."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    n_labels: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one example: how many labels or entities were given, how many are wanted, and how many are both."""

    n_right: int
    n_given: int
    n_wanted: int

    @property
    def f1(self) -> float:
        """Of this example alone, 0 to 1; 1 where nothing is wanted and nothing given."""
        n = self.n_given + self.n_wanted
        return 2 * self.n_right / n if n else 1.0


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One example with what the model said and what that is worth, as a line of ``answers.jsonl``.

    Attributes:
        id: of the example.
        asked: the question, or the text.
        given: the answer given, empty for none.
        wanted: the gold answers, none if there is no answer.
        exact: 0 or 1.
        f1: 0 to 1, of this example alone.
        confidence: 0 to 1.
        counts: what the F1 over all examples adds up (micro-F1); None where it is the mean of the examples' own.

    """

    id: str
    asked: str
    given: str
    wanted: tuple[str, ...]
    exact: float
    f1: float
    confidence: float
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """All of it.

    Attributes:
        breakdowns: scores by property of the examples.
        calibration: by confidence, rising; empty if there is nothing to say.
        calibration_error: mean distance of confidence and share right, weighted by the answers.
        wrong: the hardest wrong answers, the surest of them first.
        right: a few right answers, from the surest to the least sure.
        labels: each label's scores, in order; empty where answers have none.
        confusion: which label is taken for which; None but for one label each.
        facts: figures for the coach: ``n``, ``score`` and ``score_margin`` (points of the main score and half its
            interval), ``null_share`` (answers that are "none"), ``null_share_wanted``, ``confidence`` (mean),
            ``right_share`` (of what was given, where the score counts what was missed too),
            ``one_place_share`` (answers that begin in the same place as most), ``n_given`` and ``n_wanted`` (labels or
            entities), ``one_label_share`` and ``one_label_wanted`` (texts given the label that most are given, and
            texts that have it).

    """

    breakdowns: tuple[Breakdown, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    calibration_error: float = 0.0
    wrong: tuple[ShownAnswer, ...] = ()
    right: tuple[ShownAnswer, ...] = ()
    labels: tuple[LabelScores, ...] = ()
    confusion: Confusion | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
