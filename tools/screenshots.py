"""Take the pictures of the page that the documentation shows: desktop, phone, dark, no answer, right to left.

Start a server with a trained model first, then: ``python tools/screenshots.py http://127.0.0.1:8000 docs/pictures``.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import sync_playwright

TOWN = Path(__file__).parents[1] / "docs" / "examples" / "calder-quay.txt"
MIXED = (
    "The lease is signed by משה כהן, in blue ink.\n\nوقّع العقد في مدينة حيفا.\n\n"
    "The keys are handed over on 3 May by the caretaker, Ilse Brandt."
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is on a picture."""

    name: str
    text: str
    questions: tuple[str, ...]
    width: int = 1_280
    height: int = 800
    scheme: Literal["light", "dark"] = "light"


def pictures() -> list[Picture]:
    """All of them."""
    town = TOWN.read_text(encoding="utf-8")
    questions = ("What did the town live on?", "Who had the stone pier put up?")
    return [
        Picture("desktop", town, questions),
        Picture("dark", town, questions, scheme="dark"),
        Picture("phone", town, questions, width=390, height=844),
        Picture("mixed", MIXED, ("When are the keys handed over?", "Who signs the lease?")),
    ]


def main() -> None:
    """Take them."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for picture in pictures():
            context = browser.new_context(
                viewport={"width": picture.width, "height": picture.height}, color_scheme=picture.scheme
            )
            page = context.new_page()
            page.goto(url)
            page.locator("#text").fill(picture.text)
            for number, question in enumerate(picture.questions, start=1):
                page.locator("#question").fill(question)
                page.locator("#ask").click()
                page.locator(f"#history li:nth-child({number})").wait_for()
            page.screenshot(path=folder / f"page-{picture.name}.png", full_page=picture.width < 500)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
