"""The picture of which label was given for which."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distiltune.tasks.text_classification.picture import draw_confusion


def test_a_label_is_no_formula(tmp_path: Path) -> None:
    """Such a one as would end the drawing."""
    draw_confusion(np.eye(2, dtype=np.int64), ["$\\frac$", "_a"], tmp_path / "x.svg", tmp_path / "x.png")
    assert {path.name for path in tmp_path.iterdir()} == {"x.svg", "x.png"}
