"""Rows as annotation tools and benchmarks write them → ``text`` with ``spans``, or ``tokens`` with ``tags``.

Only rows are changed whose form nothing else has; which form it was goes with the row, so that it can be told. Offsets
come out as the tool has them, with the marked text beside them where it writes that: `distiltune.data.offsets` compares
the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from distiltune.data.plain_rows import Plain, Value, is_triple, spans_of_triples, triples_of, without
from distiltune.data.spacy_forms import spacy_docs, spacy_documents, spacy_pairs

ANSWERS: Final = {
    "reject": "The annotator rejected it.",
    "ignore": "The annotator passed it over.",
}
"""What `ANSWER` may say against a row, and what that means."""
DIFFERING: Final = "annotations that differ"
"""Instead of the spans of a text that several people marked, and not alike."""
ANSWER: Final = "answer"
"""The column of Prodigy's verdicts; rows of other tools that were passed over get one."""


def plain_rows(value: object) -> Iterator[Plain]:
    """The plain rows that a value of a known form stands for, usually one; none if it has no known form."""
    if isinstance(value, list):
        yield from spacy_pairs(value)
        return
    if not isinstance(value, dict):
        return
    for form in _FORMS:
        rows = list(form(value))
        if rows:
            yield from rows
            return


def rows_of_document(document: Mapping[str, object]) -> list[object] | None:
    """The rows of a JSON object that is no list of rows itself, if it is a known one, or such a row itself."""
    rows = document.get("annotations")  # beside "classes": the text and its spans, as spaCy has them
    if isinstance(rows, list) and rows and all(any(spacy_pairs(row)) for row in rows):
        return rows
    return [document] if any(plain_rows(document)) else None


def _text_in(value: Value) -> str:
    """The name of the column that holds the text: ``text``, ``data``, or the only one that holds text."""
    texts = [name for name, each in value.items() if isinstance(each, str)]
    return next((name for name in ("text", "data") if name in texts), texts[0] if len(texts) == 1 else "")


def _label_studio(value: Value) -> Iterator[Plain]:
    """Label Studio's JSON: ``data`` and a list of annotations, each with its results."""
    data, given = value.get("data"), value.get("annotations", value.get("completions"))
    if not (isinstance(data, dict) and isinstance(given, list)) or "question" in data:
        return
    name = _text_in(data)
    done = [each for each in given if isinstance(each, dict) and not each.get("was_cancelled")]
    true = [each for each in done if each.get("ground_truth") is True]
    spans = [_studio_spans(each) for each in (true if len(true) == 1 else done)]
    found = [each for each in spans if each is not None]
    if not name or (done and not found):
        return  # pictures; classes of whole texts
    row: dict[str, object] = {"id": value.get("id"), "text": data[name]}
    if not found:
        row[ANSWER] = "ignore"
    elif all(_as_set(each) == _as_set(found[0]) for each in found):
        row["spans"] = found[0]
    else:
        row["spans"] = DIFFERING
    left_out = _left_out({str(result.get("from_name")): result.get("value") for result in _results(done)})
    yield Plain(row, f"rows are Label Studio's; the text is `{name}`, of several equal annotations one{left_out}")


def _results(annotations: list[dict[str, object]]) -> Iterator[dict[str, object]]:
    for annotation in annotations:
        results = annotation.get("result")
        yield from (each for each in (results if isinstance(results, list) else []) if isinstance(each, dict))


def _left_out(values: Mapping[str, object]) -> str:
    """What is said of results that are about a text as a whole, by the name of their question; empty without any."""
    names = [name for name, each in values.items() if isinstance(each, dict) and _WHOLE & each.keys()]
    if not names:
        return ""
    listed = ", ".join(f"`{name}`" for name in names)
    return f"; taken are the marks, left out is what was said of the whole text ({listed}), which is another task"


_WHOLE: Final = frozenset({"choices", "rating", "number", "taxonomy"})
"""What Label Studio's results about a whole text hold."""


def _studio_spans(annotation: Mapping[str, object]) -> list[dict[str, object]] | None:
    """The spans of an annotation's results; None if these are of another kind."""
    results = annotation.get("result")
    if not isinstance(results, list):
        return None
    values = [each.get("value") for each in results if isinstance(each, dict)]
    spans = [_studio_span(each) for each in values if isinstance(each, dict) and isinstance(each.get("labels"), list)]
    return spans if spans or not values else None


def _studio_span(value: Mapping[str, object]) -> dict[str, object]:
    labels = value.get("labels")
    one = labels[0] if isinstance(labels, list) and len(labels) == 1 else labels
    span: dict[str, object] = {"start": value.get("start"), "end": value.get("end"), "label": one}
    return span | ({"text": value["text"]} if isinstance(value.get("text"), str) else {})


def _as_set(spans: list[dict[str, object]]) -> set[tuple[str, ...]]:
    return {tuple(map(repr, (span["start"], span["end"], span["label"]))) for span in spans}


def _label_studio_min(value: Value) -> Iterator[Plain]:
    """Label Studio's JSON-MIN: the results beside the text, under the name that the project gave them.

    They are marks in the text, or a choice, if that is the only thing beside the text.
    """
    named = [name for name, each in value.items() if _is_studio_list(each)]
    text = _text_in({name: each for name, each in value.items() if name not in _STUDIO_OWN})
    if len(named) == 1 and text and "annotation_id" in value:
        given = value[named[0]]
        assert isinstance(given, list)  # _is_studio_list has looked
        row = {"id": value.get("id"), "text": value[text], "spans": [_studio_span(each) for each in given]}
        told = f"rows are Label Studio's (JSON-MIN); the text is `{text}`, the marks are `{named[0]}`"
        # A choice is plain text here, as other data of the task is.
        others = [f"`{name}`" for name in value if name not in (*_STUDIO_OWN, text, named[0])]
        yield Plain(row, told + (f"; left out: {', '.join(others)}" if others else ""))
        return
    others = [name for name in value if name not in _STUDIO_OWN and name != "text"]
    if "annotation_id" in value and isinstance(value.get("text"), str) and len(others) == 1 and others[0] != "label":
        given = value[others[0]]
        choices = given.get("choices") if isinstance(given, dict) else given
        if isinstance(choices, str) or _texts(choices) is not None:
            told = f"rows are Label Studio's (JSON-MIN); the label is what was chosen as `{others[0]}`"
            yield Plain({**value, "label": choices}, told)


_STUDIO_OWN = frozenset({"annotator", "created_at", "updated_at", "lead_time", "annotation_id", "id"})


def _is_studio_list(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and {"start", "end", "labels"} <= each.keys() for each in value)
    )


def _prodigy(value: Value) -> Iterator[Plain]:
    """Prodigy's rows: tokens as objects beside the text; its spans are those of the text."""
    tokens = value.get("tokens")
    if not (isinstance(tokens, list) and tokens and isinstance(value.get("text"), str)):
        return
    if all(isinstance(token, dict) and {"text", "start", "end"} <= token.keys() for token in tokens):
        told = "rows are Prodigy's; its tokens are passed over, spans are of the text; `answer` is heeded"
        yield Plain({"spans": [], **without(value, "tokens")}, told)


def _doccano(value: Value) -> Iterator[Plain]:
    """doccano's rows: ``label`` as lists of start, end and label, or ``entities`` with offsets."""
    text = "text" if isinstance(value.get("text"), str) else "data"
    if not isinstance(value.get(text), str):
        return
    for name in ("label", "labels", "entities"):
        if triples := triples_of(value.get(name)):
            row = {**without(value, name, text), "text": value[text], "spans": spans_of_triples(triples)}
            yield Plain(row, f"`{name}` is taken for spans, [start, end, label]")
            return
    for name in ("entities", "annotations"):
        given = value.get(name)
        if isinstance(given, list) and given and all(map(_has_offsets, given)):
            spans = [{"start": e["start_offset"], "end": e["end_offset"], "label": e.get("label")} for e in given]
            row = {**without(value, name, text), "text": value[text], "spans": spans}
            yield Plain(row, f"`{name}` is taken for spans with start_offset, end_offset and label")
            return


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


def _gliner(value: Value) -> Iterator[Plain]:
    """GLiNER's rows: ``tokenized_text`` and ``ner``, whose ends are the last token."""
    tokens, given = _texts(value.get("tokenized_text")), value.get("ner")
    if tokens is not None and isinstance(given, list) and all(map(is_triple, given)):
        spans = [(first, last + 1, label) for first, last, label in given]
        told = "rows are GLiNER's; `ner` is taken for spans of tokens, both ends included"
        yield Plain(_token_spans(value, tokens, spans), told)


def _spert(value: Value) -> Iterator[Plain]:
    """SpERT's rows: ``tokens`` and ``entities`` with a type, whose ends are one past the last token."""
    tokens, given = _texts(value.get("tokens")), value.get("entities")
    if tokens is None or not (isinstance(given, list) and "tags" not in value and "ner_tags" not in value):
        return
    if all(isinstance(each, dict) and {"type", "start", "end"} <= each.keys() for each in given):
        whole = [each for each in given if type(each["start"]) is int and type(each["end"]) is int]
        spans = [(each["start"], each["end"], each["type"]) for each in whole]
        spans += [(-1, -1, each["type"]) for each in given if each not in whole]
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
                if not (isinstance(place, list) and len(place) == 2 and all(type(each) is int for each in place)):
                    return
                spans.append({"start": place[0], "end": place[1] + 1, "label": label, "text": mention})
    told = "rows are CLUENER's; `label` is taken for types with texts and places, both ends included"
    yield Plain({**without(value, "label"), "spans": spans}, told)


def _dataturks(value: Value) -> Iterator[Plain]:
    """Dataturks' rows: ``content`` and ``annotation`` with points, whose ends are the last character."""
    text, given = value.get("content"), value.get("annotation")
    if not (isinstance(text, str) and isinstance(given, list)):
        return
    spans: list[dict[str, object]] = []
    for each in given:
        points = each.get("points") if isinstance(each, dict) else None
        labels = each.get("label") if isinstance(each, dict) else None
        label = labels[0] if isinstance(labels, list) and len(labels) == 1 else labels
        for point in points if isinstance(points, list) else [None]:
            if not (isinstance(point, dict) and type(point.get("start")) is int and type(point.get("end")) is int):
                return
            span = {"start": point["start"], "end": point["end"] + 1, "label": label}
            spans.append(span | ({"text": point["text"]} if isinstance(point.get("text"), str) else {}))
    told = "rows are Dataturks'; the text is `content`, the ends of points are the last character"
    yield Plain({**without(value, "content", "annotation"), "text": text, "spans": spans}, told)


_FORMS: tuple[Callable[[Value], Iterator[Plain]], ...] = (
    *(spacy_documents, spacy_docs, _label_studio, _label_studio_min, _prodigy, _doccano),
    *(_gliner, _spert, _cluener, _dataturks),
)
