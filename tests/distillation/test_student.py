"""The student's shape and first weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from distiltune.distillation.narrowing import can_be_narrowed, narrow
from distiltune.distillation.states import Heights, hidden_states
from distiltune.distillation.student import StudentShape, at_same_height, shrink
from distiltune.errors import RecipeError
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, initialise
from distiltune.model.source import ModelSource, load_source
from tests.helpers import TINY, people, random_features, write_tiny_model

FOUR = replace(TINY, n_layers=4)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    tokenizer = people().tokenizer
    config = replace(FOUR, vocab_size=tokenizer.get_vocab_size())
    return load_source(str(write_tiny_model(tmp_path_factory.mktemp("model") / "four", tokenizer, config)))


def random_encoder(config: EncoderConfig, seed: int) -> Encoder:
    torch.manual_seed(seed)
    encoder = Encoder(config)
    initialise(encoder, 0.3)
    return encoder.eval()


def test_layers_are_taken_at_even_distances_and_the_last_always() -> None:
    assert [at_same_height(i, 3, 6) for i in (1, 2, 3)] == [2, 4, 6]
    assert [at_same_height(i, 6, 12) for i in range(1, 7)] == [2, 4, 6, 8, 10, 12]
    assert [at_same_height(i, 6, 6) for i in range(1, 7)] == [1, 2, 3, 4, 5, 6]
    for n, m in ((1, 6), (4, 6), (5, 12), (2, 3)):
        heights = [at_same_height(i, n, m) for i in range(1, n + 1)]
        assert heights == sorted(set(heights))
        assert heights[-1] == m


def test_hidden_states_are_compared_up_to_the_last_two() -> None:
    assert Heights.of(6, 6) == Heights((3, 5, 6), (3, 5, 6))
    assert Heights.of(6, 12) == Heights((3, 5, 6), (6, 11, 12))
    assert Heights.of(2, 6) == Heights((1, 2), (5, 6))
    assert Heights.of(1, 1) == Heights((0, 1), (0, 1))


def test_of_the_same_width_every_second_layer_is_the_teachers(source: ModelSource) -> None:
    student = shrink(source, StudentShape(n_layers=2))
    assert (student.config.n_layers, student.config.hidden_size) == (2, TINY.hidden_size)
    for ours, theirs in ((0, 1), (1, 3)):
        name = "encoder.layers.{}.attention.qkv.weight"
        assert torch.equal(student.tensors[name.format(ours)], source.tensors[name.format(theirs)])
    assert "encoder.layers.2.attention.qkv.weight" not in student.tensors
    Encoder(student.config).load_state_dict({n.removeprefix("encoder."): t for n, t in student.tensors.items()})


def test_a_deeper_student_starts_with_layers_that_there_are(source: ModelSource) -> None:
    """Also one more than twice as deep as the model that it is made from."""
    student = shrink(source, StudentShape(n_layers=9))
    Encoder(student.config).load_state_dict({n.removeprefix("encoder."): t for n, t in student.tensors.items()})


def test_the_heights_compared_are_distinct_for_any_student_that_is_not_deeper() -> None:
    for n_teacher in range(1, 25):
        for n in range(1, n_teacher + 1):
            heights = Heights.of(n, n_teacher)
            assert len(set(heights.teacher)) == len(set(heights.student)) == len(heights.student)


def test_projected_embeddings_keep_as_much_as_any_of_that_width_can(source: ModelSource) -> None:
    student = shrink(source, StudentShape(hidden_size=8, n_heads=2))
    name = "encoder.embeddings.token.weight"
    theirs, ours = source.tensors[name].double(), student.tensors[name].double()
    assert ours.shape == (theirs.shape[0], 8)
    best = torch.linalg.svdvals(theirs)[:8].square().sum()  # Eckart and Young 1936
    torch.testing.assert_close(ours.square().sum(), best, rtol=1e-5, atol=0)
    assert student.config.intermediate_size == TINY.intermediate_size // 2
    assert "encoder.layers.0.attention.qkv.weight" not in student.tensors


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(RecipeError, match="not divisible"):
        StudentShape(hidden_size=9, n_heads=2).of(TINY)
    assert StudentShape(hidden_size=24).of(TINY).n_heads == 3  # of the model's size


def test_a_student_of_nearly_the_teachers_width_starts_near_it() -> None:
    """Its teacher varies in 8 directions only; a narrowed student follows, one of random weights does not."""
    config = replace(TINY, hidden_size=16, n_heads=4, intermediate_size=16, n_layers=2)
    teacher = random_encoder(config, 0)
    narrower = replace(config, hidden_size=12, n_heads=3, intermediate_size=12)
    assert can_be_narrowed(teacher, random_encoder(narrower, 1))
    features = random_features(60)
    sample, unseen = features.batch(features.example_of[:40]), features.batch(features.example_of[40:])

    def error(student: Encoder, basis: torch.Tensor, means: torch.Tensor) -> float:
        with torch.no_grad():
            wanted = hidden_states(teacher, unseen, (2,))[0]
            given = hidden_states(student, unseen, (2,))[0]
        return float((wanted - means[2] - given @ basis.T).square().sum() / (wanted - wanted.mean(0)).square().sum())

    student = random_encoder(narrower, 1)
    found = narrow(teacher, student, sample)
    torch.testing.assert_close(found.basis.T @ found.basis, torch.eye(12), rtol=0, atol=1e-5)
    narrowed = error(student, found.basis, found.means)
    by_chance = min(error(random_encoder(narrower, seed), found.basis, found.means) for seed in range(1, 4))
    assert narrowed < 0.7
    assert narrowed < 0.6 * by_chance


def test_only_narrower_students_of_the_same_make_are_cut_out() -> None:
    teacher = random_encoder(FOUR, 0)
    for config in (FOUR, replace(FOUR, hidden_size=8, n_heads=2), replace(FOUR, hidden_size=8, n_heads=1, n_layers=5)):
        assert not can_be_narrowed(teacher, Encoder(config))
    assert can_be_narrowed(teacher, Encoder(replace(FOUR, hidden_size=8, n_heads=1, intermediate_size=16)))


def test_path_of_the_model_is_kept(source: ModelSource) -> None:
    assert Path(shrink(source, StudentShape(n_layers=1)).directory) == source.directory
