from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distiltune.tasks.text_classification.metrics import (
    confusion,
    label_metrics,
    label_set_metrics,
    number_metrics,
)

pytest.importorskip("sklearn", reason="needs scikit-learn")

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 7), st.integers(1, 60))
def test_scores_of_one_label_are_scikit_learns(seed: int, n_labels: int, n: int) -> None:
    from sklearn import metrics

    rng = np.random.default_rng(seed)
    gold, given_ = rng.integers(0, n_labels, n), rng.integers(0, max(1, n_labels - 1), n)
    found, classes = label_metrics(gold, given_, n_labels)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(gold, given_, average="macro", zero_division=0)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, given_))
    assert (found["macro_precision"], found["macro_recall"], found["macro_f1"]) == pytest.approx(
        (precision, recall, f1)
    )
    labels = list(range(n_labels))
    each = metrics.precision_recall_fscore_support(gold, given_, labels=labels, zero_division=0)
    np.testing.assert_allclose([[c.precision, c.recall, c.f1, c.n] for c in classes], np.array(each).T)
    np.testing.assert_array_equal(
        confusion(gold, given_, n_labels), metrics.confusion_matrix(gold, given_, labels=labels)
    )


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 5), st.integers(1, 40))
def test_scores_of_several_labels_are_scikit_learns(seed: int, n_labels: int, n: int) -> None:
    from sklearn import metrics

    rng = np.random.default_rng(seed)
    gold, given_ = rng.random((n, n_labels)) < 0.3, rng.random((n, n_labels)) < 0.4
    found, _ = label_set_metrics(gold, given_)
    # scikit-learn takes a matrix of one column for single labels, so its rows are compared as sets.
    assert found["accuracy"] == pytest.approx(float((gold == given_).all(axis=1).mean()))
    if n_labels > 1:
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, given_))
        for average in ("macro", "micro"):
            expected = metrics.f1_score(gold, given_, average=average, zero_division=0)
            assert found[f"{average}_f1"] == pytest.approx(expected)


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 40), st.integers(1, 6))
def test_correlations_are_scipys(seed: int, n: int, n_values: int) -> None:
    from scipy import stats

    rng = np.random.default_rng(seed)
    gold, given_ = rng.integers(0, n_values + 1, n).astype(float), rng.normal(size=n)
    found = number_metrics(gold, given_)
    if len(set(gold.tolist())) > 1:
        assert found["pearson"] == pytest.approx(stats.pearsonr(gold, given_)[0], abs=1e-9)
        assert found["spearman"] == pytest.approx(stats.spearmanr(gold, given_)[0], abs=1e-9)
    else:
        assert found["pearson"] == found["spearman"] == 0.0
