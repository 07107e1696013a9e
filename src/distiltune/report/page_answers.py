"""The page's sections on the answers themselves: advice, scores by kind, calibration, the hardest wrong answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from distiltune.coach.sickness import Advice
from distiltune.report.markup import Section, scrolling_table, table_row
from distiltune.report.page_labels import label_sections
from distiltune.report.run_summary import RunSummary
from distiltune.report.wording import plain, shown_text
from distiltune.tasks.analysis import Analysis, Breakdown, CalibrationBin, Interval, ShownAnswer, Stretch
from distiltune.tasks.guide import TaskGuide

_SEVERITIES = {"error": "Error", "warning": "Warning", "note": "Note"}
_COMMAND = re.compile(r"distiltune [a-z-]+(?: [A-Z]+| --[a-z-]+(?: [\w.:/-]*\w)?)*|--[a-z-]+(?: [\d.e-]*\d)?")
_MARK_NAMES = {"gold": "right answer", "given": "answer given"}


def advice_section(summary: RunSummary) -> Section:
    """What the coach says, the first thing to do first."""
    if not summary.advice:
        html = "<p>Nothing that the coach looks for went wrong in this run.</p>"
    else:
        items = "\n".join(_advice(each, summary) for each in summary.advice)
        html = f'<ol class="advice">\n{items}\n</ol>'
    return Section("advice", "What the coach says", html)


def answer_sections(summary: RunSummary) -> list[Section]:
    """Where the answers of the best epoch are right and where wrong; nothing if that is unknown."""
    analysis = summary.analysis
    if analysis is None:
        return []
    sections = label_sections(analysis)
    if analysis.breakdowns:
        sections.append(Section("kinds", "Where it is right, and where not", _breakdowns(analysis)))
    if analysis.calibration:
        sections.append(
            Section("calibration", "Whether it knows when it is right", _calibration(analysis, summary.guide))
        )
    if analysis.wrong:
        sections.append(Section("wrong", f"The hardest wrong {summary.guide.answers}", _wrong(analysis, summary.guide)))
    if analysis.right:
        sections.append(Section("right", f"Right {summary.guide.answers}", _right(analysis)))
    return sections


def _advice(advice: Advice, summary: RunSummary) -> str:
    message = shown_text(advice.message, summary)
    lines = [
        f'<li class="{advice.severity}">',
        f'<p><span class="severity">{_SEVERITIES[advice.severity]}</span> '
        f"<strong>{escape(message[:1].upper() + message[1:])}.</strong></p>",
        f'<p class="remark">Why: {escape(shown_text(advice.evidence, summary))}</p>',
    ]
    if advice.command:
        lines.append(f"<p>What to do: {_with_code(shown_text(advice.command, summary))}</p>")
    return "\n".join([*lines, "</li>"])


def _with_code(text: str) -> str:
    """A sentence in which flags with their values, and commands, are set as code."""
    return _COMMAND.sub(r"<code>\g<0></code>", escape(text))


def _breakdowns(analysis: Analysis) -> str:
    intro = (
        "<p>Scores of the best epoch in percent; the line is the interval that holds the true score with a confidence "
        "of 95 %. Where the lines of two rows overlap widely, their difference may be chance.</p>"
    )
    return intro + "\n".join(map(_breakdown, analysis.breakdowns))


def _breakdown(breakdown: Breakdown) -> str:
    metrics = list(dict.fromkeys(name for each in breakdown.rows for name in each.scores))
    rows = []
    for each in breakdown.rows:
        cells = "".join(_score_cell(each.scores[name]) if name in each.scores else "<td></td>" for name in metrics)
        rows.append(f'<tr><th scope="row">{escape(plain(each.label))}</th><td>{each.n:,}</td>{cells}</tr>')
    return scrolling_table(breakdown.title, ("Kind", "Count", *metrics), rows, kind="kinds")


def _score_cell(score: Interval) -> str:
    """The figure, its interval, and both drawn on a line from 0 to 100."""
    low, high, value = (max(0.0, min(100.0, each)) for each in (score.low, score.high, score.value))
    picture = (
        '<svg class="interval" viewBox="-4 0 208 10" aria-hidden="true">'
        '<path class="scale" d="M0 5H200"/>'
        f'<path class="span" d="M{2 * low:.1f} 5H{2 * high:.1f}"/><circle cx="{2 * value:.1f}" cy="5" r="3.5"/></svg>'
    )
    return (
        f'<td><span class="score">{score.value:.1f}</span> '
        f'<span class="remark">{score.low:.1f} to {score.high:.1f}</span>{picture}</td>'
    )


def _calibration(analysis: Analysis, guide: TaskGuide) -> str:
    error = 100 * analysis.calibration_error
    sure = sum(each.n * each.confidence for each in analysis.calibration)
    right = sum(each.n * each.right.value for each in analysis.calibration)
    if error < 5:
        verdict = "its confidence can be taken as the chance of being right"
    elif sure > right:
        verdict = "it is surer than it should be"
    else:
        verdict = "it is less sure than it could be"
    words = (
        f"<p>On average the confidence is {error:.1f} points away from the share of {guide.exact}: {verdict}. "
        f"A point on the diagonal means: of the {guide.answers} with this confidence, so many are right.</p>"
    )
    rows = [
        table_row(
            (
                f"{100 * each.confidence:.0f} %",
                f"{each.n:,}",
                f"{100 * each.right.value:.0f} % ({100 * each.right.low:.0f} to {100 * each.right.high:.0f})",
            )
        )
        for each in analysis.calibration
    ]
    table = scrolling_table(
        "", ("Mean confidence", guide.answers.capitalize(), "Right (95 % interval)"), rows, kind="facts"
    )
    return (
        f"{words}\n{calibration_picture(analysis.calibration)}\n"
        f"<details>\n<summary>The same as a table</summary>\n{table}\n</details>"
    )


def calibration_picture(bins: Sequence[CalibrationBin]) -> str:
    """Share of right answers over confidence, with intervals, in the page's own colours."""
    size, left, top = 260.0, 52.0, 12.0

    def x(share: float) -> float:
        return left + size * share

    def y(share: float) -> float:
        return top + size * (1 - share)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{x(0):.1f} {y(tick):.1f}H{x(1):.1f}"/>')
        parts.append(f'<text x="{x(0) - 8:.1f}" y="{y(tick) + 4:.1f}" text-anchor="end">{100 * tick:.0f}</text>')
        parts.append(f'<text x="{x(tick):.1f}" y="{y(0) + 18:.1f}" text-anchor="middle">{100 * tick:.0f}</text>')
    parts.append(f'<path class="diagonal" d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"/>')
    for each in bins:
        at = x(each.confidence)
        parts.append(f'<path class="span" d="M{at:.1f} {y(each.right.low):.1f}V{y(each.right.high):.1f}"/>')
        parts.append(f'<circle cx="{at:.1f}" cy="{y(each.right.value):.1f}" r="4.5"/>')
    middle = y(0.5)
    parts.append(f'<text x="{x(0.5):.1f}" y="{y(0) + 38:.1f}" text-anchor="middle">Confidence (%)</text>')
    parts.append(
        f'<text x="14" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 14 {middle:.1f})">'
        "Exactly right (%)</text>"
    )
    return (
        f'<svg class="calibration" viewBox="0 0 {left + size + 16:.0f} {top + size + 46:.0f}" role="img" '
        'aria-labelledby="calibration-title">\n'
        '<title id="calibration-title">Share of exactly right answers by confidence; the figures are in the table '
        f"below</title>\n{''.join(parts)}\n</svg>"
    )


def _wrong(analysis: Analysis, guide: TaskGuide) -> str:
    intro = f"<p>{len(analysis.wrong)} {guide.hardest}, those first of which the model was surest."
    if any(stretch.marks for each in analysis.wrong for stretch in each.passage):
        intro += ' In the texts: <mark class="gold">what is right</mark>, <mark class="given">what was given</mark>.'
    return f"{intro}</p>\n" + "\n".join(map(_shown_answer, analysis.wrong))


def _right(analysis: Analysis) -> str:
    intro = "<p>Some that are right, from what the model was surest of to what it was least sure of.</p>\n"
    return intro + "\n".join(map(_shown_answer, analysis.right))


def _shown_answer(answer: ShownAnswer) -> str:
    passage = "".join(map(_stretch, answer.passage))
    sure = ""
    if answer.confidence is not None:
        sure = f' <span class="remark">({100 * answer.confidence:.0f} % sure)</span>'
    return (
        f'<article>\n<h3>{escape(plain(answer.title))}</h3>\n<dl class="pair">'
        f"<dt>Given</dt><dd>{escape(plain(answer.given))}{sure}</dd>"
        f"<dt>Right</dt><dd>{escape(plain(answer.wanted))}</dd></dl>\n<p>{passage}</p>\n</article>"
    )


def _stretch(stretch: Stretch) -> str:
    text = escape(stretch.text.encode("utf-8", "replace").decode("utf-8"))
    if not stretch.marks:
        return text
    marks = [name for name in _MARK_NAMES if name in stretch.marks]
    spoken = " and ".join(_MARK_NAMES[name] for name in marks)
    return f'<mark class="{" ".join(marks)}"><span class="spoken">[{spoken}:] </span>{text}</mark>'
