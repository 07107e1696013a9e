"""The notebooks of the documentation, run as a user runs them, and what their cells show, looked at in Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

pytest.importorskip("nbclient", reason="needs the extra `dev`")
pytest.importorskip("ipykernel", reason="needs the extra `dev`")
pytest.importorskip("pandas", reason="needs the extra `dev`")
pytest.importorskip("sklearn", reason="needs the extra `sklearn`")
pytest.importorskip("playwright", reason="needs the extra `dev`")

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "first-steps.ipynb"
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWN_EVERYWHERE = {"text/html", "text/plain"}
"""What Jupyter, VS Code and Colab show without anything being installed."""


@contextmanager
def one_processor() -> Iterator[None]:
    """So that a busy machine does not have two threads wait for each other; where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook with its outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(place)}})
    with one_processor():
        client.execute()
    return notebook


def outputs(notebook: Any, ends_with: str) -> list[Any]:
    """Of the cell whose code ends so."""
    (cell,) = (each for each in notebook.cells if each.cell_type == "code" and each.source.endswith(ends_with))
    return list(cell.outputs)


def result(notebook: Any, ends_with: str) -> Any:
    return outputs(notebook, ends_with)[-1]["data"]


def test_it_is_kept_without_outputs_and_knows_no_machine() -> None:
    written = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in written["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr|content)/", NOTEBOOK.read_text(encoding="utf-8"))


@pytest.mark.timeout(300)
def test_nothing_is_shown_that_needs_a_widget_or_says_too_much(done: Any) -> None:
    shown = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {output.output_type for output in shown} <= {"display_data", "execute_result"}  # no stream of text
    assert {kind for output in shown for kind in output["data"]} == SHOWN_EVERYWHERE
    assert "<script" not in "".join(output["data"].get("text/html", "") for output in shown)


def test_a_training_leaves_table_and_coach_and_no_bar(done: Any) -> None:
    (output,) = outputs(done, "overwrite=True\n)")
    html = output["data"]["text/html"]
    assert html.count("<tr") == 1 + 8
    assert "coach: " in html
    assert "<progress" not in html
    assert "Validation Macro F1" in html
    assert "--" not in html.replace("---", "")  # arguments, where the terminal has flags


def test_records_are_one_line_and_short_html(done: Any) -> None:
    for code, name in {"run": "FineTuned", "evaluate(run.model, held_out)": "Evaluated", "text)": "Reply"}.items():
        data = result(done, code)
        assert data["text/plain"].startswith(f"<{name} ")
        assert "\n" not in data["text/plain"]
        assert len(data["text/html"]) < 12_000
    assert "<svg" in result(done, "run")["text/html"]
    assert "the treasurer</mark>" in result(done, "text)")["text/html"]
    assert result(done, "cv=2)")["text/plain"].startswith("array([0.")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_right_in_a_browser(done: Any, scheme: str, tmp_path: Path) -> None:
    """On a page of both colours and of a phone's width: readable, in its bounds, and nothing is fetched."""
    html = "".join(
        f'<section style="max-width:100%">{output["data"]["text/html"]}</section>'
        for code in ("overwrite=True\n)", "run", "evaluate(run.model, held_out)", "text)")
        for output in outputs(done, code)
    )
    ink, paper = ("#eee", "#111") if scheme == "dark" else ("#111", "#fff")
    page_html = f'<!doctype html><meta charset="utf-8"><body style="color:{ink};background:{paper}">{html}'
    (tmp_path / "page.html").write_text(page_html, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 375, "height": 667})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert asked == [(tmp_path / "page.html").as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        svg = page.locator("svg").bounding_box()
        assert svg is not None
        assert svg["width"] > 200
        assert svg["height"] > 80
        assert page.locator("mark").inner_text() == "the treasurer"
        colour = "e => getComputedStyle(e).color"
        assert page.locator("table").first.evaluate(colour) == page.locator("body").evaluate(colour)
        assert page.locator("tr[style*='700']").count() == 2  # the best epoch, under the training and of the run
        page.locator("summary", has_text="other candidates").click()
        assert page.locator("details[open] td").first.is_visible()
        browser.close()
