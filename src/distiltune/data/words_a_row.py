"""Tables of one word a row whose columns have the names of texts and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from distiltune.data.column_names import columns_text
from distiltune.data.tag_schemes import OUTSIDE, SENTENCE_COLUMNS, TAG_COLUMNS, has_prefix, looks_like_tags

_IDS: Final = ("id", "idx", "doc_id", "doc", "document", "text_id")
_FEWEST_ROWS: Final = 5


def way_to_word_rows(names: Iterable[str], rows: Callable[[], Sequence[Mapping[str, object]]]) -> str:
    """How a table is read whose ``text`` is one word a row, beside tags with B- and I-; empty if it is none.

    Args:
        names: the columns.
        rows: the first rows, which are read only if their values are asked for.

    """
    seen = {name.casefold(): name for name in reversed(list(names))}
    tag = next((seen[name] for name in TAG_COLUMNS if name in seen), "")
    if "text" not in seen or not tag:
        return ""
    word, found = seen["text"], rows()
    words, tags = ([str(row.get(name) or "").strip() for row in found] for name in (word, tag))
    counts = Counter(filter(None, tags))
    if len(found) < _FEWEST_ROWS or any(len(each.split()) > 1 for each in (*words, *tags)):
        return ""
    if OUTSIDE not in counts or not any(map(has_prefix, counts)) or not looks_like_tags(counts):
        return ""
    sentence = next(
        (seen[name] for name in (*SENTENCE_COLUMNS, *_IDS) if name in seen and _repeats(found, seen[name])), ""
    )
    mapped = {"word": word, "tag": tag} | ({"sentence": sentence} if sentence else {})
    return f"--task token-classification --columns {columns_text(mapped)}"


def _repeats(rows: Sequence[Mapping[str, object]], name: str) -> bool:
    """Whether a column says the same in rows that follow each other, or nothing after the first."""
    values = [row.get(name) for row in rows]
    return any(not after or after == before for before, after in pairwise(values))
