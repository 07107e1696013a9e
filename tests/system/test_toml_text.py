"""TOML: as the standard library reads it, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import distiltune
from distiltune.system.toml_text import MAX_DOTS, parse_toml


def test_it_is_what_the_standard_library_reads() -> None:
    assert parse_toml('a.b.c = 1\n[d]\ne = "x.y.z"\n') == {"a": {"b": {"c": 1}}, "d": {"e": "x.y.z"}}


@pytest.mark.parametrize(
    "text",
    ["a." * 50_000 + "a = 1", "[" + "a." * 50_000 + "a]", "b = {" + "a." * 50_000 + "a = 1}", "a = " + "[" * 100_000],
    ids=["key", "header", "inside", "lists"],
)
def test_what_takes_long_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"line 1 has more than 1,000 dots|nested too deep"):
        parse_toml(text)
    assert time.process_time() - began < 2


def test_the_longest_key_that_may_be_takes_little_time() -> None:
    began = time.process_time()
    parse_toml("a." * MAX_DOTS + "a = 1")
    assert time.process_time() - began < 2


def test_nothing_else_reads_toml() -> None:
    package = Path(distiltune.__file__).parent
    found = [path.name for path in package.rglob("*.py") if "tomllib" in path.read_text("utf-8")]
    assert found == ["toml_text.py"]
