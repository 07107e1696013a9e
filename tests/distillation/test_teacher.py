"""What a teacher says is run once, kept in chunks, and found again; a run that was stopped goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, Rows
from distiltune.distillation import teacher
from distiltune.distillation.teacher import Chunks, Teacher, with_targets
from distiltune.errors import ModelError
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.progress import heard_by
from distiltune.tasks.text_classification.head import SequenceHead
from tests.helpers import TINY, feature_set, random_features, tiny_qa_model

FEATURES = random_features(10)
HEAD = tiny_qa_model().head


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path))
    return tmp_path


def said_of(features: FeatureSet, dtype: Any = np.float16, scale: float = 1.0) -> teacher.TeacherSays:
    model = tiny_qa_model()
    if scale != 1.0:
        with torch.no_grad():
            model.head.output.weight.mul_(scale)  # type: ignore[union-attr, operator]
    return with_targets(Teacher("runs/large", model, f"tiny/{scale}", 2, dtype), features, 32)


def rows(features: FeatureSet) -> np.ndarray:
    assert features.targets is not None
    return np.asarray(features.targets[0 : int(features.offsets[-1])])


def test_every_token_gets_its_own_output_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "CHUNK", 4)
    features = said_of(FEATURES).features
    model = tiny_qa_model().eval()
    batch = features.batch(np.array([7, 2, 9]))
    with torch.inference_mode():
        expected = model(batch)
    assert batch.targets is not None
    assert batch.targets.dtype == torch.float16
    torch.testing.assert_close(batch.targets.float(), expected, rtol=1e-3, atol=1e-3)


def sequence_model() -> TaskModel:
    torch.manual_seed(0)
    model = TaskModel(Encoder(TINY), SequenceHead(TINY.hidden_size, 3, 0.0))
    initialise(model, 0.3)
    return model.eval()


def test_of_a_head_with_a_row_a_text_a_row_a_text_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "CHUNK", 4)
    model = sequence_model()
    says = with_targets(Teacher("runs/large", model, "tiny", 3, np.float32), FEATURES, 32)
    assert says.features.target_rows == "sequence"
    ids = np.array([7, 2, 9])
    batch = says.features.batch(ids)
    with torch.inference_mode():
        torch.testing.assert_close(batch.targets, model(FEATURES.batch(ids)))
    files = [np.load(path).shape for path in tmp_path.glob("*/array.npy")]
    assert sorted(files) == [(2, 3), (4, 3), (4, 3)]


def test_rows_of_texts_are_never_taken_for_rows_of_tokens() -> None:
    """Also where every text is one token, so that there are as many."""
    features, model = feature_set([[5], [6]]), sequence_model()
    rows: tuple[Rows, ...] = ("sequence", "token")
    for model.rows in rows:
        says = with_targets(Teacher("runs/large", model, "tiny", 3, np.float32), features, 32)
        assert not says.from_cache


def test_large_numbers_are_kept_in_single_precision_and_refused_in_half() -> None:
    """As a regression's are: of 70,000 half precision would make infinity, of 2,049 it makes 2,048."""
    exact = rows(said_of(FEATURES, np.float32, 1e6).features)
    assert exact.dtype == np.float32
    assert np.abs(exact).max() > 70_000
    np.testing.assert_allclose(exact, 1e6 * rows(said_of(FEATURES, np.float32).features), rtol=1e-3, atol=1.0)
    with pytest.raises(ModelError, match="half precision") as caught:
        said_of(FEATURES, np.float16, 1e6)
    assert caught.value.where == "runs/large"
    with pytest.raises(ModelError, match="not all finite"):
        said_of(FEATURES, np.float32, float("nan"))


def test_the_chunks_make_no_difference_but_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(said_of(FEATURES).features)
    monkeypatch.setattr(teacher, "CHUNK", 4)
    cut = said_of(FEATURES)
    np.testing.assert_allclose(rows(cut.features).astype(float), whole.astype(float), atol=1e-2)
    assert len(list(tmp_path.glob("*/array.npy"))) == 4, "all of them, and each chunk"
    assert not cut.from_cache
    assert said_of(FEATURES).from_cache


def test_it_is_told_how_far_the_teacher_is_and_not_of_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher, "CHUNK", 4)
    told: list[tuple[object, ...]] = []
    with heard_by(lambda *words: told.append(words)):
        said_of(FEATURES)
        assert told[0] == ("teacher", "windows", 0, 10)
        assert told[-1] == ("teacher", "windows", 10, 10)
        assert {4, 8} <= {words[2] for words in told}
        told.clear()
        said_of(FEATURES)
    assert told == []


class StoppedError(Exception):
    pass


def test_a_run_that_was_stopped_goes_on_at_its_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "CHUNK", 4)
    real, seen = outputs, list[int]()

    def counting(model, features, ids, max_tokens, alone):  # type: ignore[no-untyped-def]
        if stop_at is not None and ids[0] >= stop_at:
            raise StoppedError
        seen.extend(ids.tolist())
        yield from real(model, features, ids, max_tokens, alone=alone)

    monkeypatch.setattr(teacher, "outputs", counting)
    stop_at: int | None = 8
    with pytest.raises(StoppedError):
        said_of(FEATURES)
    assert seen == list(range(8))
    stop_at = None
    said_of(FEATURES)
    assert seen == list(range(10))
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_stretches_across_chunks_are_as_of_one_array() -> None:
    whole = np.arange(20, dtype=np.float16).reshape(10, 2)
    chunks = Chunks([whole[:3], whole[3:4], whole[4:]])
    for start in range(11):
        for stop in range(start, 11):
            np.testing.assert_array_equal(chunks[start:stop], whole[start:stop])
    assert np.shares_memory(chunks[4:9], whole)


def test_a_batch_carries_its_targets_to_the_device() -> None:
    batch: PackedBatch = said_of(FEATURES).features.batch(np.array([0]))
    moved = batch.to(torch.device("meta"))
    assert moved.targets is not None
    assert moved.targets.device.type == "meta"


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = rows(said_of(FEATURES).features)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(teacher, "CHUNK", 4)
    says = said_of(FEATURES)
    np.testing.assert_allclose(rows(says.features).astype(float), kept.astype(float), atol=1e-2)
    assert not says.from_cache
    assert len(says.problems) == 1
    assert str(tmp_path / "file" / "cache") in says.problems[0]


def test_the_code_of_the_models_parts_decides_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []

    def note(modules: Iterable[str]) -> str:
        asked.append(set(modules))
        return "the code"

    monkeypatch.setattr("distiltune.data.cache.code_fingerprint", note)
    said_of(FEATURES)
    assert asked[0] >= {"distiltune.distillation.teacher", "distiltune.model.encoder", type(HEAD).__module__}
    assert not any(name.startswith("torch") for name in asked[0])
