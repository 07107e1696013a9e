from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distiltune.data.example_set import ExampleSet
from distiltune.data.row_findings import RowFindings
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextWindows, featurise, longest_first, make_arrays
from distiltune.tasks.text_classification.targets import Targets
from tests.helpers import word_pieces

WORDS = [*"abcdefgh", "##b", "##c"]
TOKENIZER = word_pieces(WORDS)
TEXT = st.lists(st.sampled_from(["a", "b", "ab", "abc", "zz", "d", "e"]), min_size=1, max_size=30).map(" ".join)


def sequences(arrays: dict[str, np.ndarray]) -> list[list[int]]:
    return [arrays["token_ids"][a:b].tolist() for a, b in itertools.pairwise(arrays["offsets"].tolist())]


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXT, st.none() | TEXT), min_size=1, max_size=6), st.integers(8, 30), st.booleans())
def test_features_are_what_the_tokenizer_makes(
    texts: list[tuple[str, str | None]], max_length: int, truncate: bool
) -> None:
    """Cut off they are exactly its truncated encodings; in windows nothing of a single text is lost."""
    examples = [TextExample(str(i), text, pair, None) for i, (text, pair) in enumerate(texts)]
    windows = TextWindows(max_length, 3, truncate)
    arrays = make_arrays(examples, TOKENIZER, windows)
    made = sequences(arrays)
    assert max(map(len, made)) <= max_length
    for i, (text, pair) in enumerate(texts):
        own = [made[j] for j in np.flatnonzero(arrays["example_of"] == i)]
        full = TOKENIZER.encode(text, pair)
        TOKENIZER.enable_truncation(max_length, strategy="longest_first")
        expected = TOKENIZER.encode(text, pair).ids
        TOKENIZER.no_truncation()
        if pair is not None or truncate:
            assert own == [expected]
        else:
            # Neighbours share three tokens, so that what is new in each makes up the text.
            inner = [each[1:-1] for each in own]
            joined = inner[0] + [token for each in inner[1:] for token in each[windows.shared :]]
            assert joined == full.ids[1:-1]
        assert (i in arrays["truncated"]) == (len(full.ids) > max_length and (pair is not None or truncate))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 40))
def test_pairs_are_cut_longest_first(first: int, second: int, room: int) -> None:
    kept, pair_kept = (int(x[0]) for x in longest_first(*(np.array([each]) for each in (first, second, room))))
    assert kept <= first
    assert pair_kept <= second
    assert kept + pair_kept == min(first + second, room)


def test_the_windows_of_a_text_weigh_one_together() -> None:
    examples = (TextExample("1", " ".join(["a"] * 30), None, ("x",)), TextExample("2", "a", None, ("y",)))
    read = ExampleSet(examples, RowFindings(2), "f", ("a",))
    targets = Targets("single-label", ("x", "y"))
    data = featurise(read, TOKENIZER, TextWindows(12, 2), targets, np.array([2.0, 0.5]))
    assert data.features.weights is not None
    of_first = data.features.example_of == 0
    assert of_first.sum() > 1
    assert data.features.weights[of_first].sum() == pytest.approx(2.0)
    assert data.features.weights[~of_first].tolist() == [0.5]
    assert data.features.labels[:, 0].tolist() == [0] * int(of_first.sum()) + [1]


@pytest.mark.parametrize(
    ("targets", "gold", "kind", "rows"),
    [
        (Targets("single-label", ("x", "y")), ("y",), np.int32, [[1], [-1]]),
        (Targets("multi-label", ("x", "y", "z")), ("x", "z"), np.int32, [[1, 0, 1], [-1, -1, -1]]),
        (Targets("regression", ("number",)), ("0.1",), np.float32, [[0.1], [np.nan]]),
    ],
)
def test_labels_are_whole_or_other_numbers(targets: Targets, gold: tuple[str, ...], kind: type, rows: Any) -> None:
    examples = (TextExample("1", "a", None, gold), TextExample("2", "b", None, None))
    data = featurise(
        ExampleSet(examples, RowFindings(2), "f", ("a",)), TOKENIZER, TextWindows(12, 2), targets, np.ones(3)
    )
    assert data.features.labels.dtype == kind
    np.testing.assert_array_equal(data.features.labels, np.array(rows, dtype=kind))


def test_where_no_text_has_a_label_there_is_no_column_of_them() -> None:
    read = ExampleSet((TextExample("1", "a", None, None),), RowFindings(1), "f", ("a",))
    data = featurise(read, TOKENIZER, TextWindows(12, 2), Targets("single-label", ("x", "y")), np.ones(2))
    assert data.features.labels.shape == (1, 0)
