"""The words that a task lends the model card and the report: on its metrics, its use and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["count", "percent", "share", "nats", "score"]


@dataclass(frozen=True, slots=True)
class MetricLabel:
    """A metric in words: what it is called, its unit, and a remark where that is not enough."""

    title: str
    unit: Unit = "score"
    remark: str = ""

    @property
    def in_a_sentence(self) -> str:
        """Its title where no sentence begins."""
        return self.title[0].lower() + self.title[1:] if self.title[1:2].islower() else self.title

    @property
    def decimals(self) -> str:
        """The format of its figures in a sentence."""
        return ".2f" if self.unit == "percent" else ".4f"


@dataclass(frozen=True, slots=True)
class UsageExample:
    """A way to use the model, as a heading, a sentence, and code in a language that Markdown knows."""

    title: str
    text: str
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class TaskGuide:
    """The words for one task.

    Attributes:
        sentence: what the model does, as the end of "It …".
        pipeline_tag: the hub's name of the task, "" if it is not one of the hub's.
        tags: the card's tags beside ``distilbert`` and ``distiltune``.
        metrics: the metrics by name, in the order in which they are shown.
        headlines: the metrics that stand at the top of the page and in the card's metadata.
        usage: the ways to use the model.
        limits: sentences on what not to expect.
        figures: what the epoch table's figures are.
        decisions: what was fitted on the validation data, and whether it was kept, a line each.
        decisive: the metric that says which of two models is the better one, "" if only the loss does.
        example: what one example is called.
        answers: what is given, in the plural.
        exact: what the share of right ones counts.
        hardest: what the hardest wrong ones are, after their number.

    """

    sentence: str
    pipeline_tag: str
    tags: tuple[str, ...]
    metrics: Mapping[str, MetricLabel]
    headlines: tuple[str, ...]
    usage: tuple[UsageExample, ...]
    limits: tuple[str, ...]
    figures: str = "Loss is in nats, accuracies are shares of the windows."
    decisions: tuple[str, ...] = ()
    decisive: str = ""
    example: str = "example"
    answers: str = "answers"
    exact: str = "right answers"
    hardest: str = "wrong ones"

    def scores(self, metrics: Mapping[str, float]) -> str:
        """The headlines with their figures in words, as far as they were measured."""
        labels = {name: self.label(name) for name in self.headlines if name in metrics}
        return ", ".join(f"{label.in_a_sentence} {metrics[n]:{label.decimals}}" for n, label in labels.items())

    def label(self, metric: str) -> MetricLabel:
        """The metric in words; one that the guide does not know gets its name, made readable."""
        words = metric.replace("_", " ")
        return self.metrics.get(metric) or MetricLabel(words[:1].upper() + words[1:])
