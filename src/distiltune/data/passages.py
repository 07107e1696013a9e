"""Long texts → passages: stretches short enough to be read, ranked or labelled one by one."""

from __future__ import annotations

PASSAGE_CHARACTERS = 1_000

_CUTS = ("\n\n", "\n", ". ", " ")  # where to cut, the best first


def cut_passages(text: str, max_characters: int = PASSAGE_CHARACTERS) -> list[tuple[int, int]]:
    """Stretches of at most ``max_characters`` that make up the text, cut between paragraphs or words if possible."""
    spans = []
    start = 0
    while start < len(text):
        limit = start + max_characters
        end = limit
        if limit < len(text):
            cuts = ((text.rfind(sign, start + max_characters // 2, limit), len(sign)) for sign in _CUTS)
            end = next((at + length for at, length in cuts if at >= 0), limit)
        end = min(end, len(text))
        spans.append((start, end))
        start = end
    return spans
