"""The columns of rows to classify."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.column_names import parse_columns


@dataclass(frozen=True, slots=True)
class TextColumns:
    """What the columns are called: each field names the column that holds it.

    Attributes:
        text: the text.
        pair: a second text, for pairs.
        label: a name, a number, or a list of names.
        labels: the same, where ``label`` is absent; in a table several are parted by ``|``. ``toxic+insult``: these
            columns, with 0 or 1 in each row.
        id: of the row.
        sample_weight: what the row weighs in the training loss, where the column is there; else 1.

    """

    text: str = "text"
    pair: str = "text_pair"
    label: str = "label"
    labels: str = "labels"
    id: str = "id"
    sample_weight: str = "sample_weight"

    @property
    def all(self) -> set[str]:
        """The columns that are read, where there are all of them."""
        names = (self.text, self.pair, self.label, self.labels, self.id, self.sample_weight)
        return {part for name in names for part in (name, *name.split("+"))}

    @staticmethod
    def parse(text: str) -> TextColumns:
        """Read ``text=tweet,label=mood``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(TextColumns, text)
