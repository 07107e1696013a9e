"""The page in a real Chromium: paste, ask, see the mark at the right characters; errors; keyboard; accessibility."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune.inference.certainty import certainty
from distiltune.serving.batching import BatchSettings
from distiltune.serving.gate import Limits
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.helpers import people
from tests.serving.in_browser import CHROMIUM, SHOWN, opened, paste
from tests.serving.in_thread import InThread, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

ASKED = people().examples[0]
MAX_BYTES = 20_000
PLACE_OF_MARK = """() => {
    const mark = document.querySelector('#reading mark.shown');
    const before = document.createRange();
    before.setStart(document.getElementById('reading'), 0);
    before.setEndBefore(mark);
    const start = Array.from(before.toString()).length;
    return [start, start + Array.from(mark.textContent).length];
}"""
WIDTHS = {"desktop": (1_280, 720), "phone": (375, 667), "tablet": (820, 1_180), "wide": (2_560, 1_440)}


def _serve(answerer: Answerer) -> InThread:
    limits = Limits(max_body_bytes=MAX_BYTES)
    return serve_in_thread(question_answering_app(answerer, "people", limits, BatchSettings()))


@pytest.fixture(scope="module")
def server(people_model: Path) -> Iterator[InThread]:
    running = _serve(Answerer(people_model, threads=1))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def silent_server(people_model: Path) -> Iterator[InThread]:
    """One whose model holds that no text tells anything."""
    running = _serve(Answerer(people_model, threads=1, null_threshold=-1e9))
    yield running
    running.stop()


@pytest.fixture
def page(context: BrowserContext, server: InThread) -> Iterator[Page]:
    yield from opened(context, server.url)


def ask(page: Page, question: str = ASKED.question) -> None:
    page.locator("#question").fill(question)
    page.locator("#ask").click()


def answer_of_api(url: str, text: str, question: str = ASKED.question) -> dict[str, Any]:
    body = json.dumps({"questions": [question], "documents": [{"text": text}]}).encode()
    request = urllib.request.Request(f"{url}/api/answers", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)["replies"][0]["answer"]
        return answer


@pytest.mark.parametrize(
    "text",
    [
        ASKED.context,
        f"\N{PARTY POPPER}\N{GRINNING FACE} \U0001f469\u200d\U0001f680 first .\n\n{ASKED.context} \N{PARTY POPPER}",
        f"שלום עולם 🎉 {ASKED.context} مرحبا",
        "ada eats תפוחים אדומים . ada drives a van . ada likes chess . ada fears bats .",
        f"e\u0301te\u0301 \ttab\n {ASKED.context}",
    ],
    ids=["plain", "emoji", "right to left around", "right to left inside", "combining marks"],
)
def test_the_answer_is_marked_at_its_characters(page: Page, server: InThread, text: str) -> None:
    paste(page, text)
    ask(page)
    expect(page.locator(SHOWN)).to_have_count(1)
    answer = answer_of_api(server.url, text)
    start, end = page.evaluate(PLACE_OF_MARK)
    assert (start, end) == (answer["start"], answer["end"])
    assert page.locator(SHOWN).text_content() == text[start:end] == answer["text"]
    assert page.locator("#reading").text_content() == text
    assert page.locator("#sentence mark").text_content() == answer["text"]
    assert page.locator("#sentence").text_content() == answer["sentence"]
    assert (page.locator("#confidence strong").text_content() or "") == certainty(answer["confidence"])
    expect(page.locator("#confidence")).to_contain_text("%")
    expect(page.locator("#announcement")).to_contain_text("Answer:")


def test_the_mark_of_a_long_text_is_scrolled_to(page: Page) -> None:
    paste(page, "nothing here .\n" * 400 + ASKED.context + "\nnothing here ." * 400)
    ask(page)
    page.locator(SHOWN).wait_for()
    mark, box = page.locator(SHOWN).bounding_box(), page.locator("#reading").bounding_box()
    assert mark is not None
    assert box is not None
    assert box["y"] <= mark["y"] <= box["y"] + box["height"] - mark["height"]


def test_markup_in_a_text_stays_text(page: Page) -> None:
    text = f"<img src=x onerror=alert(1)><script>alert(2)</script> {ASKED.context} </div><b>bold</b>"
    paste(page, text)
    ask(page, "<img src=x onerror=alert(3)> what eats ada")
    page.locator(SHOWN).wait_for()
    assert page.locator("#reading").text_content() == text
    assert page.locator("main img, main script, #reading b").count() == 0


def test_other_candidates_are_shown_on_hover_and_by_arrow_keys(page: Page) -> None:
    paste(page, " ".join(each.context for each in people().examples[::4]))
    ask(page, "what eats bob and ada and cem")
    page.locator(SHOWN).wait_for()
    home = page.locator(SHOWN).text_content()
    others = page.locator("#others button")
    assert others.count() >= 2, "this test needs an unsure answer"
    others.nth(0).hover()
    first = page.locator(SHOWN).get_attribute("data-number")
    page.mouse.move(0, 0)
    assert page.locator(SHOWN).text_content() == home
    others.nth(0).focus()
    assert page.locator(SHOWN).get_attribute("data-number") == first
    page.keyboard.press("ArrowDown")
    assert page.locator(SHOWN).get_attribute("data-number") not in (first, "0")
    assert others.nth(1).evaluate("button => button === document.activeElement")
    page.keyboard.press("Home")
    assert page.locator(SHOWN).get_attribute("data-number") == first


def test_no_answer_is_said_plainly(context: BrowserContext, silent_server: InThread) -> None:
    for page in opened(context, silent_server.url):
        paste(page, ASKED.context)
        ask(page)
        expect(page.locator("#answer")).to_have_text("The text does not tell.")
        expect(page.locator("#announcement")).to_contain_text("The text does not tell.")
        expect(page.locator("#others-title")).to_have_text("What came closest")
        assert page.locator(SHOWN).count() == 0
        page.locator("#others button").first.hover()
        assert page.locator(SHOWN).count() == 1


def test_a_model_that_always_answers_says_so(page: Page) -> None:
    paste(page, ASKED.context)
    ask(page)
    expect(page.locator("#remark")).to_contain_text("gives an answer to every question")


def test_too_large_a_text_is_said_before_and_by_the_server(page: Page) -> None:
    paste(page, "word " * (MAX_BYTES // 4))
    ask(page)
    expect(page.locator("#problem")).to_contain_text("too large")
    page.evaluate("server.max_body_bytes = 1e9")
    ask(page)
    expect(page.locator("#problem")).to_contain_text("over 0.02 MB")
    page.locator("#text").fill(ASKED.context)
    ask(page)
    page.locator(SHOWN).wait_for()
    expect(page.locator("#problem")).to_be_empty()


def test_a_server_that_is_gone_is_said(context: BrowserContext, people_model: Path) -> None:
    running = _serve(Answerer(people_model, threads=1))
    for page in opened(context, running.url):
        paste(page, ASKED.context)
        running.stop()
        ask(page)
        expect(page.locator("#problem")).to_contain_text("cannot be reached")
        expect(page.locator("#ask")).to_be_enabled()
        assert page.locator("#text").input_value() == ASKED.context


def test_nothing_asked_or_nothing_to_look_in_is_said(page: Page) -> None:
    page.locator("#ask").click()
    expect(page.locator("#problem")).to_contain_text("no text")
    paste(page, "a text")
    page.locator("#ask").click()
    expect(page.locator("#problem")).to_contain_text("question")


def test_everything_by_keyboard(page: Page) -> None:
    def focused() -> str:
        name: str = page.evaluate("document.activeElement.id || document.activeElement.className")
        return name

    page.keyboard.press("Tab")
    assert focused() == "skip"
    page.keyboard.press("Tab")
    assert focused() == "open"
    for button in ("open-folder", "add"):
        page.keyboard.press("Tab")
        assert focused() == button
    page.keyboard.press("Tab")
    assert focused() == "text"
    page.keyboard.insert_text(ASKED.context)
    for field in ("example", "question"):
        page.keyboard.press("Tab")
        assert focused() == field
    page.keyboard.type(ASKED.question)
    page.keyboard.press("Enter")
    page.locator(SHOWN).wait_for()
    assert focused() == "question", "the focus stays, so that the next question can be typed at once"
    seen = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.add(focused())
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or focused() == "", f"no focus ring on {focused()}"
    assert {"link", "change", "reading"} <= seen
    page.locator("#change").focus()
    page.keyboard.press("Enter")
    assert focused() == "text"
    page.locator("#history button").first.focus()
    page.keyboard.press("Enter")
    page.locator(SHOWN).wait_for()


def test_the_sitting_is_kept_and_a_link_restores_it(page: Page, context: BrowserContext, server: InThread) -> None:
    text = f"\N{PARTY POPPER} {ASKED.context}"
    paste(page, text)
    for each in people().examples[:2]:
        ask(page, each.question)
        expect(page.locator("#history [aria-current] bdi").first).to_have_text(each.question)
    page.locator("#history button").nth(1).click()
    expect(page.locator("#answer")).to_have_text(answer_of_api(server.url, text)["text"])
    page.locator("#link").click()
    expect(page.locator("#status")).to_contain_text("link")
    link = page.locator("#link-text").input_value()
    assert page.evaluate("navigator.clipboard.readText()") == link
    requests: list[str] = []
    for _ in _restored(context, link, requests):
        pass
    assert not any(link.partition("#")[2] in each for each in requests), "the text of a link goes to no server"


def _restored(context: BrowserContext, link: str, requests: list[str]) -> Iterator[Page]:
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url.partition("#")[0]))
    page.goto(link)
    expect(page.locator("#history button")).to_have_count(2)
    assert page.locator("#question").input_value().split("\n") == [each.question for each in people().examples[:2]]
    assert page.locator("#reading").text_content() == f"\N{PARTY POPPER} {ASKED.context}"
    page.goto(link.partition("#")[0] + "#s=broken")
    page.reload()
    expect(page.locator("#problem")).to_contain_text("damaged")
    yield page


def test_a_file_is_opened_or_dropped(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "people.md"
    file.write_text(f"\N{PARTY POPPER} {ASKED.context}", encoding="utf-8")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#status")).to_contain_text("people.md is open")
    assert page.locator("#text").input_value() == file.read_text(encoding="utf-8")
    dropped = page.evaluate_handle(
        """() => { const held = new DataTransfer();
           held.items.add(new File(['<p>ada eats <b>plums</b> .<script>x</script>'], 'a.html')); return held; }"""
    )
    page.locator("#text-section").dispatch_event("drop", {"dataTransfer": dropped})
    expect(page.locator("#status")).to_contain_text("a.html is open")
    assert page.locator("#text").input_value() == "ada eats plums ."
    strange = tmp_path / "tool.exe"
    strange.write_bytes(b"MZ")
    page.locator("#file").set_input_files(strange)
    expect(page.locator("#problem")).to_contain_text("no file of a known kind")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
def test_accessibility_by_axe(browser: Browser, server: InThread, scheme: Any, size: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `dev`").Axe()
    width, height = WIDTHS[size]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    for page in opened(context, server.url):
        assert axe.run(page).response["violations"] == []
        page.locator("#text").fill(" ".join(each.context for each in people().examples[::4]))
        ask(page, "what eats bob and ada")
        page.locator(SHOWN).wait_for()
        assert axe.run(page).response["violations"] == []
        page.locator("#change").click()
        page.locator("#text").fill("")
        ask(page)
        expect(page.locator("#problem")).not_to_be_empty()
        assert axe.run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    context.close()
