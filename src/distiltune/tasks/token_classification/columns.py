"""The columns of rows whose words are to be marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distiltune.data.column_names import parse_columns
from distiltune.data.tag_schemes import SENTENCE_COLUMNS, TAG_COLUMNS

WORDS = ("word", "words", "token", "tokens")


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


@dataclass(frozen=True, slots=True)
class WordColumns:
    """The columns of a table of one word a row; ``sentence`` is empty where empty lines part the sentences.

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


def word_columns(names: Iterable[str], columns: TokenColumns = TokenColumns()) -> WordColumns | None:
    """The columns of a table of one word a row, as mapped or by their usual names; None if it is none."""
    seen = {name.casefold(): name for name in reversed(list(names))}
    if columns.text.casefold() in seen and not columns.word:
        return None

    def named(mapped: str, usual: Sequence[str]) -> str:
        return mapped or next((seen[name] for name in usual if name in seen), "")

    word, tag = named(columns.word, WORDS), named(columns.tag, TAG_COLUMNS)
    weight = columns.sample_weight if columns.sample_weight in seen.values() else ""
    return WordColumns(word, tag, named(columns.sentence, SENTENCE_COLUMNS), weight) if word and tag else None
