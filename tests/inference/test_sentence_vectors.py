"""The vectors are those of transformers with mean pooling, and what is cut is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune.inference.sentence_vectors import sentence_features, sentence_vectors
from distiltune.model.build import frozen_encoder
from distiltune.model.source import load_source
from tests.helpers import TINY, people, write_tiny_model

TOKENIZER = people().tokenizer
TEXTS = ["ada eats figs .", "bob", "", "ada drives a van . bob likes tea . cem fears bees .", "never seen words"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = replace(TINY, vocab_size=TOKENIZER.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", TOKENIZER, config)


def ours(directory: Path, texts: list[str], **how: Any) -> np.ndarray[Any, Any]:
    encoder = frozen_encoder(load_source(directory), torch.device("cpu"))
    return sentence_vectors(encoder, TOKENIZER, texts, **how)


def theirs(directory: Path, texts: list[str], max_length: int, *, normalise: bool) -> np.ndarray[Any, Any]:
    """As sentence-transformers has it: a padded batch, the mean under the attention mask, cut at ``max_length``."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModel.from_pretrained(directory).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    batch = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    batch.pop("token_type_ids", None)
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1).float()
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return np.asarray(torch.nn.functional.normalize(mean, dim=1) if normalise else mean)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("max_length", [8, 64])
def test_equal_those_of_transformers(directory: Path, max_length: int, normalise: bool) -> None:
    found = ours(directory, TEXTS, max_length=max_length, normalise=normalise)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs(directory, TEXTS, max_length, normalise=normalise), atol=1e-5)


def test_a_text_has_its_vector_whatever_stands_beside_it(directory: Path) -> None:
    many = [f"{who} eats {what}" for who in ("ada", "bob", "cem") for what in ("figs", "rice .", "")] * 20
    together = ours(directory, many)
    np.testing.assert_allclose(together[7], ours(directory, [many[7]])[0], atol=1e-6)
    assert ours(directory, []).shape == (0, TINY.hidden_size)


def test_normalised_vectors_have_length_one(directory: Path) -> None:
    np.testing.assert_allclose(np.linalg.norm(ours(directory, TEXTS, normalise=True), axis=1), 1.0, atol=1e-6)


def test_what_is_cut_is_known() -> None:
    made = sentence_features(["ada eats figs", "ada eats figs .", "ada"], TOKENIZER, 5)
    assert made.cut == (1,)
    assert made.features.lengths.tolist() == [5, 5, 3]
    with pytest.raises(ValueError, match="special"):
        sentence_features(["ada"], TOKENIZER, 2)
