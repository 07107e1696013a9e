"""The pages of models that read texts, in a real Chromium: many texts, tables, colours, history, links, corrections."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from playwright.sync_api import expect

from distiltune import fine_tune
from distiltune.serving.batching import BatchSettings
from distiltune.serving.corrections import CorrectionsFile
from distiltune.serving.gate import Limits
from distiltune.serving.site import Site
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked
from tests.helpers import TINY, word_pieces, write_tiny_model
from tests.serving.in_browser import CHROMIUM, drop, opened, violations
from tests.serving.in_thread import InThread, serve_in_thread

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn")
PLACES = ("rome", "oslo", "bern", "lima", "york", "kyiv")
SETTINGS: dict[str, Any] = {
    "max_length": 24,
    "stride": 4,
    "epochs": 6,
    "learning_rate": 5e-3,
    "batch_size": 8,
    "threads": 1,
    **dict.fromkeys(("dropout", "attention_dropout", "head_dropout"), 0.0),
}
TEXT, TOKEN = "text-classification", "token-classification"
WIDTHS = {"phone": (390, 844), "tablet": (820, 1_180), "desktop": (1_280, 720), "wide": (2_560, 1_440)}


@dataclass(frozen=True)
class Served:
    """A server of one task, and where its corrections go."""

    server: InThread
    kept: Path


def text_row(i: int) -> dict[str, Any]:
    return {"text": f"the {(NAMES if i % 2 else PLACES)[i % 6]} {i % 9}", "label": ("place", "name")[i % 2]}


def several_row(i: int) -> dict[str, Any]:
    words = [NAMES[i % 6]] * (i % 2) + [PLACES[i % 5]] * (i % 3 > 0)
    return {"text": " ".join(["the", *words, str(i % 9)]), "labels": ["name"] * (i % 2) + ["place"] * (i % 3 > 0)}


def token_row(i: int) -> dict[str, Any]:
    tokens = [NAMES[i % 6], "sees", PLACES[(i // 6) % 6], str(i % 9)]
    return {"tokens": tokens, "tags": ["B-person", "O", "B-place", "O"]}


def served(folder: Path, row: Any, task: str) -> Iterator[Served]:
    for name, numbers in (("train", range(96)), ("validation", range(96, 108))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row(i)) + "\n" for i in numbers), encoding="utf-8")
    tokenizer = word_pieces([*NAMES, *PLACES, "the", "sees", *map(str, range(9))])
    model = write_tiny_model(folder / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    files: dict[str, Any] = {name: str(folder / f"{name}.jsonl") for name in ("train", "validation")}
    run = fine_tune(output=folder / "run", model=str(model), recipe="classic", **files, **SETTINGS)
    kept = folder / "right.jsonl"
    limits = Limits(max_body_bytes=4_000, corrections=CorrectionsFile(kept))
    entry = TASKS[task]
    app = entry.needed(entry.server)(str(run.model), "mine", limits, BatchSettings(), {"threads": 1})
    running = serve_in_thread(Site({"": app}, limits))
    yield Served(running, kept)
    running.stop()


@pytest.fixture(scope="module")
def classifying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from served(tmp_path_factory.mktemp("text"), text_row, TEXT)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from served(tmp_path_factory.mktemp("several"), several_row, TEXT)


@pytest.fixture(scope="module")
def marking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from served(tmp_path_factory.mktemp("token"), token_row, TOKEN)


@pytest.fixture
def classifier(context: BrowserContext, classifying: Served) -> Iterator[Page]:
    yield from opened(context, classifying.server.url, "mine")


@pytest.fixture
def marker(context: BrowserContext, marking: Served) -> Iterator[Page]:
    yield from opened(context, marking.server.url, "mine")


def send(page: Page, text: str) -> None:
    if page.locator("#change").is_visible():
        page.locator("#change").click()
    page.locator("#text").fill(text)
    page.locator("#text").press("Control+Enter")


def test_a_text_is_classified_with_how_sure_that_is(classifier: Page) -> None:
    expect(classifier.locator("header p").first).to_contain_text("label")
    send(classifier, "the ben 3")
    expect(classifier.locator("#answer")).to_have_text("name")
    assert classifier.locator("#confidence strong").text_content() in ("sure", "likely", "a guess")
    expect(classifier.locator("#remark")).to_contain_text("also where none fits")
    assert classifier.locator("#bars li").count() == 2
    expect(classifier.locator("#announcement")).to_contain_text("The text is: name.")


def test_a_result_of_other_words_is_greyed_and_gone_at_an_error(classifier: Page) -> None:
    send(classifier, "the ben 3")
    expect(classifier.locator("#answer")).to_have_text("name")
    classifier.locator("#text").fill("the rome 3")
    expect(classifier.locator("#stale")).to_be_visible()
    send(classifier, "word " * 2_000)
    expect(classifier.locator("#problem")).to_contain_text("too large")
    expect(classifier.locator("#reply")).to_be_hidden()


def test_every_line_is_a_text_and_more_than_one_request_may_take(classifier: Page) -> None:
    lines = [text_row(i)["text"] for i in range(150)]
    classifier.locator("#lines").check()
    send(classifier, "\n".join(lines))
    expect(classifier.locator("#many-bar h3")).to_have_text("150 texts")
    expect(classifier.locator("#history button")).to_contain_text(["150 texts"])
    with classifier.expect_download() as saved:
        classifier.get_by_label("Save as CSV").click()
    rows = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "text,label,certainty,confidence"
    assert [row.split(",")[0] for row in rows[1:]] == lines
    assert [row.split(",")[1] for row in rows[1:3]] == ["place", "name"]
    classifier.locator("#many-body button").nth(1).click()
    expect(classifier.locator("#answer")).to_have_text("name")
    assert violations(classifier) == []


def test_a_table_is_given_back_with_the_labels(classifier: Page) -> None:
    table = 'id;body;note\r\n7;"the ""ben"" 3";x\r\n8;the rome 2;"two\nlines"\r\n9;;empty\r\n'
    drop(classifier, {"reviews.csv": table})
    expect(classifier.locator("#column-part")).to_be_visible()
    expect(classifier.locator("#column option:checked")).to_have_text("body")
    classifier.locator("#ask").click()
    with classifier.expect_download() as saved:
        classifier.get_by_label("Save as CSV").click()
    text = Path(saved.value.path()).read_bytes().decode("utf-8-sig")
    first, second, third, *rest = text.split("\r\n")
    assert first == "id,body,note,label,certainty,confidence"
    assert second.startswith(('7,"the ""ben"" 3",x,name,', '7,"the ""ben"" 3",x,place,'))
    assert third.startswith('8,the rome 2,"two\nlines",place,')
    assert rest == ["9,,empty,,,", ""]


def test_what_was_read_stays_if_a_later_part_fails(classifier: Page) -> None:
    seen: list[int] = []

    def fail_the_second(route: Any) -> None:
        seen.append(1)
        if len(seen) == 1:
            route.continue_()
        else:
            route.fulfill(status=503, json={"what": "The server is busy.", "where": "", "fix": "ask again in 1 s"})

    classifier.route("**/api/predictions", fail_the_second)
    classifier.locator("#lines").check()
    send(classifier, "\n".join(text_row(i)["text"] for i in range(100)))
    expect(classifier.locator("#problem")).to_contain_text("busy")
    expect(classifier.locator("#problem")).to_contain_text("36 texts not read")
    expect(classifier.locator("#history button")).to_contain_text(["64 texts"])


def test_history_drafts_and_a_link(classifier: Page, context: BrowserContext) -> None:
    for text in ("the ben 3", "the rome 3"):
        send(classifier, text)
        expect(classifier.locator("#history [aria-current] bdi").first).to_have_text(text)
    classifier.locator("#text").fill("typed and not sent")
    classifier.locator("#history button").last.click()
    assert classifier.locator("#text").input_value() == "the ben 3"
    expect(classifier.locator("#answer")).to_have_text("name")
    classifier.locator("#history button", has_text="not asked yet").click()
    assert classifier.locator("#text").input_value() == "typed and not sent"
    classifier.locator("#history button").last.click()
    classifier.locator("#link").click()
    expect(classifier.locator("#link-text")).not_to_have_value("")
    link = classifier.locator("#link-text").input_value()
    again = context.new_page()
    again.goto(link)
    expect(again.locator("#answer")).to_have_text("name")


def test_a_label_is_set_right(classifier: Page, classifying: Served) -> None:
    text = "\N{PARTY POPPER} the ben 3"
    send(classifier, text)
    expect(classifier.locator("#answer")).to_have_text(re.compile("name|place"))
    assert not classifying.kept.exists()
    classifier.locator("#correct").click()
    assert violations(classifier) == []
    classifier.get_by_role("radio", name="place").check()
    classifier.locator("#correct-keep").click()
    expect(classifier.locator("#status")).to_contain_text("Kept")
    (example,) = read_texts([classifying.kept], "train", TextColumns(), 0.0).examples
    assert (example.text, example.gold) == (text, ("place",))


def test_several_labels_are_set_right(context: BrowserContext, several: Served) -> None:
    for page in opened(context, several.server.url, "mine"):
        for chosen in (("name", "place"), ()):
            send(page, f"the ben {len(chosen)}")
            page.locator("#correct").click()
            for name in ("name", "place"):
                page.get_by_role("checkbox", name=name).set_checked(name in chosen)
            page.locator("#correct-keep").click()
            expect(page.locator("#status")).to_contain_text("Kept")
    found = read_texts([several.kept], "train", TextColumns(), 0.0).examples
    assert [set(each.gold or ()) for each in found] == [{"name", "place"}, set()]


def test_entities_have_the_colour_of_their_label_and_are_counted(marker: Page) -> None:
    send(marker, "ada sees rome 3")
    expect(marker.locator("#counts li")).to_have_text(["person 1", "place 1"])
    colour_of = "each => each.map((one) => getComputedStyle(one).backgroundColor)"
    colours = marker.locator("#reading mark").evaluate_all(colour_of)
    assert len(set(colours)) == 2
    assert marker.locator("#entities .certainty").count() == 2
    send(marker, "the 3")
    expect(marker.locator("#announcement")).not_to_be_empty()


def test_many_texts_give_a_table_of_entities(marker: Page) -> None:
    drop(marker, {"one.txt": "ada sees rome 3", "two.txt": "ben sees oslo 1"})
    expect(marker.locator("#status")).to_contain_text("2 files are open")
    marker.locator("#ask").click()
    expect(marker.locator("#many-bar h3")).to_have_text("2 texts")
    with marker.expect_download() as saved:
        marker.get_by_label("Save as CSV").click()
    rows = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0] == "file,text,entity,label,certainty,confidence,start,end"
    assert any(row.startswith("two.txt,ben sees oslo 1,ben,person,") and row.endswith(",0,3") for row in rows)


def test_entities_are_set_right(marker: Page, marking: Served) -> None:
    text = "\N{PARTY POPPER}\nada sees rome 3"
    send(marker, text)
    expect(marker.locator("#entities li")).to_have_count(2)
    marker.locator("#correct").click()
    assert violations(marker) == []
    while marker.locator("#right button").count():
        marker.locator("#right button").first.click()
    for word, label in (("rome", "place"), ("sees", "place")):
        marker.evaluate(
            """word => { const box = document.getElementById('text');
               const at = box.value.indexOf(word); box.focus(); box.setSelectionRange(at - 1, at + word.length); }""",
            word,
        )
        expect(marker.locator("#marked")).to_have_text(word)
        marker.locator("#new-label").select_option(label)
        marker.locator("#add-entity").click()
    marker.get_by_label("Label of rome").select_option("person")
    marker.locator("#correct-keep").click()
    expect(marker.locator("#status")).to_contain_text("Kept")
    marker.locator("#change").click()
    assert marker.locator("#text").input_value() == text
    (example,) = read_marked([marking.kept], "train", TokenColumns(), 0.0).examples
    words = [example.text[start:end] for start, end in example.words]
    assert [(each.label, words[each.start : each.end]) for each in example.gold or ()] == [
        ("place", ["sees"]),
        ("person", ["rome"]),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("task", [TEXT, TOKEN])
def test_accessibility_by_axe(
    browser: Browser, classifying: Served, marking: Served, task: str, size: str, scheme: Any
) -> None:
    width, height = WIDTHS[size]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    for page in opened(context, (classifying if task == TEXT else marking).server.url, "mine"):
        assert violations(page) == []
        page.locator("#example").click()
        expect(page.locator("#reply")).to_be_visible()
        send(page, "ada sees rome 3")
        expect(page.locator("#history button")).to_have_count(2)
        page.locator("#program summary").click()
        assert violations(page) == []
        page.locator("#correct").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    context.close()
