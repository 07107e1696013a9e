from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distiltune.tasks.token_classification.metrics import EntityCounts
from distiltune.tasks.token_classification.tags import entities_of

TAGS = st.sampled_from(["O", *(f"{prefix}-{label}" for prefix in "BIES" for label in ("x", "y"))])
PAIRS = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=12), min_size=1, max_size=8)


@settings(max_examples=150)
@given(PAIRS)
def test_scores_are_seqevals(sentences: list[list[tuple[str, str]]]) -> None:
    """Of any tags, broken ones too: entities, precision, recall, F1, overall and by label."""
    pytest.importorskip("seqeval", reason="needs seqeval")
    from seqeval import metrics
    from seqeval.metrics.sequence_labeling import get_entities

    gold = [[one for one, _ in sentence] for sentence in sentences]
    given_ = [[other for _, other in sentence] for sentence in sentences]
    counts = EntityCounts()
    for one, other in zip(gold, given_, strict=True):
        assert [(e.label, e.start, e.end - 1) for e in entities_of(one)] == get_entities(one)
        counts.add(entities_of(one), entities_of(other))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = counts.metrics()
        assert found["precision"] == pytest.approx(metrics.precision_score(gold, given_))
        assert found["recall"] == pytest.approx(metrics.recall_score(gold, given_))
        assert found["f1"] == pytest.approx(metrics.f1_score(gold, given_))
        report = metrics.classification_report(gold, given_, output_dict=True, zero_division=0)
    for label, each in counts.by_label().items():
        theirs = report[label]
        assert (each.precision, each.recall, each.f1, each.n) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )
    if counts.by_label():
        assert found["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
