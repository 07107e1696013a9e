"""Texts → one vector each: the mean of the encoder's vectors of their tokens, as sentence-transformers has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import cumulative_lengths
from distiltune.data.tokens import SpecialTokens, tokenise
from distiltune.inference.predictor import outputs
from distiltune.model.encoder import Encoder

BATCH_TOKENS = 4_096


def sentence_vectors(
    texts: Sequence[str], encoder: Encoder, tokenizer: Tokenizer, max_tokens: int = 256
) -> npt.NDArray[np.float32]:
    """``(n_texts, hidden)`` float32: the mean over all tokens of a text, `[CLS]` and `[SEP]` too, dropout off.

    Reimers and Gurevych 2019 (arXiv:1908.10084), "MEAN" pooling. Of a text longer than ``max_tokens``, the two special
    tokens counted, only its beginning is read.
    """
    special = SpecialTokens.of(tokenizer)
    tokens = tokenise(tokenizer, texts)
    kept = [
        [special.cls, *tokens.ids[first : min(last, first + max_tokens - 2)].tolist(), special.sep]
        for first, last in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    features = FeatureSet(
        np.array([token for each in kept for token in each], dtype=np.int32),
        cumulative_lengths([len(each) for each in kept]),
        no_labels(len(kept)),
        np.arange(len(kept)),
    )
    vectors = np.zeros((len(kept), encoder.config.hidden_size), dtype=np.float32)
    for batch, hidden in outputs(encoder, features, np.arange(len(kept)), BATCH_TOKENS):
        lengths = torch.as_tensor(np.diff(features.offsets)[batch.feature_ids], device=hidden.device)
        sums = hidden.new_zeros(batch.n_features, hidden.shape[1]).float()
        places = torch.repeat_interleave(torch.arange(batch.n_features, device=hidden.device), lengths)
        sums.index_add_(0, places, hidden.float())
        vectors[batch.feature_ids] = (sums / lengths[:, None]).cpu().numpy()
    return vectors
