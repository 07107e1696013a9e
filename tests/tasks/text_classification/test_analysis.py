"""What a model of texts gets right, text by text, as `distiltune compare` adds it up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distiltune.tasks.analysis import Counts
from distiltune.tasks.text_classification.analysis import analyse, blind_scores, chance_losses
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.metrics import label_set_metrics
from distiltune.tasks.text_classification.settings import ProblemType
from distiltune.tasks.text_classification.targets import Targets, names_of
from tests.helpers import feature_set


def test_labels_add_up_to_the_f1_of_the_evaluation(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    wanted = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=bool)
    given = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]], dtype=bool)

    def of(row: np.ndarray) -> list[str]:
        return [name for name, has in zip(names, row, strict=True) if has]

    examples = [TextExample(str(i), f"text {i}", None, tuple(of(row))) for i, row in enumerate(wanted)]
    lines = [
        {"id": str(i), "labels": of(row), "scores": dict.fromkeys(names, 0.5), "gold": of(wanted[i])}
        for i, row in enumerate(given)
    ]
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    _, scored = analyse(examples, Targets("multi-label", names), path)
    counts = [each.counts for each in scored if each.counts is not None]
    assert counts == [Counts(1, 1, 2), Counts(0, 0, 0), Counts(2, 3, 2), Counts(0, 1, 1)]
    sums = sum(each.n_right for each in counts), sum(each.n_given + each.n_wanted for each in counts)
    assert 2 * sums[0] / sums[1] == label_set_metrics(wanted, given)[0]["micro_f1"]


def test_the_second_text_of_a_pair_is_part_of_what_was_asked(tmp_path: Path) -> None:
    examples = [TextExample(str(i), "It rains.", pair, ("yes",)) for i, pair in enumerate(("It is wet.", "It is dry."))]
    path = tmp_path / "predictions.jsonl"
    line = {"label": "yes", "scores": {"yes": 0.9, "no": 0.1}, "gold": "yes"}
    path.write_text("".join(json.dumps({"id": each.id, **line}) + "\n" for each in examples), encoding="utf-8")
    _, scored = analyse(examples, Targets("single-label", ("yes", "no")), path)
    assert [each.asked for each in scored] == ["It rains. / It is wet.", "It rains. / It is dry."]


@pytest.mark.parametrize(
    ("labels", "problem", "expected"),
    [
        (("a", "a", "a", "b"), "single-label", {"accuracy": 0.75, "macro_f1": 0.5}),
        (("a", "a", "b", "b c"), "multi-label", {"macro_f1": 0.0, "accuracy": 0.5}),
        (("a", "a b", "a b", "a"), "multi-label", {"macro_f1": 1 / 2, "accuracy": 0.5}),
        (("1.5", "2.5", "3.5", "4.5"), "regression", {"pearson": 0.0, "spearman": 0.0}),
    ],
)
def test_what_scores_come_to_without_reading(
    labels: tuple[str, ...], problem: ProblemType, expected: dict[str, float]
) -> None:
    examples = [TextExample(str(i), f"text {i}", None, tuple(each.split())) for i, each in enumerate(labels)]
    names = (
        ("number",) if problem == "regression" else tuple(sorted({name for each in labels for name in each.split()}))
    )
    found = blind_scores(examples, examples, Targets(problem, names))
    assert {each.metric: each.value for each in found} == pytest.approx(expected)
    assert next(iter(expected)) == found[0].metric, "the main one first"


def test_the_commonest_label_is_that_of_the_training_texts() -> None:
    """Which the validation texts need not have as often."""
    training = [TextExample(str(i), "", None, (name,)) for i, name in enumerate("aab")]
    validation = [TextExample(str(i), "", None, (name,)) for i, name in enumerate("abbb")]
    accuracy = blind_scores(training, validation, Targets("single-label", ("a", "b")))[0]
    assert (accuracy.value, accuracy.n, accuracy.who) == (0.25, 4, "always 'a'")


def test_the_loss_of_one_number_for_all_is_in_the_unit_of_the_losses() -> None:
    """Which are in spreads of the numbers: such a model has 1, whatever unit they are taken in."""
    numbers = np.array([[1000.0], [3000.0], [2000.0], [6000.0]], dtype=np.float32)
    features = replace(feature_set([[1, 2]] * 4, [[0]] * 4), labels=numbers)
    targets = Targets("regression", ("number",), float(numbers.mean()), float(numbers.std()))
    assert chance_losses(features, targets) == pytest.approx((0.0, 1.0))


def test_how_alike_the_given_labels_are(tmp_path: Path) -> None:
    examples = [TextExample(str(i), "text", None, (name,)) for i, name in enumerate("yyn")]
    line = {"label": "y", "scores": {"y": 0.9, "n": 0.1}}
    path = tmp_path / "predictions.jsonl"
    text = "".join(json.dumps({"id": each.id, **line, "gold": names_of(each)[0]}) + "\n" for each in examples)
    path.write_text(text, encoding="utf-8")
    facts = analyse(examples, Targets("single-label", ("y", "n")), path)[0].facts
    assert (facts["one_label_share"], facts["one_label_wanted"]) == pytest.approx((1.0, 2 / 3))
