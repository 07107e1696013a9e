"""The pages of all tasks as their templates make them: whole, each with its own, and what all have alike."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files

import pytest

pytest.importorskip("jinja2", reason="needs the extra `serve`")
from bs4 import BeautifulSoup
from jinja2 import UndefinedError

from distiltune.serving.pages import rendered

PAGES = {
    "questions": "distiltune.tasks.question_answering/page",
    "texts": "distiltune.tasks.text_classification/page",
    "words": "distiltune.tasks.token_classification/page",
    "label": "distiltune.labelling/static",
}


def page_of(name: str) -> BeautifulSoup:
    package, _, folder = PAGES[name].partition("/")
    page = rendered(files(package).joinpath(folder, "index.html").read_text(encoding="utf-8"))
    assert "{%" not in page
    assert "{{" not in page
    return BeautifulSoup(page, "html.parser")


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_whole(name: str) -> None:
    page = page_of(name)
    assert [each for each, n in Counter(tag["id"] for tag in page.find_all(id=True)).items() if n > 1] == []
    ids = {tag["id"] for tag in page.find_all(id=True)}
    for attribute in ("for", "aria-labelledby", "aria-describedby"):
        assert {tag[attribute] for tag in page.select(f"[{attribute}]")} <= ids
    skip = page.find("a", class_="skip")
    assert skip is not None
    assert skip["href"] in {f"#{each}" for each in ids}
    assert {"key-part", "model", "problem", "status", "text-section", "ask-section"} <= ids
    assert page.title is not None
    assert page.title.text.endswith(" – distiltune")
    assert page.title.text != " – distiltune"
    assert page.h1 is not None
    assert all(tag.get("src") for tag in page.find_all("script")), "its policy forbids what stands in the page"


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_is_there(name: str) -> None:
    package, _, folder = PAGES[name].partition("/")
    there = {each.name for each in files(package).joinpath(folder).iterdir()}
    there |= {each.name for each in files("distiltune.serving").joinpath("static").iterdir()}
    there |= {"task.js"} if name == "label" else set()  # each task's own
    page = page_of(name)
    named = {tag["src"] for tag in page.find_all("script")} | {tag["href"] for tag in page.find_all("link")}
    assert named <= there


def test_a_name_that_there_is_not_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendered("{{ nothing }}")
