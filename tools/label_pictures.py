"""Pictures of the three pages of `distiltune label` at three widths each, side by side, for docs/images.

Run from the repository: `python -m tools.label_pictures`. The texts are the thirty documents of docs/tutorial.md.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[1]
SIZES: Final = ((390, 900), (820, 900), (1_280, 900))
PAGES: Final = {
    "questions": ("question-answering", ""),
    "entities": ("token-classification", "person,place,year"),
    "texts": ("text-classification", "town,trade,club"),
}
_GAP: Final = 24


def main() -> None:
    """Take and write them."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (task, labels) in PAGES.items():
            process, address = serve(task, labels, Path(folder) / f"{name}.jsonl")
            page = browser.new_page()
            page.goto(address)
            page.wait_for_timeout(4_000)
            work(page, task)
            beside([shot(page, *size) for size in SIZES]).save(ROOT / "docs" / "images" / f"label-{name}-widths.png")
            process.terminate()
            process.wait()
        browser.close()


def serve(task: str, labels: str, output: Path) -> tuple[subprocess.Popen[str], str]:
    """The command, and its page's address."""
    texts = str(ROOT / "docs" / "examples" / "papers")
    command = [sys.executable, "-m", "distiltune", "label", texts, "--task", task, "--output", str(output)]
    command += ["--port", "0", "--retrain-every", "0", *(["--labels", labels] if labels else [])]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+#key=\S+", line):
            return process, found.group()
    raise RuntimeError(f"label ended with status {process.wait()}")


def work(page: Page, task: str) -> None:
    """Do a little, as a person would."""
    if task == "question-answering":
        page.keyboard.type("Who started the choir?")
        page.keyboard.press("Enter")
        page.wait_for_timeout(4_000)
    elif task == "token-classification":
        for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight", "2"):
            page.keyboard.press(key)
    else:
        page.keyboard.press("3")


def shot(page: Page, width: int, height: int) -> Image.Image:
    """The page at that size."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(300)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def beside(pictures: list[Image.Image]) -> Image.Image:
    """The pictures in one, from left to right."""
    width = sum(each.width for each in pictures) + _GAP * (len(pictures) - 1)
    whole = Image.new("RGB", (width, max(each.height for each in pictures)), "#888888")
    place = 0
    for each in pictures:
        whole.paste(each, (place, 0))
        place += each.width + _GAP
    return whole.quantize(64)


if __name__ == "__main__":
    main()
