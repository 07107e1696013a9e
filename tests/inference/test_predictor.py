"""Several processes run their shares and all receive everything, whatever a model gives a row of."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from distiltune.inference.precision import InPrecision
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.tasks.heads import TokenHead
from distiltune.tasks.text_classification.head import SequenceHead
from tests.helpers import TINY, random_features

FEATURES = random_features(23)
HEADS = {"token": TokenHead(TINY.hidden_size, 0.0, 3), "sequence": SequenceHead(TINY.hidden_size, 3, 0.0)}


def model_with(rows: str) -> TaskModel:
    torch.manual_seed(0)
    model = TaskModel(Encoder(TINY), HEADS[rows])
    initialise(model, 0.3)
    return model.eval()


def everything(rows: str) -> list[tuple[list[int], np.ndarray[Any, Any]]]:
    ran = outputs(model_with(rows), FEATURES, np.arange(len(FEATURES)), 32)
    return [(batch.feature_ids.tolist(), output.numpy()) for batch, output in ran]


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    met: Any = {"init_method": f"file://{folder}/met", "rank": rank, "world_size": 2}
    dist.init_process_group("gloo", timeout=timedelta(seconds=120), **met)
    for rows in HEADS:
        found = everything(rows)
        np.savez(f"{folder}/{rows}{rank}.npz", *(output for _, output in found))
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this PyTorch has no gloo")
def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    started = multiprocessing.get_context("spawn")
    processes = [started.Process(target=one_of_two, args=(rank, str(tmp_path))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(180)
        assert process.exitcode == 0
    for rows in HEADS:
        expected = everything(rows)
        assert len(expected) % 2, "the last round has one batch for two"
        for ids, output in expected:
            lengths = FEATURES.lengths[ids]
            assert output.shape == (lengths.sum() if rows == "token" else len(ids), 3)
        for rank in range(2):
            found = np.load(tmp_path / f"{rows}{rank}.npz")
            assert len(found.files) == len(expected)
            for name, (_, output) in zip(found.files, expected, strict=True):
                np.testing.assert_array_equal(found[name], output)


@pytest.mark.parametrize("rows", sorted(HEADS))
def test_another_precision_gives_the_same_rows(rows: str) -> None:
    model = InPrecision(model_with(rows), "bfloat16")
    assert model.rows == rows
    batch = FEATURES.batch(np.arange(5))
    with torch.inference_mode():
        assert len(model(batch)) == sum(batch.row_counts(model.rows))
