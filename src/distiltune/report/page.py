"""The run's page, report.html: one file that needs no other, for wide and narrow screens, light and dark.

Everything that is not markup of this module is escaped; the curves come from `draw_curves`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from distiltune.progress import counted, shown_seconds
from distiltune.report.curves import BAND, INK, PAPER, RULE, describe_curves
from distiltune.report.epoch_table import header, row
from distiltune.report.markup import Section, prose, scrolling_table, table_row
from distiltune.report.page_answers import advice_section, answer_sections
from distiltune.report.page_predictions import prediction_sections, script_hash, search_script
from distiltune.report.run_summary import RunSummary
from distiltune.report.verdict import verdict
from distiltune.report.wording import (
    best_epoch_sentence,
    plain,
    shown_data,
    shown_findings,
    shown_machine,
    shown_metric,
    shown_metrics,
    shown_name,
    shown_text,
    shown_value,
    shown_versions,
)
from distiltune.tasks.guide import TaskGuide, UsageExample

_PAGE_COLOURS: Final = {INK: "var(--ink)", PAPER: "var(--surface)", RULE: "var(--rule)", BAND: "var(--band)"}
_SERVE: Final = UsageExample("As a page and an API", "For yourself and others:", "bash", "distiltune serve .")
_NOT_IN_A_PAGE: Final = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)


def report_page(summary: RunSummary, curves_svg: str) -> str:
    """The page as HTML.

    Args:
        summary: the run.
        curves_svg: the text of the file that `draw_curves` wrote for this run.

    """
    guide = summary.guide
    sections = [
        advice_section(summary),
        Section("use", "How to use this model", _usage(guide)),
        *answer_sections(summary),
        *prediction_sections(summary),
        Section("epochs", "Epoch by epoch", _epochs(summary)),
        Section("curves", "Curves", _curves(summary, curves_svg)),
        Section("results", "All metrics", _results(summary, guide)),
        Section("data", "Data", _data(summary)),
        Section("recipe", "Recipe", _recipe(summary)),
        Section("surroundings", "Machine and versions", _surroundings(summary)),
    ]
    if summary.notes:
        sections.insert(-3, Section("notes", "Notes", _notes(summary)))
    title = escape(plain(summary.name))
    script = search_script() if summary.answers else ""
    scripts = f" script-src {script_hash(script)};" if script else ""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';{scripts} style-src 'unsafe-inline'">
<title>{title} – distiltune</title>
<style>
{files("distiltune.report").joinpath("page.css").read_text(encoding="utf-8").strip()}
</style>
</head>
<body>
<header>
<p class="kicker">distiltune, {escape(plain(summary.task.replace("-", " ")))}</p>
<h1>{title}</h1>
<p class="verdict">{escape(plain(verdict(summary)))}</p>
<p>{escape(_introduction(summary))}</p>
{_headlines(summary, guide)}
</header>
{_contents(sections)}
<main>
{"".join(section.markup() for section in sections)}</main>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def with_section(page: str, section: Section) -> str:
    """A page of `report_page` with one section more, before all others."""
    entry = f'<li><a href="#{section.anchor}">{section.title}</a></li>\n'
    page = page.replace('<ol class="contents">\n', f'<ol class="contents">\n{entry}', 1)
    return page.replace("<main>\n", f"<main>\n{section.markup()}", 1)


def _contents(sections: Sequence[Section]) -> str:
    items = "\n".join(f'<li><a href="#{each.anchor}">{each.title}</a></li>' for each in sections)
    return f'<nav aria-label="Contents">\n<ol class="contents">\n{items}\n</ol>\n</nav>'


def inline_svg(svg: str, title: str, description: str) -> str:
    """A picture of `draw_curves` as part of a page: named for those who do not see it, in the page's colours.

    Raises:
        ValueError: if the text is not an SVG.

    """
    opening = re.search(r"<svg\b[^>]*>", svg)
    view_box = re.search(r'viewBox="([-\d. ]+)"', opening.group()) if opening else None
    if opening is None or view_box is None:
        raise ValueError("the curves are not an SVG with a viewBox")
    body = _NOT_IN_A_PAGE.sub("", svg[opening.end() :])
    body = body.replace("*{", ".curves *{")  # its style must not reach the rest of the page
    for colour, on_page in _PAGE_COLOURS.items():
        body = body.replace(colour, on_page)
    return (
        f'<svg class="curves" viewBox="{view_box[1]}" role="img"'
        ' aria-labelledby="curves-title curves-text">\n'
        f'<title id="curves-title">{escape(title)}</title>\n'
        f'<desc id="curves-text">{escape(description)}</desc>\n{body.strip()}'
    )


def _introduction(summary: RunSummary) -> str:
    base = shown_name(summary.base_model, summary.hub_names)
    size = f", {summary.n_parameters:,} parameters" if summary.n_parameters is not None else ""
    return f"Fine-tuned from {base}{size}. {best_epoch_sentence(summary)}"


def _headlines(summary: RunSummary, guide: TaskGuide) -> str:
    """The figures to see first: the task's own, the loss, the time, the amount of data."""
    metrics = summary.final_metrics
    tiles = []
    for name in guide.headlines:
        if name in metrics:
            label = guide.label(name)
            tiles.append((label.title, shown_metric(metrics[name], label), label.remark))
    loss = guide.label("loss")
    if "loss" in metrics:
        tiles.append(("Validation loss", shown_metric(metrics["loss"], loss), loss.remark))
    elif summary.epochs and "loss" in summary.epochs[-1].train:
        value = shown_metric(summary.epochs[-1].train["loss"], loss)
        tiles.append(("Train loss", value, f"{loss.remark}, last epoch"))
    n_tokens = sum(report.n_tokens for report in summary.epochs)
    rate = f"{n_tokens / summary.train_seconds:,.0f} tokens a second" if summary.train_seconds > 0 else ""
    tiles.append(("Training time", shown_seconds(summary.train_seconds), rate))
    n_features = counted(summary.train.n_features, "window")
    tiles.append((f"Training {guide.example}s", f"{summary.train.n_examples:,}", n_features))
    items = "\n".join(
        f'<div><dt>{escape(name)}</dt><dd><span class="figure">{escape(value)}</span>'
        f'<span class="remark">{escape(remark)}</span></dd></div>'
        for name, value, remark in tiles
    )
    return f'<dl class="headlines">\n{items}\n</dl>'


def _epochs(summary: RunSummary) -> str:
    kept = "best" if summary.final_metrics else "kept"
    lines = []
    for report in summary.epochs:
        epoch, *figures = row(report, summary.columns)
        is_kept = report.epoch == summary.best_epoch
        tag = f' <span class="tag">{kept}</span>' if is_kept else ""
        opening = '<tr class="best">' if is_kept else "<tr>"
        cells = "".join(f"<td>{escape(figure)}</td>" for figure in figures)
        lines.append(f'{opening}<th scope="row">{epoch}{tag}</th>{cells}</tr>')
    caption = (
        "Train figures are means over the epoch as it ran, with dropout on; validation figures were measured "
        f"at its end. {summary.guide.figures}"
    )
    return scrolling_table(caption, header(summary.columns), lines, kind="figures")


def _curves(summary: RunSummary, svg: str) -> str:
    picture = inline_svg(svg, "Curves of the training", describe_curves(summary))
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Curves of the training">\n{picture}\n</div>'


def _usage(guide: TaskGuide) -> str:
    parts = ["<p>The model is in the folder <code>model</code> beside this page; run these in there.</p>"]
    for each in (*guide.usage, _SERVE):
        text = f"<p>{escape(each.text)}</p>" if each.text else ""
        title, code = escape(each.title), f"<code>{escape(each.code.strip())}</code>"
        box = f'<pre tabindex="0" role="region" aria-label="{title}">{code}</pre>'
        parts.append(f"<h3>{title}</h3>\n{text}\n{box}")
    return "\n".join(parts)


def _results(summary: RunSummary, guide: TaskGuide) -> str:
    rows = shown_metrics(summary, guide)
    if not rows:
        return "<p>There was no validation data, so nothing was measured.</p>"
    caption = f"Epoch {summary.best_epoch} on the validation data, dropout off."
    return scrolling_table(caption, ("Metric", "Value", "Remark"), map(table_row, rows), kind="facts metrics")


def _data(summary: RunSummary) -> str:
    rows = map(table_row, shown_data(summary))
    table = scrolling_table("What was trained on and evaluated on.", ("", *summary.data), rows, kind="facts split")
    found = [
        table_row((name, outcome, kind, f"{count:,}"))
        for name, data in summary.data.items()
        for outcome, kind, count in shown_findings(data)
    ]
    if not found:
        return f"{table}\n<p>No row was left out or repaired.</p>"
    caption = "What was noticed while the rows were read. What was left out is listed in rejected.jsonl."
    return table + scrolling_table(caption, ("Set", "Rows were", "Because", "How many"), found, kind="facts")


def _recipe(summary: RunSummary) -> str:
    rows = [
        f'<tr><th scope="row"><code>{escape(entry.name)}</code></th>'
        f'<td><span class="value">{escape(shown_value(entry.value, summary))}</span> '
        f'<span class="remark">{prose(entry.description)}</span></td></tr>'
        for entry in summary.recipe
    ]
    table = scrolling_table("", ("Setting", "Value and meaning"), rows, kind="facts")
    precision = escape(plain(summary.precision))
    return (
        f"<p>Trained in {precision}.</p>\n<details>\n<summary>All {len(rows)} settings</summary>\n{table}\n</details>"
    )


def _surroundings(summary: RunSummary) -> str:
    seconds = [
        ("Training", shown_seconds(summary.train_seconds)),
        ("Validation", shown_seconds(summary.validation_seconds)),
        ("Whole run", shown_seconds(summary.total_seconds)),
        ("Cost", _cost(summary)),
    ]
    tables = [
        ("Machine", shown_machine(summary)),
        ("Versions", shown_versions(summary)),
        ("Time and cost", seconds),
    ]
    return "\n".join(
        scrolling_table(caption, (), map(table_row, rows), kind="facts narrow") for caption, rows in tables
    )


def _cost(summary: RunSummary) -> str:
    """What the run took of the machine; what that costs depends on whose it is."""
    hours = summary.total_seconds / 3600
    shown = f"{hours:.2f}" if hours >= 0.1 else f"{hours:.4f}"
    if summary.machine.device != "cpu":
        return f"{shown} hours of the device"
    return f"{hours * summary.machine.n_threads:{'.2f' if hours >= 0.1 else '.4f'}} core-hours"


def _notes(summary: RunSummary) -> str:
    items = "\n".join(f"<li>{escape(shown_text(note, summary))}</li>" for note in summary.notes)
    return f"<ul>\n{items}\n</ul>"
