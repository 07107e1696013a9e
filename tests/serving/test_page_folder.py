"""The page of a served folder in a real Chromium: nothing to paste, the document opened, what is gone or hostile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune.serving.batching import BatchSettings
from distiltune.serving.corrections import CorrectionsFile
from distiltune.serving.gate import Limits
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.question_answering.search.folder import Folder
from distiltune.tasks.question_answering.serve import served_folder
from distiltune.tasks.question_answering.serve.served_folder import ServedFolder
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.helpers import people
from tests.serving.in_browser import CHROMIUM, SHOWN, drop, opened, violations
from tests.serving.in_thread import InThread, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

ABOUT = {each.context.split()[0]: each.context for each in people().examples}
HOSTILE = "<img src=x onerror=alert(1)>.txt"
LONG_AGO = time.time() - 86_400


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document of one person each, in lines of other words, with the ends of Windows and a letter beyond 16 bits."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("ada", "bob", "cem"):
        write(folder / f"{name}.txt", around(ABOUT[name]))
    write(folder / HOSTILE, "<script>alert(2)</script> dan eats rice .")
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "right.jsonl"


@pytest.fixture(scope="module")
def server(people_model: Path, docs: Path, kept: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InThread]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(served_folder, "LOOK_S", 0.0)
        patch.setattr(served_folder, "LOOK_SHARE", 1e9)
        index = tmp_path_factory.mktemp("index") / "index.sqlite"
        served = ServedFolder(Folder(docs, search="words", index=index), passages=1)
        limits = Limits(corrections=CorrectionsFile(kept))
        answerer = Answerer(people_model, threads=1)
        running = serve_in_thread(question_answering_app(answerer, "people", limits, BatchSettings(), served))
        yield running
        running.stop()


@pytest.fixture
def page(context: BrowserContext, server: InThread, docs: Path) -> Iterator[Page]:
    for page in opened(context, server.url):
        expect(page.locator("#folder-list li")).to_have_count(4)
        yield page
    for name in ("ada", "bob", "cem"):
        write(docs / f"{name}.txt", around(ABOUT[name]))


def around(text: str) -> str:
    return f"\r\n{text}\r\n\N{PARTY POPPER}"


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    os.utime(path, (LONG_AGO, LONG_AGO))


def ask(page: Page, *questions: str) -> None:
    page.locator("#question").fill("\n".join(questions))
    page.locator("#ask").click()


def test_it_opens_with_the_folder_and_the_question_in_focus(page: Page) -> None:
    assert page.title() == "Ask 4 documents – distiltune"
    expect(page.locator("h1")).to_have_text("Ask 4 documents")
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#asks")).to_have_text("Asked of the 4 documents.")
    expect(page.locator("#folder-list")).to_contain_text(HOSTILE)
    for hidden in ("#text", "#reading", "#example", "#all-documents", "#ask-folder"):
        expect(page.locator(hidden)).to_be_hidden()
    assert violations(page) == []


def test_the_document_that_answers_is_opened_with_the_answer_marked(page: Page) -> None:
    page.keyboard.type("what likes bob")
    page.keyboard.press("Enter")
    expect(page.locator(SHOWN)).to_have_text("golf")
    expect(page.locator("#confidence")).to_contain_text("bob.txt, line 2")
    expect(page.locator("#tabs [aria-current]")).to_have_text("bob.txt")
    assert page.locator("#reading").text_content() == around(ABOUT["bob"])
    for hidden in ("#change", "#folder-part", "#text", "#stale"):
        expect(page.locator(hidden)).to_be_hidden()
    assert violations(page) == []
    page.locator("#all-documents").click()
    expect(page.locator("#folder-list button").first).to_be_focused()
    page.get_by_role("button", name="cem.txt").click()
    expect(page.locator("#reading")).to_contain_text(ABOUT["cem"])
    assert page.locator("#reading mark").count() == 0
    page.locator("#history button").first.click()
    expect(page.locator(SHOWN)).to_have_text("golf")


def test_the_answer_is_scrolled_to_in_a_long_document(page: Page, docs: Path) -> None:
    write(docs / "bob.txt", "nothing here .\n" * 60 + ABOUT["bob"] + "\n" + "nothing here .\n" * 300)
    ask(page, "what likes bob")
    page.locator(SHOWN).wait_for()
    mark, box = page.locator(SHOWN).bounding_box(), page.locator("#reading").bounding_box()
    assert mark is not None
    assert box is not None
    assert box["y"] <= mark["y"] <= box["y"] + box["height"] - mark["height"]


def test_candidates_of_other_documents_open_theirs(page: Page) -> None:
    reply = {
        "question": "who",
        "answer": None,
        "candidates": [candidate("bats", ABOUT["ada"], 0, "ada.txt"), candidate("golf", ABOUT["bob"], 1, "bob.txt")],
        "no_answer_confidence": 0.9,
        "read_share": 0.5,
        "notes": ["1 of 4 passages were read, the likeliest by words."],
        "documents": [{"name": name, "version": version(page, name)} for name in ("ada.txt", "bob.txt")],
    }
    said = {"kind": "replies", "replies": [reply], "seconds": 1.0, "complete": True, "windows_read": 1, "windows": 1}
    body = json.dumps({**said, "seconds_for_all": 9.0}) + "\n"
    page.route("**/api/answers/stream", lambda route: route.fulfill(body=body))
    ask(page, "who")
    expect(page.locator("#answer")).to_have_text("The documents do not tell.")
    expect(page.locator("#history button").first).to_contain_text("the documents do not tell")
    expect(page.locator("#folder-part")).to_be_visible()  # nothing is opened as if it answered
    expect(page.locator("#everything")).to_have_text("Read all documents (about 9 s)")
    expect(page.locator("#remark")).to_contain_text("1 of 4 passages were read, the likeliest by words.")
    for rank, (name, text) in enumerate((("ada.txt", "bats"), ("bob.txt", "golf"))):
        page.locator("#others button").nth(rank).focus()
        expect(page.locator("#tabs [aria-current]")).to_have_text(name)
        expect(page.locator(SHOWN)).to_have_text(text)
    assert violations(page) == []


def candidate(text: str, about: str, document: int, name: str) -> dict[str, object]:
    start = around(about).index(text)
    return {
        "text": text,
        "start": start,
        "end": start + len(text),
        "confidence": 0.2,
        "certainty": "a guess",
        "probability": 0.1,
        "line": 2,
        "column": 1,
        "sentence": text,
        "sentence_start": start,
        "document": document,
        "document_name": name,
        "page": None,
    }


def version(page: Page, name: str) -> str:
    found: str = page.evaluate("async name => (await (await fetch(`api/document?name=${name}`)).json()).version", name)
    return found


def test_a_document_that_is_gone_or_another_when_it_is_opened_is_said(page: Page, docs: Path) -> None:
    ask(page, "what likes cem", "what likes bob", "what likes ada")
    expect(page.locator("#many-body tr")).to_have_count(3)
    write(docs / "bob.txt", "bob likes chess .")
    (docs / "ada.txt").unlink()
    page.locator("#many-body button").nth(1).click()
    expect(page.locator("#problem")).to_contain_text("bob.txt has changed since it was answered from: ask again.")
    expect(page.locator("#reading")).to_have_text("bob likes chess .")
    assert page.locator("#reading mark").count() == 0
    page.locator("#many-body button").nth(2).click()
    expect(page.locator("#problem")).to_contain_text("no such document in the folder, or not any more")
    expect(page.locator("#reading")).to_have_text("This document cannot be shown.")
    page.locator("#many-body button").nth(0).click()
    expect(page.locator(SHOWN)).to_have_text("jazz")
    assert violations(page) == []


def test_markup_in_a_document_and_its_name_stays_text(page: Page) -> None:
    page.get_by_role("button", name=HOSTILE).click()
    expect(page.locator("#reading")).to_have_text("<script>alert(2)</script> dan eats rice .")
    expect(page.locator("#tabs")).to_have_text(HOSTILE)
    ask(page, "dan script alert")
    expect(page.locator("#confidence")).to_contain_text(HOSTILE)
    assert page.locator("#reading img, #tabs img, #reply img, #folder-part img").count() == 0


def test_a_text_of_one_s_own_is_asked_instead_and_the_folder_again(page: Page) -> None:
    ask(page, "what likes bob")
    expect(page.locator(SHOWN)).to_have_text("golf")
    drop(page, {"mine.txt": ABOUT["ada"]})
    expect(page.locator("#asks")).to_have_text("Your own text is asked, and nothing else.")
    expect(page.locator("#tabs")).not_to_contain_text("bob.txt")
    expect(page.locator("#stale")).to_be_visible()
    ask(page, "what likes ada")
    expect(page.locator(SHOWN)).to_have_text("chess")
    expect(page.locator("#confidence")).to_contain_text("mine.txt")
    assert violations(page) == []
    page.locator("#ask-folder").click()
    expect(page.locator("#asks")).to_have_text("Asked of the 4 documents.")
    expect(page.locator("#question")).to_be_focused()
    expect(page.locator("#reply")).to_be_hidden()
    ask(page, "what likes cem")
    expect(page.locator(SHOWN)).to_have_text("jazz")
    page.locator("#history button", has_text="what likes ada").click()
    expect(page.locator("#reading")).to_have_text(ABOUT["ada"])
    expect(page.locator("#asks")).to_have_text("Your own text is asked, and nothing else.")
    page.locator("#history button", has_text="what likes bob").click()
    expect(page.locator(SHOWN)).to_have_text("golf")
    page.locator("#add").click()
    page.locator("#text").fill(ABOUT["cem"])
    ask(page, "what likes cem")
    expect(page.locator("#reading")).to_have_text(ABOUT["cem"])


def test_a_link_holds_the_questions_and_asks_the_folder(page: Page) -> None:
    ask(page, "what likes bob")
    page.locator(SHOWN).wait_for()
    page.locator("#link").click()
    expect(page.locator("#status")).to_contain_text("It holds the questions themselves")
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(SHOWN)).to_have_text("golf")
    assert page.locator("#question").input_value() == "what likes bob"


def test_an_answer_is_set_right_in_a_document_of_the_folder(page: Page, kept: Path) -> None:
    ask(page, "what likes bob")
    expect(page.locator(SHOWN)).to_have_text("golf")
    page.locator("#correct").click()
    expect(page.locator("#marked")).to_have_text("golf")
    assert violations(page) == []
    page.locator("#correct-span").click()
    expect(page.locator("#history button").first).to_contain_text("right: golf")
    page.locator("#correct").click()
    page.locator("#all-documents").click()
    expect(page.locator("#correct-none")).to_be_disabled()
    page.get_by_role("button", name="ada.txt").click()
    expect(page.locator("#correct-none")).to_be_enabled()
    page.evaluate("""() => { const box = document.getElementById('text');
        const at = box.value.indexOf('chess'); box.focus(); box.setSelectionRange(at, at + 5); }""")
    expect(page.locator("#marked")).to_have_text("chess")
    page.locator("#correct-span").click()
    expect(page.locator("#history button").first).to_contain_text("right: chess")
    page.locator("#correct").click()
    expect(page.locator("#marked")).to_have_text("golf")
    page.locator("#correct-none").click()
    expect(page.locator("#history button").first).to_contain_text("it is not in bob.txt")
    first, second, third = read_examples([kept], split="train", max_rejected_share=0.0).examples
    assert first.context == third.context == around(ABOUT["bob"]).replace("\r\n", "\n")
    assert [each.text for each in (*first.answers, *second.answers)] == ["golf", "chess"]
    assert second.context == around(ABOUT["ada"]).replace("\r\n", "\n")
    assert third.answers == ()


@pytest.mark.parametrize("width", [360, 768, 1_280])
def test_it_fits_every_width_and_the_question_comes_first(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 720})
    for view in ("opened", "answered"):
        if view == "answered":
            ask(page, "what likes bob")
            page.locator(SHOWN).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        question, text = page.locator("#question").bounding_box(), page.locator("#text-section").bounding_box()
        assert question is not None
        assert text is not None
        assert (question["y"], question["x"]) < (text["y"] + text["height"], text["x"] + text["width"])
        assert question["y"] < 720 / 2
    assert violations(page) == []


def test_a_program_can_ask_as_the_page_says(page: Page) -> None:
    page.locator("#program summary").click()
    code = page.locator("[data-language=curl]").text_content() or ""
    assert json.loads(code.partition("-d '")[2].rstrip("'")) == {"questions": ["Who signs the lease?"]}
