"""Which words of a text are asked for, and what is shown in their place (Devlin et al. 2019, whole words)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import NO_LABEL, cumulative_lengths
from distiltune.errors import ModelError

MASKED, EXCHANGED = 0.8, 0.1
"""Shares of the tokens asked for that are shown as `[MASK]`, and as a token drawn from all; the others stay."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CONTINUES = "##"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What masking needs to know of a tokenizer.

    Attributes:
        mask: id of `[MASK]`.
        words: ``(n,)`` int32, the ids that may be asked for and drawn: all but the special tokens.
        is_word: ``(vocab_size,)`` bool, whether a token is one of these.
        continues: ``(vocab_size,)`` bool, whether a token belongs to the word of the one before it.

    """

    mask: int
    words: npt.NDArray[np.int32]
    is_word: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]

    @staticmethod
    def of(tokenizer: Tokenizer) -> Vocabulary:
        """Look the tokens up.

        Raises:
            ModelError: if there is no `[MASK]`, or nothing else.

        """
        tokens = tokenizer.get_vocab(with_added_tokens=True)
        mask, size = tokens.get("[MASK]"), max(tokens.values(), default=-1) + 1
        is_word, continues = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
        for token, number in tokens.items():
            is_word[number] = token not in _SPECIAL
            continues[number] = token.startswith(_CONTINUES)
        if mask is None or not is_word.any():
            raise ModelError(
                "The tokenizer has no [MASK], or no words.",
                where="tokenizer.json",
                fix="use a DistilBERT or BERT tokenizer",
            )
        return Vocabulary(mask, np.flatnonzero(is_word).astype(np.int32), is_word, continues)


@dataclass(frozen=True, slots=True)
class Masking:
    """Draws what is asked for; what `FeatureSet.redraw` wants."""

    vocabulary: Vocabulary
    share: float

    def __call__(self, features: FeatureSet, random: np.random.Generator) -> FeatureSet:
        """The set with about ``share`` of its words to be found again, whole, and at least one of each feature's.

        Of the tokens asked for, each by itself, eight of ten are masked, one is another token, and one is left as it
        is. A feature weighs as many as it has of them, none if it has no word.
        """
        tokens = features.token_ids
        asked = self._asked(tokens, features.offsets, random)
        kind = random.random(len(tokens))
        others = random.choice(self.vocabulary.words, len(tokens))
        shown = np.select(
            [asked & (kind < MASKED), asked & (kind < MASKED + EXCHANGED)], [self.vocabulary.mask, others], tokens
        )
        before = cumulative_lengths(asked.astype(np.int64))
        return replace(
            features,
            token_ids=shown.astype(np.int32),
            token_labels=np.where(asked, tokens, NO_LABEL).astype(np.int32),
            weights=np.diff(before[features.offsets]).astype(np.float32),
            redraw=None,
        )

    def _asked(
        self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], random: np.random.Generator
    ) -> npt.NDArray[np.bool_]:
        """``(all_tokens,)`` whether each is asked for: all tokens of a word or none."""
        is_word = self.vocabulary.is_word[tokens]
        begins = is_word & ~self.vocabulary.continues[tokens]
        # What continues no word of its own feature, such as behind a window's cut, is a word.
        after_word = np.concatenate([[False], is_word[:-1]])
        after_word[offsets[:-1]] = False
        begins |= is_word & ~after_word
        first = np.flatnonzero(begins)
        drawn = random.random(len(first))
        feature_of = np.searchsorted(offsets, first, side="right") - 1
        least = np.full(len(offsets) - 1, np.inf)
        np.minimum.at(least, feature_of, drawn)
        wanted = (drawn < self.share) | (drawn == least[feature_of])
        word_of = np.cumsum(begins) - 1
        asked: npt.NDArray[np.bool_] = is_word & np.concatenate([wanted, [False]])[word_of]
        return asked
