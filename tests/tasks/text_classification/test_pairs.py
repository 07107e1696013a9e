"""Pairs of like and unlike texts before the labels: the loss, what stands beside what, a training, a resumed one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from distiltune import StepReport, Watcher, evaluate, fine_tune, resume
from distiltune.data.feature_set import FeatureSet, joined
from distiltune.data.packing import fill_up
from distiltune.errors import RecipeError
from distiltune.model.build import Dropouts
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.recipe.recipe import Recipe
from distiltune.runs.setup import make_optimiser
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.head import SequenceHead, TextLoss
from distiltune.tasks.text_classification.pairs import (
    PairsFirst,
    PairsModel,
    marked,
    mean_vectors,
    pair_losses,
    two_by_two,
)
from tests.helpers import TINY, random_features, read_log, word_pieces, write_tiny_model

N_LABELS = 3
SHAPE = replace(TINY, dropout=0.0, attention_dropout=0.0)


def test_the_loss_of_a_text_is_that_of_the_plain_way() -> None:
    torch.manual_seed(0)
    vectors, labels = torch.randn(7, 5), torch.tensor([0, 1, 0, 2, 0, 1, 0])  # the fourth has none that is like it
    expected = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        cosines = {j: F.cosine_similarity(vectors[i], vectors[j], dim=0) for j in others}
        like = [(1 - cosines[j]) ** 2 for j in others if labels[j] == labels[i]]
        unlike = [cosines[j] ** 2 for j in others if labels[j] != labels[i]]
        halves = [torch.stack(each).mean() for each in (like, unlike) if each]
        expected.append(torch.stack(halves).sum() / 2)
    assert torch.allclose(pair_losses(vectors, labels), torch.stack(expected), atol=1e-6)
    assert pair_losses(vectors[:1], labels[:1]).tolist() == [0.0]


def example(number: int, label: str) -> TextExample:
    return TextExample(str(number), f"text {number}", None, (label,))


def test_two_of_one_label_stand_side_by_side() -> None:
    examples = [example(i, label) for i, label in enumerate("abacabbda")]  # 4 a, 3 b, 1 c, 1 d
    ordered, groups = two_by_two(examples, seed=1)
    assert sorted(each.id for each in ordered) == sorted(each.id for each in examples)
    assert groups.tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 4]
    assert ["".join(each.gold or ()) for each in ordered] == [*"aaaabbbcd"]
    assert two_by_two(examples, seed=1)[0] == ordered != two_by_two(examples, seed=2)[0]


def features_of(n: int = 6) -> FeatureSet:
    found = random_features(n)
    labels = np.array([[i % N_LABELS] for i in range(n)], dtype=np.int32)
    return replace(found, labels=labels, weights=np.ones(n, np.float32))


def model() -> PairsModel:
    torch.manual_seed(1)
    made = PairsModel(Encoder(SHAPE), SequenceHead(SHAPE.hidden_size, N_LABELS, 0.0))
    initialise(made, 0.2)
    return made


def test_a_texts_vector_is_the_mean_of_its_tokens_whatever_filler_there_is() -> None:
    made, batch = model(), features_of().batch(np.arange(6))
    hidden = made.encoder(batch)
    expected = torch.stack([rows.mean(dim=0) for rows in hidden.split(list(batch.lengths))])
    assert torch.allclose(mean_vectors(hidden, batch), expected, atol=1e-6)
    filled = fill_up(batch, batch.n_tokens + 5, max(batch.lengths))
    assert torch.allclose(mean_vectors(made.encoder(filled), filled), expected, atol=1e-5)


def test_out_of_a_training_it_is_the_plain_model() -> None:
    made, batch = model().eval(), features_of().batch(np.arange(6))
    plain = TaskModel(made.encoder, made.head).eval()
    assert torch.equal(made(batch), plain(batch))
    assert torch.allclose(made.train()(batch)[:, :N_LABELS], plain(batch), atol=1e-6)


def test_each_text_is_learnt_as_it_is_marked() -> None:
    own = features_of()
    pairs = marked(own, np.array([0, 0, 0, 1, 1, 1]), of_pairs=True)
    both = joined(marked(own, np.arange(6), of_pairs=False), pairs, 1.0, 6)
    usual = TextLoss("single-label")
    objective = PairsFirst(usual, N_LABELS)
    made = model().train()
    plain = own.batch(np.arange(6))

    first = both.batch(np.arange(6, 12))
    output = made(first)
    scores, labels = output[:, :N_LABELS], plain.labels[:, 0]
    vectors = torch.cat(output[:, N_LABELS:].chunk(2, dim=1))
    apart = pair_losses(vectors, torch.cat([labels, labels])).sum() / 2
    sums = objective(output, first)
    assert sums.loss.item() == pytest.approx((usual(scores, plain).loss + apart).item())
    assert torch.allclose(sums.metrics, usual(scores.detach(), plain).metrics)
    token = made.encoder.get_parameter("embeddings.token.weight")
    (by_pairs,) = torch.autograd.grad(apart, token, retain_graph=True)
    (by_all,) = torch.autograd.grad(sums.loss, token)
    assert float(by_pairs.abs().max()) > 0.0
    assert torch.equal(by_all, by_pairs)  # the labels move the head alone

    then = both.batch(np.arange(6))
    output = made(then)
    sums = objective(output, then)
    assert sums.loss.item() == pytest.approx(usual(output[:, :N_LABELS], plain).loss.item())
    sums.loss.backward()  # type: ignore[no-untyped-call]
    assert float(token.grad.abs().max()) == 0.0  # type: ignore[union-attr]
    assert float(made.head.get_parameter("output.weight").grad.abs().max()) > 0.0  # type: ignore[union-attr]
    assert objective(made.eval()(then), then).loss.item() == pytest.approx(
        usual(output[:, :N_LABELS], plain).loss.item()
    )


def test_texts_are_told_apart_by_both_vectors() -> None:
    pairs = marked(features_of(), np.array([0, 0, 0, 1, 1, 1]), of_pairs=True)
    made, objective, batch = model().train(), PairsFirst(TextLoss("single-label"), N_LABELS), pairs.batch(np.arange(6))
    optimiser = torch.optim.Adam(made.parameters(), lr=3e-3)
    labels = batch.labels[:, 0]
    before = [float(pair_losses(each, labels).mean()) for each in made(batch)[:, N_LABELS:].detach().chunk(2, dim=1)]
    for _ in range(40):
        optimiser.zero_grad()
        (objective(made(batch), batch).loss / 6).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = [float(pair_losses(each, labels).mean()) for each in made(batch)[:, N_LABELS:].detach().chunk(2, dim=1)]
    assert max(after) < 0.05 < 0.2 < min(before)


PLACES: dict[str, Any] = {"max_length": 16, "batch_size": 4, "learning_rate": 3e-3, "epochs": 2, "threads": 1}
ROWS = [{"text": f"{('a b c', 'd e f')[i % 2]} {i}", "label": "pn"[i % 2]} for i in range(9)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    tokenizer = word_pieces([*"abcdef", *map(str, range(9))])
    shape = replace(SHAPE, vocab_size=tokenizer.get_vocab_size(), dropout=0.1)
    return str(write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny", tokenizer, shape))


class _Stop(Watcher):
    def on_step(self, report: StepReport) -> None:
        if report.step == 7:  # among the pairs
            raise KeyboardInterrupt


def test_a_training_with_pairs_and_one_that_was_stopped_among_them(tiny: str, tmp_path: Path) -> None:
    settings = {
        **PLACES,
        "train": ROWS,
        "model": tiny,
        "validation_share": 0.0,
        "few_labels": "pairs",
        "pair_epochs": 5,
    }
    whole = fine_tune(output=tmp_path / "whole", log_every=1, **settings)
    log = read_log(tmp_path / "whole" / "log.jsonl")
    data = next(line["data"] for line in log if line["kind"] == "start")
    assert isinstance(data, dict)
    assert set(data) == {"train", "pairs"}
    steps = [line for line in log if line["kind"] == "step"]
    assert len(steps) == (5 + 2) * 3  # 9 texts in batches of 4
    rates = [float(str(line["learning_rate"])) for line in steps]
    assert rates[14] < rates[15] or rates[15] > rates[13], "the rate rises again for the labels"
    assert "told apart in pairs first, in 5 passes" in (whole.directory / "report.html").read_text(encoding="utf-8")
    config = json.loads((whole.model / "config.json").read_text())
    assert config["architectures"] == ["DistilBertForSequenceClassification"]
    assert evaluate(whole.model, ROWS, threads=1).n_examples == 9

    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "cut", callbacks=[_Stop()], checkpoint_steps=1, log_every=1, **settings)
    resume(tmp_path / "cut", train=ROWS)
    ended = [run / "model" / "model.safetensors" for run in (tmp_path / "cut", whole.directory)]
    assert ended[0].read_bytes() == ended[1].read_bytes()


def test_the_head_learns_at_ten_times_the_rate(tiny: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    recipe = Recipe(train=(str(path),), model=tiny, task="text-classification", few_labels="pairs", validation_share=0)
    opened = TASKS[recipe.task](recipe).open_training(torch.device("cpu"))
    loaded = opened.load_model(tiny, Dropouts())
    optimiser = make_optimiser(recipe, loaded.model, opened.lesson(loaded).head_rate)
    optimiser.learning_rate = 1e-4
    rates = {name: optimiser.rate_of(each) for name, each in loaded.model.named_parameters()}
    assert rates["head.output.weight"] == rates["head.inner.bias"] == pytest.approx(1e-3)
    assert {rate for name, rate in rates.items() if name.startswith("encoder.")} == {1e-4}


@pytest.mark.parametrize(
    "more",
    [
        {"teacher": "starter"},
        {"warm_up_data": "more.csv"},
        {"freeze": "encoder"},
        {"batch_size": 1},
        {"problem": "multi-label"},
        {"problem": "regression"},
        {"few_labels": "off", "pair_epochs": 3},
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="few_labels"):
        Recipe.build({"task": "text-classification", "few_labels": "pairs", **more})


def test_data_without_one_label_each_are_refused(tiny: str, tmp_path: Path) -> None:
    rows = [{"text": f"a {i}", "label": 0.5 + i} for i in range(9)]
    with pytest.raises(RecipeError, match="problem is regression"):
        fine_tune(train=rows, model=tiny, output=tmp_path / "run", few_labels="pairs", **PLACES)
