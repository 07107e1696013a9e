"""Somebody labels sixty texts of each task by keyboard alone: killed in the middle, retrained twice, then trained.

Run with `pytest -m slow -s tests/labelling/test_person.py`: it prints keys and seconds an item, with suggestions and
without; the seconds are those of a machine that presses keys as fast as the page takes them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune import fine_tune
from distiltune.data.words import markable_spans
from tests.commands.test_labelling import LabelServer
from tests.helpers import TINY, word_pieces, write_tiny_model
from tests.serving.in_browser import CHROMIUM, opened

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn", "gus", "hal")
PLACES = ("rome", "oslo", "bern", "lima", "york", "kyiv")
VERBS = ("met", "saw", "left")
TEXTS = [
    f"{NAMES[i % 8]} {VERBS[i % 3]} {NAMES[(i // 3 + 3) % 8]} in {PLACES[i % 6]} on day {i} of the month ."
    for i in range(120)
]
LABELS = {"met": "meeting", "saw": "sight", "left": "parting"}
N_ITEMS, KILLED_AFTER = 60, 33


@dataclass
class Person:
    """Presses keys, and counts them."""

    page: Page
    keys: int = 0
    items: list[tuple[bool, int, float]] = field(default_factory=list)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.keys += len(keys)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.keys += len(text)

    def choose(self, text: str, part: str) -> None:
        """Go to the words of a part and choose them, by arrow keys."""
        start = text.index(part)
        spans = markable_spans(text)
        first = next(i for i, span in enumerate(spans) if span[0] == start)
        last = next(i for i, span in enumerate(spans) if span[1] == start + len(part))
        self.press("Home", *["ArrowRight"] * first, *["Shift+ArrowRight"] * (last - first))

    def has_model(self) -> bool:
        return "trained on" in (self.page.locator("#training-line").text_content() or "")


def label_text(person: Person, text: str) -> None:
    wanted = LABELS[text.split()[1]]
    suggested = person.page.locator("button.suggested bdi")
    if person.has_model():
        expect(suggested).to_have_count(1)
    if not (suggested.count() and suggested.text_content() == wanted):
        person.press(str(list(LABELS.values()).index(wanted) + 1))
    person.press("Enter")


def mark_entities(person: Person, text: str) -> None:
    words = text.split()
    wanted = [(words[0], "name"), (words[2], "name"), (words[4], "place")]
    marked = person.page.locator("#spans li")
    if person.has_model():
        person.page.wait_for_timeout(150)
        person.press("Shift+Y")
        if [tuple(each.split("\n")[:2]) for each in marked.all_inner_texts()] == wanted:
            person.press("Enter")
            return
        person.press("z" if marked.count() else "Escape")
    for word, label in wanted:
        place = text.index(word) if word != words[2] else len(f"{words[0]} {words[1]} ")
        n = sum(1 for span in markable_spans(text) if span[0] < place)
        person.press("Home", *["ArrowRight"] * n, "1" if label == "name" else "2")
    person.press("Enter")


def ask(person: Person, text: str) -> None:
    expect(person.page.locator("#question")).to_be_focused()
    place = text.split()[4]
    person.type("in which place ?")
    offered = person.page.locator("#answer-part button bdi")
    person.press("Enter")
    if person.has_model():
        expect(offered.nth(1)).to_be_visible()
    said = offered.all_text_contents()[:-1]
    if place in said:
        person.press(str(said.index(place) + 1))
    else:
        person.choose(text, place)
        person.press("Space")
    person.press("Enter")


TASKS: dict[str, tuple[Callable[[Person, str], None], tuple[str, ...]]] = {
    "text-classification": (label_text, ("--labels", ",".join(LABELS.values()))),
    "token-classification": (mark_entities, ("--labels", "name,place")),
    "question-answering": (ask, ()),
}


@pytest.mark.parametrize("task", list(TASKS))
def test_sixty_texts_by_keyboard_alone(task: str, tmp_path: Path, context: BrowserContext) -> None:
    label, flags = TASKS[task]
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    words = sorted({word for text in TEXTS for word in text.split()} | {"which", "place", "?"})
    tokenizer = word_pieces(words)
    model = write_tiny_model(tmp_path / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    output = tmp_path / "mine.jsonl"
    training: tuple[str | Path, ...] = (
        "--model",
        model,
        "--max-length",
        "48",
        "--stride",
        "8",
        "--epochs",
        "12",
        "--learning-rate",
        "5e-3",
    )
    arguments: tuple[str | Path, ...] = (
        texts,
        "--task",
        task,
        "--output",
        output,
        "--retrain-every",
        "20",
        *training,
        *flags,
    )
    figures: list[tuple[bool, int, float]] = []
    server = LabelServer(*arguments)
    for n_before, n_after in ((0, KILLED_AFTER), (KILLED_AFTER, N_ITEMS)):
        for page in opened(context, server.page, "distiltune 0"):
            expect(page.locator("#counts-line")).to_contain_text(f"{n_before} of 120")
            person = Person(page)
            for number in range(n_before, n_after):
                expect(page.locator("#counts-line")).to_contain_text(f"{number} of 120")
                expect(page.locator("#reading")).to_contain_text("of the month")
                text = page.locator("#reading").evaluate(
                    "each => [...each.childNodes].filter(n => n.nodeName !== 'SMALL').map(n => n.textContent).join('')"
                )
                keys, began, helped = person.keys, time.perf_counter(), person.has_model()
                label(person, text)
                expect(page.locator("#counts-line")).to_contain_text(f"{number + 1} of 120")
                figures.append((helped, person.keys - keys, time.perf_counter() - began))
            n_trained = 1 if n_after == KILLED_AFTER else 2
            until = time.monotonic() + 600
            curve = tmp_path / "mine.labelling" / "curve.jsonl"  # the page draws no score of a few
            while not curve.is_file() or len(curve.read_text(encoding="utf-8").splitlines()) < n_trained:
                assert time.monotonic() < until, server.ask("/api/progress")
                time.sleep(0.5)
        server.kill()
        if n_after == KILLED_AFTER:
            server = LabelServer(*arguments)
            assert f"120 texts, {KILLED_AFTER} of them labelled" in server.said
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == N_ITEMS
    for helped in (False, True):
        some = [each for each in figures if each[0] == helped]
        n = max(1, len(some))
        means = f"{sum(e[1] for e in some) / n:.1f} keys and {sum(e[2] for e in some) / n:.2f} s an item"
        print(f"\n{task}, {'with' if helped else 'without'} suggestions: {len(some)} items, {means}")
    run = fine_tune(
        train=str(output), task=task, model=str(model), output=tmp_path / "run", max_length=48, stride=8, epochs=2
    )
    assert run.model.is_dir()
