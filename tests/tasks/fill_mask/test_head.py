"""The head for masked words: `transformers`' own, to the fifth decimal, its gradients too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import DistilBertConfig, DistilBertForMaskedLM

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import NO_LABEL
from distiltune.errors import ModelError
from distiltune.model.build import Dropouts
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, initialise
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.fill_mask.head import MaskedWordsHead, MaskedWordsModel, masked_words_loss
from distiltune.tasks.table import TASKS
from tests.helpers import TINY, word_pieces

TOKENIZER = word_pieces([*"abcdefghijklmnop"])
SHAPE = replace(TINY, vocab_size=TOKENIZER.get_vocab_size(), dropout=0.0, attention_dropout=0.0)
LENGTHS = (5, 9, 3)


def reference(shape: EncoderConfig = SHAPE) -> DistilBertForMaskedLM:
    torch.manual_seed(3)
    model = DistilBertForMaskedLM(DistilBertConfig(**replace(shape, initializer_range=0.2).to_hf())).eval()
    with torch.no_grad():
        model.vocab_projector.bias.normal_()
    return model


def features() -> FeatureSet:
    random = np.random.default_rng(0)
    n = sum(LENGTHS)
    labels = np.where(random.random(n) < 0.4, random.integers(5, SHAPE.vocab_size, n), NO_LABEL)
    return FeatureSet(
        random.integers(5, SHAPE.vocab_size, n).astype(np.int32),
        np.concatenate([[0], np.cumsum(LENGTHS)]),
        no_labels(len(LENGTHS)),
        np.arange(len(LENGTHS)),
        token_labels=labels.astype(np.int32),
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    reference().save_pretrained(tmp_path / "hf")
    TOKENIZER.save(str(tmp_path / "hf" / "tokenizer.json"))
    return tmp_path / "hf"


def loaded(directory: Path) -> MaskedWordsModel:
    (directory / "texts.txt").write_text("a b\nc d\n")
    recipe = Recipe(task="fill-mask", train=(str(directory / "texts.txt"),), validation_share=0.0)
    training = TASKS["fill-mask"](recipe).open_training(torch.device("cpu"))
    found = training.load_model(str(directory), Dropouts(0.0, 0.0))
    assert not found.source.missing
    assert not found.source.unexpected
    assert isinstance(found.model, MaskedWordsModel)
    return found.model


def test_logits_and_gradients_are_those_of_transformers(saved: Path) -> None:
    theirs, ours = reference(), loaded(saved)
    batch = features().batch(np.arange(len(LENGTHS)))
    ids, labels = torch.split(batch.token_ids, list(LENGTHS)), batch.token_labels
    assert labels is not None
    expected = torch.cat([theirs(row[None]).logits[0] for row in ids])
    logits = ours.logits(batch)
    assert torch.allclose(logits, expected, atol=1e-5)

    torch.nn.functional.cross_entropy(expected, labels, ignore_index=NO_LABEL, reduction="sum").backward()  # type: ignore[no-untyped-call]
    costs = ours(batch)
    sums = masked_words_loss(costs, batch)
    sums.loss.backward()  # type: ignore[no-untyped-call]
    assert costs.shape == (sum(LENGTHS), 2)
    assert float(sums.metrics[1]) == float((expected.argmax(1) == labels).sum())
    pairs: list[tuple[Tensor, Tensor]] = [
        (ours.encoder.get_parameter("embeddings.token.weight"), theirs.distilbert.embeddings.word_embeddings.weight),
        (ours.head.get_parameter("inner.weight"), theirs.vocab_transform.weight),
        (ours.head.get_parameter("norm.bias"), theirs.vocab_layer_norm.bias),
        (ours.head.get_parameter("bias"), theirs.vocab_projector.bias),
    ]
    for mine, other in pairs:
        assert mine.grad is not None
        assert other.grad is not None
        assert torch.allclose(mine.grad, other.grad, atol=1e-5)


def test_leaving_out_what_is_not_asked_for_changes_nothing() -> None:
    """On a GPU, where nothing may depend on how many words there are, all are scored: tests/tasks/test_recording.py."""
    model = MaskedWordsModel(Encoder(SHAPE), MaskedWordsHead(SHAPE.hidden_size, SHAPE.vocab_size, "gelu"))
    initialise(model, 0.2)
    batch = features().batch(np.arange(len(LENGTHS)))
    labels = batch.token_labels
    assert labels is not None
    whole = torch.nn.functional.cross_entropy(model.logits(batch), labels, ignore_index=NO_LABEL, reduction="none")
    assert torch.allclose(model(batch)[:, 0], whole, atol=1e-5)
    assert (model(batch)[labels == NO_LABEL] == 0).all()


def test_word_vectors_that_are_not_tied_are_refused(saved: Path) -> None:
    config = saved / "config.json"
    text = config.read_text()
    assert '"tie_word_embeddings": true' in text
    config.write_text(text.replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    with pytest.raises(ModelError, match="word vectors of its own"):
        loaded(saved)
