"""Rows as annotation tools and benchmarks write them → ``text`` with ``spans``, or ``tokens`` with ``tags``.

Only rows are changed whose form nothing else has; which form it was goes with the row, so that it can be told. Offsets
come out as the tool has them, with the marked text beside them where it writes that: `distiltune.data.offsets` compares
the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from distiltune.data.label_studio import pages_alike, studio_rows, studio_tasks
from distiltune.data.plain_rows import (
    ACCEPTED,
    ANSWER,
    DIFFERING,
    PARTIAL,
    Plain,
    Value,
    by_person,
    is_triple,
    label_first_of,
    spans_of_triples,
    triples_of,
    whole_number,
    without,
)
from distiltune.data.spacy_forms import spacy_docs, spacy_documents, spacy_pairs
from distiltune.data.tool_exports import EXPORTS, document_rows


def plain_rows(value: object) -> Iterator[Plain]:
    """The plain rows that a value of a known form stands for, usually one; none if it has no known form."""
    if isinstance(value, list):
        yield from spacy_pairs(value)
        return
    if not isinstance(value, dict) or _is_flat(value):
        return
    for form in _FORMS:
        rows = list(form(value))
        if rows:
            yield from rows
            return


def rows_by_name(value: object, mapped: Sequence[tuple[str, str]]) -> list[Plain]:
    """The same rows, in which what a form has renamed is also called as ``mapped`` calls the tool's own column.

    ``("spans", "entities")`` of rows whose ``entities`` became ``spans`` is heeded, though there was no need to say it.
    """
    plain = list(plain_rows(value))
    if not mapped or not isinstance(value, dict):
        return plain
    return [
        Plain(
            each.value
            | {
                column: each.value[field]
                for field, column in mapped
                if column in value and column not in each.value and field in each.value
            },
            each.told,
        )
        for each in plain
    ]


_OF_NO_TOOL: Final = frozenset(
    {"id", "idx", "label", "labels", "pair", "question", "score", "sentence", "text", "text_pair", "title", "weight"}
)
"""Columns that say nothing of a tool, if what they hold is no list and no object either."""
_FLAT_TYPES: Final = frozenset({str, int, float, bool, type(None)})


def _is_flat(value: Mapping[str, object]) -> bool:
    """Whether it is a plain row by its names and types alone, as most of a large file are: half of the time to read."""
    return value.keys() <= _OF_NO_TOOL and _FLAT_TYPES.issuperset(map(type, value.values()))


def pairs_or_none(rows: list[object]) -> list[object] | None:
    """A list of spaCy's pairs in which null stands for texts that nobody marked, each such as a row that says so.

    None if it is no such list.
    """
    if not any(row is not None for row in rows) or not all(row is None or any(spacy_pairs(row)) for row in rows):
        return None
    return [{ANSWER: "null"} if row is None else row for row in rows]


def as_one_export(rows: list[object]) -> Sequence[object]:
    """The rows of a JSON list as what all of them show each to be, where one alone does not."""
    return pairs_or_none(rows) or pages_alike(rows)


def rows_of_document(document: Mapping[str, object]) -> list[object] | None:
    """The rows of a JSON object that is no list of rows itself, if it is a known one, or such a row itself."""
    rows = document.get("annotations")  # beside "classes": the text and its spans, as spaCy has them
    if isinstance(rows, list) and (marked := pairs_or_none(rows)) is not None:
        return marked
    from distiltune.data.intent_forms import intent_rows  # no answer has to wait for it

    for rows_inside in (document_rows(document), intent_rows(document)):
        if rows_inside is not None:
            return rows_inside
    return [document] if any(plain_rows(document)) else None


def _prodigy(value: Value) -> Iterator[Plain]:
    """Prodigy's rows: tokens as objects beside the text; its spans are those of the text."""
    tokens = value.get("tokens")
    if not (isinstance(tokens, list) and tokens and isinstance(value.get("text"), str)):
        return
    if all(isinstance(token, dict) and {"text", "start", "end"} <= token.keys() for token in tokens):
        told = "rows are Prodigy's; its tokens are passed over, spans are of the text; `answer` is heeded"
        yield Plain({"spans": [], **without(value, "tokens")}, told)


def _prodigy_suggestion(value: Value) -> Iterator[Plain]:
    """Prodigy's ``ner.teach``: somebody accepted a model's one suggestion, and nobody marked the rest.

    Of rows that were rejected the verdict says enough.
    """
    spans, meta = value.get("spans"), value.get("meta")
    if value.get(ANSWER) != ACCEPTED or not isinstance(value.get("text"), str) or not isinstance(spans, list):
        return
    if len(spans) != 1 or not isinstance(spans[0], dict):
        return
    is_scored = "score" in spans[0] or (isinstance(meta, dict) and "score" in meta)
    if is_scored and (value.get("_view_id") == "ner" or {"score", "rank"} <= spans[0].keys()):
        row = {**without(value, *_tokens(value)), "spans": PARTIAL}
        yield Plain(row, "rows are Prodigy's, with one suggestion each")


def _intents(value: Value) -> Iterator[Plain]:
    """What tools for chatbots write: texts with an intent, or an intent with its texts."""
    if "intent" in value or "patterns" in value:
        from distiltune.data.intent_forms import intent_with_patterns, with_intent  # no answer has to wait for it

        yield from with_intent(value)
        yield from intent_with_patterns(value)


def _doccano(value: Value) -> Iterator[Plain]:
    """doccano's rows: ``label`` as lists of start, end and label, or ``entities`` with offsets; and what is like them.

    Objects with ``start``, ``end`` and ``label`` are spans only where there is no label of the whole text beside them.
    """
    text = "text" if isinstance(value.get("text"), str) else "data"
    if not isinstance(value.get(text), str):
        return
    for name in ("label", "labels", "entities"):
        if triples := triples_of(value.get(name)) or label_first_of(value.get(name)):
            row = {
                **without(value, name, text, *_tokens(value)),
                "text": value[text],
                "spans": spans_of_triples(triples),
            }
            order = "[start, end, label]" if triples is value[name] else "[label, start, end]"
            yield Plain(row, f"`{name}` is taken for spans, {order}")
            return
    for name in ("entities", "annotations"):
        given = value.get(name)
        if isinstance(given, list) and given and all(map(_has_offsets, given)):
            people = [
                [{"start": e["start_offset"], "end": e["end_offset"], "label": e.get("label")} for e in person]
                for person in by_person(given)
            ]
            are_alike = all(sorted(map(repr, each)) == sorted(map(repr, people[0])) for each in people)
            spans = people[0] if are_alike else DIFFERING
            row = {**without(value, name, text, *_tokens(value)), "text": value[text], "spans": spans}
            yield Plain(row, f"`{name}` is taken for spans with start_offset, end_offset and label")
            return
    names = [name for name in ("entities", "annotations", "label", "labels") if name in value]
    if len(names) == 1 and "spans" not in value and _are_spans(given := value[names[0]]):
        row = {**without(value, names[0], text, *_tokens(value)), "text": value[text], "spans": given}
        label = next(key for key in SPAN_LABELS if key in given[0])
        yield Plain(row, f"`{names[0]}` is taken for spans with start, end and {label}")
    elif names == ["entities"] and value["entities"] == [] and _tokens(value) and "tokens" in value:
        yield Plain({**without(value, "entities", text, "tokens"), "text": value[text], "spans": []}, "")
    elif names == ["entities"] and "spans" not in value and _lack_places(value["entities"]):
        # Refused as spans, by what each lacks: as no spans at all they would be told of as texts without any.
        yield Plain({**without(value, "entities", text), "text": value[text], "spans": value["entities"]}, "")


SPAN_LABELS: Final = ("label", "entity_group", "entity_type", "type", "tag", "category", "entity")
"""What the label of a span is called, the likeliest first: ``entity_group`` by pipelines of `transformers`."""


def _tokens(value: Value) -> tuple[str, ...]:
    """The column of tokens that say nothing more beside spans of the text: they have no tags."""
    return () if "tags" in value or "ner_tags" in value else ("tokens",)


def _are_spans(value: object) -> TypeGuard[list[dict[str, object]]]:
    """Whether it is a list of ``{"start", "end", "label"}`` that is not empty; the label by any of its names."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and {"start", "end"} <= each.keys() for each in value)
        and all(any(name in each for name in SPAN_LABELS) for each in value)
    )


def _lack_places(value: object) -> bool:
    """Whether it is a list of entities by their texts, which do not say where these stand."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and isinstance(each.get("text"), str) for each in value)
        and all(any(name in each for name in SPAN_LABELS) for each in value)
    )


def _has_offsets(value: object) -> bool:
    return isinstance(value, dict) and {"start_offset", "end_offset"} <= value.keys()


def _token_spans(value: Value, tokens: list[str], spans: list[tuple[int, int, object]]) -> dict[str, object]:
    """Spans of tokens, ends one past the last, as spans of the text that the tokens make with blanks between."""
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    found: list[dict[str, object]] = []
    for first, end, label in spans:
        inside = 0 <= first < end <= len(tokens)
        found.append(
            {"start": starts[first] if inside else -1, "end": starts[end] - 1 if inside else -1, "label": label}
        )
    return {**({"id": value["id"]} if "id" in value else {}), "text": " ".join(tokens), "spans": found}


def _texts(value: object) -> list[str] | None:
    """``value`` if it is a list of texts that is not empty."""
    return value if isinstance(value, list) and value and all(isinstance(each, str) for each in value) else None


def _number(value: object) -> int:
    """The offset that is meant; -1, which is outside of every text, if it is none."""
    number = whole_number(value)
    return -1 if number is None else number


def _gliner(value: Value) -> Iterator[Plain]:
    """GLiNER's rows: ``tokenized_text`` and ``ner``, whose ends are the last token."""
    tokens, given = _texts(value.get("tokenized_text")), value.get("ner")
    if tokens is not None and isinstance(given, list) and all(map(is_triple, given)):
        spans = [(_number(first), _number(last) + 1, label) for first, last, label in given]
        told = "rows are GLiNER's; `ner` is taken for spans of tokens, both ends included"
        yield Plain(_token_spans(value, tokens, spans), told)


def _spert(value: Value) -> Iterator[Plain]:
    """SpERT's rows: ``tokens`` and ``entities`` with a type, whose ends are one past the last token."""
    tokens, given = _texts(value.get("tokens")), value.get("entities")
    if tokens is None or not (isinstance(given, list) and "tags" not in value and "ner_tags" not in value):
        return
    if all(isinstance(each, dict) and {"type", "start", "end"} <= each.keys() for each in given):
        spans = [(_number(each["start"]), _number(each["end"]), each["type"]) for each in given]
        told = "rows are SpERT's; `entities` is taken for spans of tokens, the end one past the last"
        yield Plain(_token_spans(value, tokens, spans), told)


def _cluener(value: Value) -> Iterator[Plain]:
    """CLUENER's rows: ``label`` as type → text → places, whose ends are the last character."""
    text, labels = value.get("text"), value.get("label")
    if not (isinstance(text, str) and isinstance(labels, dict) and labels):
        return
    spans: list[dict[str, object]] = []
    for label, mentions in labels.items():
        for mention, places in mentions.items() if isinstance(mentions, dict) else [("", None)]:
            for place in places if isinstance(places, list) else [None]:
                if not (isinstance(place, list) and len(place) == 2 and None not in map(whole_number, place)):
                    return
                spans.append({"start": place[0], "end": _number(place[1]) + 1, "label": label, "text": mention})
    told = "rows are CLUENER's; `label` is taken for types with texts and places, both ends included"
    yield Plain({**without(value, "label"), "spans": spans}, told)


def _dataturks(value: Value) -> Iterator[Plain]:
    """Dataturks' rows: ``content`` and ``annotation`` with points, whose ends are the last character.

    What other programs write in its form may end one past the last: the points' texts show it.
    """
    text, given, about = value.get("content"), value.get("annotation"), value.get("metadata")
    if isinstance(text, str) and "annotation" in value and given is None and isinstance(about, dict):
        row = {**without(value, "content", "annotation"), "text": text}
        told = "rows are Dataturks'; the text is `content`"
        yield Plain({**row, **({"spans": []} if about.get("status") == "done" else {ANSWER: "ignore"})}, told)
    if not (isinstance(text, str) and isinstance(given, list)):
        return
    spans: list[dict[str, object]] = []
    for each in given:
        points = each.get("points") if isinstance(each, dict) else None
        labels = each.get("label") if isinstance(each, dict) else None
        label = labels[0] if isinstance(labels, list) and len(labels) == 1 else labels
        for point in points if isinstance(points, list) else [None]:
            if not isinstance(point, dict) or None in (
                whole_number(point.get("start")),
                whole_number(point.get("end")),
            ):
                return
            span = {"start": _number(point["start"]), "end": _number(point["end"]), "label": label}
            spans.append(span | ({"text": point["text"]} if isinstance(point.get("text"), str) else {}))
    after_last = _ends_after(text, spans)
    for span in spans if not after_last else ():
        span["end"] = _number(span["end"]) + 1
    ends = "one past the last character, as their texts show" if after_last else "the last character"
    told = "rows are Dataturks'; the text is `content`" + (f", the ends of points are {ends}" if spans else "")
    yield Plain({**without(value, "content", "annotation"), "text": text, "spans": spans}, told)


def _ends_after(text: str, spans: Sequence[Mapping[str, object]]) -> bool:
    """Whether more of the spans have their text where their ends are one past the last character than otherwise."""
    held = [(_number(each["start"]), _number(each["end"]), each["text"]) for each in spans if each.get("text")]
    n_after = sum(start >= 0 and text[start:end] == wanted for start, end, wanted in held)
    return n_after > sum(start >= 0 and text[start : end + 1] == wanted for start, end, wanted in held)


def _stem(value: Value) -> Iterator[Plain]:
    """Questions as ARC, OpenBookQA and CommonsenseQA publish them: ``question`` with its ``stem`` and its choices."""
    question = value.get("question")
    if not isinstance(question, dict) or "choices" in value:
        return
    if isinstance(question.get("stem"), str) and isinstance(question.get("choices"), list):
        row = {**value, "question": question["stem"], "choices": question["choices"]}
        yield Plain(row, "`question` holds the question as its `stem`, and its choices")


_FORMS: tuple[Callable[[Value], Iterator[Plain]], ...] = (
    *(spacy_documents, spacy_docs, studio_tasks, studio_rows, _prodigy_suggestion, _prodigy, _intents, _doccano),
    *(_gliner, _spert, _cluener, _dataturks, _stem, *EXPORTS),
)
