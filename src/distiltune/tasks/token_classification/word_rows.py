"""Tables of one word a row → one row a sentence."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distiltune.data.rows import BadRow, Row
from distiltune.data.tag_schemes import looks_like_tags
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.sentence_cells import are_sentences

_WORDS = ("word", "words", "token", "tokens")
_TAGS = ("tag", "tags", "ner_tag", "ner_tags", "ner", "label", "labels", "iob", "bio")
_SENTENCES = ("sentence #", "sentence", "sentence_id", "sent_id", "sentence id", "sentence_idx", "sent")
_ROWS_LOOKED_AT = 100
_NAN = ("nan", "NaN")
"""How a table's writer may have put that a cell is empty."""


@dataclass(frozen=True, slots=True)
class WordColumns:
    """What the columns of such a table are called; ``sentence`` is empty where empty lines part the sentences.

    ``weight`` says what a sentence weighs; empty if nothing does.
    """

    word: str
    tag: str
    sentence: str
    weight: str = ""

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
    weight = columns.sample_weight if columns.sample_weight in seen.values() else ""
    return WordColumns(word, tag, named(columns.sentence, _SENTENCES), weight) if word and tag else None


def as_sentences(
    rows: Iterator[Row | BadRow],
    path: Path,
    columns: TokenColumns,
    say_used: Callable[[Iterable[str]], None] | None = None,
) -> Iterator[Row | BadRow]:
    """The rows themselves, or the sentences that they are the words of; ``say_used`` is told their columns then.

    Raises:
        DataError: if nothing says where a sentence ends, or several columns may hold the tags.

    """
    before = list(itertools.islice(rows, _ROWS_LOOKED_AT))
    good = [row.value for row in before if isinstance(row, Row)]
    found = word_columns(map(str, good[0]), columns) if good else None
    rows = itertools.chain(before, rows)
    if found is None or not _is_word(good[0].get(found.word)) or are_sentences(good, found.word, found.tag):
        yield from rows
        return
    listed = list(rows)
    if not columns.tag:
        found = replace(found, tag=_tag_column(listed, found, path))
    if say_used is not None:
        say_used((found.word, found.tag, found.sentence))
    parts = list(_parts(listed, found))
    told = f"{found.told}{_oddities(parts, found)}"
    sentences = [_sentence(words, found, told) for words in parts]
    if not found.sentence and len(sentences) == 1 and not isinstance(sentences[0], BadRow):
        raise DataError(
            f"`{found.word}` has one word a row, and nothing says where a sentence ends.",
            where=str(path),
            fix="number the sentences in a column and name it: --columns sentence=COLUMN; or part them by empty lines",
        )
    yield from sentences


def _tag_column(rows: Sequence[Row | BadRow], found: WordColumns, path: Path) -> str:
    """The column of the tags: of those by usual names the only one; else the one that is O or a prefix and a label.

    Raises:
        DataError: if several may be meant.

    """
    good = [row.value for row in rows if isinstance(row, Row)]
    names = [str(name) for name in good[0] if name not in (found.word, found.sentence)]
    plain = []
    for name in names:
        held = Counter(cell.strip() for row in good if isinstance(cell := row.get(name), str) and cell.strip())
        if held and looks_like_tags(held):
            plain.append(name)
    usual = [name for name in names if name.casefold() in _TAGS]
    fitting = [name for name in usual if name in plain] or plain or usual
    if len(fitting) == 1:
        return fitting[0]
    if all(row.get(name) == row.get(fitting[0]) for row in good for name in fitting):
        return found.tag
    raise DataError(
        f"Any of the columns {', '.join(f'`{name}`' for name in fitting)} may hold the tags.",
        where=str(path),
        fix=f"say which, as --columns tag={fitting[-1]}",
    )


def _oddities(parts: Sequence[Sequence[Row | BadRow]], columns: WordColumns) -> str:
    """What makes it doubtful that the sentences are sentences, to go on with after how the table is read."""
    said = []
    if len(parts) > 1 and all(len(part) == 1 for part in parts):
        said.append("every sentence is one word")
    if columns.sentence:
        ids = [number for part in parts if (number := _number(part[0], columns))]
        again = [number for number, n in Counter(ids).items() if n > 1]
        if again:
            come_back = f"{len(again):,} of its values come back after others, as {again[0]!r}"
            said.append(f"{come_back}, and begin a new sentence each time")
        rows = itertools.chain.from_iterable(parts)
        n_nan = sum(isinstance(row, Row) and _text(row.value.get(columns.sentence)) in _NAN for row in rows)
        if n_nan:
            said.append(f"{n_nan:,} nan there {'is' if n_nan == 1 else 'are'} taken for empty cells")
    return "".join(f"; {each}" for each in said)


def _number(row: Row | BadRow, columns: WordColumns) -> str:
    """What a row says of its sentence; empty if nothing."""
    given = _text(row.value.get(columns.sentence)) if isinstance(row, Row) else ""
    return "" if given in _NAN else given


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _is_word(value: object) -> bool:
    return isinstance(value, str) and not value.startswith("[")


def _parts(rows: Iterable[Row | BadRow], columns: WordColumns) -> Iterator[list[Row | BadRow]]:
    """The rows of each sentence. A sentence's number may stand at its first word alone."""
    part: list[Row | BadRow] = []
    number, line = "", 0
    for row in rows:
        there = _line(row.where)
        if columns.sentence:
            given = _number(row, columns)
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


def _sentence(rows: Sequence[Row | BadRow], columns: WordColumns, told: str) -> Row | BadRow:
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
    sentence: dict[str, object] = {"tokens": words, "tags": tags}
    if columns.weight:
        # The same at every word, or at the first alone; else it is a list, which is no weight.
        weights = [row.value.get(columns.weight) for row in rows if isinstance(row, Row)]
        given = [weight for weight in weights if _text(weight)]
        sentence[columns.weight] = given[0] if given and set(map(_text, given)) == {_text(given[0])} else weights
    return Row(sentence, rows[0].where, told)
