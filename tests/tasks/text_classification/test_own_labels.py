"""Which texts are kept with the labels that a model gave them: of each label its share, the surest, and not more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distiltune.data.row_findings import RowFindings
from distiltune.tasks.self_taught import OfLabel
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextExample, TextSet
from distiltune.tasks.text_classification.own_labels import (
    MOST_OVER,
    choose,
    in_proportion,
    kept_of,
    read_unlabelled,
)


def plainly(values: np.ndarray, allowed: list[int], confidence: float) -> list[int]:
    """The same, a label at a time."""
    kept = []
    for label, most in enumerate(allowed):
        of_it = [i for i in range(len(values)) if values[i].argmax() == label]
        of_it.sort(key=lambda i: (-values[i].max(), i))
        kept += [i for i in of_it[:most] if values[i].max() >= confidence]
    return sorted(kept, key=lambda i: (-values[i].max(), i))


@pytest.mark.parametrize("confidence", [0.0, 0.6])
def test_of_each_label_the_surest_are_kept(confidence: float) -> None:
    values = np.random.default_rng(3).dirichlet([1.0, 1.0, 0.2], 60).round(2)  # some are equally sure
    allowed = [5, 12, 3]
    kept = kept_of(values, np.array(allowed), confidence).tolist()
    assert kept == plainly(values, allowed, confidence)
    assert len(kept) > 5


def test_a_label_that_is_taken_for_all_others_does_not_crowd_them_out() -> None:
    values = np.array([[0.99, 0.01]] * 50 + [[0.4, 0.6]] * 3)
    said = choose([f"text {i}" for i in range(53)], (values, 1.0, 0), np.array([4, 4]), 3.0, 0.0)
    made = said.as_labels(("a", "b"), TextColumns())
    # Of twelve that may be kept so many that they are at most three quarters of all: half of the labels are `a`.
    assert made.of_label == {"a": OfLabel(4, 50, 12, 9), "b": OfLabel(4, 3, 12, 3)}
    assert [row["label"] for row in made.rows] == ["a"] * 9 + ["b"] * 3
    assert made.rows[10] == {
        "text": "text 51",
        "label": "b",
        "confidence": 0.6,
        "why": "number 2 by confidence of the 3 texts that were given this label, 12 of which may be kept",
    }


def test_of_a_model_that_knows_one_label_only_nothing_is_kept() -> None:
    values = np.array([[0.99, 0.01, 0.0]] * 50 + [[0.1, 0.6, 0.3]])
    texts, counts = [f"text {i}" for i in range(51)], np.array([8, 8, 8])
    assert not len(choose(texts[:50], (values[:50], 1.0, 0), counts, 3.0, 0.0).kept)
    # One of each, beside one of the other label.
    assert choose(texts, (values, 1.0, 0), counts, 3.0, 0.0).kept.tolist() == [0, 50]


def test_shares_are_those_of_the_labels_within_bounds() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        there, counts = random.integers(0, 40, 4), random.integers(1, 30, 4)
        kept = in_proportion(there, counts)
        assert (kept <= there).all()
        assert (kept <= MOST_OVER * counts / counts.sum() * kept.sum()).all()
    alike = np.array([30, 20, 10])
    assert in_proportion(alike, np.array([3, 2, 1])).tolist() == alike.tolist()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (TextColumns(), {"text", "label"}),
        (TextColumns(text="tweet", label="mood"), {"tweet", "mood"}),
        (TextColumns(labels="moods"), {"text", "moods"}),
        (TextColumns(text="why", label="confidence"), {"why", "confidence"}),
    ],
)
def test_rows_have_the_columns_of_the_training_data(columns: TextColumns, expected: set[str]) -> None:
    made = choose(["one", "two"], (np.array([[0.2, 0.8], [0.7, 0.3]]), 1.0, 0), np.array([1, 1]), 1.0, 0.0)
    row, _ = made.as_labels(("a", "b"), columns).rows
    assert set(row) == expected | {"confidence", "why"}
    assert row[columns.text] == "one"
    assert "b" in row.values()


def test_what_is_labelled_already_is_no_text_without_a_label(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("new\n known \nnew\n\nheld out\nother\n", encoding="utf-8")

    def of(text: str) -> TextSet:
        return TextSet((TextExample("1", text, None, ("a",)),), RowFindings(), text, ())

    found = read_unlabelled([str(file)], "", TextColumns(), of("known"), of(" held out"))
    assert found.texts == ("new", "other")
    assert (found.n_read, found.n_repeated, found.n_known) == (5, 1, 2)
    assert set(found.fingerprints) == {"training data", "validation data", "unlabelled texts"}
