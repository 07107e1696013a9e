"""`ask` about a folder: small ones are read whole, large ones searched, and it is told what was read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str]]
QUESTION = "what likes ada"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    for number, text in enumerate(("ada likes chess .", "bob likes golf .")):
        (folder / f"{number}.txt").write_text(text)
    return folder


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A document on each of twenty people, and much else in it."""
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.txt").write_text(f"p{number} fears bats . " + "cem eats rice . " * 700)
    (folder / "20.txt").write_text("ada likes chess .")
    return folder


def test_a_small_folder_is_read_whole_without_an_index(
    people_model: Path, small: Path, own_cache: Path, run: Run
) -> None:
    before = set(own_cache.glob("index-*"))
    status, said = run("ask", people_model, "--document", small, QUESTION, "--threads", 1)
    assert status == 0
    assert "a guess" in said
    assert "passages were read" not in said
    assert set(own_cache.glob("index-*")) == before


def test_a_large_folder_is_searched_and_its_index_kept(people_model: Path, large: Path, run: Run) -> None:
    arguments = ("ask", people_model, "--document", large, QUESTION, "--threads", 1)
    status, said = run(*arguments)
    assert status == 0
    assert "21 documents new" in said
    assert "1 of 241 passages were read, the likeliest by words." in said
    assert "20.txt" in said
    assert "chess" in said
    assert "documents new" not in run(*arguments)[1]
    replies = json.loads(run(*arguments, "--passages", 2, "--json", "--search", "words")[1])
    assert replies[0]["notes"][0].startswith("1 of ")
    assert replies[0]["read_share"] < 0.1


def test_words_vectors_and_both_by_name(people_model: Path, small: Path, tmp_path: Path, run: Run) -> None:
    index = tmp_path / "index.sqlite"
    for flags, words in (
        (("--search", "words"), "by words."),
        (("--encoder", people_model), "by words and vectors."),
        (("--search", "vectors", "--encoder", people_model), "by vectors."),
    ):
        arguments = ("--document", small, "--index", index, "--passages", 1, "--threads", 1)
        status, said = run("ask", people_model, QUESTION, *arguments, *flags)
        assert status == 0
        assert f"1 of 2 passages were read, the likeliest {words}" in said
    assert index.is_file()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--search", "best"), "There is no search 'best'"),
        (("--search", "vectors"), "which model gives the vectors"),
        (("--search", "words", "--encoder", "starter"), "no use for vectors"),
        (("--search", "all", "--index", "x"), "everything is read"),
        (("--search", "all", "--passages", "3"), "everything is read"),
    ],
)
def test_flags_that_do_not_go_together(
    people_model: Path, small: Path, run: Run, flags: tuple[str, ...], words: str
) -> None:
    status, said = run("ask", people_model, QUESTION, "--document", small, *flags)
    assert status == 2
    assert words in said


def test_only_files_are_searched(people_model: Path, small: Path, run: Run) -> None:
    for flags in (("--text", "ada likes chess ."), ("--document", "-")):
        status, said = run("ask", people_model, QUESTION, *flags, "--search", "words")
        assert status == 2
        assert "Only documents in files are searched" in said


def test_an_index_elsewhere_is_no_other_file(people_model: Path, small: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    status, said = run("ask", people_model, QUESTION, "--document", small, "--index", tmp_path / "notes.txt")
    assert status == 1
    assert "no index" in said
    assert (tmp_path / "notes.txt").read_text() == "mine"
