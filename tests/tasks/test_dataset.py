"""A stride that windows have no room for: what they share instead is told, for every task that shortens it."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune import check

FILES = {
    "texts.csv": "text,label\n" + "".join(f"{'one two three four ' * 12}{i},{'ab'[i % 2]}\n" for i in range(8)),
    "words.conll": ("Ada B-PER\nsang O\n" * 20 + "\n") * 8,
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_stride_without_room_is_told_where_texts_are_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FILES[name])

    def told(max_length: int, stride: int) -> list[str]:
        found = check(path, model="starter", max_length=max_length, stride=stride, threads=1).values["concerns"]
        return [each["message"] for each in found if each["kind"] == "stride_shortened"]

    (message,) = told(20, 18)
    assert "share 6 tokens: the stride of 18 leaves no room to move on in windows of 20" in message
    assert not told(20, 8)
    assert not told(384, 400)
