"""Short HTML for a notebook: everything of the user's escaped, figures where they belong, gaps where there is none."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import pytest

from distiltune.coach.sickness import Advice
from distiltune.report.short_html import (
    advice_list,
    as_printed,
    block,
    epochs_table,
    line,
    listed,
    loss_curve,
    metrics_table,
    one_line,
)
from distiltune.tasks.guide import MetricLabel, TaskGuide
from distiltune.training.loop import EpochReport
from distiltune.training.objective import TableColumn

EVIL = "<script>alert('x')</script>&\u202e"
COLUMNS = (TableColumn("Train Loss", "train", "loss"), TableColumn("Validation <Loss>", "validation", "loss"))


class Tags(HTMLParser):
    """The elements in a piece of HTML, which must be closed in the order in which they are opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.found: list[str] = []
        self.feed(html)
        assert not self.opened, self.opened

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def epoch(number: int, train: float, validation: float | None = None) -> EpochReport:
    shown = {} if validation is None else {"loss": validation}
    return EpochReport(number, {"loss": train}, shown, 1e-3, 1.0, 1.0, 8, 80)


def guide() -> TaskGuide:
    metrics = {"f1": MetricLabel("F1", "percent"), "n": MetricLabel(EVIL, "count")}
    return TaskGuide("", "", (), metrics, ("f1",), (), ())


@pytest.mark.parametrize(
    "html",
    [
        line(EVIL, bold=True, muted=True, indent=2),
        advice_list([Advice("error", "x", EVIL, EVIL, EVIL), Advice("note", "y", EVIL, EVIL)]),
        listed([EVIL] * 3, most=1),
        as_printed([EVIL, "a  b"]),
        metrics_table({"f1": 50.0, "n": 3.0, EVIL: 0.5}, guide()),
        epochs_table((TableColumn(EVIL, "train", "loss"),), [epoch(0, 1.0)], 0),
        block([line(EVIL), ""]),
    ],
    ids=("line", "advice", "listed", "printed", "metrics", "epochs", "block"),
)
def test_nothing_of_the_users_is_markup(html: str) -> None:
    assert "script" not in Tags(html).found
    assert "<script" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_the_table_has_every_epoch_and_marks_the_best() -> None:
    html = epochs_table(COLUMNS, [epoch(0, 1.25, 2.0), epoch(1, 0.5)], 1)
    assert Tags(html).found.count("tr") == 3
    assert "Validation &lt;Loss&gt;" in html
    first, second = html.split("<tr")[2:]
    assert "1.2500" in first
    assert "700" not in first
    assert "0.5000" in second
    assert ">-<" in second  # not measured
    assert "font-weight:700" in second
    assert epochs_table(COLUMNS, [], None) == ""


def test_a_curve_has_a_mark_for_each_figure_and_gaps_for_what_is_none() -> None:
    html = loss_curve([epoch(0, 2.0, 2.5), epoch(1, math.nan, 2.0), epoch(2, 1.0, 3.0)])
    assert Tags(html).found.count("circle") == 5
    assert "training from 2.0000 to 1.0000" in html
    assert "3.0000 at the top, 1.0000 at the bottom" in html
    gap = html.split('stroke="#0072b2"')[0].rpartition('d="')[2]
    assert gap.count("M") == 2
    assert "L" not in gap


def test_there_is_no_curve_of_nothing() -> None:
    assert loss_curve([epoch(0, 1.0)]) == ""
    assert loss_curve([epoch(0, math.nan), epoch(1, math.inf)]) == ""
    assert "circle" in loss_curve([epoch(0, 1.0), epoch(1, 1.0)])  # all the same is a line in the middle


def test_metrics_are_in_the_guides_order_with_their_units() -> None:
    html = metrics_table({"own": 0.25, "n": 1200.0, "f1": 57.4321}, guide())
    assert html.index("57.43 %") < html.index("1,200") < html.index("Own") < html.index("0.2500")


def test_a_long_list_is_folded() -> None:
    html = listed([f"note {i}" for i in range(12)], most=10)
    assert "2 more" in html
    assert html.index("note 9") < html.index("<details>") < html.index("note 10")
    assert listed([]) == ""


def test_columns_of_a_terminal_stay_below_each_other() -> None:
    assert "a   1\nbb  2" in as_printed(["a   1", "bb  2"])


def test_one_line() -> None:
    assert one_line("a\nb") == "a b"
    assert one_line("x" * 99) == "x" * 59 + "…"
