"""What a check of questions found, as lines for a terminal, and what `distiltune check` has done with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distiltune.checks.data_check import Checked, found_lines
from distiltune.tasks.question_answering.check.data_check import DataReport, check_sources
from distiltune.tasks.question_answering.check.fix import changes_path, check_output, write_fixed
from distiltune.tasks.question_answering.check.fix import fix as mend
from distiltune.tasks.question_answering.settings import QuestionAnsweringSettings


def check(
    data: Sequence[str], against: Sequence[str], settings: QuestionAnsweringSettings, fix: Path | None
) -> Checked:
    """Check questions, and write them cleaned if ``fix`` says where.

    Raises:
        DistiltuneError: if the data or the model cannot be read, or the cleaned data not be written.

    """
    if fix is not None:
        check_output(fix, list(data))
    report = check_sources(data, against, settings)
    lines = report_lines(report)
    if fix is not None:
        write_fixed(mend(report.examples, report.repeats), fix)
        lines.append(f"cleaned data: {fix}; what was changed: {changes_path(fix)}")
    return Checked(lines, report.as_json())


def report_lines(report: DataReport) -> list[str]:
    """The report for a terminal."""
    figures = report.statistics
    lines = [
        f"{report.n_examples:,} questions on {figures['passages']:,} passages, "
        f"{report.n_rows - report.n_examples:,} rows left out, {figures['unanswerable_share']:.1%} unanswerable",
        *_statistic_lines(figures),
    ]
    return [*lines, *found_lines(report.concerns, report.estimate, report.seconds)]


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
