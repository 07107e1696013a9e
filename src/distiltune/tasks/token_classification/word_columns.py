"""What the columns of a table of one word a row are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distiltune.tasks.token_classification.columns import TokenColumns

_WORDS = ("word", "words", "token", "tokens")
TAGS = ("tag", "tags", "ner_tag", "ner_tags", "ner", "label", "labels", "iob", "bio")
_SENTENCES = ("sentence #", "sentence", "sentence_id", "sent_id", "sentence id", "sentence_idx", "sent")


@dataclass(frozen=True, slots=True)
class WordColumns:
    """What the columns of such a table are called; ``sentence`` is empty where empty lines part the sentences.

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


def word_columns(names: Iterable[str], columns: TokenColumns = TokenColumns()) -> WordColumns | None:  # noqa: B008
    """The columns of a table of one word a row, as mapped or by their usual names; None if it is none."""
    seen = {name.casefold(): name for name in reversed(list(names))}
    if columns.text.casefold() in seen and not columns.word:
        return None

    def named(mapped: str, usual: Sequence[str]) -> str:
        return mapped or next((seen[name] for name in usual if name in seen), "")

    word, tag = named(columns.word, _WORDS), named(columns.tag, TAGS)
    weight = columns.sample_weight if columns.sample_weight in seen.values() else ""
    return WordColumns(word, tag, named(columns.sentence, _SENTENCES), weight) if word and tag else None
