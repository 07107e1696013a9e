"""What a run says of itself before its first step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distiltune.errors import RecipeError
from distiltune.recipe.recipe import Recipe
from distiltune.runs import prepare as preparing
from distiltune.runs.prepare import PreparedRun, prepare
from distiltune.system.device import Precision, choose_device
from distiltune.training.distributed import Processes
from distiltune.training.early_stopping import BestEpoch, Spread
from tests.helpers import TINY, people, write_squad, write_tiny_model

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


def prepared(folder: Path, attention_dropout: float, **settings: Any) -> PreparedRun:
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    model = write_tiny_model(folder / "model", known.tokenizer, config)
    train = write_squad(folder / "train.json", known.examples)
    recipe = Recipe(
        model=str(model),
        train=(str(train),),
        attention_dropout=attention_dropout,
        max_length=48,
        stride=8,
        threads=1,
        **settings,
    )
    return prepare(recipe, Processes(), choose_device("cpu"))


def test_attention_dropout_that_is_not_applied_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the terminal, in the log and on the model card, which all show the notes of the model's source."""
    applied = prepared(tmp_path, 0.1)
    assert not any("dropout" in note for note in applied.loaded.source.notes)
    assert applied.resolved["attention_dropout"] == 0.1
    monkeypatch.setattr(preparing, "can_drop", lambda device, dtype: False)  # as on a GPU in half precision
    dropped = prepared(tmp_path, 0.1)
    assert sum("Attention dropout (0.1) is not applied" in note for note in dropped.loaded.source.notes) == 1
    assert dropped.resolved["attention_dropout"] == 0.0
    assert not any("dropout" in note for note in prepared(tmp_path, 0.0).loaded.source.notes)


@pytest.mark.parametrize(
    ("device", "precision", "is_noted"),
    [
        (GPU, "bfloat16", True),
        (GPU, "float32", False),
        (GPU, "tf32", False),
        (CPU, "bfloat16", False),
    ],
)
def test_it_is_noted_once_where_it_is_not_applied(
    tmp_path: Path, device: torch.device, precision: Precision, is_noted: bool
) -> None:
    loaded = prepared(tmp_path, 0.1).loaded
    for _ in range(2):  # a run that is resumed has it in its notes
        loaded = preparing._with_note(loaded, device, precision)
    assert sum("is not applied" in note for note in loaded.source.notes) == is_noted


def test_the_epoch_is_chosen_as_far_as_chance_carries_the_score(tmp_path: Path) -> None:
    within = prepared(tmp_path, 0.1, monitor="f1", epoch_choice="within_error")
    assert within.validation is not None
    assert within.choice == BestEpoch("higher", spread=Spread(within.validation.n_examples, 100.0))
    assert prepared(tmp_path, 0.1, monitor="f1").choice == BestEpoch("higher")
    with pytest.raises(RecipeError, match="How far chance carries calibration_error is not known"):
        prepared(tmp_path, 0.1, monitor="calibration_error", epoch_choice="within_error")
