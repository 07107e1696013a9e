"""The page: one sound HTML file that needs no other and takes no name for markup."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from distiltune.coach.scores import BlindScore
from distiltune.coach.sickness import Advice
from distiltune.report.curves import BAND, INK, PAPER, RULE, draw_curves
from distiltune.report.page import inline_svg, report_page
from distiltune.report.page_predictions import MOST_ROWS
from distiltune.report.run_summary import RecipeEntry, RunSummary
from distiltune.tasks.analysis import (
    Analysis,
    Breakdown,
    BreakdownRow,
    Confusion,
    Interval,
    LabelScores,
    ScoredAnswer,
    ShownAnswer,
    Stretch,
)
from distiltune.tasks.token_classification.guide import token_guide

from .a_run import ADVICE, COLUMNS, SCORES, a_run, an_analysis

ANSWERS = (
    ScoredAnswer("1", "Who built it?", "Bob", ("Ada", "Ada B."), 0.0, 0.0, 0.93),
    ScoredAnswer("2", "When was it built?", "in 1911", ("1911",), 0.0, 0.67, 0.4),
    ScoredAnswer("3", "Where is it?", "Lima", ("Lima",), 1.0, 1.0, 0.99),
)
HOSTILE = '</title><script src="http://evil.example/x.js">alert("1")</script><img src=x onerror=y> & é'
VOID = {"meta", "br", "hr", "img", "link", "input"}


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
        baselines=(BlindScore(HOSTILE, 1.0, 3, who=HOSTILE),),
        analysis=Analysis(
            breakdowns=(Breakdown(HOSTILE, (BreakdownRow(HOSTILE, 3, {HOSTILE: Interval(1.0, 0.0, 2.0)}),)),),
            labels=(LabelScores(HOSTILE, 3, 2, 1),),
            confusion=Confusion((HOSTILE, "b"), ((1, 2), (0, 3)), 2),
            right=(ShownAnswer(HOSTILE, HOSTILE, HOSTILE, 0.5, (Stretch(HOSTILE),)),),
            wrong=(ShownAnswer(HOSTILE, HOSTILE, HOSTILE, 0.5, (Stretch(HOSTILE, frozenset({"gold"})),)),),
        ),
    )


@pytest.mark.parametrize("name", ["usual", "no validation", "hostile"])
def test_the_page_is_sound_and_asks_for_nothing_from_outside(name: str, svg: str) -> None:
    run = {
        "usual": a_run(analysis=an_analysis(), advice=ADVICE, answers=ANSWERS),
        "no validation": a_run(1, validation=False),
        "hostile": hostile_run(),
    }[name]
    html = report_page(run, svg)
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert len(page.all("script")) == (name == "usual")  # the one that searches; it loads nothing, and its hash is told
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form"}
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


def test_the_verdict_stands_first_and_the_contents_lead_everywhere(svg: str) -> None:
    html = report_page(a_run(analysis=an_analysis(), answers=ANSWERS, notes=("A note.",)), svg)
    assert html.index('class="verdict"') < html.index("Fine-tuned from")
    page = Page(html)
    anchors = [str(link["href"]).removeprefix("#") for link in page.all("a")]
    assert anchors == [heading["id"] for heading in page.all("h2")]
    assert {"use", "predictions", "wrong", "curves", "results"} <= set(anchors)
    assert html.index("The hardest wrong answers") < html.index("All metrics")


def test_labels_and_confusion_are_shown(svg: str) -> None:
    table = Confusion(("joy", "anger"), ((8, 2), (1, 0)), 30)
    labels = (LabelScores("joy", 10, 9, 8), LabelScores("anger", 1, 2, 0), LabelScores("fear", 0, 0, 0))
    html = report_page(a_run(analysis=Analysis(labels=labels, confusion=table)), svg)
    cells = Page(html).cells
    start = cells.index("joy")
    assert cells[start : start + 6] == ["joy", "10", "9", "88.9 %", "80.0 %", "84.2 %"]
    assert cells[cells.index("fear") : cells.index("fear") + 6] == ["fear", "0", "0", "–", "–", "–"]
    start = cells.index("Right \\ given")
    assert cells[start : start + 9] == ["Right \\ given", "joy", "anger", "joy", "8", "2", "anger", "1", "0"]
    assert "Most often &#x27;joy&#x27; is taken for &#x27;anger&#x27;: 2 times of 10." in html
    assert "Of 30 labels the commonest are shown." in html


def test_right_answers_too(svg: str) -> None:
    right = ShownAnswer("Where is it?", "Lima", "Lima", 0.99, (Stretch("Lima", frozenset({"gold", "given"})),))
    assert "<h3>Where is it?</h3>" in report_page(a_run(analysis=Analysis(right=(right,))), svg)


def test_the_wording_is_that_of_the_task(svg: str) -> None:
    guide = token_guide(("person",), 48)
    html = report_page(a_run(guide=guide, analysis=an_analysis()), svg)
    assert "the share of entities that are right" in html
    assert "The hardest wrong entities" in html
    assert "Training texts" in html
    assert "exact match" not in html.lower().partition("by question")[0]


def test_predictions_are_all_there_or_the_wrong_ones_first(svg: str) -> None:
    cells = Page(report_page(a_run(answers=ANSWERS), svg)).cells
    start = cells.index("Who built it?")
    assert cells[start : start + 5] == ["Who built it?", "Bob", "Ada / Ada B.", "93%", "wrong"]
    assert cells[start + 9] == "partly, F1 67 %"
    many = [replace(ANSWERS[2], id=str(i), asked=f"right {i}") for i in range(MOST_ROWS)]
    html = report_page(a_run(answers=(*many, ANSWERS[0])), svg)
    assert html.count('<tr class="is-') == MOST_ROWS
    assert html.index("Who built it?") < html.index("right 0<")
    assert f"{MOST_ROWS:,} of {MOST_ROWS + 1:,}, the wrong ones first" in html


def test_how_to_use_the_model_is_told(svg: str) -> None:
    html = report_page(a_run(), svg)
    assert "distiltune ask --model . --document lease.txt" in html
    assert "distiltune serve ." in html


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_searched_and_scrolled_in_a_browser(svg: str, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `dev`")
    table = Confusion(tuple(f"label {i}" for i in range(12)), ((1,) * 12,) * 12, 12)
    analysis = replace(an_analysis(), confusion=table, labels=(LabelScores("a", 3, 2, 1),))
    file = tmp_path / "report.html"
    file.write_text(report_page(a_run(analysis=analysis, advice=ADVICE, answers=ANSWERS), svg), encoding="utf-8")
    broken: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda said: broken.append(said.text))
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, "it scrolls sideways"
            for part in ("svg.curves", ".confusion"):
                box = page.locator(f".scroll:has(> {part})")
                assert box.evaluate("each => each.scrollWidth > each.clientWidth"), f"{part} is squeezed"
                box.focus()
                page.keyboard.press("ArrowRight")
                page.wait_for_function("each => each.scrollLeft > 0", arg=box.element_handle())
            rows = page.locator(".predictions tbody tr:visible")
            assert rows.count() == 3
            page.locator("#search").fill("BUILT bob")
            assert rows.all_text_contents() == ["Who built it?BobAda / Ada B.93%wrong"]
            page.locator("#search").fill("")
            page.locator("#only-wrong").check()
            assert rows.count() == 2
            assert page.locator("#found").text_content() == "2 shown"
            axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `dev`").Axe()
            # axe is put in by a script of its own, which the page's own policy would refuse
            found = [each for each in _axe(axe, context, file) if each["id"] != "color-contrast-enhanced"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
            context.close()
        browser.close()
    assert broken == []


def _axe(axe: Any, context: Any, file: Path) -> list[dict[str, Any]]:
    page = context.new_page()
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    page.set_content(policy.sub("", file.read_text(encoding="utf-8")))
    violations: list[dict[str, Any]] = axe.run(page).response["violations"]
    return violations
