"""Rows → examples: words with tags, or a text with spans marked in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from distiltune.data.files import iter_rows, parquet_class_names
from distiltune.data.findings import Finding
from distiltune.data.hub import Split
from distiltune.data.reading import (
    Problem,
    Reading,
    ReadSet,
    Use,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    need_gold,
    read_sources,
    rejected,
    shown,
    text_problem,
)
from distiltune.data.rows import BadRow, Row
from distiltune.data.words import Spans, word_spans
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.examples import Entity, TokenExample
from distiltune.tasks.token_classification.tags import entities_of, iob2, split_tag

TokenSet = ReadSet[TokenExample]


def read_marked(
    sources: Sequence[str | Path],
    split: Split,
    columns: TokenColumns,
    max_rejected_share: float,
    use: Use = "training",
) -> TokenSet:
    """Read the texts of one split from all sources, in order, as `read_sources` does.

    Where no row of a file is marked at all, every example's ``gold`` is None; where some are, others are rejected. For
    a prediction the ``gold`` of each row without marks that can be used is None.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to evaluate with.
        HubError: if a data set on the hub cannot be fetched.

    """
    reading: Reading[TokenExample] = Reading()
    read = read_sources(
        sources,
        split,
        f"data/token_classification/{split}.jsonl",
        reading,
        lambda path: _read_file(path, columns, reading, use),
        {"tokens": columns.tokens},
        max_rejected_share,
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.gold is not None, " or ".join(map(repr, columns.marks)))


def _read_file(path: Path, columns: TokenColumns, reading: Reading[TokenExample], use: Use) -> None:
    names = {column: parquet_class_names(path, column) for column in (columns.tags, columns.ner_tags)}
    examples: list[TokenExample] = []
    for row in iter_rows(path):
        reading.findings.count_row()
        if isinstance(row, BadRow):
            reading.findings.add(rejected("row_unreadable", row.where, None, f"The row {row.reason}"))
            continue
        reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
        result = _example_of(row, columns, names, reading, use)
        if isinstance(result, Finding):
            reading.findings.add(result)
        else:
            examples.append(result)
    is_marked = any(example.gold is not None for example in examples)
    for example in examples:
        if is_marked and example.gold is None and use != "prediction":
            reading.findings.add(rejected("tags_missing", example.where, example.id, "There are no tags or spans."))
        else:
            reading.examples.append(example)
    if examples and not is_marked:
        message = "No row has tags or spans: there is nothing to compare with."
        reading.findings.add(Finding("noted", "nothing_marked", str(path), "", message))


def _example_of(
    row: Row, columns: TokenColumns, names: Mapping[str, Sequence[str]], reading: Reading[TokenExample], use: Use
) -> TokenExample | Finding:
    row_id = row.value.get(columns.id)
    made = id_problem(row_id) or _marked(row.value, columns, names)
    if isinstance(made, Problem) and use == "prediction":
        unmarked = {name: cell for name, cell in row.value.items() if name not in columns.marks}
        without = id_problem(row_id) or _marked(unmarked, columns, names)
        if not isinstance(without, Problem):
            reading.findings.add(gold_ignored(made.kind, row.where, row_id, made.message))
            made = without
    if isinstance(made, Problem):
        return rejected(made.kind, row.where, row_id, made.message)
    text, words, gold, repair = made
    wanted = id_text(row_id) or generated_id(text)
    example = TokenExample(reading.unique_id(row_id, wanted, row.where), text, words, gold, row.where)
    if repair:
        reading.findings.add(Finding("repaired", "span_widened", row.where, example.id, repair))
    return example


_Marked = tuple[str, Spans, tuple[Entity, ...] | None, str]


def _marked(
    value: Mapping[str, object], columns: TokenColumns, names: Mapping[str, Sequence[str]]
) -> _Marked | Problem:
    """The text of a row with its words and, if there are some, entities."""
    if value.get(columns.tokens) is None:
        return _of_text(value.get(columns.text), value.get(columns.spans))
    column = columns.tags if value.get(columns.tags) is not None else columns.ner_tags
    return _of_tokens(value[columns.tokens], value.get(column), names[column])


def _of_tokens(tokens: object, tags: object, names: Sequence[str]) -> _Marked | Problem:
    """Words and, if there are tags, entities."""
    if not isinstance(tokens, list) or not tokens:
        return Problem("tokens_not_a_list", f"The tokens are {shown(tokens)}, not a list of words.")
    for token in tokens:
        problem = text_problem(token, "token")
        if problem is not None:
            return problem
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    words = tuple((start, start + len(token)) for start, token in zip(starts, tokens, strict=False))
    text = " ".join(tokens)
    if tags is None:
        return text, words, None, ""
    if not isinstance(tags, list) or len(tags) != len(tokens):
        n = len(tags) if isinstance(tags, list) else "no list of"
        return Problem("tags_do_not_match", f"There are {len(tokens)} tokens and {n} tags.")
    written = [_tag(tag, names) for tag in tags]
    for tag in written:
        if isinstance(tag, Problem):
            return tag
    return text, words, tuple(entities_of([str(tag) for tag in written])), ""


def _tag(tag: object, names: Sequence[str]) -> str | Problem:
    if type(tag) is int and 0 <= tag < len(names):
        return names[tag]
    if not isinstance(tag, str) or not tag.strip():
        return Problem("tag_not_text", f"The tag is {shown(tag)}, not text.")
    problem = text_problem(tag, "tag")
    return problem or ("O" if not split_tag(tag.strip())[1] else tag.strip())


def _of_text(text: object, spans: object) -> _Marked | Problem:
    """A text cut into words and, if there are spans, entities."""
    problem = text_problem(text, "text")
    if problem is not None:
        return problem
    assert isinstance(text, str)  # text_problem has looked
    words = word_spans(text)
    if spans is None:
        return text, words, None, ""
    if not isinstance(spans, list):
        return Problem("spans_not_a_list", f"The spans are {shown(spans)}, not a list.")
    entities, widened = [], []
    for span in spans:
        entity = _entity(text, words, span)
        if isinstance(entity, Problem):
            return entity
        first, last = words[entity.start][0], words[entity.end - 1][1]
        if text[first:last].strip() != text[slice(*_bounds(span))].strip():
            widened.append(text[first:last])
        entities.append(entity)
    entities.sort()
    for one, other in pairwise(entities):
        if one.end > other.start:
            return Problem(
                "spans_overlap", f"The spans {_shown(text, words, one)} and {_shown(text, words, other)} overlap."
            )
    repair = f"A span began or ended inside a word and now is {shown(widened[0])}." if widened else ""
    return text, words, tuple(entities), repair


def _bounds(span: object) -> tuple[int, int]:
    values = (span.get("start"), span.get("end")) if isinstance(span, dict) else (None, None)
    start, end = values
    return (start, end) if type(start) is int and type(end) is int else (-1, -1)


def _entity(text: str, words: Spans, span: object) -> Entity | Problem:
    start, end = _bounds(span)
    label = span.get("label") if isinstance(span, dict) else None
    if start < 0 or text_problem(label, "label") is not None:
        return Problem("span_malformed", f"The span {shown(span)} has no start, end and label.")
    if not start < end <= len(text):
        return Problem("span_outside", f"The span {shown(span)} is not inside the text of {len(text)} characters.")
    inside = [i for i, (first, last) in enumerate(words) if first < end and last > start]
    if not inside:
        return Problem("span_without_words", f"The span {shown(span)} holds no word.")
    return Entity(inside[0], inside[-1] + 1, str(label).strip())


def _shown(text: str, words: Spans, entity: Entity) -> str:
    return shown(text[words[entity.start][0] : words[entity.end - 1][1]])


def gold_tags(example: TokenExample) -> list[str]:
    """The gold tags of an example's words, as IOB2."""
    return iob2(len(example.words), example.gold or ())
