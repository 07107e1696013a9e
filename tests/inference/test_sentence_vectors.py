from __future__ import annotations

import numpy as np
import torch

from distiltune.inference.sentence_vectors import sentence_vectors
from distiltune.model.encoder import Encoder, initialise
from tests.helpers import TINY, batch_of, word_pieces

WORDS = ("the", "quick", "brown", "fox", "jumps")


def test_a_vector_is_the_mean_over_all_tokens_of_its_text() -> None:
    tokenizer = word_pieces(WORDS)
    torch.manual_seed(0)
    encoder = Encoder(TINY)
    initialise(encoder, 0.3)
    texts = ["the quick fox", "", "jumps " * 100, "brown", "the quick fox"]
    found = sentence_vectors(texts, encoder, tokenizer, max_tokens=12)
    assert found.shape == (5, TINY.hidden_size)
    assert found.dtype == np.float32
    for text, vector in zip(texts, found, strict=True):
        ids = tokenizer.encode(text).ids
        ids = [*ids[: 12 - 1], ids[-1]] if len(ids) > 12 else ids
        with torch.inference_mode():
            alone = encoder.eval()(batch_of([ids])).mean(dim=0)
        np.testing.assert_allclose(vector, alone.numpy(), atol=1e-5)
    assert not np.allclose(found[0], found[3])
