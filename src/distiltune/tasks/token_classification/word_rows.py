"""Tables of one word a row → one row a sentence."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from distiltune.data.rows import BadRow, Row
from distiltune.data.stored import Form, Growing
from distiltune.data.tag_schemes import TAG_COLUMNS, looks_like_tags
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns, WordColumns, word_columns
from distiltune.tasks.token_classification.sentence_cells import are_sentences

_ROWS_LOOKED_AT = 100
_CHARACTERS_A_CELL = 8
"""About."""
_NAN = ("nan", "NaN")
"""How a table's writer may have put that a cell is empty."""


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
    kept = Growing(_ROW_FORM)
    kept.extend(rows)
    listed = kept.done()
    if not columns.tag:
        found = replace(found, tag=_tag_column(listed, found, path))
    if say_used is not None:
        say_used((found.word, found.tag, found.sentence))
    told = f"{found.told}{_oddities(_parts(listed, found), found)}"
    sentences = (_sentence(words, found, told) for words in _parts(listed, found))
    first = list(itertools.islice(sentences, 2))
    if not found.sentence and len(first) == 1 and not isinstance(first[0], BadRow):
        raise DataError(
            f"`{found.word}` has one word a row, and nothing says where a sentence ends.",
            where=str(path),
            fix="number the sentences in a column and name it: --columns sentence=COLUMN; or part them by empty lines",
        )
    yield from itertools.chain(first, sentences)


def _pack(row: Row | BadRow) -> tuple[object, ...]:
    if isinstance(row, BadRow):
        return row.where, None, row.reason
    # What JSON has no form for is neither a word nor a tag, and must not become the text that would be one.
    return row.where, json.dumps(row.value, default=lambda value: {type(value).__name__: str(value)}), row.told


def _unpack(where: str, value: str | None, told: str) -> Row | BadRow:
    return BadRow(where, told) if value is None else Row(json.loads(value), where, told)


_ROW_FORM = Form(
    {"where": "string", "value": "large_string", "told": "string"},
    _pack,
    _unpack,
    lambda row: len(row.value) * _CHARACTERS_A_CELL if isinstance(row, Row) else 0,
)
"""How the rows of such a table lie on disk, where there are many: what it means is known once all are read."""


def _tag_column(rows: Sequence[Row | BadRow], found: WordColumns, path: Path) -> str:
    """The column of the tags: of those by usual names the only one; else the one that is O or a prefix and a label.

    Raises:
        DataError: if several may be meant.

    """

    def good() -> Iterator[dict[str, object]]:
        return (row.value for row in rows if isinstance(row, Row))

    names = [str(name) for name in next(good()) if name not in (found.word, found.sentence)]
    held: dict[str, Counter[str]] = {name: Counter() for name in names}
    for row in good():
        for name, counts in held.items():
            if isinstance(cell := row.get(name), str) and cell.strip():
                counts[cell.strip()] += 1
    plain = [name for name, counts in held.items() if counts and looks_like_tags(counts)]
    usual = [name for name in names if name.casefold() in TAG_COLUMNS]
    fitting = [name for name in usual if name in plain] or plain or usual
    if len(fitting) == 1:
        return fitting[0]
    if all(row.get(name) == row.get(fitting[0]) for row in good() for name in fitting):
        return found.tag
    raise DataError(
        f"Any of the columns {', '.join(f'`{name}`' for name in fitting)} may hold the tags.",
        where=str(path),
        fix=f"say which, as --columns tag={fitting[-1]}",
    )


def _oddities(parts: Iterable[Sequence[Row | BadRow]], columns: WordColumns) -> str:
    """What makes it doubtful that the sentences are sentences, to go on with after how the table is read."""
    n_parts, longest, n_nan = 0, 0, 0
    ids: Counter[str] = Counter()
    for part in parts:
        n_parts, longest = n_parts + 1, max(longest, len(part))
        if columns.sentence:
            ids.update(filter(None, [_number(part[0], columns)]))
            n_nan += sum(isinstance(row, Row) and _text(row.value.get(columns.sentence)) in _NAN for row in part)
    said = []
    if n_parts > 1 and longest == 1:
        said.append("every sentence is one word")
    if again := [number for number, n in ids.items() if n > 1]:
        come_back = f"{len(again):,} of its values come back after others, as {again[0]!r}"
        said.append(f"{come_back}, and begin a new sentence each time")
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
