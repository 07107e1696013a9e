"""The page of questions in a real Chromium: several texts and questions, what is stale, lost, pinned, corrected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune.serving.access import Access
from distiltune.serving.batching import BatchSettings
from distiltune.serving.corrections import CorrectionsFile
from distiltune.serving.gate import Limits
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.helpers import people
from tests.serving.in_browser import CHROMIUM, SHOWN, drop, opened, violations
from tests.serving.in_thread import InThread, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

EXAMPLES = people().examples
ASKED, OTHER = EXAMPLES[0], EXAMPLES[4]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where corrections go."""
    return tmp_path_factory.mktemp("kept") / "right.jsonl"


@pytest.fixture(scope="module")
def server(people_model: Path, kept: Path) -> Iterator[InThread]:
    limits = Limits(max_body_bytes=40_000, corrections=CorrectionsFile(kept))
    app = question_answering_app(Answerer(people_model, threads=1), "people", limits, BatchSettings())
    running = serve_in_thread(app)
    yield running
    running.stop()


@pytest.fixture
def page(context: BrowserContext, server: InThread) -> Iterator[Page]:
    yield from opened(context, server.url)


def ask(page: Page, *questions: str, text: str = "") -> None:
    if text:
        page.locator("#text").fill(text)
    page.locator("#question").fill("\n".join(questions))
    page.locator("#ask").click()


def test_an_answer_to_other_words_is_greyed_and_gone_when_asked_again(page: Page) -> None:
    ask(page, ASKED.question, text=ASKED.context)
    page.locator(SHOWN).wait_for()
    expect(page.locator("#stale")).to_be_hidden()
    page.locator("#question").fill("what fears ada")
    expect(page.locator("#stale")).to_be_visible()
    assert "stale" in (page.locator("#reply").get_attribute("class") or "")
    page.locator("#question").fill(ASKED.question)
    expect(page.locator("#stale")).to_be_hidden()
    page.locator("#change").click()
    page.locator("#text").press_sequentially(" .")
    expect(page.locator("#stale")).to_be_visible()
    ask(page, ASKED.question, text="word " * 9_000)
    expect(page.locator("#problem")).to_contain_text("too large")
    expect(page.locator("#reply")).to_be_hidden()
    assert page.locator("#reading mark").count() == 0


def test_what_is_typed_is_never_lost_to_the_history(page: Page) -> None:
    ask(page, ASKED.question, text=ASKED.context)
    page.locator(SHOWN).wait_for()
    page.locator("#change").click()
    page.locator("#text").fill("a text that I have typed")
    page.locator("#question").fill("who has typed it")
    page.locator("#history button").first.click()
    assert page.locator("#reading").text_content() == ASKED.context
    drafts = page.locator("#history button", has_text="not asked yet")
    expect(drafts).to_have_count(1)
    drafts.click()
    assert page.locator("#text").input_value() == "a text that I have typed"
    assert page.locator("#question").input_value() == "who has typed it"
    expect(page.locator("#reply")).to_be_hidden()
    ask(page, "who has typed it")
    page.locator(SHOWN).wait_for()
    expect(page.locator("#history button", has_text="not asked yet")).to_have_count(0)


def test_several_files_and_folders_are_taken_and_answers_name_theirs(page: Page, tmp_path: Path) -> None:
    drop(page, {"ada.txt": ASKED.context, "bob.md": OTHER.context, "tool.exe": "MZ", "html.html": "<p>some words</p>"})
    expect(page.locator("#status")).to_contain_text("3 files are open")
    expect(page.locator("#problem")).to_contain_text("tool.exe: no file of a known kind")
    assert page.locator("#tabs li").count() == 3
    ask(page, OTHER.question)
    page.locator(SHOWN).wait_for()
    contents = {"ada.txt": ASKED.context, "bob.md": OTHER.context}
    found = page.locator("#tabs [aria-current]").text_content() or ""
    expect(page.locator("#confidence")).to_contain_text(f"{found}, line 1")
    assert page.locator("#reading").text_content() == contents[found]
    (other,) = contents.keys() - {found}
    page.locator("#tabs button", has_text=other).first.click()
    assert page.locator("#reading").text_content() == contents[other]
    folder = tmp_path / "folder" / "deeper"
    folder.mkdir(parents=True)
    (folder / "cem.txt").write_text("cem eats rice .")
    (tmp_path / "folder" / "dee.txt").write_text("dee eats soup .")
    page.locator("#folder").set_input_files(tmp_path / "folder")
    expect(page.locator("#tabs li")).to_have_count(5)
    page.get_by_label("Leave out ada.txt").click()
    expect(page.locator("#tabs li")).to_have_count(4)
    assert violations(page) == []


def test_twenty_questions_at_once_and_a_table_out(page: Page) -> None:
    questions = [each.question for each in EXAMPLES[:20]]
    ask(page, *questions, text=" ".join(dict.fromkeys(each.context for each in EXAMPLES[:20])))
    expect(page.locator("#many-body tr")).to_have_count(20)
    expect(page.locator("#history button")).to_have_count(20)
    with page.expect_download() as saved:
        page.get_by_label("Save as CSV").click()
    rows = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].startswith("question,answer,certainty,confidence,document")
    assert len(rows) == 21
    with page.expect_download() as saved:
        page.get_by_label("Save as JSON").click()
    replies = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))
    assert [each["question"] for each in replies] == questions
    page.get_by_label("Copy the table").click()
    expect(page.locator("#status")).to_contain_text("copied")
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[1].split("\t")[:2] == [questions[0], replies[0]["answer"]["text"]]
    page.locator("#many-body button").nth(3).click()
    expect(page.locator("#asked")).to_have_text(questions[3])
    assert violations(page) == []


def test_a_table_holds_no_formula(page: Page) -> None:
    cells: str = page.evaluate("""toCsv([['=1+1', '+2', '-3', '@x', 'a,"b"', -4, null]])""")
    assert cells == '\'=1+1,\'+2,\'-3,\'@x,"a,""b""",-4,\r\n'


def test_a_candidate_stays_marked_that_was_chosen(page: Page) -> None:
    ask(page, "what eats bob and ada and cem", text=" ".join(each.context for each in EXAMPLES[::4]))
    page.locator(SHOWN).wait_for()
    home = page.locator(SHOWN).get_attribute("data-number")
    chosen = page.locator("#others button").first
    chosen.click()
    expect(chosen).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 0)
    page.locator("#question").focus()
    assert page.locator(SHOWN).get_attribute("data-number") != home
    chosen.click()
    page.mouse.move(0, 0)
    page.locator("#question").focus()
    assert page.locator(SHOWN).get_attribute("data-number") == home


def test_how_sure_it_is_stands_in_words_with_what_it_cannot_do(page: Page) -> None:
    ask(page, ASKED.question, text=ASKED.context)
    expect(page.locator("#confidence strong")).to_have_text("sure")
    assert page.locator("#confidence meter").count() == 1
    expect(page.locator("#remark")).to_contain_text(ALWAYS_ANSWERS)
    expect(page.locator("#announcement")).to_contain_text("sure, confidence")


def test_the_example_and_what_this_is(page: Page) -> None:
    expect(page.locator("header p").first).to_contain_text("the part of the text that answers it is marked")
    page.locator("#text").fill("typed before")
    page.locator("#example").click()
    page.locator(SHOWN).wait_for()
    expect(page.locator("#history button", has_text="not asked yet")).to_have_count(1)


def test_control_and_enter_send_from_anywhere_and_shift_makes_a_line(page: Page) -> None:
    page.locator("#question").fill("what")
    page.locator("#question").press("Shift+Enter")
    assert page.locator("#question").input_value() == "what\n"
    page.locator("#question").fill(ASKED.question)
    page.locator("#text").fill(ASKED.context)
    page.locator("#text").press("Control+Enter")
    page.locator(SHOWN).wait_for()


def test_waiting_shows_at_once(page: Page) -> None:
    page.route("**/api/answers/stream", lambda route: None)  # an answer that never comes
    ask(page, ASKED.question, text=ASKED.context)
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#progress-text")).to_have_text("Reading…")
    page.locator("#question").press("Escape")
    expect(page.locator("#status")).to_have_text("Stopped.")
    expect(page.locator("#progress")).to_be_hidden()


def test_what_was_read_in_time_is_said_and_what_all_would_take(page: Page) -> None:
    reply = {
        "question": "who",
        "answer": None,
        "candidates": [],
        "no_answer_confidence": 0.0,
        "read_share": 0.0,
        "notes": ["Time ran out before anything was read for this question."],
    }
    message = {
        "kind": "replies",
        "replies": [reply],
        "seconds": 54.0,
        "complete": False,
        "windows_read": 0,
        "windows": 9,
        "seconds_for_all": 130.0,
    }
    page.route("**/api/answers/stream", lambda route: route.fulfill(body=json.dumps(message) + "\n"))
    ask(page, "who", text=ASKED.context)
    expect(page.locator("#answer")).to_have_text("Nothing was read in time.")
    expect(page.locator("#everything")).to_have_text("Read the whole text (about 2 min)")
    expect(page.locator("#remark")).to_contain_text("takes longer than the 60 s")


def test_an_answer_is_set_right_by_keyboard_and_kept_as_train_reads_it(page: Page, kept: Path) -> None:
    text = f"\N{PARTY POPPER}\r\n{ASKED.context}"
    drop(page, {"crlf.txt": text})
    expect(page.locator("#status")).to_contain_text("is open")
    ask(page, ASKED.question)
    page.locator(SHOWN).wait_for()
    assert not kept.exists() or kept.read_text() == ""
    page.locator("#correct").click()
    expect(page.locator("#marked")).to_have_text(page.locator("#answer").text_content() or "")
    assert violations(page) == []
    page.evaluate("""() => { const box = document.getElementById('text');
        const at = box.value.indexOf('chess'); box.focus(); box.setSelectionRange(at - 1, at); }""")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#marked")).to_have_text("chess")
    page.locator("#correct-span").click()
    expect(page.locator("#status")).to_contain_text("Kept")
    expect(page.locator("#history button").first).to_contain_text("right: chess")
    page.locator("#correct").click()
    page.locator("#correct-none").click()
    expect(page.locator("#history button").first).to_contain_text("the text does not tell")
    read = read_examples([kept], split="train", max_rejected_share=0.0)
    assert not read.findings.of("rejected")
    first, second = read.examples
    assert first.context == second.context == text.replace("\r\n", "\n")
    assert (first.question, [each.text for each in first.answers]) == (ASKED.question, ["chess"])
    assert first.context[first.answers[0].start :].startswith("chess")
    assert second.answers == ()


def test_nothing_can_be_corrected_unless_it_is_asked_for(context: BrowserContext, people_model: Path) -> None:
    app = question_answering_app(Answerer(people_model, threads=1), "people", Limits(), BatchSettings())
    running = serve_in_thread(app)
    for page in opened(context, running.url):
        ask(page, ASKED.question, text=ASKED.context)
        page.locator(SHOWN).wait_for()
        expect(page.locator("#correct")).to_be_hidden()
        status = page.evaluate(
            """async () => (await fetch('api/corrections', {method: 'POST', body: '{}',
               headers: {'Content-Type': 'application/json'}})).status"""
        )
        assert status == 404
    running.stop()


def test_a_program_can_ask_as_the_page_says(page: Page) -> None:
    page.locator("#program summary").click()
    code = {name: page.locator(f"[data-language={name}]").text_content() or "" for name in ("Python", "curl")}
    said = subprocess.run([sys.executable, "-c", code["Python"]], capture_output=True, text=True, check=True).stdout
    assert "'replies'" in said
    said = subprocess.run(["bash", "-c", code["curl"]], capture_output=True, text=True, check=False).stdout
    assert not said or json.loads(said)["replies"]
    page.get_by_label("Copy the JavaScript").click()
    assert "JSON.stringify" in page.evaluate("navigator.clipboard.readText()")
    assert violations(page) == []


def test_the_key_of_a_server_is_asked_for_on_the_page(context: BrowserContext, people_model: Path) -> None:
    limits = Limits(access=Access(api_key="sesame"))
    app = question_answering_app(Answerer(people_model, threads=1), "people", limits, BatchSettings())
    running = serve_in_thread(app)
    page = context.new_page()
    page.goto(running.url)
    page.locator("#key").fill("wrong")
    page.locator("#key").press("Enter")
    expect(page.locator("#key-help")).to_have_text("That is not its key.")
    assert violations(page) == []
    page.locator("#key").fill("sesame")
    page.locator("#key").press("Enter")
    expect(page.locator("#model")).to_contain_text("people")
    ask(page, ASKED.question, text=ASKED.context)
    page.locator(SHOWN).wait_for()
    page.locator("#program summary").click()
    expect(page.locator("[data-language=curl]")).to_contain_text("Authorization: Bearer KEY")
    assert "sesame" not in page.content()
    running.stop()
