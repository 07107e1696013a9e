"""Pictures are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from distiltune.system.figures import save_figure


def test_a_picture_that_is_broken_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "x.svg"
    save_figure(Figure(), picture)
    before = picture.read_bytes()
    assert before.startswith(b"<?xml")

    def full(self: Figure, file: object, **how: object) -> None:
        file.write(b"<?xml")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        save_figure(Figure(), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]
    assert picture.read_bytes() == before
