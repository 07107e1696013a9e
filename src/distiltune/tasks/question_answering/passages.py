"""A first pass over long texts: cut them into passages, rank these by BM25, read only the likeliest.

The ranking is bm25s (Robertson et al.'s BM25 in Lucene's form). What it leaves out is not read at all: a passage that
shares no word with the question is found only by reading everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from distiltune.data.passages import PASSAGE_CHARACTERS, cut_passages
from distiltune.errors import DataError, install_extra
from distiltune.tasks.question_answering.documents import Document, DocumentPart

MARGIN_CHARACTERS = 200
"""Read beyond a passage's ends, so that an answer at its edge has its surroundings."""


class PassageIndex:
    """The passages of some documents, ready to be ranked; made once for all questions."""

    def __init__(self, documents: Sequence[Document], max_characters: int = PASSAGE_CHARACTERS) -> None:
        """Cut and index the documents.

        Raises:
            DataError: if bm25s is not installed.

        """
        try:
            import bm25s
        except ImportError as error:
            raise DataError(
                "Ranking passages first needs the library bm25s.",
                fix=f"read everything (no --passages), or install it: {install_extra('rank')}",
            ) from error
        self._documents = documents
        self._spans = [
            (number, start, end)
            for number, document in enumerate(documents)
            for start, end in cut_passages(document.text, max_characters)
        ]
        texts = [documents[number].text[start:end] for number, start, end in self._spans]
        self._ranker = bm25s.BM25()
        tokens = bm25s.tokenize(texts, stopwords="en", show_progress=False)
        self._is_empty = not tokens.vocab
        if not self._is_empty:
            self._ranker.index(tokens, show_progress=False)

    def __len__(self) -> int:
        return len(self._spans)

    def best(self, question: str, n: int) -> list[int]:
        """Numbers of the ``n`` likeliest passages, best first; the first ones where no word is shared."""
        n = min(n, len(self._spans))
        if self._is_empty or n == len(self._spans):
            return list(range(n))
        import bm25s

        asked = bm25s.tokenize(question, stopwords="en", return_ids=False, show_progress=False)
        scores = self._ranker.get_scores(asked[0]) if asked[0] else np.zeros(len(self._spans))
        return [int(number) for number in np.argsort(-scores, kind="stable")[:n]]

    def parts(self, question: str, n: int) -> list[DocumentPart]:
        """The ``n`` likeliest passages with a margin, in the texts' order, neighbours joined."""
        return joined_parts(
            [document.text for document in self._documents], map(self._spans.__getitem__, self.best(question, n))
        )


def joined_parts(texts: Sequence[str], spans: Iterable[tuple[int, int, int]]) -> list[DocumentPart]:
    """Passages with a margin, in the texts' order, neighbours joined.

    Args:
        texts: of the documents.
        spans: of each passage the number of its text, and its first and last code point there.

    """
    parts: list[DocumentPart] = []
    low = high = document = -1

    def close() -> None:
        if document >= 0:
            parts.append(DocumentPart(document, low, texts[document][low:high]))

    for of, first, last in sorted(spans):
        start, end = _widen(texts[of], first, last)
        if of == document and start <= high:
            high = max(high, end)
            continue
        close()
        document, low, high = of, start, end
    close()
    return parts


def _widen(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch with its margins, which begin and end between words where there is white space."""
    low, high = max(0, start - MARGIN_CHARACTERS), min(len(text), end + MARGIN_CHARACTERS)
    if low > 0:
        low = next((at + 1 for at in range(low, start) if text[at].isspace()), low)
    if high < len(text):
        high = next((at for at in range(high - 1, end - 1, -1) if text[at].isspace()), high)
    return low, high
