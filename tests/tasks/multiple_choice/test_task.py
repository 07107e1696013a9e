"""The task from files to choices: trained, measured, predicted, asked in Python, checked, compared, gone on with."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune import ChoiceAnswerer, TextClassifier, check, evaluate, fine_tune, predict, resume
from distiltune.errors import DataError, ModelError
from distiltune.runs.fine_tune import FineTuned
from distiltune.studies.compare import compare_runs
from distiltune.tasks.multiple_choice.analysis import chance_losses
from tests.helpers import TINY, word_pieces, write_tiny_model

NUMBERS = [str(i) for i in range(10, 30)]
SETTINGS: dict[str, Any] = {
    "max_length": 16,
    "stride": 0,
    "epochs": 12,
    "learning_rate": 5e-3,
    "batch_size": 16,
    "threads": 1,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
    "warmup_share": 0.1,
    "max_gradient_norm": 1.0,
}


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Four numbers of which the greatest or the least is asked for; no choice is right by itself."""
    draw = random.Random(seed)
    made = []
    for i in range(n):
        word, best = draw.choice([("most", max), ("least", min)])
        numbers = draw.sample(NUMBERS, 4)
        made.append({"id": f"{seed}-{i}", "question": word, "choices": numbers, "label": numbers.index(best(numbers))})
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    folder = tmp_path_factory.mktemp("made")
    for name, n, seed in (("train", 160, 0), ("validation", 40, 1)):
        text = "".join(json.dumps(row) + "\n" for row in rows(n, seed))
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    tokenizer = word_pieces([*NUMBERS, "most", "least"])
    model = write_tiny_model(folder / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    return fine_tune(output=folder / "run", **files(folder), model=model, **SETTINGS)


def files(folder: Path) -> dict[str, Any]:
    return {"train": str(folder / "train.jsonl"), "validation": str(folder / "validation.jsonl")}


def test_it_is_learnt_and_the_figures_are_those_of_the_predictions(run: FineTuned, tmp_path: Path) -> None:
    data = run.directory.parent / "validation.jsonl"
    assert run.best.validation["accuracy"] > 0.5  # 0.25 by chance
    measured = evaluate(run.model, data)
    assert measured.metrics["accuracy"] == run.best.validation["accuracy"]
    assert measured.metrics["loss"] == pytest.approx(run.best.validation["loss"], abs=1e-6)
    predict(run.model, data, tmp_path / "p")
    lines = [json.loads(line) for line in (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()]
    assert np.mean([each["choice"] == each["gold"] for each in lines]) == pytest.approx(measured.metrics["accuracy"])
    losses = [-np.log(each["scores"][each["gold"]]) for each in lines]
    assert np.mean(losses) == pytest.approx(measured.metrics["loss"], abs=1e-3)


def test_python_says_the_same_in_every_form(run: FineTuned, tmp_path: Path) -> None:
    predict(run.model, run.directory.parent / "validation.jsonl", tmp_path / "p")
    lines = [json.loads(line) for line in (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()]
    answerer = ChoiceAnswerer(run.model, threads=1)
    asked = rows(40, 1)
    found = answerer([(row["question"], row["choices"]) for row in asked])
    assert [each.choice for each in found] == [each["choice"] for each in lines]
    for ours, line in zip(found, lines, strict=True):
        assert ours.scores == pytest.approx(line["scores"], abs=1e-5)
        assert sum(ours.scores) == pytest.approx(1.0)
        assert ours.text == line["text"]
    for one, other in zip(answerer(asked[:2]), found[:2], strict=True):  # as rows
        assert one.scores == pytest.approx(other.scores, abs=1e-6)
        assert one.choice == other.choice
    (with_text,) = answerer([("most", "least", ["10", "20"])])
    assert len(with_text.scores) == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("most", "no list of questions"),
        ({"question": "most", "choices": ["10", "20"]}, "no list of questions"),
        ([("most",)], "no question with choices"),
        ([("most", ["10"])], "nothing to choose from"),
        ([("most", "10")], "no choices"),
    ],
)
def test_what_cannot_be_asked_is_told(given: Any, message: str, run: FineTuned) -> None:
    with pytest.raises(DataError, match=message):
        ChoiceAnswerer(run.model, threads=1)(given)


def test_a_model_of_another_task_is_refused(run: FineTuned) -> None:
    with pytest.raises(ModelError, match=r"is asked of it|no trained|this task needs"):
        TextClassifier(run.model)


def test_transformers_loads_the_model_and_says_the_same(run: FineTuned) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra `dev`")
    model = transformers.AutoModelForMultipleChoice.from_pretrained(run.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.model)
    row = rows(1, 1)[0]
    pairs = tokenizer([row["question"]] * 4, row["choices"], padding=True, return_tensors="pt")
    rows_of_one = {name: each[None] for name, each in pairs.items() if name != "token_type_ids"}
    with torch.no_grad():
        theirs = model(**rows_of_one).logits.softmax(-1)[0].tolist()
    (ours,) = ChoiceAnswerer(run.model, threads=1)([row])
    assert ours.scores == pytest.approx(theirs, abs=1e-5)


def test_the_report_and_the_card_speak_of_choices(run: FineTuned) -> None:
    page = run.directory.joinpath("report.html").read_text(encoding="utf-8")
    assert "By place of the right choice" in page
    assert "multiple choice" in page
    card = run.model.joinpath("README.md").read_text(encoding="utf-8")
    assert "ChoiceAnswerer" in card
    assert "multiple-choice" in card


def test_check_finds_a_question_that_is_answered_twice(run: FineTuned, tmp_path: Path) -> None:
    some = rows(120, 3)
    again = {**some[0], "id": "again", "choices": some[0]["choices"][::-1]}  # whose right choice is another now
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*some, again]), encoding="utf-8")
    found = check(path, model=run.directory.parent / "tiny", threads=1).values
    kinds = {concern["kind"]: concern for concern in found["concerns"]}
    assert kinds["label_conflict"]["count"] == 1


def test_runs_are_compared_and_gone_on_with(run: FineTuned, tmp_path: Path) -> None:
    def stop(report: Any) -> bool:
        if report.epoch == 1:
            raise KeyboardInterrupt
        return True

    named: dict[str, Any] = {**files(run.directory.parent), "model": str(run.directory.parent / "tiny")}
    settings = {**SETTINGS, "epochs": 3}
    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", go_on=stop, **named, **settings)
    gone_on = resume(tmp_path / "run")
    whole = fine_tune(output=tmp_path / "whole", **named, **settings)
    assert [each.train for each in gone_on.epochs] == [each.train for each in whole.epochs]
    found = compare_runs([run.directory, whole.directory])
    assert found.pairs[0].scores[0].n == 40


def test_it_learns_from_a_teacher(run: FineTuned, tmp_path: Path) -> None:
    named: dict[str, Any] = {**files(run.directory.parent), "model": str(run.directory.parent / "tiny")}
    taught = fine_tune(output=tmp_path / "run", teacher=run.model, **named, **{**SETTINGS, "epochs": 1})
    assert taught.best.validation["n"] == 40


def test_chance_is_an_even_guess_and_the_places_shares(run: FineTuned) -> None:
    from distiltune.data.feature_set import FeatureSet

    features = FeatureSet(
        token_ids=np.ones(6, dtype=np.int32),
        offsets=np.arange(7),
        labels=np.array([1, 0, 1, 0, 0, 1], dtype=np.int32)[:, None],
        example_of=np.repeat(np.arange(3), 2),
        group_of=np.repeat(np.arange(3), 2),
    )
    uniform, blind = chance_losses(features)
    assert uniform == pytest.approx(np.log(2))
    assert blind == pytest.approx(-(2 / 3) * np.log(2 / 3) - (1 / 3) * np.log(1 / 3))
