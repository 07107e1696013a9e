from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distiltune.data.packing import PackedBatch
from distiltune.tasks.question_answering.calibration import confidences, pool
from distiltune.tasks.question_answering.evaluation import (
    AnswerDecision,
    PredictionFiles,
    evaluate_questions,
)
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings, make_features
from distiltune.tasks.question_answering.head import METRIC_NAMES, span_loss
from distiltune.tasks.question_answering.inference import DecodingSettings, read_answers
from tests.helpers import example, people, tiny_qa_model

PEOPLE = people()
SETTINGS = DecodingSettings(batch_tokens=60)


class Oracle(nn.Module):
    """Knows the labels of most features: a logit of ``sure`` at each, or at [CLS] where it is wrong."""

    def __init__(self, wrong: Sequence[int] = (), sure: float = 20.0) -> None:
        super().__init__()
        self.wrong, self.sure = set(wrong), nn.Parameter(torch.tensor(sure))

    def forward(self, batch: PackedBatch) -> Tensor:
        logits = torch.zeros(batch.n_tokens, 2)
        for i, feature in enumerate(batch.feature_ids.tolist()):
            labels = (0, 0) if feature in self.wrong else batch.labels[i].tolist()
            for column, label in enumerate(labels):
                logits[int(batch.cu_seqlens[i]) + label, column] = self.sure
        return logits


def features_of(examples: Sequence[Example], max_length: int = 40) -> QuestionFeatures:
    return make_features(examples, PEOPLE.tokenizer, WindowSettings(max_length, 3, 6))


def test_whoever_knows_all_labels_is_right_in_everything() -> None:
    evaluation = evaluate_questions(Oracle(), PEOPLE.examples, features_of(PEOPLE.examples), SETTINGS)
    assert (evaluation.means["start_accuracy"], evaluation.means["end_accuracy"]) == (1.0, 1.0)
    assert evaluation.means["loss"] < 1e-4
    assert evaluation.metrics["exact_match"] == evaluation.metrics["f1"] == 100.0
    assert evaluation.n_features == 32


def test_shares_are_counted_over_features() -> None:
    features = features_of(PEOPLE.examples)
    evaluation = evaluate_questions(Oracle(wrong=range(8)), PEOPLE.examples, features, SETTINGS)
    assert evaluation.means["start_accuracy"] == evaluation.means["end_accuracy"] == 24 / 32
    # A wrong feature's loss is 20 plus what the other tokens add, a right one's nothing.
    assert evaluation.means["loss"] == pytest.approx(8 / 32 * 20, abs=1e-3)


def test_the_means_are_those_of_the_features_one_by_one() -> None:
    """Several windows an example, batches of many sizes: still sums over counts."""
    model, features = tiny_qa_model().train(), features_of(PEOPLE.examples, max_length=16)
    assert len(features) > 40
    evaluation = evaluate_questions(model, PEOPLE.examples, features, SETTINGS)
    sums = torch.zeros(len(METRIC_NAMES), dtype=torch.float64)
    for feature in range(len(features)):
        batch = features.features.batch(np.array([feature]))
        with torch.no_grad():
            sums += span_loss(model.eval()(batch), batch).metrics
    expected = dict(zip(METRIC_NAMES, (sums / len(features)).tolist(), strict=True))
    assert {name: evaluation.metrics[name] for name in METRIC_NAMES} == pytest.approx(expected, rel=1e-5)


def test_metrics_have_the_names_that_the_recipe_monitors() -> None:
    evaluation = evaluate_questions(Oracle(), PEOPLE.examples[:2], features_of(PEOPLE.examples[:2]), SETTINGS)
    assert {"loss", "exact_match", "f1", "start_accuracy", "end_accuracy"} <= evaluation.metrics.keys()
    assert all(type(value) is float for value in evaluation.metrics.values())


def test_an_answer_that_stands_nowhere_is_scored_and_costs_no_loss() -> None:
    """As the official scorer has it, which compares texts; the label of its windows is not known."""
    known, rest = PEOPLE.examples[0], PEOPLE.examples[1:5]
    placed = [known, *rest]
    unplaced = [replace(known, answers=(), unplaced=("The " + known.answers[0].text,)), *rest]
    unknown = [replace(known, answers=(), has_gold=False), *rest]
    whole, scored, not_scored, four = (
        evaluate_questions(tiny_qa_model(), each, features_of(each), SETTINGS)
        for each in (placed, unplaced, unknown, rest)
    )
    assert scored.scores == whole.scores
    assert not_scored.scores == four.scores
    for each in (scored, not_scored):
        assert each.n_features == whole.n_features - 1 == 4
        assert each.means == pytest.approx(four.means)
    none = [replace(known, answers=(), has_gold=False)]
    assert evaluate_questions(tiny_qa_model(), none, features_of(none), SETTINGS, AnswerDecision(0.0)).metrics == {}


def test_the_threshold_decides_between_an_answer_and_none(tmp_path: Path) -> None:
    """The oracle is wrong on the first: it says [CLS], no answer."""
    examples = [*PEOPLE.examples[:2], example(PEOPLE.examples[0].context, "", "what eats", "none")]
    features = features_of(examples)
    texts = {}
    for threshold in (None, 0.0, 1e6):
        with PredictionFiles(tmp_path / "p.json", tmp_path / "n.jsonl", 20) as files:
            evaluation = evaluate_questions(
                Oracle(wrong=[0]), examples, features, SETTINGS, AnswerDecision(threshold), on_example=files.add
            )
            files.finish(threshold, 1.0)
        texts[threshold] = list(json.loads((tmp_path / "p.json").read_text()).values())
        if threshold == 0.0:
            assert evaluation.metrics["exact_match"] == pytest.approx(200 / 3)
    assert texts[0.0] == ["", PEOPLE.examples[1].answers[0].text, ""]
    assert all(texts[None])
    assert texts[1e6] == texts[None]


def test_the_files_are_as_the_official_scorer_reads_them(tmp_path: Path) -> None:
    context = "ada eats plums in Łódź ."
    examples = [Example("é1", "what", context, (Answer("plums", 9),)), *PEOPLE.examples[:3]]
    model = tiny_qa_model()
    answers = list(read_answers(model, examples, features_of(examples), SETTINGS))
    with PredictionFiles(tmp_path / "p.json", tmp_path / "n.jsonl", 20) as files:
        evaluate_questions(model, examples, features_of(examples), SETTINGS, on_example=files.add)
        files.finish(None, 2.0)
    predictions = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert list(predictions) == [each.id for each in examples]
    assert predictions == {each.id: decoded.best_text for each, decoded in answers}
    lines = [json.loads(line) for line in (tmp_path / "n.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == list(predictions)
    for line, each, (_, decoded) in zip(lines, examples, answers, strict=True):
        assert line["answer"] == predictions[each.id]
        scores = [candidate["score"] for candidate in line["candidates"]]
        assert scores == sorted(scores, reverse=True)
        for candidate in line["candidates"]:
            assert each.context[candidate["start"] : candidate["end"]] == candidate["text"]
            share = decoded.null_probability * math.exp(candidate["score"])
            assert candidate["probability"] == pytest.approx(share, abs=2e-6)
        sure = confidences(pool([candidate.score for candidate in decoded.candidates]), 2.0)
        assert line["no_answer_confidence"] == pytest.approx(sure[0], abs=2e-6)
        given = [candidate["confidence"] for candidate in line["candidates"]]
        assert given == pytest.approx(sure[1 : 1 + len(given)].tolist(), abs=2e-6)


def test_confidence_is_the_same_however_few_candidates_are_wanted(tmp_path: Path) -> None:
    found = []
    for n_best in (20, 2):
        with PredictionFiles(tmp_path / "p.json", tmp_path / "n.jsonl", n_best) as files:
            evaluation = evaluate_questions(
                tiny_qa_model(),
                PEOPLE.examples,
                features_of(PEOPLE.examples),
                replace(SETTINGS, n_best=n_best),
                on_example=files.add,
            )
            files.finish(None, evaluation.temperature)
        lines = [json.loads(line) for line in (tmp_path / "n.jsonl").read_text(encoding="utf-8").splitlines()]
        found.append((evaluation.metrics, [line["candidates"][:2] for line in lines]))
        assert {len(line["candidates"]) for line in lines} == {n_best}
    assert found[0] == found[1]
    assert "calibration_error" in found[0][0]


def test_an_evaluation_that_breaks_off_leaves_no_predictions(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="broke off"),
        PredictionFiles(tmp_path / "p.json", tmp_path / "n.jsonl", 20),
    ):
        raise RuntimeError("broke off")
    assert list(tmp_path.iterdir()) == []
