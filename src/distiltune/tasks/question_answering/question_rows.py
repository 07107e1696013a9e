"""Rows of a file → questions, their parts still unchecked: SQuAD articles flattened, flat rows as they are.

Only the layout is read here. Whether a question is text and where an answer is, `read` checks. Rows as annotation tools
and other benchmarks have them are brought into one of these two forms by `question_layouts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Final

from distiltune.data.column_names import parse_columns
from distiltune.data.literals import literal
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import BadRow, Row
from distiltune.data.values import rejected, sample_weight, shown, writable
from distiltune.tasks.question_answering.question_layouts import QuestionLayout, as_usual
from distiltune.tasks.question_answering.raw_answers import (
    EMPTY,
    END_NAMES,
    RANGE_NAMES,
    START_NAMES,
    answers_at_ranges,
    answers_of_cell,
    answers_of_ranges,
    flat_answers,
    nested_answers,
    offsets_from,
)
from distiltune.tasks.question_answering.raw_question import Decision, RawAnswers, RawQuestion

_IMPOSSIBLE: Final = "is_impossible"
_SAYING_SO: Final = {
    **dict.fromkeys(("answerable", "is_answerable", "has_answer"), False),
    **dict.fromkeys(("unanswerable", "is_unanswerable"), True),
}
"""What else a column is called that says whether there is an answer, and what it says where there is none."""
_ONE_ANSWER: Final = Decision("answer_alone", "The answers are taken from `answer`, as there are no `answers`.")


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What the columns of flat rows are called: each field names the column that holds it."""

    question: str = "question"
    context: str = "context"
    answer_text: str = "answer_text"
    answer_start: str = "answer_start"
    answers: str = "answers"
    id: str = "id"
    sample_weight: str = "sample_weight"

    @staticmethod
    def parse(text: str) -> ColumnMap:
        """Read ``question=q,context=passage``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(ColumnMap, text)


_USUAL: Final = ColumnMap()


def columns_read(columns: ColumnMap) -> set[str]:
    """The columns of flat rows that may be read, for answers and their places whatever they are called."""
    return {*astuple(columns), "title", _ALONE, _IMPOSSIBLE, *_SAYING_SO, *START_NAMES, *RANGE_NAMES, *END_NAMES}


def is_nested(row: Row) -> bool:
    """Whether the row holds questions below a text and is not a flat row."""
    return "paragraphs" in row.value or as_usual(row.value) is not None


def questions_of(row: Row | BadRow, file: str, columns: ColumnMap) -> Iterator[RawQuestion | RowFinding]:
    """The questions of one row of ``file``, or of one SQuAD article; a rejected `RowFinding` for any other."""
    if isinstance(row, BadRow):
        yield rejected("row_unreadable", row.where, None, f"The row {row.reason}")
        return
    layout = as_usual(row.value)
    if layout is not None:
        yield from _questions_of_layout(row, layout, file)
    elif "paragraphs" in row.value:
        yield from _questions_of_article(row, row.value["paragraphs"], file)
    else:
        yield _question_of_flat_row(row, columns)


def _questions_of_layout(row: Row, layout: QuestionLayout, file: str) -> Iterator[RawQuestion | RowFinding]:
    """The questions of a row that is laid out in another form, each with what was decided about that."""
    for question in _questions_of_paragraph(row, layout.paragraph, row.where, file):
        if isinstance(question, RawQuestion):
            question = replace(question, decisions=(*question.decisions, *layout.decisions))
        yield question


def _questions_of_article(row: Row, paragraphs: object, file: str) -> Iterator[RawQuestion | RowFinding]:
    """The questions of an article: ``paragraphs`` with a ``context`` and ``qas``, SQuAD 1.1 and 2.0."""
    if not isinstance(paragraphs, list):
        yield rejected("article_malformed", row.where, None, "The article's `paragraphs` is not a list.")
        return
    for number, paragraph in enumerate(paragraphs):
        yield from _questions_of_paragraph(row, paragraph, f"{row.where}.paragraphs[{number}]", file)


def _questions_of_paragraph(row: Row, paragraph: object, where: str, file: str) -> Iterator[RawQuestion | RowFinding]:
    questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
    if not isinstance(paragraph, dict) or not isinstance(questions, list):
        yield rejected("article_malformed", where, None, "The paragraph has no list `qas`.")
        return
    for index, question in enumerate(questions):
        if isinstance(question, dict):
            yield _question_of_article(row, paragraph, question, file, f"{where}.qas[{index}]")
        else:
            yield rejected("article_malformed", f"{where}.qas[{index}]", None, "The question is not an object.")


def _question_of_article(
    article: Row, paragraph: Mapping[str, object], question: Mapping[str, object], file: str, place: str
) -> RawQuestion:
    row_id = next((question[name] for name in ("id", "qid", "query_id") if name in question), None)
    where = f"{file}#{writable(str(row_id))}" if isinstance(row_id, str | int) and row_id != "" else place
    is_impossible, said = _impossible(question)
    # MRQA's `answers` are texts alone; where they stand, `detected_answers` has.
    answers = question.get("detected_answers") or question.get("answers")
    alone = question.get("answer")
    by_one = "answers" not in question and "detected_answers" not in question and _is_answer(alone)
    return RawQuestion(
        where=where,
        id=row_id,
        question=question.get("question", question.get("query_text")),
        context=paragraph.get("context", paragraph.get("context_text")),
        title=article.value.get("title"),
        answers=nested_answers(alone if by_one else answers),
        is_impossible=is_impossible,
        has_gold=is_impossible or by_one or "answers" in question or "detected_answers" in question,
        decisions=(_ONE_ANSWER, *said) if by_one else said,
        weight=sample_weight(question, _USUAL.sample_weight),
    )


def _is_answer(value: object) -> bool:
    """Whether it is one object with a text and perhaps its offset, or a list of such."""
    each = value if isinstance(value, list) else [value]
    return bool(each) and all(isinstance(one, dict) and "text" in one for one in each)


def _question_of_flat_row(row: Row, columns: ColumnMap) -> RawQuestion:
    value = row.value
    if _is_alone(value, columns):
        return _question_of_one_answer(row, columns)
    context = value.get(columns.context)
    answers = nested_answers(value.get(columns.answers))
    decisions: tuple[Decision, ...] = ()
    range_name = next((name for name in RANGE_NAMES if name in value), "")
    if isinstance(answers, RawAnswers) and (conflict := _conflict(answers, value, columns)):
        answers = conflict
    elif isinstance(answers, RawAnswers) and not answers.given and not answers.decisions:
        texts, decisions = answers_of_cell(value.get(columns.answer_text), context)
        by_object = nested_answers(texts) if _is_answer(texts) else None
        if isinstance(by_object, RawAnswers) and all(_is_open(each.start) for each in by_object.given):
            texts, by_object = [each.text for each in by_object.given], None
        start_name = columns.answer_start
        if columns.answer_text in value and columns.answer_start not in value:
            start_name = next((name for name in START_NAMES if name in value), start_name)
        by_range = range_name if columns.answer_text in value and start_name not in value else ""
        answers = by_object or (
            answers_at_ranges(texts, value[by_range], context, by_range)
            if by_range
            else flat_answers(texts, value.get(start_name))
        )
        if (
            by_object is None
            and start_name != columns.answer_start
            and isinstance(answers, RawAnswers)
            and answers.given
        ):
            decisions = (*decisions, offsets_from(start_name))
        if columns.answer_text not in value and range_name:
            answers = answers_of_ranges(value[range_name], context, range_name)
    is_impossible, said = _impossible(value)
    if value.get(columns.answer_text) == "" and answers == RawAnswers() and not is_impossible:
        decisions = (*decisions, EMPTY)
    return RawQuestion(
        where=row.where,
        id=value.get(columns.id),
        question=value.get(columns.question),
        context=context,
        title=value.get("title"),
        answers=answers,
        is_impossible=is_impossible,
        has_gold=is_impossible or any(name in value for name in (columns.answers, columns.answer_text, *RANGE_NAMES)),
        decisions=(*decisions, *said),
        weight=sample_weight(value, columns.sample_weight),
    )


_ALONE: Final = "answer"
"""The column of one answer as an object, where there is no other of answers."""


def _is_alone(value: Mapping[str, object], columns: ColumnMap) -> bool:
    """Whether what is right can only stand in `answer`, which is not mapped."""
    others = (columns.answers, columns.answer_text, *RANGE_NAMES)
    return value.get(_ALONE) not in (None, "", []) and not any(name in value for name in others)


def _question_of_one_answer(row: Row, columns: ColumnMap) -> RawQuestion:
    """The question of a row with `answer` alone: an object, a list of such, or one of these written into a cell.

    A text there may be the answer or say something else of the row; that is for the mapping to say.
    """
    value = row.value
    alone = value[_ALONE]
    spelled = literal(alone) if isinstance(alone, str) else None
    is_answer = _is_answer(alone if spelled is None else spelled)
    is_impossible, said = _impossible(value)
    return RawQuestion(
        where=row.where,
        id=value.get(columns.id),
        question=value.get(columns.question),
        context=value.get(columns.context),
        title=value.get("title"),
        answers=nested_answers(alone)
        if is_answer
        else f"`{_ALONE}` is {shown(alone)}, no object with `text` and `answer_start`.",
        is_impossible=is_impossible,
        has_gold=is_impossible or is_answer,
        decisions=(_ONE_ANSWER, *said) if is_answer else said,
        weight=sample_weight(value, columns.sample_weight),
    )


def _conflict(answers: RawAnswers, value: Mapping[str, object], columns: ColumnMap) -> str:
    """What is wrong where the answer in its own column is none of the list of answers; empty if nothing is.

    An empty list beside an answer is a column that is not used, unless it holds empty texts.
    """
    texts, _ = answers_of_cell(value.get(columns.answer_text), value.get(columns.context))
    own = nested_answers(texts) if _is_answer(texts) else flat_answers(texts, value.get(columns.answer_start))
    if columns.answer_text == columns.answers or not (answers.given or answers.decisions):
        return ""
    if not isinstance(own, RawAnswers) or not own.given:
        return ""
    if any(not isinstance(each.text, str) or not each.text.strip() for each in answers.given):
        return ""  # which has a message of its own
    for mine in own.given:
        theirs = [each for each in answers.given if str(each.text).strip() == str(mine.text).strip()]
        starts = [str(each.start) for each in theirs]
        if not theirs or not (_is_open(mine.start) or "None" in starts or str(mine.start) in starts):
            listed = ", ".join(f"{shown(each.text)}{_at(each.start)}" for each in answers.given) or "none"
            return (
                f"`{columns.answer_text}` is {shown(mine.text)}{_at(mine.start)}, but `{columns.answers}` has {listed}"
                "; take out the one that is wrong."
            )
    return ""


def _at(start: object) -> str:
    return "" if _is_open(start) else f" at {start}"


def _is_open(start: object) -> bool:
    return start is None or start == ""


def _impossible(value: Mapping[str, object]) -> tuple[bool, tuple[Decision, ...]]:
    """Whether it is said that there is no answer, and what there is to tell of the column that says so.

    `is_impossible` comes before all others; a cell that is neither true nor false says nothing.
    """
    if _truth(value.get(_IMPOSSIBLE)) is not None:
        return _truth(value[_IMPOSSIBLE]) is True, ()
    for name, meaning in _SAYING_SO.items():
        if name in value and _truth(value[name]) is meaning:
            message = f"Questions whose `{name}` is {str(meaning).lower()} count as having no answer."
            return True, (Decision("answerable_read", message),)
    return False, ()


def _truth(value: object) -> bool | None:
    """True or False, also in a table's way to write them; None: neither."""
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else None
    return _WRITTEN.get(value.strip().lower()) if isinstance(value, str) else None


_WRITTEN: Final = dict.fromkeys(("true", "1", "1.0", "yes"), True) | dict.fromkeys(("false", "0", "0.0", "no"), False)
