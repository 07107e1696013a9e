"""Examples → features: words cut into pieces, long texts into windows between words, labels at first pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays
from distiltune.data.packing import NO_LABEL, cumulative_lengths, gather_rows, positions
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.tokens import SpecialTokens, distinct, tokenise
from distiltune.data.windows import SequencePart, lay_out
from distiltune.errors import ModelError
from distiltune.tasks.dataset import TaskData, cached_arrays, labelled, shortened_stride
from distiltune.tasks.token_classification.examples import TokenExample, TokenSet
from distiltune.tasks.token_classification.read import gold_tags

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenWindows:
    """How long texts are read: most tokens in a window, and about how many neighbours share."""

    max_length: int = 384
    stride: int = 128

    @property
    def room(self) -> int:
        """Pieces in a window."""
        return self.max_length - 2

    @property
    def shared(self) -> int:
        """The stride, or a third of a window where that is not longer than the stride."""
        return self.stride if self.stride < self.room else self.room // 3


TokenData = TaskData[TokenExample]
"""Texts with their features. Its array ``word_place``, ``(all_words,)`` int64, says where in the set's token ids each
word's first piece stands, in the window that answers for it; the words of all examples laid end to end."""


def featurise(
    read: TokenSet, tokenizer: Tokenizer, windows: TokenWindows, tags: Sequence[str], *, cached: bool = True
) -> TokenData:
    """The examples with their features; the gold tags are all among ``tags``.

    Args:
        read: the examples.
        tokenizer: the model's.
        windows: how long texts are read.
        tags: the model's, in the order of their ids.
        cached: whether the features are kept on disk for the next time.

    """
    examples = read.examples
    words = [example.word(i) for example in examples for i in range(len(example.words))]
    lengths = [len(example.words) for example in examples]
    arrays, notes = cached_arrays(
        "token-classification",
        [*words, "\0", *map(str, lengths)],
        tokenizer,
        {"max_length": windows.max_length, "stride": windows.shared},
        lambda: make_arrays(words, lengths, tokenizer, windows),
        cached=cached,
    )
    labels, n_words = _labels(examples, tags, arrays)
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))
    findings.extend(
        shortened_stride(windows.stride, windows.shared, windows.max_length, len(arrays["example_of"]), read)
    )
    for index in arrays["cut_words"].tolist():
        owner = examples[int(np.searchsorted(np.cumsum(lengths), index, side="right"))]
        message = "A word has more pieces than a window holds; its label is kept, its end is not read."
        findings.add(RowFinding("noted", "word_cut", owner.where, owner.id, message))
    return TaskData(
        examples,
        labelled(arrays, weights=n_words, token_labels=labels),
        findings,
        read.fingerprint,
        read.sources,
        notes,
        {"word_place": arrays["word_place"]},
    )


def make_arrays(words: list[str], lengths: Sequence[int], tokenizer: Tokenizer, windows: TokenWindows) -> Arrays:
    """The features' tokens, boundaries and examples, and where each word is.

    Args:
        words: of all examples, laid end to end.
        lengths: how many each example has.
        tokenizer: the model's.
        windows: how long texts are read.

    """
    special = SpecialTokens.of(tokenizer)
    pieces, n_pieces, cut = _pieces(words, tokenizer, windows.room)
    piece_offsets = cumulative_lengths(n_pieces)  # of words
    word_offsets = cumulative_lengths(lengths)  # of examples
    example_of, first_word, end_word = _windows(piece_offsets, word_offsets, windows)
    token_ids, offsets = lay_out(
        special,
        (SequencePart(pieces, piece_offsets[first_word], piece_offsets[end_word] - piece_offsets[first_word]),),
    )
    # Of every word in every window: where its first piece is, and how far from the window's nearer end.
    n_words = end_word - first_word
    window = np.repeat(np.arange(len(n_words)), n_words)
    word = np.repeat(first_word, n_words) + positions(n_words)
    before = piece_offsets[word] - piece_offsets[first_word[window]]
    after = piece_offsets[end_word[window]] - piece_offsets[word]
    place = offsets[window] + 1 + before
    order = np.lexsort((window, -np.minimum(before, after), word))
    chosen = order[np.concatenate([[True], np.diff(word[order]) > 0])] if len(order) else order
    return {
        "token_ids": token_ids,
        "offsets": offsets,
        "example_of": example_of,
        "word_place": place[chosen],
        "cut_words": cut,
    }


def _pieces(words: list[str], tokenizer: Tokenizer, room: int) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
    """Each word's pieces end to end, at least one and at most ``room``; how many; and which words were cut."""
    unknown = tokenizer.token_to_id("[UNK]")
    if unknown is None:
        raise ModelError(
            "The tokenizer has no [UNK] token.",
            where="tokenizer.json",
            fix="use the tokenizer of a DistilBERT or a BERT",
        )
    different, which = distinct(words)
    table = tokenise(tokenizer, different)
    lengths = np.diff(table.offsets)
    # A word of signs that the tokenizer drops, such as a joiner alone, still has to be answered for.
    ids = np.append(table.ids, np.int32(unknown))
    kept = np.clip(lengths, 1, room)[which]
    starts = np.where(lengths == 0, len(table.ids), table.offsets[:-1])[which]
    flat = ids[np.repeat(starts, kept) + positions(kept)]
    return flat, kept, np.flatnonzero(lengths[which] > room)


def _windows(piece_offsets: Ints, word_offsets: Ints, windows: TokenWindows) -> tuple[Ints, Ints, Ints]:
    """Example, first word and one past the last word of each window, ``(n_windows,)`` each.

    A window holds as many whole words as have room; the next begins so far before its end that the two share at most
    ``windows.shared`` pieces, and always at a later word than it.
    """
    rows: list[tuple[int, int, int]] = []
    for example in range(len(word_offsets) - 1):
        first, last = int(word_offsets[example]), int(word_offsets[example + 1])
        while True:
            limit = piece_offsets[first] + windows.room
            end = min(int(np.searchsorted(piece_offsets, limit, side="right")) - 1, last)
            rows.append((example, first, end))
            if end >= last:
                break
            back = int(np.searchsorted(piece_offsets, piece_offsets[end] - windows.shared, side="left"))
            first = min(max(first + 1, back), end)
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _labels(
    examples: Sequence[TokenExample], tags: Sequence[str], arrays: Arrays
) -> tuple[npt.NDArray[np.int32] | None, npt.NDArray[np.int64]]:
    """``(all_tokens,)`` tag ids, and how many there are in each feature.

    `NO_LABEL` is a token that is no word's first piece, or whose word another window answers for. There are no labels
    where no example has some.
    """
    offsets, place = arrays["offsets"], arrays["word_place"]
    if all(example.gold is None for example in examples):
        return None, np.zeros(len(offsets) - 1, dtype=np.int64)
    index = {tag: i for i, tag in enumerate(tags)}
    ids = [index[tag] if example.gold is not None else NO_LABEL for example in examples for tag in gold_tags(example)]
    labels = np.full(offsets[-1], NO_LABEL, dtype=np.int32)
    labels[place] = ids
    labelled_before = cumulative_lengths((labels != NO_LABEL).astype(np.int64))
    return labels, np.diff(labelled_before[offsets])


def flat_positions(offsets: Ints, feature_ids: Ints) -> Ints:
    """Where the tokens of these features, laid end to end, stand in the whole set."""
    return gather_rows(np.arange(offsets[-1]), offsets, feature_ids).astype(np.int64)
