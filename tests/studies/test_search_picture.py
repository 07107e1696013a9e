"""The picture of a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.recipe.recipe import Recipe
from distiltune.studies.search import Search, Trial


def test_a_value_is_no_formula(tmp_path: Path) -> None:
    """Such a one as would end the drawing, after all trainings."""
    pytest.importorskip("matplotlib")
    from distiltune.studies.search_picture import draw_search

    values = ("$\\frac$", "_a", 3)
    trials = tuple(Trial(n, "done", {"class_weights": value}, 0.5 - n / 9, 1) for n, value in enumerate(values))
    draw_search(Search("validation_loss", "lower", trials, trials[-1], {}, Recipe()), tmp_path / "search.svg")
    assert (tmp_path / "search.svg").is_file()
