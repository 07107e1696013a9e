"""The columns of rows whose words are to be marked."""

from __future__ import annotations

from dataclasses import dataclass

from distiltune.data.column_names import parse_columns


@dataclass(frozen=True, slots=True)
class TokenColumns:
    """What the columns are called: each field names the column that holds it.

    Attributes:
        tokens: a list of words.
        tags: as many tags, IOB1, IOB2, BIOES or bare labels.
        ner_tags: the same, as the hub's data sets call them, where ``tags`` is absent.
        text: the text, where ``tokens`` is absent.
        spans: a list of ``{"start", "end", "label"}`` in code points of the text.
        word: one word a row, of tables that have that; by default what is called so, as ``word`` or ``token``.
        tag: its tag, likewise.
        sentence: what says where a sentence begins, likewise; else empty lines.
        id: of the row.
        sample_weight: what the row weighs in the training loss, where the column is there; else 1.

    """

    tokens: str = "tokens"
    tags: str = "tags"
    ner_tags: str = "ner_tags"
    text: str = "text"
    spans: str = "spans"
    word: str = ""
    tag: str = ""
    sentence: str = ""
    id: str = "id"
    sample_weight: str = "sample_weight"

    @property
    def marks(self) -> tuple[str, ...]:
        """The columns that say what is right."""
        return self.tags, self.ner_tags, self.spans

    @property
    def all(self) -> set[str]:
        """The columns that are read, where there are all of them."""
        return {self.tokens, *self.marks, self.text, self.word, self.tag, self.sentence, self.id, self.sample_weight}

    @staticmethod
    def parse(text: str) -> TokenColumns:
        """Read ``tokens=words,tags=entities``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(TokenColumns, text)
