"""What is said of labelled texts before a training, and how much of it a training hears."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from distiltune.recipe.recipe import Recipe
from distiltune.tasks.labelled_check import _number_concerns, in_training
from distiltune.tasks.table import TASKS


@pytest.mark.parametrize(("power", "severity"), [(0.0, None), (1.0, None), (2.0, "error"), (4.0, "error")])
def test_numbers_of_which_a_few_lie_far_out(power: float, severity: str | None) -> None:
    """Drawn log-normally, the wider the power; the unit does not matter."""
    rng = random.Random(3)
    drawn = [rng.gauss(0, 1) for _ in range(400)]
    numbers = drawn if power == 0.0 else [5e4 * 2.718 ** (power * each) for each in drawn]
    found = _number_concerns(numbers)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert [each.kind for each in in_training(found)] == (["targets_unscaled"] if severity else [])
    assert [each.severity for each in _number_concerns([each / 1e6 for each in numbers])] == [e.severity for e in found]
    assert _number_concerns(numbers[:20]) == [] == _number_concerns([1.0] * 100)


@pytest.mark.parametrize(("model", "told"), [("starter", True), ("starter-qa", False)])
def test_no_fine_tuned_model_is_advised_to_who_has_one(model: str, told: bool, tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "question": f"Who is number {i}?", "context": f"Ada {i} is here.", "answer_text": "Ada"}
        for i in range(20)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    entry = TASKS["question-answering"]
    recipe = Recipe.build({"model": model, "train": (str(path),), "task": "question-answering", "threads": 1})
    found = entry.needed(entry.checker)([str(path)], [], recipe, None)
    few = next(each for each in found.values["concerns"] if each["kind"] == "few_questions")
    assert few["repair"].startswith("add questions")
    assert ("fine-tuned already" in few["repair"]) == told
