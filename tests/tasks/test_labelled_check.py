"""What is said of labelled texts before a training, and how much of it a training hears."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from distiltune.checks import concerns
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.labelled_check import LabelledText, _number_concerns, _repeat_concerns, in_training
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


def test_repeated_texts_are_those_that_a_dictionary_finds() -> None:
    draw = random.Random(4)

    def texts(n: int) -> list[LabelledText]:
        drawn = [draw.choice(["a", "A", "a  B", "a b", "c", "d", "é", "É"]) for _ in range(n)]
        return [LabelledText(str(i), text, draw.choice(["x", "y"]), ("x",)) for i, text in enumerate(drawn)]

    own, others = texts(30), texts(9)
    first: dict[str, LabelledText] = {}
    cases: dict[str, list[tuple[str, str]]] = {"text_repeated": [], "label_conflict": [], "text_leaked": []}
    for each in own:
        before = first.setdefault(" ".join(each.text.casefold().split()), each)
        if before is not each:
            kind = "text_repeated" if before.gold == each.gold else "label_conflict"
            cases[kind].append((each.id, f"{each.text!r}, as {before.id}"))
    there = {" ".join(each.text.casefold().split()): each for each in others}
    for each in own:
        if (other := there.get(" ".join(each.text.casefold().split()))) is not None:
            cases["text_leaked"].append((each.id, f"{each.text!r}, as {other.id}"))
    found = {each.kind: [(case.row_id, case.text) for case in each.cases] for each in _repeat_concerns(own, others)}
    assert found == cases


def test_of_many_cases_the_first_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concerns, "MOST_CASES", 3)
    (concern,) = _repeat_concerns([LabelledText(str(i), "a", "x", ("x",)) for i in range(9)], [])
    assert (concern.count, [case.row_id for case in concern.cases]) == (8, ["1", "2", "3"])


@pytest.mark.parametrize(
    ("labels", "n_labels", "advice"),
    [
        (["bad", "slow", "dear"], 1, "parted by |"),
        (["bad", "bad", "good"], 1, "the label that most of them gave"),
        (["bad", "slow", "dear"], 2, "decide which is right"),
        (["bad", "bad", "bad"], 1, ""),
    ],
    ids=["a row for each label", "a row for each person", "several in a row", "alike"],
)
def test_texts_that_stand_for_each_label_or_person_are_not_to_be_decided_one_by_one(
    labels: list[str], n_labels: int, advice: str
) -> None:
    texts = [
        LabelledText(f"{i}-{label}", f"text {i}", (label,), (label, "other")[:n_labels])
        for i in range(6)
        for label in labels
    ]
    found = [each.repair for each in _repeat_concerns(texts, []) if each.kind == "label_conflict"]
    assert len(found) == bool(advice)
    assert all(advice in each for each in found)
    some = [LabelledText(str(i), f"text {min(i, 17)}", (str(i),), (str(i),)) for i in range(20)]
    (conflict,) = _repeat_concerns(some, [])
    assert conflict.repair == "decide which is right"
