from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.whole import runs_something_whole

TESTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("code", "whole"),
    [
        ("import distiltune", True),
        ("from distiltune import fine_tune", True),
        ("from distiltune import cli", True),
        ("from distiltune.runs.fine_tune import FineTuned", True),
        ("def test_it():\n    from playwright.sync_api import sync_playwright", True),
        ("import subprocess as other", True),
        ("from distiltune.runs.directory import RunDirectory\nimport subprocesses", False),
        ("from distiltune.training import loop\nfrom tests.helpers import TINY", False),
    ],
)
def test_what_a_file_imports_decides(code: str, whole: bool, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(code, encoding="utf-8")
    assert runs_something_whole(tmp_path / "test_it.py") == whole


def test_what_is_named_is_there() -> None:
    """A module that was moved would make every test that runs it a quick one."""
    for name in ("distiltune.cli", "distiltune.runs.fine_tune", "tests.faults", "tests.serving.in_thread"):
        assert importlib.util.find_spec(name) is not None


def test_both_kinds_are_known(request: pytest.FixtureRequest) -> None:
    assert not runs_something_whole(TESTS / "training" / "test_loop.py")
    assert runs_something_whole(TESTS / "runs" / "test_fine_tune.py")
    assert request.node.get_closest_marker("whole") is None
