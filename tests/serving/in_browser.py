"""A page in a real Chromium, which asks nothing of others and breaks none of its own rules."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SHOWN: Final = "#reading mark.shown"


def opened(context: BrowserContext, url: str, name: str = "people") -> Iterator[Page]:
    """The page at an address; nothing is fetched from elsewhere, and nothing breaks its own rules meanwhile."""
    from playwright.sync_api import expect

    page = context.new_page()
    elsewhere: list[str] = []
    broken: list[str] = []
    site = url.partition("#")[0]
    own = (site, "blob:" + site)  # what is saved of the page is of its own making
    page.on("request", lambda request: None if request.url.startswith(own) else elsewhere.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
    page.on("dialog", lambda dialog: broken.append(dialog.message))
    page.goto(url)
    expect(page.locator("#model")).to_contain_text(name)
    yield page
    assert elsewhere == []
    assert broken == [], broken


def paste(page: Page, text: str) -> None:
    """As a person does: through the clipboard."""
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.locator("#text").press("Control+v")


def drop(page: Page, files: dict[str, str]) -> None:
    """Drop files of these names and contents onto the page."""
    held = page.evaluate_handle(
        """files => { const held = new DataTransfer();
           for (const [name, text] of Object.entries(files)) held.items.add(new File([text], name));
           return held; }""",
        files,
    )
    page.locator("#text-section").dispatch_event("drop", {"dataTransfer": held})


def violations(page: Page) -> list[Any]:
    """What axe finds wrong with the page as it is."""
    import pytest

    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `dev`").Axe()
    found = axe.run(page).response["violations"]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
