"""Texts to vectors: the mean of an encoder's token vectors, as the library sentence-transformers pools them.

Reimers & Gurevych 2019, "Sentence-BERT": the mean is over all tokens that the encoder reads, ``[CLS]`` and ``[SEP]``
among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.packing import PackedBatch, cumulative_lengths
from distiltune.data.tokens import SpecialTokens, tokenise
from distiltune.errors import RecipeError
from distiltune.inference.predictor import outputs
from distiltune.model.build import frozen_encoder
from distiltune.model.encoder import Encoder
from distiltune.model.sentence_transformers_form import SENTENCE_SETTINGS
from distiltune.model.small_json import read_json
from distiltune.model.source import load_source, load_tokenizer

N_SPECIAL_TOKENS = 2  # [CLS] text [SEP]
BATCH_TOKENS = 4_096

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """An encoder that gives texts vectors, its tokenizer, and how many tokens of a text it reads."""

    encoder: Encoder
    tokenizer: Tokenizer
    max_length: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SentenceFeatures:
    """Texts as an encoder reads them.

    Attributes:
        features: one for each text, in order: ``[CLS] text [SEP]``, cut after ``max_length`` tokens.
        cut: the numbers of the texts whose ends are not read.

    """

    features: FeatureSet
    cut: tuple[int, ...]


class MeanPooled(nn.Module):
    """An encoder whose output is one vector a sequence: the mean of its tokens' vectors, of length 1 if asked for."""

    rows = "sequence"

    def __init__(self, encoder: Encoder, *, normalise: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.normalise = normalise

    def forward(self, batch: PackedBatch) -> Tensor:
        """A packed batch → ``(n_features, hidden)`` float32."""
        lengths = torch.tensor(batch.lengths[: batch.n_features], device=batch.token_ids.device)
        hidden = self.encoder(batch)[: int(lengths.sum())].float()
        mean = torch.segment_reduce(hidden, "mean", lengths=lengths, axis=0)
        return F.normalize(mean, dim=1) if self.normalise else mean


def sentence_features(texts: Sequence[str], tokenizer: Tokenizer, max_length: int) -> SentenceFeatures:
    """Texts as features of at most ``max_length`` tokens, special ones included.

    Raises:
        ModelError: if the tokenizer cannot cut them.
        ValueError: if ``max_length`` leaves no room for a token of a text.

    """
    if max_length <= N_SPECIAL_TOKENS:
        raise ValueError(f"max_length is {max_length}, and {N_SPECIAL_TOKENS} tokens are special ones")
    special, tokens = SpecialTokens.of(tokenizer), tokenise(tokenizer, texts)
    bounds = zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True)
    read = [tokens.ids[start : min(end, start + max_length - N_SPECIAL_TOKENS)] for start, end in bounds]
    framed = [part for ids in read for part in ([special.cls], ids, [special.sep])]
    cut = np.flatnonzero(np.diff(tokens.offsets) > max_length - N_SPECIAL_TOKENS)
    features = FeatureSet(
        token_ids=np.concatenate(framed).astype(np.int32) if framed else np.zeros(0, dtype=np.int32),
        offsets=cumulative_lengths([len(ids) + N_SPECIAL_TOKENS for ids in read]),
        labels=no_labels(len(read)),
        example_of=np.arange(len(read)),
    )
    return SentenceFeatures(features, tuple(cut.tolist()))


def sentence_vectors(
    encoder: Encoder,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    max_length: int = 0,
    normalise: bool = False,
    on_progress: Callable[[int, int], None] = lambda n_done, n_all: None,
) -> Vectors:
    """The vector of each text, in order: ``(n_texts, hidden)`` float32.

    Args:
        encoder: on any device.
        tokenizer: the encoder's.
        texts: what is longer than ``max_length`` is read up to there.
        max_length: most tokens of a text, ``[CLS]`` and ``[SEP]`` included (0: as many as the encoder has positions).
        normalise: make each of length 1, so that a dot product is a cosine.
        on_progress: told how many texts are done, of how many.

    Raises:
        ModelError: if the tokenizer cannot cut a text.

    """
    length = max_length or encoder.config.max_position_embeddings
    made = sentence_features(texts, tokenizer, length).features
    return feature_vectors(encoder, made, normalise=normalise, on_progress=on_progress)


def feature_vectors(
    encoder: Encoder,
    features: FeatureSet,
    *,
    normalise: bool = False,
    on_progress: Callable[[int, int], None] = lambda n_done, n_all: None,
) -> Vectors:
    """The same of texts that are features already: ``(n_features, hidden)`` float32."""
    vectors = np.zeros((len(features), encoder.config.hidden_size), dtype=np.float32)
    n_done = 0
    pooled = MeanPooled(encoder, normalise=normalise)
    for batch, output in outputs(pooled, features, np.arange(len(features)), BATCH_TOKENS):
        vectors[batch.feature_ids] = output.cpu().numpy()
        n_done += batch.n_features
        on_progress(n_done, len(features))
    return vectors


def load_sentence_encoder(name: str, device: torch.device, max_length: int | None = None) -> SentenceEncoder:
    """The encoder of any model that can be read.

    Raises:
        ModelError: if it cannot be read.
        HubError: if a hub name cannot be fetched.
        RecipeError: if the model has no positions for so many tokens, or they leave no room for a text.

    """
    source = load_source(name)
    most = source.config.max_position_embeddings
    said = source.directory / SENTENCE_SETTINGS
    stored = read_json(said).get("max_seq_length") if said.is_file() else None
    usual = min(stored, most) if isinstance(stored, int) and stored > N_SPECIAL_TOKENS else most
    length = usual if max_length is None else max_length
    if not N_SPECIAL_TOKENS < length <= most:
        raise RecipeError(
            f"max_length is {length}, and this model reads {N_SPECIAL_TOKENS + 1} to {most:,} tokens of a text.",
            where="--max-length",
            fix="give a number between them, or leave it out",
        )
    return SentenceEncoder(frozen_encoder(source, device), load_tokenizer(source.directory), length, source.notes)
