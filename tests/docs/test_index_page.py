"""What a package index shows of this project, and what building it takes."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest

import distiltune

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
URL = "https://example.org/owner/distiltune"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of `hatch_build.py`; hatchling is there only while a package is built."""

    class Interface:
        def __init__(self, root: str) -> None:
            self.root = root

    names = "hatchling", "hatchling.metadata", "hatchling.metadata.plugin", "hatchling.metadata.plugin.interface"
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules[names[-1]], "MetadataHookInterface", Interface, raising=False)
    return runpy.run_path(str(ROOT / "hatch_build.py"))


def metadata(hook: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {"version": PROJECT["version"]}
    hook["AsAnIndexShowsIt"](str(ROOT)).update(known)
    return known


def test_every_link_of_the_readme_works_from_an_index(hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_URL", f"{URL}/")
    told = metadata(hook)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", told["readme"]["text"])
    assert len(links) > 20
    assert [to for _, to in links if not to.startswith("https://")] == []
    ours = [(image, to.removeprefix(f"{URL}/")) for image, to in links if to.startswith(URL)]
    for image, to in ours:
        kind, version, path = to.split("/", 2)
        assert (kind, version) == ("raw" if image else "blob", f"v{PROJECT['version']}")
        assert (ROOT / path.partition("#")[0]).exists(), path
    assert told["urls"].keys() == {"Homepage", "Source", "Documentation", "Changelog", "Issues"}


def test_without_an_address_none_is_made_up(hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTILTUNE_URL", raising=False)
    told = metadata(hook)
    assert "urls" not in told
    assert told["readme"]["text"] == (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.setenv("DISTILTUNE_URL", "somewhere")
    with pytest.raises(ValueError, match="not an address"):
        metadata(hook)


def test_one_version_and_a_dated_changelog() -> None:
    assert distiltune.__version__ == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(PROJECT['version'])}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.train"])
def test_what_an_image_copies_and_installs_is_there(name: str) -> None:
    text = (ROOT / "docs" / "deploy" / name).read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()]
    assert "hatch_build.py" in copied
    assert [each for each in copied if not (ROOT / each).exists()] == []
    (extras,) = re.findall(r"/source\[([\w,]+)\]", text)
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


@pytest.mark.parametrize(
    ("said", "expected"),
    [("3.10", "Python 3.11, 3.12 or 3.13"), ("OLD", "is 3.10"), ("NONE", "none that runs"), (sys.executable, "")],
)
def test_make_refuses_a_python_that_will_not_do(said: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    old = tmp_path / "python3.10"
    old.write_text("#!/bin/sh\necho 3.10\n", encoding="utf-8")
    old.chmod(0o755)
    said = {"OLD": str(old), "NONE": str(tmp_path / "nothing")}.get(said, said)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(  # as if not below `make test`, which hands its flags on
        ["make", "--file", str(ROOT / "Makefile"), "--dry-run", f"PYTHON={said}", "quickstart"],
        cwd=tmp_path, env=plain, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode != 0) is bool(expected)
    assert expected in done.stderr
    assert bool(done.stdout) is not bool(expected), "nothing is set up"


def test_a_distribution_wants_to_know_where_the_source_lies(tmp_path: Path) -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ndist:")[2].partition("\n\n")[0]
    assert "DISTILTUNE_URL=$(URL)" in recipe
    assert 'test -n "$(URL)"' in recipe
