"""The columns of rows to classify."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.reading import parse_columns


@dataclass(frozen=True, slots=True)
class TextColumns:
    """What the columns are called: each field names the column that holds it.

    Attributes:
        text: the text.
        pair: a second text, for pairs.
        label: a name, a number, or a list of names.
        labels: a list of names, where ``label`` is absent; in a table they are parted by ``|``.
        id: of the row.

    """

    text: str = "text"
    pair: str = "text_pair"
    label: str = "label"
    labels: str = "labels"
    id: str = "id"

    @staticmethod
    def parse(text: str) -> TextColumns:
        """Read ``text=tweet,label=mood``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(TextColumns, text)
