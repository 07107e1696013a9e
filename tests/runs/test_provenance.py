from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from distiltune.runs import provenance
from distiltune.runs.provenance import versions


def test_versions_name_what_decides_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = versions()
    assert {"distiltune", "torch", "tokenizers", "safetensors", "numpy"} <= found.keys()
    assert all(found.values())

    def unknown(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(provenance, "version", unknown)
    assert versions()["torch"] == "unknown"


def fake_git(answers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``git`` answer by its first argument, or fail."""

    def run(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        if command[3] not in answers:
            raise FileNotFoundError("git")
        key = " ".join(command[3:5])
        return subprocess.CompletedProcess(command, 0, answers.get(key, answers[command[3]]) + "\n", "")

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize(
    ("changes", "has_source", "expected"),
    [("", True, "abc123"), (" M src/distiltune/cli.py", True, "abc123+"), ("", False, None)],
)
def test_the_git_revision_is_that_of_a_checkout_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: str, has_source: bool, expected: str | None
) -> None:
    if has_source:
        (tmp_path / "src" / "distiltune").mkdir(parents=True)
    fake_git(
        {"rev-parse": "", "rev-parse --show-toplevel": str(tmp_path), "rev-parse HEAD": "abc123", "status": changes},
        monkeypatch,
    )
    assert versions().get("git_revision") == expected


def test_without_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git({}, monkeypatch)
    assert "git_revision" not in versions()
