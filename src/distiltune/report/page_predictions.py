"""The page's section with the predictions themselves, in which words can be searched for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final

from distiltune.report.markup import Section, scrolling_table
from distiltune.report.run_summary import RunSummary
from distiltune.report.wording import plain
from distiltune.tasks.analysis import ScoredAnswer

MOST_ROWS: Final = 1_000
"""More would make a page of many megabytes; the wrong ones come first."""

_CHARACTERS: Final = 300


def search_script() -> str:
    """The page's one script, which shows the rows that hold the words searched for."""
    return files("distiltune.report").joinpath("search.js").read_text(encoding="utf-8").strip()


def script_hash(script: str) -> str:
    """What a Content-Security-Policy names a script by that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def prediction_sections(summary: RunSummary) -> list[Section]:
    """The section, if there are predictions."""
    if not summary.answers:
        return []
    shown = _chosen(summary.answers)
    n = len(summary.answers)
    of = f"All {n:,}." if len(shown) == n else f"{len(shown):,} of {n:,}, the wrong ones first."
    guide = summary.guide
    search = (
        '<div class="search" hidden><label for="search">Search</label> <input id="search" type="search"> '
        '<label><input id="only-wrong" type="checkbox"> only wrong ones</label> '
        f'<span id="found" class="remark" role="status">{len(shown):,} shown</span></div>'
    )
    titles = (guide.example.capitalize(), "Given", "Right", "How sure", "")
    table = scrolling_table("", titles, map(_row, shown), kind="predictions", label="All predictions")
    return [Section("predictions", "Predictions", f"<p>{of} All are in answers.jsonl.</p>\n{search}\n{table}")]


def _chosen(answers: Sequence[ScoredAnswer]) -> list[ScoredAnswer]:
    """All, in order; or of too many the wrong ones first."""
    if len(answers) <= MOST_ROWS:
        return list(answers)
    return sorted(answers, key=lambda each: each.exact)[:MOST_ROWS]


def _row(answer: ScoredAnswer) -> str:
    is_right = answer.exact >= 1.0
    wanted = " / ".join(filter(None, answer.wanted)) or "nothing"
    word = "right" if is_right else f"partly, F1 {100 * answer.f1:.0f} %" if answer.f1 > 0 else "wrong"
    cells = "".join(
        f"<td>{escape(plain(each))}</td>"
        for each in (answer.given or "nothing", wanted, f"{answer.confidence:.0%}", word)
    )
    asked = plain(answer.asked)
    asked = asked if len(asked) <= _CHARACTERS else f"{asked[:_CHARACTERS]}…"
    return f'<tr class="{"is-right" if is_right else "is-wrong"}"><th scope="row">{escape(asked)}</th>{cells}</tr>'
