"""What a check of a data set found, as lines for a terminal."""

from __future__ import annotations

from typing import Any

from distiltune.coach.concerns import concern_lines
from distiltune.coach.cost import Estimate
from distiltune.report.wording import shown_seconds
from distiltune.tasks.question_answering.check import DataReport


def report_lines(report: DataReport) -> list[str]:
    """The report for a terminal."""
    figures = report.statistics
    lines = [
        f"{report.n_examples:,} questions on {figures['passages']:,} passages, "
        f"{report.n_rows - report.n_examples:,} rows left out, {figures['unanswerable_share']:.1%} unanswerable",
        *_statistic_lines(figures),
    ]
    if report.estimate is not None:
        lines.append(_estimate_line(report.estimate))
    lines.append("")
    if report.concerns:
        counts = ", ".join(f"{report.n_of(name)} {name}s" for name in ("error", "warning", "note"))
        lines += [f"findings by kind: {counts}", *concern_lines(report.concerns)]
    else:
        lines.append("nothing is wrong that can be seen before a training")
    return [*lines, "", f"checked in {shown_seconds(report.seconds)}"]


def _statistic_lines(figures: dict[str, Any]) -> list[str]:
    def spread(name: str) -> str:
        return "{median:.0f} / {p95:.0f} / {max:.0f}".format(**figures[name])

    classes = ", ".join(
        f"{name} {count / figures['questions']:.0%}" for name, count in figures["question_classes"].items()
    )
    places = " ".join(f"{share:.0%}" for share in figures["answer_position_tenths"])
    return [
        f"words (median / 95 % / most): question {spread('question_words')}, answer {spread('answer_words')}, "
        f"passage {spread('passage_words')}",
        f"questions: {classes}",
        f"answers begin, by tenth of the passage: {places}",
        f"windows: {figures['windows']:,} ({spread('windows_a_question')} a question), "
        f"tokens {spread('tokens_a_window')}, {figures['unknown_token_share']:.2%} [UNK], "
        f"{figures['pieces_a_word']:.2f} pieces a word",
    ]


def _estimate_line(estimate: Estimate) -> str:
    return (
        f"training on this machine: about {shown_seconds(estimate.train_seconds)} "
        f"({estimate.n_steps:,} steps, {estimate.tokens_per_second:,.0f} tokens/s), "
        f"about {estimate.memory_bytes / 1e9:.1f} GB of memory"
    )
