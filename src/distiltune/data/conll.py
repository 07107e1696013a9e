"""CoNLL columns: a word a line with its tags, an empty line after each sentence. Reading is `data.column_files`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence


def write_conll(sentences: Iterator[tuple[Sequence[str], Sequence[Sequence[str]]]]) -> Iterator[str]:
    """Lines of words, each with its tags in columns, and an empty line after each sentence."""
    for words, columns in sentences:
        for word, *tags in zip(words, *columns, strict=True):
            yield "\t".join((re.sub(r"\s", "_", word), *tags))
        yield ""
