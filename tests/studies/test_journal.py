"""A journal that was broken off is read to its last whole line, whatever was cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.errors import TrainingError
from distiltune.studies.journal import JOURNAL, mend_journal

LINES = [b'{"op_code":0,"study_name":"distiltune"}\n', b'{"op_code":4,"trial_id":0}\n', b'{"op_code":6}\n']


def test_a_whole_journal_and_none_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    assert mend_journal(path) == ()
    assert not path.exists()
    path.write_bytes(b"".join(LINES))
    before = path.stat().st_mtime_ns
    assert mend_journal(path) == ()
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("n_bytes", range(1, len(b"".join(LINES))))
def test_wherever_it_is_cut_its_whole_lines_are_kept_and_that_is_said(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / JOURNAL
    content = b"".join(LINES)[:n_bytes]
    path.write_bytes(content)
    kept = content[: content.rfind(b"\n") + 1]
    notes = mend_journal(path)
    assert path.read_bytes() == kept
    assert len(notes) == (content != kept)
    assert all(f"last {len(content) - len(kept)} bytes" in note for note in notes)


@pytest.mark.parametrize("end", [b"\0" * 40, b'{"op_co{"op_code":6}\n', b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_what_a_power_cut_or_a_second_try_left_at_the_end_is_taken_out(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / JOURNAL
    path.write_bytes(b"".join(LINES) + end)
    assert mend_journal(path)
    assert path.read_bytes() == b"".join(LINES)


def test_damage_before_the_end_is_told_and_nothing_is_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    content = LINES[0] + b'{"op_c\n' + LINES[2]
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="Line 2 of the search's journal is damaged") as caught:
        mend_journal(path)
    assert caught.value.where == f"{path}:2"
    assert path.read_bytes() == content
