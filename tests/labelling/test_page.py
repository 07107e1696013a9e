"""The pages of labelling in a real Chromium, by keyboard and by mouse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune.labelling.curve import Point
from distiltune.labelling.desk import Said
from distiltune.labelling.service import LabelSite, Room, label_app
from distiltune.python.label import Labelling, labelling_room
from distiltune.serving.access import Access
from distiltune.serving.gate import Limits
from tests.serving.in_browser import CHROMIUM, opened, violations
from tests.serving.in_thread import InThread, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

WIDTHS = {"phone": (390, 844), "tablet": (820, 1_180), "desktop": (1_280, 720)}
LETTERS = [
    "Zoe\u0308 \N{GRINNING FACE} paid Ada Byron 5 €. Ada Byron thanked her.\r\nThat was in Lima.",
    "The boiler in flat 9 leaks <b>again</b> & again.",
    *(f"Letter {i} says that Ada Byron came to Lima on day {i} of the month." for i in range(10)),
]


class Suggests:
    """In place of a trained model: it finds names, and holds that all is of one label."""

    def __init__(self, task: str) -> None:
        self.task = task

    def suggest(self, text: str, prompt: str) -> dict[str, Any]:
        if self.task == "text-classification":
            return {"labels": ["payment"], "scores": {"payment": 0.8, "repair": 0.2}}
        at = [i for i in range(len(text)) if text.startswith("Lima", i)]
        if self.task == "token-classification":
            return {"spans": [{"start": i, "end": i + 4, "label": "place", "score": 0.9} for i in at]}
        if not prompt:
            return {"answers": [], "none": 0.0}
        places = [{"start": i, "end": i + 4, "score": 0.6} for i in at]
        return {"answers": [*places, {"start": 0, "end": 4, "score": 0.2}], "none": 0.2, "declines": False}

    def doubts(self, texts: Any) -> list[float]:
        return [0.5] * len(texts)


@dataclass(frozen=True)
class Labelled:
    """A page that is served, and its file."""

    server: InThread
    room: Room
    output: Path

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_bytes().split(b"\n") if line]


@contextmanager
def labelling(
    folder: Path, task: str, labels: tuple[str, ...] = (), letters: Any = LETTERS, key: str = ""
) -> Iterator[Labelled]:
    data = folder / "letters.jsonl"
    lines = (each if isinstance(each, dict) else {"text": each} for each in letters)
    data.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in lines), encoding="utf-8")
    output = folder / "mine.jsonl"
    how = Labelling(labels, "file", 5, 0)
    with labelling_room([str(data)], output, how, {"task": task, "model": "starter"}) as room:
        server = serve_in_thread(LabelSite(label_app(room), Limits(access=Access(api_key=key))))
        yield Labelled(server, room, output)
        server.stop()


def with_model(page: Page, here: Labelled, task: str) -> None:
    """Have a model at work, as after a training."""
    from distiltune.labelling.thinking import _Model

    here.room.thinking._model = _Model(Suggests(task), "trained on 9 labels", 9)
    expect(page.locator("#training-line")).to_contain_text("trained on 9 labels")


@pytest.fixture
def texts(tmp_path: Path, context: BrowserContext) -> Iterator[tuple[Page, Labelled]]:
    with labelling(tmp_path, "text-classification", ("repair", "payment")) as here:
        for page in opened(context, here.server.url, "distiltune 0"):
            yield page, here


@pytest.fixture
def entities(tmp_path: Path, context: BrowserContext) -> Iterator[tuple[Page, Labelled]]:
    with labelling(tmp_path, "token-classification", ("person", "place")) as here:
        for page in opened(context, here.server.url, "distiltune 0"):
            yield page, here


@pytest.fixture
def questions(tmp_path: Path, context: BrowserContext) -> Iterator[tuple[Page, Labelled]]:
    with labelling(tmp_path, "question-answering") as here:
        for page in opened(context, here.server.url, "distiltune 0"):
            yield page, here


def at_text(page: Page, part: str) -> None:
    expect(page.locator("#reading")).to_contain_text(part)


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_texts_by_keyboard_alone(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    press(page, "2", "Enter")
    at_text(page, "boiler")
    press(page, "1", "Enter", "s", "u", "1", "u")
    at_text(page, "Letter 2")
    assert [row["label"] for row in here.rows()] == ["payment", "repair"]
    assert [row["text"] for row in here.rows()] == LETTERS[:2]
    expect(page.locator("#counts-line")).to_have_text("2 of 12 texts labelled · 1 skipped · 1 unsure")
    with_model(page, here, "text-classification")
    expect(page.locator("button.suggested")).to_contain_text("payment")
    press(page, "Enter")  # which takes what is suggested
    at_text(page, "Letter 3")
    assert [row["label"] for row in here.rows()] == ["payment", "repair", "payment"]


def test_the_key_of_the_address_opens_the_page_and_is_kept_for_the_window(
    tmp_path: Path, context: BrowserContext
) -> None:
    with labelling(tmp_path, "text-classification", ("repair",), key="its-key") as here:
        for page in opened(context, f"{here.server.url}/#key=its-key", "distiltune 0"):
            at_text(page, "paid Ada")
            assert "its-key" not in page.url
            press(page, "1", "Enter")
            at_text(page, "boiler")
            page.reload()
            at_text(page, "boiler")
            expect(page.locator("#key-part")).to_be_hidden()
        for page in opened(context, here.server.url, ""):
            expect(page.locator("#key-help")).to_contain_text("wants its key")
            expect(page.locator("#reading")).to_be_empty()
            page.locator("#key").fill("its-key")
            press(page, "Enter")
            at_text(page, "Letter 0")


def test_undo_and_redo_go_back_to_the_first_and_on_to_the_last(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    for key in ("1", "2", "1", "2", "1"):
        press(page, key, "Enter")
    at_text(page, "Letter 3")
    for _ in range(10):
        press(page, "z")
    at_text(page, "paid Ada")
    expect(page.locator("#undo")).to_be_disabled()
    assert here.rows() == []
    for _ in range(10):
        press(page, "Control+y")
    expect(page.locator("#redo")).to_be_disabled()
    expect(page.locator("#counts-line")).to_contain_text("5 of 12")
    assert [row["label"] for row in here.rows()] == ["repair", "payment", "repair", "payment", "repair"]


def test_keys_that_come_before_the_next_text_are_for_it(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    page.evaluate(
        """() => { for (const key of ["1", "Enter", "2", "Enter", "1", "Enter"])
             document.getElementById("reading").dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true})); }"""
    )
    at_text(page, "Letter 1")
    assert [row["label"] for row in here.rows()] == ["repair", "payment", "repair"]


def test_a_new_label_is_typed_and_given(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    press(page, "+")
    page.keyboard.type("thanks")
    press(page, "Enter")
    expect(page.locator("button[aria-pressed='true']")).to_contain_text("thanks")
    press(page, "Enter")
    at_text(page, "boiler")
    assert here.rows()[0]["label"] == "thanks"


def test_two_windows_get_two_texts_and_a_conflict_is_told(
    texts: tuple[Page, Labelled], context: BrowserContext
) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    for other in opened(context, here.server.url, "distiltune 0"):
        at_text(other, "boiler")
        press(other, "PageUp")
        at_text(other, "paid Ada")
        press(other, "1", "Enter")
        expect(other.locator("#counts-line")).to_contain_text("1 of 12")
        press(page, "2", "Enter")
        expect(page.locator("#problem")).to_contain_text("it now says: repair")
        assert here.rows()[0]["label"] == "repair"
        press(page, "Enter")
        expect(page.locator("#announcement")).to_contain_text("Saved.")
        expect(page.locator("#problem")).to_be_empty()
        assert [row["label"] for row in here.rows()] == ["payment"]


def test_the_place_is_kept_when_the_page_is_opened_again(texts: tuple[Page, Labelled]) -> None:
    page, _ = texts
    at_text(page, "paid Ada")
    press(page, "PageDown", "PageDown", "PageDown")
    at_text(page, "Letter 1")
    page.reload()
    at_text(page, "Letter 1")


@pytest.mark.parametrize("task", ["text-classification", "token-classification", "question-answering"])
def test_a_page_that_is_opened_when_all_is_done_says_so(tmp_path: Path, context: BrowserContext, task: str) -> None:
    with labelling(tmp_path, task, (), LETTERS[:2]) as here:
        for key in here.room.desk.items:
            here.room.desk.save(key, "0", Said(None, "skipped"))
        for page in opened(context, here.server.url, "distiltune 0"):
            expect(page.locator("#status")).to_have_text(
                "All texts are labelled, skipped or kept as unsure. Any of them can be opened from the list."
            )
            at_text(page, "paid Ada")
            expect(page.locator("#task-part")).not_to_be_empty()
            expect(page.locator("#problem")).to_be_empty()
            page.evaluate("doing(() => null.nothing)")
            expect(page.locator("#problem")).not_to_be_empty()
            expect(page.locator("#problem")).not_to_contain_text("cannot be reached")


def test_texts_that_other_windows_have_open_are_told_and_come_back(tmp_path: Path, context: BrowserContext) -> None:
    with labelling(tmp_path, "text-classification", ("repair",), LETTERS[:2]) as here:
        first, _ = here.room.desk.items
        assert here.room.desk.next("another") == first
        for page in opened(context, here.server.url, "distiltune 0"):
            at_text(page, "boiler")
            press(page, "1", "Enter")
            expect(page.locator("#status")).to_contain_text(
                "All texts but 1 are labelled, skipped or kept as unsure; the other one is open in another window."
            )
            expect(page.locator("#announcement")).to_have_text("Saved.")
            page.goto(here.server.url)
            expect(page.locator("#status")).to_contain_text("the other one is open in another window")
            at_text(page, "boiler")
            here.room.desk.hold("another", "")
            press(page, "Enter")
            at_text(page, "paid Ada")
            assert here.room.desk.held_by_others("another") == 1
            page.goto("about:blank")  # a window that is closed gives its text back
            until = time.monotonic() + 20
            while here.room.desk.held_by_others("another"):
                assert time.monotonic() < until
                time.sleep(0.01)


def test_a_text_that_is_chosen_from_the_list_has_the_keys(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    at_text(page, "paid Ada")
    expect(page.locator("#model")).not_to_contain_text("texts")  # how far it is stands in the line above alone
    page.locator("#list-part summary").click()
    page.locator("#list button").nth(1).focus()
    press(page, "Enter")
    at_text(page, "boiler")
    expect(page.locator("#reading")).to_be_focused()
    press(page, "ArrowRight")
    expect(page.locator("#reading .at")).to_have_text("The")
    press(page, "1", "Enter")
    at_text(page, "paid Ada")
    assert [row["text"] for row in here.rows()] == [LETTERS[1]]


def test_a_score_from_few_examples_is_told_and_not_drawn(texts: tuple[Page, Labelled]) -> None:
    page, here = texts
    here.room.retraining.points.append(Point(8, 2, "accuracy", 50.0, 9.0, 91.0))
    expect(page.locator("#advice")).to_contain_text("so few tell nothing")
    expect(page.locator("#curve")).to_be_hidden()
    here.room.retraining.points.append(Point(40, 10, "accuracy", 60.0, 31.0, 83.0))
    expect(page.locator("#curve-title")).to_contain_text("on 10 examples")
    expect(page.locator("#curve-picture circle")).to_have_count(1)


def test_entities_by_keyboard_alone(entities: tuple[Page, Labelled]) -> None:
    page, here = entities
    at_text(page, "Ada Byron")
    press(page, "1")
    expect(page.locator("#problem")).to_contain_text("Choose the words first")
    press(page, "ArrowRight", "1")  # Zoë
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "1")
    expect(page.locator("#spans li")).to_have_count(2)
    press(page, "a")
    expect(page.locator("#spans li")).to_have_count(3)
    press(page, "z", "z", "r", "r")
    expect(page.locator("#spans li")).to_have_count(3)
    with_model(page, here, "token-classification")
    expect(page.locator("#open")).to_contain_text("Lima is place")
    press(page, "y", "Enter")
    at_text(page, "boiler")
    text = LETTERS[0]
    found = [(text[each["start"] : each["end"]], each["label"]) for each in here.rows()[0]["spans"]]
    assert found == [("Zoe\u0308", "person"), ("Ada Byron", "person"), ("Ada Byron", "person"), ("Lima", "place")]
    assert here.rows()[0]["text"] == text
    press(page, "Enter")
    at_text(page, "Letter 0")
    expect(page.locator("#open")).to_contain_text("Lima")
    press(page, "x", "Enter")
    at_text(page, "Letter 1")
    assert [row["spans"] for row in here.rows()[1:]] == [[], []]


def test_entities_by_mouse_snap_to_words(entities: tuple[Page, Labelled]) -> None:
    page, here = entities
    at_text(page, "Ada Byron")
    first, second = (
        page.locator("#reading span[data-w]", has_text=name).first.bounding_box() for name in ("Ada", "Byron")
    )
    assert first is not None
    assert second is not None
    page.mouse.move(first["x"] + first["width"] * 0.6, first["y"] + first["height"] / 2)
    page.mouse.down()
    page.mouse.move(second["x"] + second["width"] * 0.4, second["y"] + second["height"] / 2, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="1 person").click()
    page.locator("#save").click()
    at_text(page, "boiler")
    (span,) = here.rows()[0]["spans"]
    assert LETTERS[0][span["start"] : span["end"]] == "Ada Byron"


def test_questions_by_keyboard_alone(questions: tuple[Page, Labelled]) -> None:
    page, here = questions
    at_text(page, "Ada Byron")
    expect(page.locator("#question")).to_be_focused()
    with_model(page, here, "question-answering")
    page.keyboard.type("Where was it?")
    press(page, "Enter")
    expect(page.locator("#answer-part button")).to_have_count(3)
    press(page, "1", "n")
    page.keyboard.type("Who paid?")
    press(page, "Enter", "Home", "Space", "n")
    page.keyboard.type("Why?")
    press(page, "Enter", "0", "Enter")
    at_text(page, "boiler")
    text = LETTERS[0]
    rows = here.rows()
    assert [(row["question"], row["answers"]["text"]) for row in rows] == [
        ("Where was it?", ["Lima"]),
        ("Who paid?", ["Zoe\u0308"]),
        ("Why?", []),
    ]
    for row in rows:
        for said, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert text[start : start + len(said)] == said
    assert len({row["id"] for row in rows}) == 3


def test_a_suggestion_that_comes_while_a_question_is_typed_leaves_it(questions: tuple[Page, Labelled]) -> None:
    page, here = questions
    at_text(page, "Ada Byron")
    expect(page.locator("#question")).to_be_focused()
    with_model(page, here, "question-answering")
    page.keyboard.type("Who paid?")
    press(page, "Enter", "n")
    page.keyboard.type("Wh")
    page.evaluate("suggest('Who paid?')")  # the answer to which shows everything anew
    expect(page.locator("#question")).to_have_value("Wh")
    page.keyboard.type("y?")
    press(page, "Enter", "0")
    press(page, "z", "z")  # back to before it was typed: the field follows
    expect(page.locator("#question")).to_have_value("")
    press(page, "r", "r")
    expect(page.locator("#question")).to_have_value("Why?")


def test_an_unanswered_question_is_not_saved(questions: tuple[Page, Labelled]) -> None:
    page, here = questions
    at_text(page, "Ada Byron")
    page.keyboard.type("Why?")
    press(page, "Enter", "Enter")
    expect(page.locator("#problem")).to_contain_text("Mark the answer first")
    assert here.rows() == []
    press(page, "s")
    at_text(page, "boiler")


def test_data_are_reviewed(tmp_path: Path, context: BrowserContext) -> None:
    rows = []
    for i, text in enumerate(LETTERS[2:5]):
        answers = {"text": ["Lima"], "answer_start": [text.index("Lima")]}
        rows.append({"id": f"q{i}", "question": f"Where, {i}?", "context": text, "answers": answers})
    with labelling(tmp_path, "question-answering", (), rows) as here:
        for page in opened(context, here.server.url, "distiltune 0"):
            expect(page.locator("#prompt")).to_have_text("Where, 0?")
            expect(page.locator("#answer-part")).to_contain_text("The answer: Lima")
            press(page, "Enter", "0", "Enter")
            expect(page.locator("#prompt")).to_have_text("Where, 2?")
            assert [(row["id"], row["answers"]["text"]) for row in here.rows()] == [("q0", ["Lima"]), ("q1", [])]


def test_html_in_texts_is_text(texts: tuple[Page, Labelled]) -> None:
    page, _ = texts
    at_text(page, "paid Ada")
    press(page, "PageDown")
    at_text(page, "leaks <b>again</b> & again")
    assert page.locator("#reading b").count() == 0


@pytest.mark.parametrize("which", ["texts", "entities", "questions"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(which: str, scheme: Any, request: pytest.FixtureRequest) -> None:
    page, here = request.getfixturevalue(which)
    page.emulate_media(color_scheme=scheme)
    task = here.room.desk.task.name
    with_model(page, here, task)
    if task == "question-answering":
        page.keyboard.type("Where?")
        press(page, "Enter")
    if task == "token-classification":
        press(page, "ArrowRight", "1", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "2")  # marked and still chosen
    for details in ("#list-part", "#keys-part"):
        page.locator(f"{details} summary").click()
    assert violations(page) == []


@pytest.mark.parametrize("which", ["texts", "entities", "questions"])
def test_no_width_needs_scrolling_sideways(which: str, request: pytest.FixtureRequest) -> None:
    page, _ = request.getfixturevalue(which)
    at_text(page, "Ada Byron")
    for width, height in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
