from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distiltune.errors import DataError
from distiltune.labelling.kept_rows import KeptRows
from distiltune.labelling.offered import Row
from distiltune.serving.corrections import NotKeptError


def by_id(row: Row) -> str | None:
    name: str | None = row.get("id")
    return name


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


@pytest.fixture
def kept(tmp_path: Path) -> KeptRows:
    made = KeptRows(tmp_path / "mine.jsonl")
    made.load(by_id)
    made.check()
    return made


def test_rows_are_appended_changed_and_taken_back(kept: KeptRows) -> None:
    kept.put("a", [{"id": "a", "label": "x"}])
    kept.put("b", [{"id": "b", "label": "y"}, {"id": "b", "label": "z"}])
    inode = kept.path.stat().st_ino
    kept.put("c", [{"id": "c"}])
    assert kept.path.stat().st_ino == inode, "a new item is appended"
    kept.put("a", [{"id": "a", "label": "other"}])
    kept.put("b", [])
    assert lines(kept.path) == [{"id": "a", "label": "other"}, {"id": "c"}]
    again = KeptRows(kept.path)
    assert again.load(by_id) == {"a": [{"id": "a", "label": "other"}], "c": [{"id": "c"}]}


def test_signs_of_any_script_stand_as_they_are(kept: KeptRows) -> None:
    text = "a\u2028b \N{GRINNING FACE} cafe\u0301\r\n"
    kept.put("a", [{"id": "a", "text": text}])
    assert lines(kept.path)[0]["text"] == text
    assert KeptRows(kept.path).load(by_id)["a"][0]["text"] == text


def test_a_last_row_that_a_kill_cut_is_cut_off_and_the_others_stay(kept: KeptRows) -> None:
    kept.put("a", [{"id": "a"}])
    with kept.path.open("ab") as file:
        file.write(b'{"id": "b", "te')
    again = KeptRows(kept.path)
    assert again.load(by_id) == {"a": [{"id": "a"}]}
    assert again.n_cut == 15
    assert lines(kept.path) == [{"id": "a"}]


def test_rows_of_others_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"question": "?"}\n{"id": "a", "label": 1}\n', encoding="utf-8")
    kept = KeptRows(path)
    kept.load(by_id)
    assert kept.n_others == 1
    kept.put("a", [{"id": "a", "label": 2}])
    assert lines(path) == [{"question": "?"}, {"id": "a", "label": 2}]


def test_a_damaged_line_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "a"}\n[1]\n', encoding="utf-8")
    with pytest.raises(DataError) as raised:
        KeptRows(path).load(by_id)
    assert raised.value.where == f"{path}:2"
    assert path.read_text(encoding="utf-8") == '{"id": "a"}\n[1]\n'


def test_what_another_program_wrote_meanwhile_is_not_overwritten(kept: KeptRows) -> None:
    kept.put("a", [{"id": "a"}])
    time.sleep(0.01)
    kept.path.write_text('{"id": "mine", "by": "hand"}\n', encoding="utf-8")
    for rows in ([{"id": "b"}], [{"id": "a", "label": "x"}]):
        with pytest.raises(NotKeptError):
            kept.put(rows[0]["id"], rows)
    assert lines(kept.path) == [{"id": "mine", "by": "hand"}]


def test_a_full_disk_leaves_file_and_memory_as_they_were(kept: KeptRows, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.put("a", [{"id": "a"}])

    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distiltune.labelling.kept_rows.write_whole", full)
    with pytest.raises(NotKeptError, match="No space left"):
        kept.put("a", [{"id": "a", "label": "x"}])
    monkeypatch.undo()
    kept.put("b", [{"id": "b"}])
    assert lines(kept.path) == [{"id": "a"}, {"id": "b"}]


_WRITER = """
import sys
from pathlib import Path
from distiltune.labelling.kept_rows import KeptRows
kept = KeptRows(Path(sys.argv[1]))
kept.load(lambda row: row["id"])
for i in range(100_000):
    kept.put(str(i % 50), [{"id": str(i % 50), "text": "word " * 200, "n": i}])
    print(i, flush=True)
"""


def test_kill_9_loses_at_most_the_row_that_was_being_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    child = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = 0
    for _ in range(120):  # half of them appended, the others changes of what stands there
        said = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    said = max([said, *(int(line) for line in child.stdout.read().split())])
    child.wait()
    kept = KeptRows(path).load(lambda row: row["id"])
    assert len(kept) == 50
    newest = max(rows[0]["n"] for rows in kept.values())
    assert newest in (said, said + 1)
    assert sorted(rows[0]["n"] for rows in kept.values()) == list(range(newest - 49, newest + 1))
