"""Examples → features: words cut into pieces, long texts into windows between words, labels at first pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays
from distiltune.data.packing import NO_LABEL, cumulative_lengths, positions
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.scratch import LongArray
from distiltune.data.stored import OnDisk
from distiltune.data.tokens import SpecialTokens, token_ids_of
from distiltune.data.windows import SequencePart, lay_out
from distiltune.errors import ModelError
from distiltune.progress import tell
from distiltune.tasks.dataset import TaskData, cached_arrays, labelled, shortened_stride
from distiltune.tasks.token_classification.examples import TokenExample, TokenSet, of_all_labels, word_counts
from distiltune.tasks.token_classification.read import gold_tags

Ints = npt.NDArray[np.int64]
_WORDS_AT_ONCE = 1 << 18
_WORDS_KNOWN = 1 << 18


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
    arrays, notes = cached_arrays(
        "token-classification",
        _texts(examples),
        tokenizer,
        {"max_length": windows.max_length, "stride": windows.shared},
        lambda: make_arrays(examples, tokenizer, windows),
        cached=cached,
    )
    labels, n_words = _labels(examples, tags, arrays)
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))
    findings.extend(
        shortened_stride(windows.stride, windows.shared, windows.max_length, len(arrays["example_of"]), read)
    )
    cut_words = arrays["cut_words"]
    for place in np.searchsorted(np.cumsum(word_counts(examples)), cut_words, side="right").tolist():
        owner = examples[place]
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


def _texts(examples: Sequence[TokenExample]) -> Iterable[str] | str:
    """What features are made of: all words, and how many each example has; of examples on disk a hash of these."""
    if isinstance(examples, OnDisk):
        return examples.fingerprint(("text", "words"))
    words = (word for example in examples for word in example.word_texts())
    return itertools.chain(words, ["\0"], (str(len(example.words)) for example in examples))


def make_arrays(examples: Sequence[TokenExample], tokenizer: Tokenizer, windows: TokenWindows) -> Arrays:
    """The features' tokens, boundaries and examples, and where each word is; made and laid down part by part."""
    token_ids, lengths, example_of = LongArray(np.int32), LongArray(np.int64), LongArray(np.int64)
    word_place, cut_words = LongArray(np.int64), LongArray(np.int64)
    table = _WordTable(tokenizer)
    n_examples = n_words = n_tokens = 0
    for part in _parts(examples):
        words = [word for example in part for word in example.word_texts()]
        made = _make_part(words, [len(example.words) for example in part], table, windows)
        token_ids.append(made["token_ids"])
        lengths.append(np.diff(made["offsets"]))
        example_of.append(made["example_of"] + n_examples)
        word_place.append(made["word_place"] + n_tokens)
        cut_words.append(made["cut_words"] + n_words)
        n_examples, n_words, n_tokens = n_examples + len(part), n_words + len(words), n_tokens + len(made["token_ids"])
        tell("tokenising", "texts", n_examples, len(examples))
    return {
        "token_ids": token_ids.done(),
        "offsets": cumulative_lengths(lengths.done()),
        "example_of": example_of.done(),
        "word_place": word_place.done(),
        "cut_words": cut_words.done(),
    }


def _parts(examples: Sequence[TokenExample]) -> Iterator[list[TokenExample]]:
    """The examples in their order, about `_WORDS_AT_ONCE` at a time."""
    part: list[TokenExample] = []
    n_words = 0
    for example in examples:
        part.append(example)
        n_words += len(example.words)
        if n_words >= _WORDS_AT_ONCE:
            yield part
            part, n_words = [], 0
    if part:
        yield part


def _make_part(words: list[str], lengths: Sequence[int], table: _WordTable, windows: TokenWindows) -> Arrays:
    """The same of some examples, all numbered from 0.

    Args:
        words: of all of them, laid end to end.
        lengths: how many each has.
        table: the words' pieces.
        windows: how long texts are read.

    """
    pieces, n_pieces, cut = table.pieces(words, windows.room)
    piece_offsets = cumulative_lengths(n_pieces)  # of words
    word_offsets = cumulative_lengths(lengths)  # of examples
    example_of, first_word, end_word = _windows(piece_offsets, word_offsets, windows)
    token_ids, offsets = lay_out(
        table.special,
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


class _WordTable:
    """The pieces of the different words met so far, each cut once; all are forgotten where they become too many."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Know none yet. Raises `ModelError` if the tokenizer lacks a special token."""
        self.special = SpecialTokens.of(tokenizer)
        unknown = tokenizer.token_to_id("[UNK]")
        if unknown is None:
            raise ModelError(
                "The tokenizer has no [UNK] token.",
                where="tokenizer.json",
                fix="use the tokenizer of a DistilBERT or a BERT",
            )
        self._tokenizer = tokenizer
        self._unknown = np.array([unknown], dtype=np.int32)
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[str, int] = {}
        # A word of signs that the tokenizer drops, such as a joiner alone, still has to be answered for: the first.
        self._ids, self._starts, self._lengths = self._unknown, np.zeros(0, np.int64), np.zeros(0, np.int64)

    def pieces(self, words: Sequence[str], room: int) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
        """Each word's pieces end to end, at least one and at most ``room``; how many; and which words were cut."""
        if len(self._numbers) > _WORDS_KNOWN:
            self._forget()
        numbers, n_known = self._numbers, len(self._numbers)
        which = np.fromiter((numbers.setdefault(word, len(numbers)) for word in words), np.int64, len(words))
        if len(numbers) > n_known:
            self._learn(list(itertools.islice(numbers, n_known, None)))
        lengths = self._lengths[which]
        kept = np.clip(lengths, 1, room)
        flat = self._ids[np.repeat(self._starts[which], kept) + positions(kept)]
        return flat, kept, np.flatnonzero(lengths > room)

    def _learn(self, words: list[str]) -> None:
        found = token_ids_of(self._tokenizer, words)
        lengths = np.diff(found.offsets)
        starts = np.where(lengths == 0, 0, found.offsets[:-1] + len(self._ids))
        self._ids = np.concatenate([self._ids, found.ids])
        self._starts, self._lengths = np.append(self._starts, starts), np.append(self._lengths, lengths)


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
    offsets, places, example_of = arrays["offsets"], arrays["word_place"], arrays["example_of"]
    if all(first.gold is None for first in of_all_labels(examples)):
        return None, np.zeros(len(offsets) - 1, dtype=np.int64)
    index = {tag: i for i, tag in enumerate(tags)}
    all_labels, all_counts = LongArray(np.int32), LongArray(np.int64)
    n_examples = n_words = feature = 0
    for part in _parts(examples):
        ids = [index[tag] if each.gold is not None else NO_LABEL for each in part for tag in gold_tags(each)]
        n_examples += len(part)
        end = int(np.searchsorted(example_of, n_examples))
        bounds = offsets[feature : end + 1] - offsets[feature]
        labels = np.full(bounds[-1], NO_LABEL, dtype=np.int32)
        labels[places[n_words : n_words + len(ids)] - offsets[feature]] = ids
        all_labels.append(labels)
        all_counts.append(np.diff(cumulative_lengths((labels != NO_LABEL).astype(np.int64))[bounds]))
        n_words, feature = n_words + len(ids), end
    return all_labels.done(), all_counts.done()


def flat_positions(offsets: Ints, feature_ids: Ints) -> Ints:
    """Where the tokens of these features, laid end to end, stand in the whole set."""
    lengths = offsets[feature_ids + 1] - offsets[feature_ids]
    return np.repeat(offsets[feature_ids], lengths) + positions(lengths)
