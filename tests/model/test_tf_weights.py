"""A checkpoint as TensorFlow-era Transformers wrote it gives the logits that TensorFlow gave, in our own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from distiltune.model.convert import convert
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.question_answering.task import HEAD_RULES, from_settings
from distiltune.tasks.trained import load_trained
from tests.helpers import SHARED, batch_of

pytest.importorskip("h5py", reason="needs the extra tensorflow-era")
SAMPLE = SHARED / "models" / "tf-era-sample"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="needs shared/models/tf-era-sample beside the checkout")
@pytest.mark.parametrize("converted", [False, True])
def test_logits_of_the_tensorflow_model(tmp_path: Path, converted: bool) -> None:
    directory = SAMPLE
    if converted:
        directory = tmp_path / "modern"
        convert(str(SAMPLE), directory, head_rules=HEAD_RULES)
        assert (directory / "model.safetensors").is_file()
    expected = json.loads((SAMPLE / "expected.json").read_text())
    lengths = [sum(mask) for mask in expected["attention_mask"]]
    model = load_trained(str(directory), from_settings(Recipe()), "cpu").loaded.model
    with torch.inference_mode():
        logits = model(batch_of([ids[:n] for ids, n in zip(expected["input_ids"], lengths, strict=True)]))
    for column, name in enumerate(("start_logits", "end_logits")):
        theirs = np.concatenate([row[:n] for row, n in zip(expected[name], lengths, strict=True)])
        assert np.abs(logits[:, column].numpy() - theirs).max() < 1e-5
