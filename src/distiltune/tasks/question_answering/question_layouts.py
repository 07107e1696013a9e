"""Rows as annotation tools and other benchmarks lay them out → one paragraph of SQuAD's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from distiltune.data.label_studio import is_predicted, marks_of, results_of, shown_text, submitted, whole_texts
from distiltune.tasks.question_answering.no_answer import like_none
from distiltune.tasks.question_answering.raw_question import Decision, NotKnown

Paragraph = dict[str, object]
"""``context`` and ``qas``, as in SQuAD's files."""


@dataclass(frozen=True, slots=True)
class QuestionLayout:
    """The row's questions below their text, and what was decided to get them."""

    paragraph: Paragraph
    decisions: tuple[Decision, ...] = ()


def as_usual(row: Mapping[str, object]) -> QuestionLayout | None:
    """The paragraph that the row holds in one of the forms below; None if it has none of them."""
    if "paragraphs" in row:
        return None
    for is_one, paragraph in _LAYOUTS:
        if is_one(row):
            return paragraph(row)
    return None


_ALONE: Final = Decision(
    "paragraphs_alone", "Rows with `qas` are read as texts with the questions below them, without articles around them."
)


def _paragraph_itself(row: Mapping[str, object]) -> QuestionLayout:
    """A paragraph without an article: MRQA's lines, CMRC's rows."""
    return QuestionLayout(dict(row), (_ALONE,))


def _conversation(row: Mapping[str, object]) -> QuestionLayout:
    """CoQA: a story, questions in turns, and for each the stretch of the story that its answer is made from."""
    questions, answers = row.get("questions"), row.get("answers")
    by_turn = {each.get("turn_id"): each for each in _objects(answers)}
    qas: list[object] = []
    for question in _objects(questions):
        turn = question.get("turn_id")
        answer = by_turn.get(turn, {})
        start = answer.get("span_start")
        is_known = isinstance(start, int) and start >= 0
        given = [{"text": answer.get("span_text"), "answer_start": start}] if is_known else []
        qas.append({"id": f"{row.get('id')}-{turn}", "question": question.get("input_text"), "answers": given})
    decision = Decision(
        "conversation",
        "Questions in turns are read one by one, each without those before it; the answer is the stretch that was "
        "marked, not what was said of it.",
    )
    return QuestionLayout({"context": row.get("story"), "qas": qas}, (decision,))


def _haystack_label(row: Mapping[str, object]) -> QuestionLayout:
    """Haystack's labels: a query, a document, an answer with its offsets in that."""
    document, answer = row.get("document"), row.get("answer")
    content = document.get("content") if isinstance(document, dict) else None
    text = answer.get("answer") if isinstance(answer, dict) else None
    offsets = answer.get("offsets_in_document") if isinstance(answer, dict) else None
    first = offsets[0] if isinstance(offsets, list) and offsets else None
    start = first.get("start") if isinstance(first, dict) else None
    none = row.get("no_answer") is True
    question: dict[str, object] = {"id": row.get("id"), "question": row.get("query"), "is_impossible": none}
    if row.get("is_correct_answer") is False and not none:
        question["answers"] = NotKnown("The label says of this answer that it is wrong, and not what is right.")
    elif not none:
        question["answers"] = [{"text": text, "answer_start": start}]
    return QuestionLayout({"context": content, "qas": [question]})


def _label_studio(row: Mapping[str, object]) -> QuestionLayout:
    """Label Studio's JSON: a text and a question as data, and what people marked in the text, or typed."""
    data: Any = row["data"]
    source = data.get("context", data.get("text"))
    people = submitted(row)
    marks = [mark for each in people for mark in marks_of(each)]
    context = shown_text(source, marks) if isinstance(source, str) else source
    answers, decision = _studio_answers(people, marks)
    if is_predicted(row):
        answers = NotKnown("Only a model has answered, as `predictions`: nobody has said that this is right.")
    decisions = [decision] if context == source else [decision, _PAGE]
    question = {"id": row.get("id"), "question": data.get("question"), "answers": answers}
    return QuestionLayout({"context": context, "qas": [question]}, tuple(decisions))


_PAGE: Final = Decision("page_text", "Of a context in HTML what a page shows is read, as marks are counted in that.")


def _studio_answers(
    people: Sequence[Mapping[str, object]], marks: Sequence[Mapping[str, object]]
) -> tuple[object, Decision]:
    """The answers of a task, and what was decided about them.

    What was marked wins over what was typed. A choice alone is no answer: one that says so becomes the text that
    ``--no-answer`` names, another leaves open what is right.
    """
    typed = [text for each in people for text in _typed(each)]
    chosen = {name: each for person in people for name, each in whole_texts(person).items()}
    beside = f" Left out is what was said of the whole text ({', '.join(f'`{name}`' for name in chosen)})." * bool(
        chosen
    )
    if marks:
        labels = sorted({str(mark["label"]) for mark in marks})
        several = f" Marks as {', '.join(labels)} are all taken for answers." * (len(labels) > 1)
        message = (
            "The answers are the stretches that people marked; a task that was submitted without any has no answer."
        )
        decision = Decision("marked_answers", f"{message}{several}{beside}")
        return [{"text": mark.get("text"), "answer_start": mark["start"]} for mark in marks], decision
    if typed:
        message = f"The answers are those that people typed, looked for in the text.{beside}"
        return [{"text": text} for text in typed], Decision("typed_answers", message)
    decision = Decision("marked_answers", "A task that was submitted without a mark or a choice has no answer.")
    if not people:
        return NotKnown("Nobody has marked an answer, nor that there is none."), decision
    if not chosen:
        return [], decision
    texts = [str(one) for each in chosen.values() for one in (each if isinstance(each, list) else [each])]
    if all(like_none(text, unplaced=True) for text in texts):
        return [{"text": text} for text in texts], decision
    listed = ", ".join(f"{name}: {text}" for name, text in zip(chosen, texts, strict=False))
    return NotKnown(f"There is no mark but a choice ({listed}), which leaves open where the answer is."), decision


def _typed(person: Mapping[str, object]) -> list[str]:
    """What one person typed into a field."""
    found: list[str] = []
    for result in results_of(person):
        value = result.get("value")
        text = value.get("text") if isinstance(value, dict) and result.get("type") == "textarea" else None
        found += [each for each in (text if isinstance(text, list) else [text]) if isinstance(each, str)]
    return found


def _news_qa(row: Mapping[str, object]) -> QuestionLayout:
    """NewsQA's JSON: a story with questions, and for each what most people agreed on."""
    text = row.get("text")
    qas: list[object] = []
    for number, question in enumerate(_objects(row.get("questions"))):
        agreed = question.get("consensus")
        agreed = agreed if isinstance(agreed, dict) else {}
        first, stop = agreed.get("s"), agreed.get("e")
        entry: dict[str, object] = {"id": f"{row.get('storyId')}-{number}", "question": question.get("q")}
        if isinstance(text, str) and type(first) is int and type(stop) is int and 0 <= first < stop <= len(text):
            entry["answers"] = [{"text": text[first:stop], "answer_start": first}]
        elif agreed.get("noAnswer"):
            entry["is_impossible"] = True
        else:
            entry["answers"] = NotKnown("People agreed on no answer, nor that there is none.")
        qas.append(entry)
    decision = Decision("consensus", "The answer is the stretch that most people agreed on.")
    return QuestionLayout({"context": text, "qas": qas}, (decision,))


def _objects(value: object) -> list[dict[Any, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _has_question(data: object) -> bool:
    return isinstance(data, dict) and "question" in data and ("text" in data or "context" in data)


_LAYOUTS: Final[
    tuple[tuple[Callable[[Mapping[str, object]], bool], Callable[[Mapping[str, object]], QuestionLayout]], ...]
] = (
    (lambda row: "qas" in row, _paragraph_itself),
    (lambda row: {"story", "questions", "answers"} <= row.keys(), _conversation),
    (lambda row: {"query", "document"} <= row.keys(), _haystack_label),
    (lambda row: "annotations" in row and _has_question(row.get("data")), _label_studio),
    (lambda row: {"storyId", "text", "questions"} <= row.keys(), _news_qa),
)
