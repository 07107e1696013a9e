"""What errors tell a person to do can be done."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import json
import os
import pickle
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distiltune import errors
from distiltune.errors import DistiltuneError, ModelError, install_extra, is_of_printing, with_controls_shown
from distiltune.serving.batching import OverloadedError
from distiltune.system.durable import writing_to

ROOT = Path(errors.__file__).parents[2]


def test_an_extra_is_installed_from_where_this_was() -> None:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("not run from the source")
    assert shlex.split(install_extra("serve")) == [
        *(sys.executable, "-m", "pip", "install", "--editable"),
        f"{ROOT}[serve]",
    ]


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"url": "file:///w/distiltune.whl", "archive_info": {}}, "distiltune[serve] @ file:///w/distiltune.whl"),
        (None, "distiltune[serve]"),
    ],
)
def test_without_the_source_pips_record_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, Any] | None, what: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return json.dumps(record) if record else None

    monkeypatch.setattr(errors, "__file__", str(tmp_path / "lib" / "distiltune" / "errors.py"))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())
    assert shlex.split(install_extra("serve"))[1:] == ["-m", "pip", "install", what]


def test_an_error_of_another_process_keeps_its_parts() -> None:
    error = ModelError("It cannot be.", where="here", fix="do that")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (ModelError, "It cannot be.\n  where: here\n  what to do: do that")
    busy = pickle.loads(pickle.dumps(OverloadedError(7)))
    assert (busy.retry_after_s, busy.fix) == (7, "ask again in 7 s")


def test_every_error_says_what_to_do() -> None:
    """`fix` must be given (mypy sees to it too), and nowhere as nothing."""
    with pytest.raises(TypeError, match="fix"):
        ModelError("It cannot be.")  # type: ignore[call-arg]
    n_seen = 0
    for file in Path(errors.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "fix":
                n_seen += 1
                assert not isinstance(node.value, ast.Constant) or node.value.value, f"{file}:{node.lineno}"
    assert n_seen > 200


def test_every_extra_that_is_named_is_one() -> None:
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = [
        part.partition("install_extra('")[2].partition("'")[0]
        for file in Path(errors.__file__).parent.rglob("*.py")
        for part in file.read_text(encoding="utf-8").splitlines()
        if "install_extra('" in part
    ]
    assert len(named) >= 7
    assert set(named) <= set(extras)


def test_control_characters_are_shown_and_reach_no_terminal() -> None:
    hostile = "a\x1b]0;title\x07\x9b31m\rb\u202ec\x00\x7f"
    error = DistiltuneError(f"No {hostile}.", where=f"file {hostile}", fix=f"see {hostile}\tor\nnot")
    assert str(error).count("a\\x1b]0;title\\x07\\x9b31m\\rb\\u202ec\\x00\\x7f") == 3
    assert str(error).endswith("\tor\nnot"), "line ends and tabs stay"
    assert with_controls_shown("é 漢字 👩‍👧") == "é 漢字 👩‍👧"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_printed_is_told_from_what_cannot_be_written(tmp_path: Path) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 (whose end fails again)
    with pytest.raises(OSError, match="No space") as printed, writing_to(tmp_path, ModelError):
        Console(file=full).print("a line")
    assert is_of_printing(printed.value)
    with contextlib.suppress(OSError):
        full.close()
    with pytest.raises(ModelError, match="cannot be written"), writing_to(tmp_path, ModelError):
        os.write(os.open("/dev/full", os.O_WRONLY), b"x")
