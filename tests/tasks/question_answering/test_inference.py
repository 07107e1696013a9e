from __future__ import annotations

import numpy as np
import pytest
import torch

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch
from distiltune.inference.predictor import outputs
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import TaskModel
from distiltune.tasks.question_answering import inference as reading
from distiltune.tasks.question_answering.decode import Decoded
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.features import QuestionFeatures, WindowSettings, make_features
from distiltune.tasks.question_answering.inference import DecodingSettings, read_answers
from tests.helpers import TINY, example, packing_threads, people, tiny_qa_model

PEOPLE = people()
# Some texts make several windows, and one has no tokens.
EXAMPLES = (*PEOPLE.examples[:12], example("", name="nothing"), *PEOPLE.examples[12:16])
FEATURES = make_features(EXAMPLES, PEOPLE.tokenizer, WindowSettings(16, 3, 6))


@pytest.fixture
def model() -> TaskModel:
    shape = {name: getattr(TINY, name) for name in EncoderConfig.__dataclass_fields__}
    return tiny_qa_model(EncoderConfig(**{**shape, "dropout": 0.5, "attention_dropout": 0.5}), head_dropout=0.5)


def read(model: TaskModel, **settings: int) -> list[tuple[Example, Decoded]]:
    return list(read_answers(model, EXAMPLES, FEATURES, DecodingSettings(**settings)))


def assert_same(ours: list[tuple[Example, Decoded]], theirs: list[tuple[Example, Decoded]]) -> None:
    assert [each.id for each, _ in ours] == [each.id for each, _ in theirs]
    for (_, a), (_, b) in zip(ours, theirs, strict=True):
        assert [c.text for c in a.candidates] == [c.text for c in b.candidates]
        assert [c.score for c in a.candidates] == pytest.approx([c.score for c in b.candidates], rel=1e-4)
        assert a.log_total == pytest.approx(b.log_total, rel=1e-4)


def test_every_example_comes_once_in_order(model: TaskModel) -> None:
    read_out = read(model)
    assert [each for each, _ in read_out] == list(EXAMPLES)
    assert len(FEATURES) > len(EXAMPLES) + 3
    for each, decoded in read_out:
        assert all(each.context[c.start : c.end] == c.text for c in decoded.candidates)
        assert bool(decoded.candidates) == bool(each.context)


def test_batches_change_speed_and_not_answers(model: TaskModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(model, batch_tokens=100_000)
    assert_same(read(model, batch_tokens=20), expected)
    assert_same(read(model, batch_tokens=1), expected)
    monkeypatch.setattr(reading, "FEATURES_AT_ONCE", 3)  # chunks that end inside an example's windows
    assert_same(read(model), expected)


def test_an_example_read_by_itself_gives_the_same(model: TaskModel) -> None:
    for each, decoded in read(model)[:3]:
        alone = make_features([each], PEOPLE.tokenizer, WindowSettings(16, 3, 6))
        assert_same(list(read_answers(model, [each], alone, DecodingSettings())), [(each, decoded)])


def test_settings_bound_the_answers(model: TaskModel) -> None:
    for each, decoded in read(model, max_answer_tokens=1, n_best=2):
        assert len(decoded.candidates) <= 2
        assert all(" " not in candidate.text for candidate in decoded.candidates), each.id


def test_every_feature_is_shown_once_with_its_logits(model: TaskModel) -> None:
    shown: dict[int, torch.Tensor] = {}

    def show(batch: PackedBatch, logits: torch.Tensor) -> None:
        parts = torch.split(logits, list(batch.lengths))
        for feature, part in zip(batch.feature_ids.tolist(), parts, strict=True):
            assert feature not in shown
            shown[feature] = part

    list(read_answers(model, EXAMPLES, FEATURES, DecodingSettings(batch_tokens=40), show))
    assert sorted(shown) == list(range(len(FEATURES)))
    for feature, logits in shown.items():
        alone = model.eval()(FEATURES.features.batch(np.array([feature])))
        torch.testing.assert_close(logits, alone.detach(), rtol=1e-4, atol=1e-4)


def test_outputs_are_in_evaluation_mode_without_gradients(model: TaskModel) -> None:
    features: FeatureSet = FEATURES.features
    model.train()
    for batch, logits in outputs(model, features, np.arange(4), 30):
        assert not logits.requires_grad
        assert logits.shape == (batch.n_tokens, 2)
        assert batch.n_tokens <= 30
    assert not model.training


def test_leaving_early_stops_the_packing(model: TaskModel) -> None:
    answers = read_answers(model, EXAMPLES, FEATURES, DecodingSettings(batch_tokens=20))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert packing_threads() == 0


def test_no_examples(model: TaskModel) -> None:
    none = QuestionFeatures(
        FEATURES.features.__class__(
            np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros((0, 2), np.int32), np.zeros(0, np.int64)
        ),
        *(np.zeros(0, np.int32), np.zeros(0, np.int64)),
        *(np.zeros(0, np.int32),) * 2,
        np.zeros(0, np.int64),
    )
    assert list(read_answers(model, [], none, DecodingSettings())) == []
