"""Examples → features: ``[CLS] text [SEP]`` or ``[CLS] text [SEP] text [SEP]``, windowed or cut, with labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays
from distiltune.data.compact import Compact
from distiltune.data.feature_set import Labels
from distiltune.data.packing import cumulative_lengths
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.scratch import LongArray
from distiltune.data.stored import OnDisk
from distiltune.data.tokens import SpecialTokens, token_ids_of
from distiltune.data.windows import SequencePart, cut_windows, lay_out
from distiltune.progress import tell
from distiltune.tasks.dataset import TaskData, cached_arrays, labelled, shortened_stride
from distiltune.tasks.text_classification.examples import TextExample, TextSet, text_kinds
from distiltune.tasks.text_classification.targets import Targets, names_of

NO_LABEL = -1
_TEXTS_AT_ONCE = 16_384
_CHARACTERS_AT_ONCE = 16_000_000

TextData = TaskData[TextExample]


@dataclass(frozen=True, slots=True)
class TextWindows:
    """How long texts are read: most tokens in a window, tokens shared by neighbours, or cut off."""

    max_length: int = 384
    stride: int = 128
    truncate: bool = False

    @property
    def shared(self) -> int:
        """The stride, or a third of a window where that is not longer than the stride."""
        room = self.max_length - 2
        return self.stride if self.stride < room else room // 3


def featurise(
    read: TextSet,
    tokenizer: Tokenizer,
    windows: TextWindows,
    targets: Targets,
    weights: npt.NDArray[np.float64],
    *,
    cached: bool = True,
) -> TextData:
    """The examples with their features.

    Args:
        read: whose labels are all among the targets'.
        tokenizer: the model's.
        windows: how long texts are read.
        targets: what is to be predicted.
        weights: ``(n_labels,)`` of the labels, where a text has one; all 1 for evaluation.
        cached: whether the features are kept on disk for the next time.

    """
    examples = read.examples
    texts: Iterable[str] | str = (part for example in examples for part in (example.text, example.pair or "\0"))
    if isinstance(examples, OnDisk):
        texts = examples.fingerprint(("text", "pair"))
    settings: dict[str, object] = {
        "max_length": windows.max_length,
        "stride": windows.shared,
        "truncate": windows.truncate,
    }
    arrays, notes = cached_arrays(
        "text-classification",
        texts,
        tokenizer,
        settings,
        lambda: make_arrays(examples, tokenizer, windows),
        cached=cached,
    )
    labels, heavy = _labels(examples, targets, weights)
    example_of = arrays["example_of"]
    features = labelled(
        arrays,
        None if labels is None else labels[example_of],
        heavy[example_of] * _shares(example_of, len(examples)),
    )
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))
    findings.extend(shortened_stride(windows.stride, windows.shared, windows.max_length, len(example_of), read))
    for index in arrays["truncated"].tolist():
        message = f"The text is longer than {windows.max_length} tokens; what is beyond is cut off."
        findings.add(RowFinding("noted", "text_cut", examples[index].where, examples[index].id, message))
    # What is trained on stays for hours; what is asked once does not.
    kept = Compact(examples, TextExample) if cached and not isinstance(examples, OnDisk) else examples
    return TaskData(kept, features, findings, read.fingerprint, read.sources, notes)


def make_arrays(examples: Sequence[TextExample], tokenizer: Tokenizer, windows: TextWindows) -> Arrays:
    """The features' tokens, boundaries and examples, and which examples were cut; made and laid down part by part."""
    token_ids, lengths = LongArray(np.int32), LongArray(np.int64)
    example_of, truncated = LongArray(np.int64), LongArray(np.int64)
    n_done = 0
    for part in _parts(examples):
        made = _make_part(part, tokenizer, windows)
        token_ids.append(made["token_ids"])
        lengths.append(np.diff(made["offsets"]))
        example_of.append(made["example_of"] + n_done)
        truncated.append(made["truncated"] + n_done)
        n_done += len(part)
        tell("tokenising", "texts", n_done, len(examples))
    return {
        "token_ids": token_ids.done(),
        "offsets": cumulative_lengths(lengths.done()),
        "example_of": example_of.done(),
        "truncated": truncated.done(),
    }


def _parts(examples: Sequence[TextExample]) -> Iterator[list[TextExample]]:
    """The examples in their order, `_TEXTS_AT_ONCE` or so many characters at a time."""
    part: list[TextExample] = []
    n_characters = 0
    for example in examples:
        part.append(example)
        n_characters += len(example.text)
        if len(part) == _TEXTS_AT_ONCE or n_characters >= _CHARACTERS_AT_ONCE:
            yield part
            part, n_characters = [], 0
    if part:
        yield part


def _make_part(examples: Sequence[TextExample], tokenizer: Tokenizer, windows: TextWindows) -> Arrays:
    """The same of some examples, numbered from 0."""
    special = SpecialTokens.of(tokenizer)
    first = token_ids_of(tokenizer, [example.text for example in examples])
    second = token_ids_of(tokenizer, [example.pair or "" for example in examples])
    is_pair = np.array([example.pair is not None for example in examples], dtype=bool)
    lengths, pair_lengths = np.diff(first.offsets), np.diff(second.offsets)
    room = np.where(is_pair, windows.max_length - 3, windows.max_length - 2)
    kept, pair_kept = longest_first(lengths, pair_lengths, room)
    if not windows.truncate:
        kept = np.where(is_pair, kept, lengths)
    cut = cut_windows(kept, np.where(is_pair, np.maximum(room, 1), room), windows.shared)
    start = first.offsets[cut.example] + cut.first
    # A single text has no second part, not even an empty one with its [SEP]: these are laid out apart and put in order.
    token_ids, offsets = _lay_out_both(
        special,
        SequencePart(first.ids, start, cut.n_tokens),
        SequencePart(second.ids, second.offsets[cut.example], pair_kept[cut.example]),
        is_pair[cut.example],
    )
    truncated = np.flatnonzero((kept < lengths) | (pair_kept < pair_lengths))
    return {"token_ids": token_ids, "offsets": offsets, "example_of": cut.example, "truncated": truncated}


def longest_first(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], room: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lengths of which the longer was cut until both fit into ``room`` together, as `tokenizers` cuts pairs."""
    short, long = np.minimum(first, second), np.maximum(first, second)
    long_kept = np.where(short > room, short, np.minimum(np.maximum(short, room - short), long))
    over = short + long_kept > room
    short_kept = np.where(over, room // 2, short)
    long_kept = np.where(over, room // 2 + room % 2, long_kept)
    swapped = first > second
    return np.where(swapped, long_kept, short_kept), np.where(swapped, short_kept, long_kept)


def _lay_out_both(
    special: SpecialTokens, first: SequencePart, second: SequencePart, is_pair: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    if not is_pair.any():
        return lay_out(special, (first,))
    token_ids, offsets = lay_out(special, (first, second))
    # Where there is no pair, the last [SEP] is one too many.
    extra = (offsets[1:] - 1)[~is_pair]
    lengths = np.diff(offsets) - ~is_pair
    return np.delete(token_ids, extra), np.concatenate([[0], np.cumsum(lengths)])


def _shares(example_of: npt.NDArray[np.int64], n_examples: int) -> npt.NDArray[np.float64]:
    """``(n_features,)`` what part of its text each window is: texts count the same, however long."""
    return 1.0 / np.bincount(example_of, minlength=n_examples)[example_of]


def _labels(
    examples: Sequence[TextExample], targets: Targets, weights: npt.NDArray[np.float64]
) -> tuple[Labels | None, npt.NDArray[np.float64]]:
    """Labels, a row a text, and ``(n_examples,)`` what each weighs in the loss.

    A row is the label's id, each label's 0 or 1, or the number; of a text that has none it is `NO_LABEL`, or not a
    number. There are no labels where no text has one.
    """
    heavy = np.ones(len(examples))
    kinds = text_kinds(examples)
    known = [(i, first) for i, first in enumerate(kinds.firsts) if first.gold is not None]
    if not known:
        return None, heavy
    if targets.is_regression:
        numbers = np.full((len(kinds.firsts), 1), np.nan, dtype=np.float32)
        for i, first in known:
            numbers[i] = float(names_of(first)[0])
        return numbers[kinds.of], heavy
    is_many = targets.problem == "multi-label"
    labels = np.full((len(kinds.firsts), len(targets.labels) if is_many else 1), NO_LABEL, dtype=np.int32)
    heavy_kinds = np.ones(len(kinds.firsts))
    for i, first in known:
        ids = list(targets.ids(first))
        if is_many:
            labels[i] = 0
            labels[i, ids] = 1
        else:
            labels[i], heavy_kinds[i] = ids[0], weights[ids[0]]
    return labels[kinds.of], heavy_kinds[kinds.of]
