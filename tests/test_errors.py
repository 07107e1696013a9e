"""What errors tell a person to do can be done."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from distiltune import errors
from distiltune.errors import install_extra

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
