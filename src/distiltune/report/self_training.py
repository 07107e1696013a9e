"""What a run that learnt from texts without labels did, in words: for the terminal, the log, the page and the card."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Final, Self

from distiltune.progress import counted
from distiltune.report.markup import Section, scrolling_table, table_row
from distiltune.report.model_card import escape as in_markdown
from distiltune.report.wording import plain
from distiltune.tasks.self_taught import OfLabel, OwnLabels, Rights, UnlabelledTexts

_ANCHOR: Final = "self-training"
_TITLE: Final = "Self-training"
_SHOWN_LABELS: Final = 12


@dataclass(frozen=True, slots=True)
class TextChoice:
    """Which texts without labels are learnt from, counted.

    Attributes:
        n_read: texts that were read.
        n_repeated: left out, since the same was read before.
        n_known: left out, since they are in the training or the validation data.
        of_label: what there is of each label.
        most: texts kept at most for each training text with the label.
        confidence: the least that was asked for.
        lowest: the confidence of the least sure text that is kept; 0 if none is.
        temperature: that confidences are at.
        n_calibrated: validation texts that it was fitted on; 0: it was not.

    """

    n_read: int
    n_repeated: int
    n_known: int
    of_label: Mapping[str, OfLabel]
    most: float
    confidence: float
    lowest: float
    temperature: float
    n_calibrated: int

    @classmethod
    def of(cls, texts: UnlabelledTexts, made: OwnLabels, most: float, confidence: float) -> Self:
        """What was chosen among these texts."""
        lowest = min((float(row["confidence"]) for row in made.rows), default=0.0)
        counts = texts.n_read, texts.n_repeated, texts.n_known
        return cls(*counts, made.of_label, most, confidence, lowest, made.temperature, made.n_calibrated)

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The way back.

        Raises:
            TypeError, AttributeError: if it is no such record.

        """
        return cls(**{**values, "of_label": {name: OfLabel(**each) for name, each in values["of_label"].items()}})

    @property
    def n_labelled(self) -> int:
        """Texts that the first model labelled."""
        return sum(each.n_given for each in self.of_label.values())

    @property
    def n_kept(self) -> int:
        """Texts that the second training learns from."""
        return sum(each.n_kept for each in self.of_label.values())

    @property
    def n_training(self) -> int:
        """Texts with labels."""
        return sum(each.n_training for each in self.of_label.values())

    def lines(self) -> Iterator[str]:
        """In sentences."""
        out = [f"{self.n_repeated:,} read before", f"{self.n_known:,} in the labelled data"]
        yield (
            f"self-training: {counted(self.n_read, 'text')} without labels, left out {' and '.join(out)}; of "
            f"{self.n_labelled:,} labelled by the first model, {self.n_kept:,} are kept"
        )
        shown = [f"{name} {each.n_kept:,} of {each.n_given:,}" for name, each in self.of_label.items()]
        more = f" and {len(shown) - _SHOWN_LABELS:,} labels more" if len(shown) > _SHOWN_LABELS else ""
        kept = ", ".join(shown[:_SHOWN_LABELS]) + more
        yield f"kept of each label, the surest, at most {self.most:g} for each labelled text with it: {kept}"
        least = f"the least confidence of them is {self.lowest:.2f} (asked for: {self.confidence:g})"
        if self.n_calibrated:
            yield f"{least}, calibrated on {self.n_calibrated:,} validation texts (temperature {self.temperature:.2f})"
        else:
            yield f"{least}, as the model gives it: there is too little validation data to calibrate it by"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which of the two models is the run's, and why.

    Attributes:
        n: texts that both were judged on.
        only_first: those of which the first alone is right.
        only_second: those of which the second alone is.
        both: those of which both are.
        held_out: whether they are validation data; else the training texts themselves.

    """

    n: int
    only_first: int
    only_second: int
    both: int
    held_out: bool

    @classmethod
    def of(cls, first: Rights, second: Rights) -> Self:
        """How the two compare, text by text."""
        a, b = first.right, second.right
        return cls(len(a), int((a & ~b).sum()), int((b & ~a).sum()), int((a & b).sum()), first.held_out)

    @property
    def keeps_second(self) -> bool:
        """Whether the second is no worse than chance explains.

        Of the texts of which one alone is right, each is as likely the one's as the other's where both are equally
        good; the difference then has a standard error of the root of their number (McNemar 1947). More is drift.
        """
        return self.only_first - self.only_second <= math.sqrt(self.only_first + self.only_second)

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return {**asdict(self), "kept": "second" if self.keeps_second else "first"}

    def lines(self) -> Iterator[str]:
        """In sentences."""
        n_right = self.both + self.only_first, self.both + self.only_second
        of = "validation" if self.held_out else "training"
        each = f"of {self.n:,} {of} texts the first is right about {n_right[0]:,}, the second about {n_right[1]:,}"
        alone = f"the first alone about {self.only_first:,}, the second alone about {self.only_second:,}"
        if self.keeps_second:
            yield f"self-training: the second model is kept: {each} ({alone})"
        else:
            why = "since the second is worse by more than chance"
            yield f"self-training: the first model is kept, {why}: {each} ({alone})"
        if not self.held_out:
            yield (
                "there is no validation data, so the two were judged by the training texts, which both have learnt: "
                "that shows gross drift only; whether the second model is better is not known"
            )


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """What a run did with texts without labels.

    Attributes:
        choice: which it learnt from.
        verdict: which model was kept; None: no text was kept, so there was no second training.
        seconds: spent in training steps, by stage.

    """

    choice: TextChoice
    verdict: Verdict | None
    seconds: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        verdict = None if self.verdict is None else self.verdict.as_json()
        return {"choice": self.choice.as_json(), "verdict": verdict, "seconds": dict(self.seconds)}

    def lines(self) -> Iterator[str]:
        """In sentences."""
        yield from self.choice.lines()
        yield from self.outcome()
        spent = ", ".join(f"{name.replace('-', ' ')} {seconds:.1f} s" for name, seconds in self.seconds.items())
        yield f"time in training steps: {spent}"

    def outcome(self) -> Iterator[str]:
        """Which model is the run's, in sentences."""
        if self.verdict is None:
            yield "self-training: no text could be kept, so there is no second training; the first model is the run's"
        else:
            yield from self.verdict.lines()

    def section(self) -> Section:
        """The section of the page."""
        sentences = "\n".join(f"<li>{escape(plain(line))}</li>" for line in self.lines())
        rows = [
            table_row((name, *(f"{n:,}" for n in (each.n_training, each.n_given, each.n_allowed, each.n_kept))))
            for name, each in self.choice.of_label.items()
        ]
        head = ("Label", "Labelled texts", "Given by the first model", "Kept at most", "Kept")
        caption = "Every text that was kept, with its label, is a line of self-labels.jsonl."
        return Section(
            _ANCHOR, _TITLE, f"<ul>\n{sentences}\n</ul>\n{scrolling_table(caption, head, rows, kind='facts')}"
        )

    def on_card(self, card: str) -> str:
        """A model card with it at its end."""
        return (
            f"{card.rstrip()}\n\n## {_TITLE}\n\n" + "\n".join(f"- {in_markdown(line)}" for line in self.lines()) + "\n"
        )
