"""Which columns of rows with lists hold the words and a tag for each: told by the first rows of a file together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from distiltune.data.literals import listed
from distiltune.data.tag_schemes import TAG_COLUMNS, looks_like_tags
from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import WORDS, TokenColumns

_USUAL = TokenColumns()
_BOTH = (_USUAL.tags, _USUAL.ner_tags)
_Rows = Sequence[Mapping[str, object]]


def settled(
    rows: _Rows, columns: TokenColumns, path: Path, names: Mapping[str, Sequence[str]]
) -> tuple[TokenColumns, str]:
    """The columns of a file whose rows have lists, and what was decided; as they were where nothing was.

    Args:
        rows: the first ones.
        columns: as ``--columns`` maps them; what it maps is not looked for.
        path: of the file.
        names: of the tags that are numbers, for each column that has some.

    Raises:
        DataError: if any of several columns may hold the tags.

    """
    word = _word_column(rows, columns)
    if not word:
        return columns, ""
    found = replace(columns, tokens=word)
    fitting = _tag_columns(rows, word)
    one_a_row = set(fitting) <= set(_BOTH) and not any(None not in map(row.get, _BOTH) for row in rows)
    if (columns.tags, columns.ner_tags) != _BOTH or one_a_row:
        return found, f"`{word}` is taken for the words." if word != columns.tokens else ""
    tag = _chosen(rows, fitting, path, names)
    others = [name for name in fitting if name != tag]
    if not tag:
        return found, ""
    told = f"`{tag}` is taken for the tags of the words in `{word}`"
    told += "".join(f"; `{other}` is not used (to take it: --columns {_way_to(other)})" for other in others)
    return replace(found, tags=tag, ner_tags=tag), f"{told}."


def _word_column(rows: _Rows, columns: TokenColumns) -> str:
    """The column of lists of words; empty if there is none."""
    if columns.tokens != _USUAL.tokens or any(columns.tokens in row for row in rows):
        return columns.tokens
    lists = [name for name in _names(rows) if name.casefold() in WORDS and all(map(_is_list, _cells(rows, name)))]
    return lists[0] if len(lists) == 1 else ""


def _tag_columns(rows: _Rows, word: str) -> list[str]:
    """The columns of lists that may hold the tags: the usual two, and others if as long as the words."""
    return [
        name
        for name in _names(rows)
        if (name in _BOTH and any(map(_is_list, _cells(rows, name))))
        or (name.casefold() in TAG_COLUMNS and name != word and _fits(rows, word, name))
    ]


def _fits(rows: _Rows, word: str, name: str) -> bool:
    pairs = [(listed(row.get(word)), listed(row.get(name))) for row in rows if row.get(name) is not None]
    return bool(pairs) and all(_is_list(a) and _is_list(b) and len(a) == len(b) for a, b in pairs)  # type: ignore[arg-type]


def _chosen(rows: _Rows, fitting: Sequence[str], path: Path, names: Mapping[str, Sequence[str]]) -> str:
    """The only one, or the only one that is O, or a prefix and a label; else the only one of the usual two."""
    if len(fitting) < 2:
        return fitting[0] if fitting else ""
    counts = {name: Counter(_tags(rows, name, names.get(name, ()))) for name in fitting}
    usual = [name for name in fitting if name in _BOTH]
    for among in ([name for name in fitting if looks_like_tags(counts[name])], usual):
        if len(among) == 1:
            return among[0]
    if all(row.get(name) == row.get(fitting[0]) for row in rows for name in fitting):
        return fitting[0]
    raise DataError(
        f"Any of the columns {', '.join(f'`{name}`' for name in fitting)} may hold the tags.",
        where=str(path),
        fix=f"say which: {' or '.join(f'--columns {_way_to(name)}' for name in fitting)}",
    )


def _tags(rows: _Rows, name: str, names: Sequence[str]) -> list[str]:
    tags = [tag for cell in _cells(rows, name) if isinstance(cell, list) for tag in cell]
    return [names[tag] if type(tag) is int and 0 <= tag < len(names) else str(tag) for tag in tags]


def _way_to(name: str) -> str:
    """What ``--columns`` says to take this column and no other: a field as it is by default says nothing."""
    return f"ner_tags={name}" if name == _USUAL.tags else f"tags={name}"


def _names(rows: _Rows) -> list[str]:
    return list(dict.fromkeys(str(name) for row in rows for name in row))


def _cells(rows: _Rows, name: str) -> list[object]:
    return [listed(row[name]) for row in rows if row.get(name) is not None]


def _is_list(value: object) -> bool:
    return isinstance(value, list)
