"""What a model of texts gets right, text by text, as `distiltune compare` adds it up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from distiltune.tasks.analysis import Counts
from distiltune.tasks.text_classification.analysis import analyse
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.metrics import label_set_metrics
from distiltune.tasks.text_classification.targets import Targets


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
