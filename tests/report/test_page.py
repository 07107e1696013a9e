"""The page: one sound HTML file that needs no other and takes no name for markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from distiltune.coach.sickness import Advice
from distiltune.report.curves import BAND, INK, PAPER, RULE, draw_curves
from distiltune.report.page import inline_svg, report_page
from distiltune.report.run_summary import RecipeEntry, RunSummary
from distiltune.tasks.analysis import Analysis, Breakdown, BreakdownRow, Interval, Stretch, WrongAnswer

from .a_run import ADVICE, COLUMNS, SCORES, a_run, an_analysis

HOSTILE = '</title><script src="http://evil.example/x.js">alert("1")</script><img src=x onerror=y> & é'
VOID = {"meta", "br", "hr", "img", "link"}


@pytest.fixture(scope="module")
def svg(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("curves")
    draw_curves(a_run(2), folder / "curves.svg", folder / "curves.png")
    return (folder / "curves.svg").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Reads a page, checking that every element is closed in turn, and keeps what tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile_run() -> RunSummary:
    run = a_run(2, name=HOSTILE, task=HOSTILE, base_model=HOSTILE, hub_names=frozenset({HOSTILE}), notes=(HOSTILE,))
    data = replace(run.train, sources=(HOSTILE,), fingerprint=HOSTILE, findings={f"rejected/{HOSTILE}": 1})
    return replace(
        run,
        train=data,
        validation=data,
        versions={HOSTILE: HOSTILE},
        precision=HOSTILE,
        git_revision=HOSTILE,
        recipe=(RecipeEntry(HOSTILE, HOSTILE, HOSTILE),),
        columns=(replace(COLUMNS[0], title=HOSTILE),),
        final_metrics={HOSTILE: 1.0},
        advice=(Advice("error", HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        analysis=Analysis(
            breakdowns=(Breakdown(HOSTILE, (BreakdownRow(HOSTILE, 3, {HOSTILE: Interval(1.0, 0.0, 2.0)}),)),),
            wrong=(WrongAnswer(HOSTILE, HOSTILE, HOSTILE, 0.5, (Stretch(HOSTILE, frozenset({"gold"})),)),),
        ),
    )


@pytest.mark.parametrize("name", ["usual", "no validation", "hostile"])
def test_the_page_is_sound_and_asks_for_nothing_from_outside(name: str, svg: str) -> None:
    run = {
        "usual": a_run(analysis=an_analysis(), advice=ADVICE),
        "no validation": a_run(1, validation=False),
        "hostile": hostile_run(),
    }[name]
    html = report_page(run, svg)
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.elements:
        for attribute, value in attributes.items():
            assert not attribute.startswith("on")
            if attribute in ("src", "href", "xlink:href", "data", "action"):
                assert tag == "a" or (value or "").startswith("#")
    assert not re.search(r"url\((?!#)|@import|xmlns", html)
    assert re.search(r"https?://", html.replace("http://evil.example", "")) is None


def test_the_page_can_be_read_by_everyone(svg: str) -> None:
    page = Page(report_page(a_run(notes=("A note.",), analysis=an_analysis(), advice=ADVICE), svg))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    for _, attributes in page.elements:
        for anchor in (attributes.get("aria-labelledby") or "").split():
            assert anchor in ids
    assert all("scope" in attributes for attributes in page.all("th"))
    pictures = page.all("svg")
    assert sum(picture.get("role") == "img" for picture in pictures) == 2
    # whatever else is drawn only repeats the figures beside it
    assert all("aria-labelledby" in picture or picture.get("aria-hidden") == "true" for picture in pictures)
    assert any(attributes.get("name") == "viewport" for attributes in page.all("meta"))


def test_the_figures_are_those_of_the_epoch_table(svg: str) -> None:
    cells = Page(report_page(a_run(), svg)).cells
    start = cells.index("Epoch")
    assert cells[start : start + 7] == ["Epoch", *(column.title for column in COLUMNS)]
    assert cells[start + 7 : start + 14] == ["0", "1.8000", "0.5200", "0.4800", "1.3000", "0.6000", "0.5600"]
    assert cells[start + 21] == "2 best"


def test_headlines_metrics_and_surroundings(svg: str) -> None:
    html = report_page(a_run(final_metrics={**SCORES, "unanswerable_exact_match": 61.5}), svg)
    for expected in ("77.23 %", "85.46 %", "61.50 %", "2,333 tokens a second", "AMD EPYC", "2.13.0+cpu", "0123abc"):
        assert expected in html
    assert "answer not found" in html
    assert "<code>learning_rate</code>" in html
    assert "<code>starter</code>" in html


def test_advice_comes_first_with_its_evidence_and_its_command(svg: str) -> None:
    html = report_page(a_run(advice=ADVICE), svg)
    assert html.index("What the coach says") < html.index("Epoch by epoch")
    for expected in ("Overfitting from epoch 3 on.", "1.10 → 1.30", "<code>--epochs 3</code>", "±8 points"):
        assert expected in html
    assert "<code>distiltune find-lr</code>" in html
    assert "Nothing that the coach looks for" in report_page(a_run(), svg)


def test_scores_by_kind_with_their_intervals(svg: str) -> None:
    cells = Page(report_page(a_run(analysis=an_analysis()), svg)).cells
    start = cells.index("who")
    assert [cell.strip() for cell in cells[start : start + 4]] == [
        "who",
        "40",
        "75.0 60.0 to 86.0",
        "80.0 70.0 to 90.0",
    ]


def test_calibration_is_drawn_and_told_as_a_table(svg: str) -> None:
    page = Page(report_page(a_run(analysis=an_analysis()), svg))
    start = page.cells.index("31 %")
    assert page.cells[start : start + 3] == ["31 %", "30", "40 % (25 to 57)"]
    circles = [circle for circle in page.all("circle") if circle.get("r") == "4.5"]
    # left 52 and 260 wide, top 12 and 260 high, 0 at the bottom
    assert [(circle["cx"], circle["cy"]) for circle in circles] == [("132.6", "168.0"), ("286.0", "64.0")]


def test_a_wrong_answer_is_marked_in_its_passage_for_eyes_and_ears(svg: str) -> None:
    html = report_page(a_run(analysis=an_analysis()), svg)
    assert '<mark class="gold"><span class="spoken">[right answer:] </span>Ada</mark>, and not by ' in html
    assert '<mark class="given"><span class="spoken">[answer given:] </span>Bob</mark>.' in html
    assert "93 % sure" in html


def test_without_an_analysis_nothing_is_said_of_the_answers(svg: str) -> None:
    html = report_page(a_run(), svg)
    assert "Where it is right" not in html
    assert "<mark" not in html


def test_without_validation_the_page_says_so(svg: str) -> None:
    html = report_page(a_run(2, validation=False), svg)
    assert "There was no validation data" in html
    assert "Train loss" in html


def test_the_curves_take_the_colours_of_the_page(svg: str) -> None:
    picture = inline_svg(svg, "A & B", "<c>")
    assert not any(colour in picture for colour in (INK, PAPER, RULE, BAND))
    assert "<metadata" not in picture
    assert "<!--" not in picture
    assert "A &amp; B" in picture
    assert "&lt;c&gt;" in picture
    assert ".curves *{" in picture


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not an SVG"):
        inline_svg("<p>", "", "")


def test_the_style_ships_with_the_package() -> None:
    style = files("distiltune.report").joinpath("page.css").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in style
