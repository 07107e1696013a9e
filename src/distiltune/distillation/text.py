"""Plain text to features: a line is a text, cut into windows; what an encoder is distilled on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays, fingerprint_of, load_or_make
from distiltune.data.column_names import parse_columns
from distiltune.data.feature_set import FeatureSet, no_labels
from distiltune.data.file_form import FileDecision, FileForm
from distiltune.data.files import format_suffix, iter_rows
from distiltune.data.held import held_under
from distiltune.data.packing import cumulative_lengths, positions
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.rows import Row
from distiltune.data.streams import read_text
from distiltune.data.tokens import SpecialTokens, TokenTable, tokenise
from distiltune.errors import DataError

N_SPECIAL_TOKENS = 2  # [CLS] text [SEP]


@dataclass(frozen=True, slots=True)
class Texts:
    """Distinct texts with their numbers (from 1, in the order in which all were read), and what was left out."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...]
    sources: tuple[str, ...]
    findings: RowFindings = field(default_factory=RowFindings)

    @property
    def fingerprint(self) -> str:
        """Hash of the texts."""
        return fingerprint_of(self.texts)


@dataclass(frozen=True, slots=True)
class PlainTextData:
    """Texts and their features; a ``Dataset`` for the engine."""

    features: FeatureSet
    findings: RowFindings
    fingerprint: str
    sources: tuple[str, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def n_examples(self) -> int:
        """How many texts there are."""
        return len(self.numbers)

    def example_id(self, index: int) -> str:
        """A text's number, counted from 1 in the order in which all were read, also those that were set aside."""
        return f"text {self.numbers[index]}"


@dataclass(frozen=True, slots=True)
class TextColumn:
    """The columns of plain texts in data files, as ``--columns text=NAME`` maps them."""

    text: str = "text"


def read_texts(sources: Sequence[str], encoding: str = "", columns: str = "") -> Texts:
    """Read text files: each line that is not blank is a text; of equal ones the first is kept, the others are listed.

    A source is a `.txt` or `.txt.gz` file or a directory of such; or a data file, or rows in memory, with a column
    ``text``, or the one that ``columns`` names as ``text=NAME``, whose other columns are not looked at.

    Raises:
        RecipeError: if ``columns`` cannot be read or names anything but the text's.
        DataError: if a source does not exist, cannot be read, or there is no text at all.

    """
    findings = RowFindings()
    seen: dict[str, None] = {}
    column = parse_columns(TextColumn, columns).text
    for where, text in (each for source in sources for each in _texts_of(source, encoding, column)):
        findings.count_row()
        if text in seen:
            findings.add(RowFinding("rejected", "duplicate", where, "", "the same text was read before"))
        seen[text] = None
    if not seen:
        raise DataError("There is no text to learn from.", where=", ".join(sources), fix="one text a line is needed")
    return Texts(tuple(seen), tuple(range(1, len(seen) + 1)), tuple(sources), findings)


def part_texts(texts: Texts, share: float, seed: int) -> tuple[Texts, Texts]:
    """Set aside about ``share`` of the texts, at least one, drawn by ``seed``.

    Raises:
        DataError: if there is only one text.

    """
    if len(texts.texts) < 2:
        raise DataError(
            "There is only one text, so none can be set aside for validation.",
            where=", ".join(texts.sources),
            fix="give one text a line, or train without validation: --validation-share 0",
        )
    order = list(range(len(texts.texts)))
    random.Random(seed).shuffle(order)
    aside = set(order[: max(1, round(share * len(order)))])

    def only(kept: list[int], findings: RowFindings) -> Texts:
        numbers = tuple(texts.numbers[i] for i in kept)
        return Texts(tuple(texts.texts[i] for i in kept), numbers, texts.sources, findings)

    rest = [i for i in range(len(texts.texts)) if i not in aside]
    return only(rest, texts.findings), only(sorted(aside), RowFindings())


def text_features(texts: Sequence[str], tokenizer: Tokenizer, max_length: int, stride: int) -> FeatureSet:
    """``[CLS] window [SEP]`` for windows of at most ``max_length`` tokens that share ``stride`` tokens.

    `[SEP]` written in a text becomes the token, so that a line may hold a pair of texts as BERT reads them.
    """
    special = SpecialTokens.of(tokenizer)
    tokens = tokenise(tokenizer, texts)
    window_of, first, n_tokens = _cut(tokens, max_length - N_SPECIAL_TOKENS, stride)
    offsets = cumulative_lengths(n_tokens + N_SPECIAL_TOKENS)
    token_ids = np.full(offsets[-1], special.sep, dtype=np.int32)
    token_ids[offsets[:-1]] = special.cls
    within = positions(n_tokens)
    token_ids[np.repeat(offsets[:-1] + 1, n_tokens) + within] = tokens.ids[np.repeat(first, n_tokens) + within]
    return FeatureSet(token_ids, offsets, no_labels(len(n_tokens)), window_of)


def cached_features(texts: Texts, tokenizer: Tokenizer, max_length: int, stride: int) -> FeatureSet:
    """The same, from the cache if these texts, this tokenizer and these settings made some before."""
    parts = {
        "task": "encoder",
        "texts": texts.fingerprint,
        "tokenizer": hashlib.sha256(tokenizer.to_str().encode()).hexdigest(),
        "max_length": max_length,
        "stride": stride,
    }

    def make() -> Arrays:
        features = text_features(texts.texts, tokenizer, max_length, stride)
        return {
            "token_ids": features.token_ids,
            "offsets": features.offsets,
            "example_of": features.example_of,
        }

    arrays, _ = load_or_make(parts, make)
    example_of = arrays["example_of"]
    return FeatureSet(arrays["token_ids"], arrays["offsets"], no_labels(len(example_of)), example_of)


def _cut(tokens: TokenTable, room: int, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each window its text, its first token in the table, and how many tokens it has."""
    lengths = np.diff(tokens.offsets)
    step = room - stride
    n_windows = np.where(lengths <= room, 1, 1 + -(-(lengths - room) // step))
    window_of = np.repeat(np.arange(len(lengths)), n_windows)
    within = positions(n_windows) * step
    return window_of, tokens.offsets[window_of] + within, np.minimum(room, lengths[window_of] - within)


def _texts_of(source: str, encoding: str, column: str) -> Iterator[tuple[str, str]]:
    """Where each text stands, and the text; none that are blank."""
    if held_under(source) is not None or format_suffix(source) is not None:
        for row in iter_rows(source, FileForm(encoding=encoding)):
            if isinstance(row, FileDecision):
                continue
            text = row.value.get(column) if isinstance(row, Row) else None
            if not isinstance(text, str):
                there = [name for name in row.value if isinstance(name, str)] if isinstance(row, Row) else []
                named = f"its columns are {', '.join(there)}: --columns text=NAME names the texts'"
                raise DataError(
                    f"The row has no text in the column `{column}`.",
                    where=getattr(row, "where", source),
                    fix=named if there and column not in there else "give each row one",
                )
            if text.strip():
                yield row.where, text.strip()
        return
    for file in _text_files(source):
        for number, line in enumerate(read_text(file, encoding).splitlines(), start=1):
            if line.strip():
                yield f"{file}:{number}", line.strip()


def _text_files(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.name.endswith((".txt", ".txt.gz")))
        if not files:
            raise DataError("The directory holds no text file.", where=str(path), fix="files end in .txt or .txt.gz")
        return files
    if not path.is_file():
        raise DataError("The text file does not exist.", where=str(path), fix="check the path")
    return [path]
