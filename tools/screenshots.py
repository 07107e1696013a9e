"""Take pictures of a page that is served, at four widths, light and dark: for a look by eye, and for the documentation.

Start a server with a trained model first, then: ``python tools/screenshots.py http://127.0.0.1:8000 FOLDER``. What is
done on the page is chosen by the task of the model; of a served folder, which is to be docs/examples/papers, its own.
"""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Page, sync_playwright

TOWN = Path(__file__).parents[1] / "docs" / "examples" / "calder-quay.txt"
MIXED = (
    "The lease is signed by משה כהן, in blue ink.\n\nوقّع العقد في مدينة حيفا.\n\n"
    "The keys are handed over on 3 May by the caretaker, Ilse Brandt."
)
SIZES: Final = {390: 844, 820: 1_180, 1_280: 720, 2_560: 1_440}
"""Width → height, in pixels."""

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
TABLE: Final = "id,text\n1,Thank you for the new benches.\n2,The lamp has been dark for weeks.\n3,When does it open?\n"


def ask(page: Page, text: str, *questions: str) -> None:
    """Ask questions, each by itself, about a text."""
    page.locator("#text").fill(text)
    for number, question in enumerate(questions, start=1):
        page.locator("#question").fill(question)
        page.locator("#ask").click()
        page.locator(f"#history li:nth-child({number})").wait_for()


def one_question(page: Page) -> None:
    """Two questions, one after the other."""
    ask(page, TOWN.read_text(encoding="utf-8"), "What did the town live on?", "Who had the stone pier put up?")


def many_questions(page: Page) -> None:
    """Several questions at once about two texts."""
    page.locator("#text").fill(TOWN.read_text(encoding="utf-8"))
    page.locator("#add").click()
    page.locator("#text").fill(MIXED)
    questions = ("What did the town live on?", "Who had the stone pier put up?", "When are the keys handed over?")
    page.locator("#question").fill("\n".join(questions))
    page.locator("#ask").click()
    page.locator("#many-body tr").first.wait_for()


def mixed_scripts(page: Page) -> None:
    """Text in both directions."""
    ask(page, MIXED, "When are the keys handed over?", "Who signs the lease?")


def correcting(page: Page) -> None:
    """An answer that is being set right, where the server takes that."""
    one_question(page)
    if page.locator("#correct").is_visible():
        page.locator("#correct").click()


def example(page: Page) -> None:
    """The page's own example."""
    page.locator("#example").click()
    page.locator("#reply").wait_for()


def table(page: Page) -> None:
    """A table with a column of texts."""
    page.locator("#file").set_input_files({"name": "texts.csv", "mimeType": "text/csv", "buffer": TABLE.encode()})
    page.locator("#column-part").wait_for()
    page.locator("#ask").click()
    page.locator("#many-body tr").first.wait_for()


def correct_example(page: Page) -> None:
    """The example, being set right."""
    example(page)
    if page.locator("#correct").is_visible():
        page.locator("#correct").click()


def nothing(page: Page) -> None:
    """The page as it opens."""


def folder_question(page: Page) -> None:
    """A question that one of the folder's documents answers."""
    page.locator("#question").fill("Who had the stone pier put up?")
    page.locator("#ask").click()
    page.locator("#reading mark.shown").wait_for()


VIEWS: Final[dict[str, dict[str, Callable[[Page], None]]]] = {
    "question-answering": {
        "empty": nothing,
        "one": one_question,
        "many": many_questions,
        "mixed": mixed_scripts,
        "correct": correcting,
    },
    "folder": {"documents": nothing, "folder": folder_question},
    "text-classification": {"empty": nothing, "one": example, "table": table, "correct": correct_example},
    "token-classification": {"empty": nothing, "one": example, "correct": correct_example},
}
"""Task, or what else decides → name of a view → what brings it about."""


def main() -> None:
    """Take them all."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(f"{url}/api/model") as response:
        about = json.load(response)
    task = "folder" if about.get("folder_documents") is not None else about["task"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, bring_about in VIEWS[task].items():
            for width, height in SIZES.items():
                for scheme in SCHEMES:
                    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                    page = context.new_page()
                    page.goto(url)
                    bring_about(page)
                    page.screenshot(path=folder / f"page-{name}-{width}-{scheme}.png", full_page=width < 1_000)
                    context.close()
        browser.close()


if __name__ == "__main__":
    main()
