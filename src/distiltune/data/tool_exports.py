"""More annotation tools' rows → plain rows: Argilla, LightTag, UBIAI, GATE, Ground Truth, Vertex AI.

Each has something that no other form has; what is not there to be told apart is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from distiltune.data.plain_rows import ANSWER, DIFFERING, Plain, Value, is_triple, without


def document_rows(document: Mapping[str, object]) -> list[object] | None:
    """The rows of a JSON object whose list of rows is neither ``data`` nor itself: LightTag's; else None."""
    examples = document.get("examples")
    if isinstance(examples, list) and examples and all(isinstance(e, dict) and "content" in e for e in examples):
        return examples
    return None


def argilla(value: Value) -> Iterator[Plain]:
    """Argilla: of version 1 ``annotation``, of version 2 ``fields`` and ``responses`` to one question."""
    fields, responses = value.get("fields"), value.get("responses")
    if isinstance(fields, dict) and isinstance(responses, dict):
        yield from _argilla_2(value, fields, responses)
        return
    given = value.get("annotation")
    if (
        not isinstance(value.get("text"), str)
        or not ({"prediction", "status"} & value.keys())
        or "annotation" not in value
    ):
        return
    row = {"id": value.get("id"), "text": value["text"]}
    status = str(value.get("status")).lower()
    if status == "discarded" or (given is not None and status == "default"):
        verdict = "discarded" if status == "discarded" else "unvalidated"
        yield Plain({**row, ANSWER: verdict}, "rows are Argilla's; those that are not validated are left out")
    elif given is None:
        yield Plain({**row, ANSWER: "predicted" if value.get("prediction") else "ignore"}, "rows are Argilla's")
    elif isinstance(given, str) or (isinstance(given, list) and given and all(isinstance(e, str) for e in given)):
        yield Plain({**row, "label": given}, "rows are Argilla's; the label is `annotation`")
    elif isinstance(given, list):
        spans = [_argilla_span(each) for each in given]
        yield Plain({**row, "spans": spans}, "rows are Argilla's; the spans are `annotation`")


def _argilla_span(value: object) -> object:
    """``{"label", "start", "end"}`` as it is; of ``[label, start, end]`` the same."""
    if isinstance(value, list) and len(value) == 3 and is_triple([value[1], value[2], value[0]]):
        return {"label": value[0], "start": value[1], "end": value[2]}
    return value


def _argilla_2(value: Value, fields: Mapping[str, object], responses: Mapping[str, object]) -> Iterator[Plain]:
    texts = [name for name, each in fields.items() if isinstance(each, str)]
    name = "text" if "text" in texts else texts[0] if len(texts) == 1 else ""
    if not name:
        return
    row: dict[str, object] = {"id": value.get("id"), "text": fields[name]}
    asked = {question: _values(given) for question, given in responses.items()}
    answered = {question: given for question, given in asked.items() if given}
    told = f"rows are Argilla's; the text is the field `{name}`"
    if not answered:
        yield Plain({**row, ANSWER: "predicted" if value.get("suggestions") else "ignore"}, told)
    elif len(answered) == 1:
        ((question, given),) = answered.items()
        is_empty = all(each == [] for each in given)  # of either kind
        told += "" if is_empty else f", the {'spans' if _are_marks(given) else 'label'} the response to `{question}`"
        if any(each != given[0] for each in given):
            yield Plain({**row, **({"spans": DIFFERING} if _are_marks(given) else {ANSWER: "differ"})}, told)
        elif _are_marks(given):
            yield Plain({**row, "spans": given[0]}, told)
        else:
            yield Plain({**row, **({} if question in row else {question: given[0]}), "label": given[0]}, told)
    else:
        yield _of_questions(row, answered, told)


def _of_questions(row: Mapping[str, object], answered: Mapping[str, list[object]], told: str) -> Plain:
    """A text with responses to several questions: to one with marks they are the spans, to others a column each.

    Which of these is the label only a person can say. One in whose response there is nothing may be of either kind.
    """
    marked = [name for name, given in answered.items() if _are_marks(given)]
    empty = [name for name, given in answered.items() if all(each == [] for each in given)]
    # What differs is no label, and is told with its row by whoever asks for that column.
    said: dict[str, object] = {
        name: given[0] if all(each == given[0] for each in given) else {"differing": given}
        for name, given in answered.items()
    }
    spans = said.pop(marked[0]) if len(marked) == 1 else [] if len(empty) == 1 and not marked else None
    columns = {f"responses.{name}" if name in row else name: each for name, each in said.items()}
    if spans is not None:
        columns["spans"] = DIFFERING if isinstance(spans, dict) else spans
    told += f", the spans the response to `{marked[0]}`" if len(marked) == 1 else ""
    return Plain({**row, **columns}, f"{told}, each other response a column")


def _are_marks(given: Sequence[object]) -> bool:
    """Whether one of these responses is a list of marks in the text."""
    return any(isinstance(mark, dict) for each in given if isinstance(each, list) for mark in each)


def _values(responses: object) -> list[object]:
    """What people responded to a question, those left out who discarded it or have only begun."""
    given = [each for each in responses if isinstance(each, dict)] if isinstance(responses, list) else []
    return [each["value"] for each in given if each.get("value") is not None and each.get("status") not in _OPEN]


_OPEN: Final = ("discarded", "draft")
"""What a response is that does not count."""


def lighttag(value: Value) -> Iterator[Plain]:
    """LightTag: ``content``, and ``annotations`` with a tag; those that a reviewer called wrong are left out."""
    given = value.get("annotations")
    if not isinstance(value.get("content"), str) or not isinstance(given, list) or "example_id" not in value:
        return
    marks = [each for each in given if isinstance(each, dict) and each.get("correct") is not False]
    spans = [
        {"start": e.get("start"), "end": e.get("end"), "label": e.get("tag"), "text": e.get("value")} for e in marks
    ]
    wrong = len(given) - len(marks)
    told = "rows are LightTag's; the text is `content`, the spans are `annotations`"
    told += "; left out are those that were reviewed as wrong" if wrong else ""
    yield Plain({"id": value["example_id"], "text": value["content"], "spans": spans}, told)


def ubiai(value: Value) -> Iterator[Plain]:
    """UBIAI: ``document``, and what is marked in it as ``tokens`` with an entity's label."""
    given = value.get("tokens")
    if not isinstance(value.get("document"), str) or not isinstance(given, list):
        return
    if all(isinstance(each, dict) and {"start", "end", "entityLabel"} <= each.keys() for each in given):
        spans = [{**{name: e.get(name) for name in ("start", "end", "text")}, "label": e["entityLabel"]} for e in given]
        row = {"id": value.get("documentName"), "text": value["document"], "spans": spans}
        yield Plain(row, "rows are UBIAI's; the text is `document`, the spans are `tokens`")


def gate(value: Value) -> Iterator[Plain]:
    """GATE's JSON, which is Twitter's: ``entities`` as type → marks with ``indices``."""
    given = value.get("entities")
    if not isinstance(value.get("text"), str) or not isinstance(given, dict) or not given:
        return
    spans: list[dict[str, object]] = []
    for label, marks in given.items():
        for mark in marks if isinstance(marks, list) else [None]:
            places = mark.get("indices") if isinstance(mark, dict) else None
            if not (isinstance(places, list) and len(places) == 2):
                return
            spans.append({"start": places[0], "end": places[1], "label": label})
    yield Plain(
        {**without(value, "entities"), "spans": spans}, "rows are GATE's; the spans are `entities`, by their type"
    )


def ground_truth(value: Value) -> Iterator[Plain]:
    """SageMaker Ground Truth: ``source``, and under the job's name its marks, or a class that the metadata name."""
    jobs = [name for name in value if f"{name}-metadata" in value]
    if not isinstance(value.get("source"), str) or len(jobs) != 1:
        return
    given, about = value[jobs[0]], value[f"{jobs[0]}-metadata"]
    row: dict[str, object] = {"text": value["source"]}
    told = f"rows are Ground Truth's; the text is `source`, the {{}} `{jobs[0]}`"
    inside = given.get("annotations") if isinstance(given, dict) else None
    entities = inside.get("entities") if isinstance(inside, dict) else None
    if isinstance(entities, list):
        spans = [
            {"start": e.get("startOffset"), "end": e.get("endOffset"), "label": e.get("label")}
            for e in entities
            if isinstance(e, dict)
        ]
        yield Plain({**row, "spans": spans}, told.format("spans are"))
    elif isinstance(about, dict) and isinstance(about.get("class-name"), str):
        yield Plain({**row, "label": about["class-name"]}, told.format("label is the class of"))


def vertex(value: Value) -> Iterator[Plain]:
    """Vertex AI: ``textContent`` with marks, or with one class or several."""
    if not isinstance(value.get("textContent"), str):
        return
    row: dict[str, object] = {"text": value["textContent"]}
    marks = value.get("textSegmentAnnotations")
    classes = value.get("classificationAnnotations", value.get("classificationAnnotation"))
    if isinstance(marks, list) and all(isinstance(each, dict) for each in marks):
        spans = [
            {"start": e.get("startOffset"), "end": e.get("endOffset"), "label": e.get("displayName")} for e in marks
        ]
        yield Plain({**row, "spans": spans}, "rows are Vertex AI's; the spans are `textSegmentAnnotations`")
    elif isinstance(classes, dict):
        yield Plain({**row, "label": classes.get("displayName")}, "rows are Vertex AI's, with one class each")
    elif isinstance(classes, list) and all(isinstance(each, dict) for each in classes):
        labels = [each.get("displayName") for each in classes]
        yield Plain({**row, "labels": labels}, "rows are Vertex AI's, with any number of classes")


def mechanical_turk(value: Value) -> Iterator[Plain]:
    """Mechanical Turk's results, a row for each worker, of which those whose work was rejected say so."""
    if "HITId" in value and str(value.get("AssignmentStatus")).strip().lower() == "rejected":
        told = "rows are Mechanical Turk's, one for each worker; rejected ones are left out"
        yield Plain({**value, ANSWER: "rejected"}, told)


EXPORTS: Final[tuple[Callable[[Value], Iterator[Plain]], ...]] = (
    *(argilla, lighttag, ubiai, gate, ground_truth, vertex),
)
"""In which order they are tried."""
