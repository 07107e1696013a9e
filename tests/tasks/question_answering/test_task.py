from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from distiltune.errors import DataError, ModelError
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.question_answering.metrics import ScoreKeeper
from distiltune.tasks.question_answering.question_data import QuestionData
from distiltune.tasks.question_answering.task import (
    HEAD_RULES,
    QuestionAnswering,
    QuestionSpec,
    QuestionTraining,
    from_settings,
)
from distiltune.tasks.table import TASKS
from tests.helpers import example, people, tiny_qa_model, write_squad

PEOPLE = people()


def spec_on(**settings: object) -> QuestionSpec:
    return from_settings(Recipe.build({"max_length": 24, "stride": 3, **settings}))


def task_on(**settings: object) -> QuestionAnswering:
    """The task of a model whose config.json says nothing."""
    return spec_on(**settings).open_model({})


def training_on(**settings: object) -> QuestionTraining:
    return spec_on(**settings).open_training(torch.device("cpu"))


def load_training(**settings: object) -> tuple[QuestionData, QuestionData | None]:
    return training_on(**settings).data(PEOPLE.tokenizer)


@pytest.fixture
def train_file(tmp_path: Path) -> str:
    return str(write_squad(tmp_path / "train.json", PEOPLE.examples))


@pytest.fixture
def dev_file(tmp_path: Path) -> str:
    return str(write_squad(tmp_path / "dev.json", PEOPLE.examples[:4]))


def test_the_table_of_tasks_builds_it() -> None:
    task = TASKS["question-answering"](Recipe()).open_model({})
    assert task.name == "question-answering"
    assert task.metric_names[0] == "loss"


def test_the_recipe_reaches_every_part() -> None:
    task = from_settings(
        Recipe(max_length=100, stride=20, max_question_tokens=30, max_answer_tokens=7, n_best=3, evaluation_tokens=999)
    )
    assert (task.windows.max_length, task.windows.stride, task.windows.max_question_tokens) == (100, 20, 30)
    assert (task.reading.max_answer_tokens, task.reading.n_best, task.reading.batch_tokens) == (7, 3, 999)
    # By default half of what a window leaves beside the stride.
    assert from_settings(Recipe()).windows.max_question_tokens == 126


def test_the_epoch_table_has_the_columns_of_the_published_one() -> None:
    assert [column.title for column in task_on().table] == [
        "Train Loss",
        "Train End Logits Accuracy",
        "Train Start Logits Accuracy",
        "Validation Loss",
        "Validation End Logits Accuracy",
        "Validation Start Logits Accuracy",
        *("Validation Exact Match", "Validation F1"),
    ]
    for column in task_on().table[:6]:
        words = column.title.lower().split()
        assert words[0] == column.of
        assert column.metric in task_on().metric_names
        assert words[1] in column.metric


def test_named_validation_data_is_used_and_training_stays_whole(train_file: str, dev_file: str) -> None:
    train, validation = load_training(train=(train_file,), validation=(dev_file,))
    assert validation is not None
    assert (train.n_examples, validation.n_examples) == (32, 4)


def test_without_any_passages_are_set_aside(train_file: str) -> None:
    train, validation = load_training(train=(train_file,), validation_share=0.25)
    assert validation is not None
    assert (train.n_examples, validation.n_examples) == (24, 8)
    assert not {each.context for each in train.examples} & {each.context for each in validation.examples}


def test_a_share_of_0_means_no_validation(train_file: str) -> None:
    train, validation = load_training(train=(train_file,), validation_share=0.0)
    assert (train.n_examples, validation) == (32, None)


def test_the_starter_data_has_a_validation_of_its_own() -> None:
    train, validation = load_training(train_questions=10)
    assert validation is not None
    assert train.n_examples == 10
    assert not {each.context for each in train.examples} & {each.context for each in validation.examples}
    assert train.sources == validation.sources == ("starter",)


def test_as_many_questions_as_asked_for(train_file: str, dev_file: str) -> None:
    training = training_on(train=(train_file,), validation=(dev_file,), train_questions=5, validation_questions=3)
    train, validation = training.data(PEOPLE.tokenizer)
    assert validation is not None
    assert (train.n_examples, validation.n_examples) == (5, 3)
    assert training.task.load_data([dev_file], PEOPLE.tokenizer).examples == validation.examples


def test_several_sources_are_mixed_in_the_order_named(train_file: str, dev_file: str, tmp_path: Path) -> None:
    other = write_squad(tmp_path / "other.json", [example("gus eats figs .", "figs", name="other")])
    both = task_on().load_data([str(other), dev_file], PEOPLE.tokenizer)
    assert [each.id for each in both.examples] == ["other", *(each.id for each in PEOPLE.examples[:4])]


def test_a_model_that_cannot_decline_is_said_to_be_one_where_that_matters(dev_file: str, with_none: str) -> None:
    (note,) = task_on().load_data([with_none], PEOPLE.tokenizer).notes
    assert "8 of the questions have no answer" in note
    assert "--null-threshold 0" in note
    assert not task_on().load_data([dev_file], PEOPLE.tokenizer).notes
    assert not task_on().load_data([with_none], PEOPLE.tokenizer, "prediction").notes
    assert not task_on(null_threshold=0.0).load_data([with_none], PEOPLE.tokenizer).notes


def test_too_many_unusable_rows_stop_the_run(tmp_path: Path) -> None:
    document = json.loads(write_squad(tmp_path / "bad.json", PEOPLE.examples).read_text())
    document["data"][0]["paragraphs"][0]["qas"][0]["question"] = " "
    (tmp_path / "bad.json").write_text(json.dumps(document))
    source = str(tmp_path / "bad.json")
    assert task_on(max_rejected_share=0.05).load_data([source], PEOPLE.tokenizer).n_examples == 31
    with pytest.raises(DataError):
        task_on(max_rejected_share=0.01).load_data([source], PEOPLE.tokenizer)


def test_evaluation_writes_the_answers_where_it_is_told(dev_file: str, tmp_path: Path) -> None:
    task = task_on()
    data = task.load_data([dev_file], PEOPLE.tokenizer)
    metrics = task.evaluate(tiny_qa_model(), data).metrics
    (tmp_path / "answers").mkdir()
    assert task.evaluate(tiny_qa_model(), data, tmp_path / "answers").metrics == metrics
    assert {path.name for path in (tmp_path / "answers").iterdir()} == {"predictions.json", "nbest.jsonl"}


def test_the_heads_tensors_are_those_of_the_rules() -> None:
    head = task_on().make_head(16, 0.1)
    assert {f"head.{name}" for name in head.state_dict()} == {rule.ours for rule in HEAD_RULES}


@pytest.fixture
def with_none(tmp_path: Path) -> str:
    none = [example(each.context, "", f"why is {i}", f"none-{i}") for i, each in enumerate(PEOPLE.examples[::4])]
    return str(write_squad(tmp_path / "with-none.json", [*PEOPLE.examples, *none]))


def test_a_model_taught_that_a_text_may_not_tell_keeps_a_threshold(train_file: str, with_none: str) -> None:
    def kept(source: str, metrics: dict[str, float], **settings: object) -> object:
        task = training_on(train=(source,), validation_share=0.0, **settings).task
        return task.model_config(0.2, metrics).get("null_threshold")

    assert kept(train_file, {}) is None
    assert kept(train_file, {"chosen_null_threshold": 3.0}) is None
    assert kept(with_none, {}) == 0.0
    assert kept(with_none, {"best_f1_threshold": 3.0, "refused_null_threshold": 3.0}) == 0.0
    assert kept(with_none, {"chosen_null_threshold": 3.0}) == 3.0
    assert kept(with_none, {"chosen_null_threshold": 3.0}, null_threshold=-1.5) == -1.5


TOLD_BY_A_TRAINING = ("untuned", "chosen", "refused", "calibration_error_held_out")


def test_a_threshold_that_does_not_hold_is_not_kept(with_none: str, tmp_path: Path) -> None:
    training = training_on(train=(with_none,), validation=(with_none,))
    task, (_, validation) = training.task, training.data(PEOPLE.tokenizer)
    assert validation is not None
    found = task.evaluate(tiny_qa_model(seed=9), validation, tmp_path).metrics
    config = task.model_config(0.1, found)
    assert found["refused_null_threshold"] == found["best_f1_threshold"] != 0.0
    assert config["null_threshold"] == 0.0
    assert "untuned_f1" not in found
    plain = task_on(null_threshold=0.0).evaluate(tiny_qa_model(seed=9), validation).metrics
    assert found["f1"] == plain["f1"]
    (said,) = (line for line in task.guide(found).decisions if "threshold" in line)
    assert said.startswith("threshold for no answer: 0; the best here, ")


def test_a_training_is_measured_at_the_threshold_that_its_model_keeps(
    train_file: str, with_none: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScoreKeeper, "threshold_holds", lambda keeper: True)
    training = training_on(train=(with_none,), validation=(with_none,))
    task, (_, validation) = training.task, training.data(PEOPLE.tokenizer)
    assert validation is not None
    found = task.evaluate(tiny_qa_model(seed=9), validation, tmp_path).metrics
    config = task.model_config(0.1, found)
    assert config["null_threshold"] == found["best_f1_threshold"] != 0.0
    assert found["f1"] == pytest.approx(found["best_f1"])
    as_shipped = spec_on().open_model(config)
    again = tmp_path / "again"
    again.mkdir()
    measured = as_shipped.evaluate(tiny_qa_model(seed=9), validation, again).metrics
    assert measured == {name: value for name, value in found.items() if not name.startswith(TOLD_BY_A_TRAINING)}
    assert found["chosen_null_threshold"] == found["best_f1_threshold"]
    for name in task.prediction_files:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()
    # At the threshold that nobody chose, it is another figure, and is kept beside.
    plain = task_on(null_threshold=0.0).evaluate(tiny_qa_model(seed=9), validation).metrics
    assert (found["untuned_f1"], found["untuned_exact_match"]) == (plain["f1"], plain["exact_match"])
    # Trained without such questions it always answers, whatever the validation data has.
    always = training_on(train=(train_file,), validation=(with_none,)).task
    assert always.evaluate(tiny_qa_model(seed=9), validation).null_threshold is None


def test_what_is_answered_does_not_depend_on_what_is_right(with_none: str, tmp_path: Path) -> None:
    document = json.loads(Path(with_none).read_text())
    for paragraph in document["data"][0]["paragraphs"]:
        for question in paragraph["qas"]:
            del question["answers"], question["is_impossible"]
    (tmp_path / "bare.json").write_text(json.dumps(document))
    answers = []
    for config in ({}, {"null_threshold": -1.48}):
        task = spec_on().open_model(config)
        for number, source in enumerate((with_none, str(tmp_path / "bare.json"))):
            data = task.load_data([source], PEOPLE.tokenizer, "prediction")
            metrics = task.evaluate(tiny_qa_model(seed=9), data, tmp_path).metrics
            assert bool(metrics) == (number == 0)
            answers.append(json.loads((tmp_path / "predictions.json").read_text()))
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert all(answers[0].values())
    assert not all(answers[2].values())
    with pytest.raises(DataError, match="nothing to measure") as caught:
        task_on().load_data([str(tmp_path / "bare.json")], PEOPLE.tokenizer)
    assert "distiltune predict" in caught.value.fix


def test_a_model_keeps_how_it_was_trained_to_read(train_file: str) -> None:
    metrics = {"confidence_temperature": 1.5, "f1": 80.0}
    config = task_on(max_length=40, stride=7, max_answer_tokens=9).model_config(0.2, metrics)
    reading = {"max_length": 40, "stride": 7, "max_question_tokens": 15, "max_answer_tokens": 9}
    assert config == {"qa_dropout": 0.2, "distiltune": {**reading, "confidence_temperature": 1.5}}
    assert spec_on().open_model(config).temperature == 1.5
    assert training_on(train=(train_file,)).task.temperature is None
    assert spec_on().open_model({}).temperature == 1.0
    with pytest.raises(ModelError, match="keeps confidence_temperature = -1, which no training writes"):
        spec_on().open_model({"distiltune": {"confidence_temperature": -1}})
    used = Recipe(n_best=3).with_stored(config)
    assert {name: getattr(used, name) for name in reading} == reading
    assert used.n_best == 3
    assert Recipe(max_answer_tokens=4).with_stored(config).max_answer_tokens == 4
    given = Recipe(max_length=500).with_stored(config)
    assert (given.max_length, given.stride, given.max_question_tokens, given.max_answer_tokens) == (500, 7, 15, 9)
    # Windows given are checked together with those stored, not with the defaults.
    short = Recipe(max_length=30).with_stored(config, "question-answering")
    assert (short.task, short.max_length, short.stride, short.max_question_tokens) == ("question-answering", 30, 7, 10)
    other = Recipe(max_length=30).with_stored({"distiltune": {"stride": 7}}, "text-classification")
    assert (other.max_length, other.stride, other.max_question_tokens) == (30, 7, 0)
    with pytest.raises(ModelError, match="keeps max_length = long, which no training writes"):
        Recipe().with_stored({"distiltune": {"max_length": "long"}})


def test_the_threshold_is_that_of_the_recipe_then_of_the_model() -> None:
    config: dict[str, object] = {"null_threshold": 2}
    assert task_on().null_threshold is None
    assert spec_on().open_model(config).null_threshold == 2.0
    assert spec_on().open_model({}).null_threshold is None
    with pytest.raises(ModelError, match="keeps null_threshold = high, which no training writes"):
        spec_on().open_model({"null_threshold": "high"})
    assert spec_on(null_threshold=-1.5).open_model(config).null_threshold == -1.5
