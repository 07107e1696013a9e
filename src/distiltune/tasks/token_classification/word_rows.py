"""Tables of one word a row → one row a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.rows import BadRow, Row
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns

_WORDS = ("word", "words", "token", "tokens")
_TAGS = ("tag", "tags", "ner_tag", "ner_tags", "ner", "label", "labels", "iob", "bio")
_SENTENCES = ("sentence #", "sentence", "sentence_id", "sent_id", "sentence id", "sentence_idx", "sent")


@dataclass(frozen=True, slots=True)
class WordColumns:
    """What the columns of such a table are called; ``sentence`` is empty where empty lines part the sentences."""

    word: str
    tag: str
    sentence: str

    @property
    def told(self) -> str:
        """How the table is read."""
        ends = f"`{self.sentence}` says" if self.sentence else "empty lines say"
        return f"`{self.word}` is taken for one word a row, `{self.tag}` for its tag; {ends} where a sentence begins"


def word_columns(names: Iterable[str], columns: TokenColumns = TokenColumns()) -> WordColumns | None:  # noqa: B008
    """The columns of a table of one word a row, as mapped or by their usual names; None if it is none."""
    seen = {name.casefold(): name for name in reversed(list(names))}
    if columns.text.casefold() in seen and not columns.word:
        return None

    def named(mapped: str, usual: Sequence[str]) -> str:
        return mapped or next((seen[name] for name in usual if name in seen), "")

    word, tag = named(columns.word, _WORDS), named(columns.tag, _TAGS)
    return WordColumns(word, tag, named(columns.sentence, _SENTENCES)) if word and tag else None


def as_sentences(rows: Iterator[Row | BadRow], path: Path, columns: TokenColumns) -> Iterator[Row | BadRow]:
    """The rows themselves, or the sentences that they are the words of.

    Raises:
        DataError: if nothing says where a sentence ends.

    """
    before = []
    for row in rows:
        before.append(row)
        if isinstance(row, Row):
            break
    first = before[-1] if before and isinstance(before[-1], Row) else None
    found = word_columns(map(str, first.value), columns) if first is not None else None
    rows = itertools.chain(before, rows)
    if found is None or first is None or not _is_word(first.value.get(found.word)):
        yield from rows
        return
    sentences = [_sentence(words, found) for words in _parts(rows, found)]
    if not found.sentence and len(sentences) == 1 and not isinstance(sentences[0], BadRow):
        raise DataError(
            f"`{found.word}` has one word a row, and nothing says where a sentence ends.",
            where=str(path),
            fix="number the sentences in a column and name it: --columns sentence=COLUMN; or part them by empty lines",
        )
    yield from sentences


def _is_word(value: object) -> bool:
    return isinstance(value, str) and not value.startswith("[")


def _parts(rows: Iterable[Row | BadRow], columns: WordColumns) -> Iterator[list[Row | BadRow]]:
    """The rows of each sentence. A sentence's number may stand at its first word alone."""
    part: list[Row | BadRow] = []
    number, line = "", 0
    for row in rows:
        there = _line(row.where)
        if columns.sentence:
            given = row.value.get(columns.sentence) if isinstance(row, Row) else None
            given = "" if given is None else str(given).strip()
            begins = bool(given) and given != number
            number = given or number
        else:
            begins = bool(part) and there > line + 1
        line = there
        if begins and part:
            yield part
            part = []
        if isinstance(row, Row) and not any(str(each or "").strip() for each in row.value.values()):
            if part:
                yield part
            part = []
            continue
        part.append(row)
    if part:
        yield part


def _line(where: str) -> int:
    """The line that a place names; 0 if it names none."""
    number = where.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0


def _sentence(rows: Sequence[Row | BadRow], columns: WordColumns) -> Row | BadRow:
    words: list[object] = []
    tags: list[object] = []
    for row in rows:
        if isinstance(row, BadRow):
            return row
        word = row.value.get(columns.word)
        if not isinstance(word, str) or not word.strip():
            return BadRow(row.where, "has no word.")
        words.append(word)
        tags.append(row.value.get(columns.tag))
    return Row({"tokens": words, "tags": tags}, rows[0].where, columns.told)
