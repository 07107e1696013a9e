"""How long a person waits at the page of `distiltune label`: until it opens, and for the next text.

    python -m benchmarks.label_opening --output benchmarks/results/label_opening.json

For each task: 10,000 generated texts of a page each (4,300 characters, from a table), and one document of 1 MB. A
Chromium opens the page --times times; then --items texts are skipped by their key. Opening counts from the beginning of
the request to the first text drawn, the next text from the key to its drawing: both are the browser's own clock. Beside
it: the seconds until the command prints the page's address, which read the texts. The model is the packaged one, and no
training runs beside.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS: Final = {
    "text-classification": ("--labels", "repair,payment,other"),
    "token-classification": ("--labels", "person,place"),
    "question-answering": (),
}
PAGE_CHARACTERS: Final = 4_300
DOCUMENT_CHARACTERS: Final = 1_000_000
WORDS: Final = (
    "the",
    "lamp",
    "harbour",
    "keeper",
    "paid",
    "rent",
    "for",
    "a",
    "boat",
    "in",
    "old",
    "town",
    "at",
    "noon",
)
# Until there is a text, looked for at every drawing; milliseconds since the page was asked for.
OPENED: Final = """() => new Promise(done => {
    const look = () => document.querySelector('#reading')?.textContent.trim()
        ? done(performance.now()) : requestAnimationFrame(look);
    look(); })"""
NEXT: Final = """key => new Promise(done => {
    const reading = document.querySelector('#reading'), before = reading.textContent, began = performance.now();
    const look = () => reading.textContent.trim() && reading.textContent !== before
        ? done(performance.now() - began) : requestAnimationFrame(look);
    document.activeElement.blur();
    document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})); look(); })"""


def write_texts(folder: Path, n_texts: int) -> dict[str, Path]:
    """The texts of a page each, and the long document."""
    draw = random.Random(0)
    pages, long = folder / "pages.jsonl", folder / "long.txt"
    with pages.open("w", encoding="utf-8") as file:
        for number in range(n_texts):
            file.write(json.dumps({"text": f"Page {number}. {_prose(draw, PAGE_CHARACTERS)}"}) + "\n")
    long.write_text(_prose(draw, DOCUMENT_CHARACTERS)[:DOCUMENT_CHARACTERS], encoding="utf-8")
    return {"10,000 pages" if n_texts == 10_000 else f"{n_texts:,} pages": pages, "a text of 1 MB": long}


def _prose(draw: random.Random, n_characters: int) -> str:
    sentences: list[str] = []
    length = 0
    while length < n_characters:
        sentences.append(f"{' '.join(draw.choices(WORDS, k=12)).capitalize()} {len(sentences)}.")
        length += len(sentences[-1]) + 1
    return " ".join(sentences)


@contextmanager
def labelling(texts: Path, task: str, output: Path) -> Iterator[tuple[str, float]]:
    """The command in a process of its own: the page's address, and the seconds until it was printed."""
    arguments = [str(texts), "--task", task, "--output", str(output), "--port", "0", "--retrain-every", "0"]
    command = [sys.executable, "-m", "distiltune", "label", *arguments, "--threads", "1", *FLAGS[task]]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+#key=\S+", line):
                yield found.group(), time.perf_counter() - began
                return
        raise RuntimeError(f"label ended with status {process.wait()}")
    finally:
        process.terminate()
        process.wait()


def measure(browser: Browser, address: str, times: int, items: int) -> dict[str, Any]:
    """Seconds to open the page and to the next text."""
    openings, nexts = [], []
    for _ in range(times):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address, wait_until="commit")
        openings.append(page.evaluate(OPENED) / 1_000)
        if len(openings) == times:
            page.wait_for_timeout(2_000)
            nexts = [page.evaluate(NEXT, "s") / 1_000 for _ in range(items)]
        context.close()
    return {
        "opens_first": openings[0],
        "opens": statistics.median(openings),
        "next": statistics.median(nexts) if nexts else None,
        "next_at_most": max(nexts, default=None),
    }


def main() -> None:
    """Measure each task with each kind of texts; print and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/label_opening.json"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for kind, texts in write_texts(Path(folder), options.texts).items():
            for task in FLAGS:
                output = Path(folder) / f"{texts.stem}-{task}.jsonl"
                # A document of one text has no next one.
                items = 0 if texts.suffix == ".txt" and task == "text-classification" else options.items
                with labelling(texts, task, output) as (address, seconds):
                    row = {"texts": kind, "task": task, "starts": seconds}
                    row |= measure(browser, address, options.times, items)
                rows.append(row)
                print(json.dumps(row), flush=True)
        browser.close()
    options.output.write_text(json.dumps({"rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
