"""Label Studio's exports → plain rows: JSON, JSON-MIN and CSV, of marks and of choices.

Marks become ``spans`` of the text. What was said of a text as a whole stays where it is, for the task that reads it.
"""

from __future__ import annotations

import html.parser
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.data.plain_rows import ANSWER, DIFFERING, Plain, Value, whole_number

WHOLE_TEXT: Final = ("choices", "rating", "number", "taxonomy")
"""What results about a text as a whole hold."""
_MARKS: Final = ("labels", "hypertextlabels")
"""The kinds of marks in a text or in a page."""
_OTHER_MARKS: Final = ("paragraphlabels", "timeserieslabels", "rectanglelabels", "polygonlabels", "brushlabels")
_OWN: Final = frozenset({"annotator", "created_at", "updated_at", "lead_time", "annotation_id", "id"})
"""The columns of JSON-MIN and CSV that every project has."""


@dataclass(frozen=True, slots=True)
class _Text:
    """The text of a task, the column that it is from, and what was done to it, to go on with in a sentence."""

    text: str
    name: str
    told: str = ""


def as_annotated(value: Value) -> dict[str, object] | None:
    """A task with its ``annotations``, also where an older version calls them otherwise; None if it is no task.

    Of one that only a model has looked at they are empty.
    """
    if not isinstance(value.get("data"), dict):
        return None
    given = value.get("annotations", value.get("completions"))
    if given is None and isinstance(value.get("predictions"), list):
        given = []
    return {**value, "annotations": given} if isinstance(given, list) else None


def submitted(task: Value) -> list[dict[str, object]]:
    """What each person submitted."""
    given = task.get("annotations")
    people = given if isinstance(given, list) else []
    return [each for each in people if isinstance(each, dict) and not each.get("was_cancelled")]


def is_predicted(task: Value) -> bool:
    """Whether a model has said something of a task, and nobody else has."""
    return bool(task.get("predictions")) and not task.get("annotations")


def results_of(annotation: Value) -> list[dict[str, object]]:
    """The results of what one person submitted."""
    results = annotation.get("result")
    return [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []


def marks_of(annotation: Value) -> list[dict[str, object]]:
    """The marks of what one person submitted: start, end, label, and the marked text where it is there."""
    values = (result.get("value") for result in results_of(annotation))
    return [_span(value) for value in values if isinstance(value, dict) and _kind(value)]


def other_marks(annotation: Value) -> list[str]:
    """The kinds of marks that are none in a text, such as those of a dialogue or a picture."""
    values = (result.get("value") for result in results_of(annotation))
    return [kind for value in values if isinstance(value, dict) for kind in _OTHER_MARKS if kind in value]


def whole_texts(annotation: Value) -> dict[str, object]:
    """What was said of the text as a whole, by the name of the question."""
    found: dict[str, object] = {}
    for result in results_of(annotation):
        value = result.get("value")
        kind = next((kind for kind in WHOLE_TEXT if isinstance(value, dict) and kind in value), "")
        if kind and isinstance(value, dict):
            found[str(result.get("from_name"))] = paths_as_labels(value[kind]) or value[kind]
    return found


def paths_as_labels(value: object) -> list[str]:
    """What was chosen in a taxonomy, ``[["animal", "bird"], ["sea"]]``, as a label each, ``animal/bird``; else none."""
    if not isinstance(value, list) or not all(isinstance(path, list) and path for path in value):
        return []
    if not all(isinstance(name, str) for path in value for name in path):
        return []
    return ["/".join(path) for path in value]


def shown_text(source: str, marks: Iterable[Value]) -> str:
    """The text that marks are counted in: the source itself, or what a page shows of it, if only that fits."""
    spans = [each for each in marks if isinstance(each.get("text"), str)]
    if not spans or "<" not in source or all(_fits(source, each) for each in spans):
        return source
    shown = _page_of(source)
    return shown if sum(_fits(shown, each) for each in spans) > sum(_fits(source, each) for each in spans) else source


def _page_of(source: str) -> str:
    """What a page shows of its source."""
    page = _Page()
    page.feed(source)
    page.close()
    return "".join(page.parts)


def pages_alike(rows: Sequence[object]) -> Sequence[object]:
    """The rows of an export, those without marks as pages too if all with marks are counted in what pages show.

    Else a tag such as ``<p>`` would stand only in texts in which nothing is marked.
    """
    sources = [_source_of(row) if isinstance(row, dict) else None for row in rows]
    counted = [shown_text(found.source, found.marks) != found.source for found in sources if found and found.marks]
    if not counted or not all(counted):
        return rows
    return [
        row if found is None or found.marks else found.with_text(_page_of(found.source))
        for row, found in zip(rows, sources, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    """A row whose text has tags, the name of its text and the marks in it; ``is_task``: it stands in ``data``."""

    row: Value
    name: str
    source: str
    marks: list[dict[str, object]]
    is_task: bool

    def with_text(self, text: str) -> dict[str, object]:
        """The row with another text."""
        if not self.is_task:
            return {**self.row, self.name: text}
        data = self.row["data"]
        return {**self.row, "data": {**(data if isinstance(data, dict) else {}), self.name: text}}


def _source_of(row: Value) -> _Source | None:
    """A row of Label Studio's with tags in its text; None for any other."""
    task = as_annotated(row)
    if task is None and "annotation_id" not in row:
        return None
    data = row["data"] if task is not None else {name: each for name, each in row.items() if name not in _OWN}
    if not isinstance(data, dict):
        return None
    name = "context" if "question" in data and "context" in data else name_of_text(data)
    source = data.get(name)
    if not isinstance(source, str) or "<" not in source:
        return None
    if task is not None:
        marks = [mark for each in (*submitted(task), *_predictions(task)) for mark in marks_of(each)]
    else:
        marks = [_span(mark) for each in data.values() if _is_marks(each) for mark in each]
    return _Source(row, name, source, marks, task is not None)


def studio_tasks(value: Value) -> Iterator[Plain]:
    """JSON: ``data`` and a list of annotations, each with its results."""
    task = as_annotated(value)
    if task is None:
        return
    data = task["data"]
    assert isinstance(data, dict)  # as_annotated has looked
    if "question" in data:
        if task["annotations"] is not value.get("annotations"):
            yield Plain(task, "")
        return
    text = _text_of(task, data)
    if text is None:
        return  # pictures, dialogues
    row: dict[str, object] = {"id": value.get("id"), "text": text.text}
    people = submitted(task)
    if is_predicted(task):
        if any(map(marks_of, _predictions(task))):
            yield Plain(
                {**row, "spans": [], ANSWER: "predicted"}, f"rows are Label Studio's; the text is `{text.name}`"
            )
        else:
            yield Plain({**task, **row, ANSWER: "predicted"}, "")
        return
    if not people:
        yield Plain({**row, ANSWER: "ignore"}, f"rows are Label Studio's; the text is `{text.name}`")
        return
    about = [name for each in people for name in whole_texts(each)]
    true = [each for each in people if each.get("ground_truth") is True]
    marks = [marks_of(each) for each in (true if len(true) == 1 else people)]
    if any(map(other_marks, people)) or (any(map(results_of, people)) and not any(marks)):
        if about:  # classes of whole texts; where marks are asked for too, this text has none
            yield Plain({**task, "text": text.text, ANSWER: "accept"}, "")
        return
    row["spans"] = marks[0] if all(_as_set(each) == _as_set(marks[0]) for each in marks) else DIFFERING
    told = f"rows are Label Studio's; the text is `{text.name}`, of several equal annotations one{text.told}"
    yield Plain({**(task if about else {}), **row}, told + _also(about))


def _predictions(task: Value) -> list[dict[str, object]]:
    given = task.get("predictions")
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _text_of(task: Value, data: Mapping[object, object]) -> _Text | None:
    """The text of a task: ``text``, or the only one; of a page without what only lays it out."""
    name = name_of_text({str(key): each for key, each in data.items()})
    source = data.get(name)
    if not isinstance(source, str):
        return None
    marks = [mark for each in (*submitted(task), *_predictions(task)) for mark in marks_of(each)]
    shown = shown_text(source, marks)
    return _Text(
        shown, name, "" if shown == source else "; of its HTML what a page shows, as marks are counted in that"
    )


def name_of_text(value: Value) -> str:
    """The name of the column that holds the text: ``text``, ``data``, or the only one that holds text."""
    texts = [name for name, each in value.items() if isinstance(each, str)]
    return next((name for name in ("text", "data") if name in texts), texts[0] if len(texts) == 1 else "")


def _also(names: Sequence[str]) -> str:
    """What is said of results about the text as a whole, by the names of their questions; empty without any."""
    if not names:
        return ""
    listed = ", ".join(f"`{name}`" for name in dict.fromkeys(names))
    return (
        f"; its marks are for token-classification, what was said of the whole text ({listed}) for text-classification"
    )


def _kind(value: Value) -> str:
    """The kind of a mark; empty if it is none in a text."""
    return next((kind for kind in _MARKS if isinstance(value.get(kind), list)), "")


def _span(value: Value) -> dict[str, object]:
    labels = value.get(_kind(value))
    one = labels[0] if isinstance(labels, list) and len(labels) == 1 else labels
    places = value.get("globalOffsets")  # of pages; else start and end are places among their elements
    place = places if isinstance(places, dict) else value
    span: dict[str, object] = {"start": place.get("start"), "end": place.get("end"), "label": one}
    return span | ({"text": value["text"]} if isinstance(value.get("text"), str) else {})


def _fits(text: str, span: Value) -> bool:
    """Whether what a span says of its text stands at its offsets, white space aside."""
    start, end = whole_number(span.get("start")), whole_number(span.get("end"))
    if start is None or end is None or start < 0:
        return False
    return "".join(text[start:end].split()) == "".join(str(span["text"]).split())


class _Page(html.parser.HTMLParser):
    """Collects what a page shows, as a browser's selection counts it: its text nodes, and a line end for a break."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self.parts.append("\n")


def _as_set(spans: list[dict[str, object]]) -> set[tuple[str, ...]]:
    return {tuple(map(repr, (span["start"], span["end"], span["label"]))) for span in spans}


def studio_rows(value: Value) -> Iterator[Plain]:
    """JSON-MIN: the results beside the text, under the name that the project gave them.

    They are marks in the text, or a choice, if that is the only thing beside the text. A text that has neither was
    submitted with nothing.
    """
    if "annotation_id" not in value:
        return
    if isinstance(value.get("question"), str):
        yield from _question(value)
        return
    named = [name for name, each in value.items() if _is_marks(each)]
    text = name_of_text({name: each for name, each in value.items() if name not in _OWN})
    if len(named) == 1 and text:
        given = value[named[0]]
        assert isinstance(given, list)  # _is_marks has looked
        spans = [_span(each) for each in given]
        source = str(value[text])
        row = {"id": value.get("id"), "text": shown_text(source, spans), "spans": spans}
        told = f"rows are Label Studio's (JSON-MIN); the text is `{text}`, the marks are `{named[0]}`"
        told += "" if row["text"] == source else "; of its HTML what a page shows, as marks are counted in that"
        # A choice is plain text here, as other data of the task is.
        others = [f"`{name}`" for name in value if name not in (*_OWN, text, named[0])]
        yield Plain(row, told + (f"; left out: {', '.join(others)}" if others else ""))
        return
    others = [name for name, each in value.items() if name not in _OWN and name != "text" and each not in ("", None)]
    if isinstance(value.get("text"), str) and not others:
        row = {name: each for name, each in value.items() if each != ""}
        yield Plain({**row, ANSWER: "accept"}, "")
    elif isinstance(value.get("text"), str) and len(others) == 1 and others[0] != "label":
        given = value[others[0]]
        choices = given.get("choices", given.get("taxonomy")) if isinstance(given, dict) else given
        choices = paths_as_labels(choices) or choices
        is_list = isinstance(choices, list) and choices and all(isinstance(each, str) for each in choices)
        if isinstance(choices, str) or is_list:
            told = f"rows are Label Studio's (JSON-MIN); the label is what was chosen as `{others[0]}`"
            yield Plain({**value, "label": choices}, told)


def _question(value: Value) -> Iterator[Plain]:
    """A question on a text, and the marks that answer it; where something else was said, that, which is no answer."""
    text = "context" if "context" in value else "text"
    source = value.get(text)
    if not isinstance(source, str):
        return
    others = [each for name, each in value.items() if name not in (*_OWN, text, "question") and each not in ("", None)]
    marks = [_span(mark) for each in others if _is_marks(each) and isinstance(each, list) for mark in each]
    answers: object = [{"text": mark.get("text"), "answer_start": mark["start"]} for mark in marks]
    row = {"id": value.get("id"), "question": value["question"], "context": shown_text(source, marks)}
    told = f"rows are Label Studio's (JSON-MIN); the context is `{text}`, the answers are the marks in it"
    yield Plain({**row, "answers": answers if marks or not others else {"said": others}}, told)


def studio_table(value: Value) -> Iterator[Plain]:
    """CSV and TSV: the same, with lists and objects written into the cells."""
    if not {"annotation_id", "annotator", "lead_time"} <= value.keys():
        return
    for plain in studio_rows({name: _cell(each) for name, each in value.items()}):
        yield Plain(plain.value, plain.told.replace("(JSON-MIN)", "(CSV)"))


def _cell(cell: object) -> object:
    if isinstance(cell, str) and cell[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    return cell


def _is_marks(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and {"start", "end"} <= each.keys() and _kind(each) for each in value)
    )
