"""Multiple choice can be expressed: it is learnt, and no batch parts the choices of a question."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from distiltune.data.loader import epoch_order, share, split_batches, token_batches
from distiltune.data.packing import PackedBatch, fill_up, required
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.tasks.multiple_choice.head import METRIC_NAMES, choice_loss, log_shares
from distiltune.tasks.text_classification.head import SequenceHead
from distiltune.training.objective import StepSums
from distiltune.training.setup import LoopSettings
from tests.helpers import TINY
from tests.tasks.choices import Question, chosen, featurise
from tests.tasks.looped import Learning, learn

MOST, LEAST = 5, 6
LOOP = LoopSettings(epochs=16, batch_size=16, accumulation_steps=1, max_gradient_norm=1.0, seed=0, log_every=50)


def questions(n: int, seed: int) -> list[Question]:
    """Four numbers, of which the most or the least is asked for: no choice is right or wrong by itself."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        asked, numbers = int(rng.choice([MOST, LEAST])), rng.choice(np.arange(10, 30), 4, replace=False)
        right = numbers.argmax() if asked == MOST else numbers.argmin()
        made.append(Question((asked,), tuple((int(each),) for each in numbers), int(right)))
    return made


def model() -> TaskModel:
    torch.manual_seed(0)
    made = TaskModel(Encoder(TINY), SequenceHead(TINY.hidden_size, 1, 0.0))
    initialise(made, 0.2)
    return made


def test_it_is_learnt_whole() -> None:
    asked, unseen = questions(160, 0), questions(40, 1)
    made, features = model(), featurise(asked)
    heard = learn(made, Learning(features, choice_loss, METRIC_NAMES, LOOP, rate=5e-3))
    assert heard.epochs[-1].train["accuracy"] == 1.0
    assert chosen(made, features) == [each.right for each in asked]
    right = [given == each.right for given, each in zip(chosen(made, featurise(unseen)), unseen, strict=True)]
    assert sum(right) > 35, "of questions that it has not seen"


def test_no_worker_sees_a_part_of_a_question() -> None:
    seen: list[np.ndarray] = []
    lock = threading.Lock()

    def spying_loss(output: Tensor, batch: PackedBatch) -> StepSums:
        with lock:
            seen.append(batch.feature_ids)
        return choice_loss(output, batch)

    torch.set_num_threads(2)
    learn(model(), Learning(featurise(questions(20, 0)), spying_loss, METRIC_NAMES, replace(LOOP, epochs=2)))
    assert len(seen) == 2 * 2 * 5, "two workers take a part of each batch"
    for ids in seen:
        assert ids.reshape(-1, 4).tolist() == [[first + i for i in range(4)] for first in ids[::4]]
        assert set(ids[::4] % 4) == {0}


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_no_rank_sees_a_part_of_a_question(n_ranks: int) -> None:
    features = featurise(questions(30, 0))
    batches = split_batches(epoch_order(len(features), 0, 0, features.group_of), 16, features.group_of)
    assert {len(batch) for batch in batches} == {16, 8}
    for batch in batches:
        shares = [share(features, batch, rank, n_ranks) for rank in range(n_ranks)]
        assert sorted(np.concatenate(shares).tolist()) == sorted(batch.tolist())
        assert all((ids.reshape(-1, 4) == ids[::4, None] + np.arange(4)).all() for ids in shares)
        assert all((ids[::4] % 4 == 0).all() for ids in shares)


def test_questions_may_have_any_number_of_choices() -> None:
    made = [Question((MOST,), tuple((10 + i,) for i in range(n)), n - 1) for n in (2, 5, 3, 1, 4)]
    features = featurise(made)
    assert features.weight(np.arange(len(features))) == pytest.approx(5.0)
    assert all(len(set(features.example_of[ids])) in (1, 2, 3) for ids in token_batches(features, np.arange(15), 30))
    batch = features.batch(np.arange(15))
    scores = torch.randn(15)
    shares = log_shares(scores, required(batch.group_of, "groups"))
    for i, j in SPANS:
        torch.testing.assert_close(shares[i:j], scores[i:j].log_softmax(0))
    alone = sum(float(choice_loss(scores[i:j, None], features.batch(np.arange(i, j))).loss) for i, j in SPANS)
    assert float(choice_loss(scores[:, None], batch).loss) == pytest.approx(alone, abs=1e-5)


SPANS = ((0, 2), (2, 7), (7, 10), (10, 11), (11, 15))


def test_filler_changes_nothing() -> None:
    batch, made = featurise(questions(3, 0)).batch(np.arange(12)), model().eval()
    filled = fill_up(batch, batch.n_tokens + 5, 8)
    plain, other = choice_loss(made(batch), batch), choice_loss(made(filled), filled)
    torch.testing.assert_close(other.metrics, plain.metrics)
