"""The key of a page: kept, private, and never one that somebody else may know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distiltune.labelling.own_key import own_key

ON_WINDOWS = os.name == "nt"


def test_it_is_kept_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    key = own_key(tmp_path)
    assert len(key) == 32
    assert own_key(tmp_path) == key
    if not ON_WINDOWS:
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(ON_WINDOWS, reason="modes are of POSIX")
def test_one_that_others_may_read_is_put_anew(tmp_path: Path) -> None:
    key = own_key(tmp_path)
    (tmp_path / "key").chmod(0o644)
    assert own_key(tmp_path) != key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "short", "a" * 32 + "\n", "ä" * 32])
def test_what_is_no_key_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    assert own_key(tmp_path) != text


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("a" * 32)
    (tmp_path / "other").chmod(0o600)
    (tmp_path / "key").symlink_to(tmp_path / "other")
    assert own_key(tmp_path) != "a" * 32
    assert (tmp_path / "other").read_text() == "a" * 32
    assert not (tmp_path / "key").is_symlink()
