"""Rows of a file → questions, their parts still unchecked: SQuAD articles flattened, flat rows as they are.

Only the layout is read here. Whether a question is text and where an answer is, `read` checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from distiltune.data.findings import Finding
from distiltune.data.reading import parse_columns, rejected, writable
from distiltune.data.rows import BadRow, Row


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What the columns of flat rows are called: each field names the column that holds it."""

    question: str = "question"
    context: str = "context"
    answer_text: str = "answer_text"
    answer_start: str = "answer_start"
    answers: str = "answers"
    id: str = "id"

    @staticmethod
    def parse(text: str) -> ColumnMap:
        """Read ``question=q,context=passage``; raises `RecipeError` as `parse_columns` says."""
        return parse_columns(ColumnMap, text)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A gold answer as the file has it; ``start`` is None if the file gives none."""

    text: object
    start: object


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """A question as the file has it, of whatever types; None for what is absent.

    ``answers`` is a sentence on what is wrong with them where they cannot be read; ``has_gold`` says whether there was
    a place for them at all.
    """

    where: str
    id: object
    question: object
    context: object
    title: object
    answers: tuple[RawAnswer, ...] | str
    is_impossible: bool
    has_gold: bool


def is_article(row: Row) -> bool:
    """Whether the row is an article of SQuAD's form and not a flat row."""
    return "paragraphs" in row.value


def questions_of(row: Row | BadRow, file: str, columns: ColumnMap) -> Iterator[RawQuestion | Finding]:
    """The questions of one row of ``file``, or of one SQuAD article; a rejected `Finding` for any other."""
    if isinstance(row, BadRow):
        yield rejected("row_unreadable", row.where, None, f"The row {row.reason}")
    elif is_article(row):
        yield from _questions_of_article(row, file)
    else:
        yield _question_of_flat_row(row, columns)


def _questions_of_article(row: Row, file: str) -> Iterator[RawQuestion | Finding]:
    """The questions of an article: ``paragraphs`` with a ``context`` and ``qas``, SQuAD 1.1 and 2.0."""
    paragraphs = row.value["paragraphs"]
    if not isinstance(paragraphs, list):
        yield rejected("article_malformed", row.where, None, "The article's `paragraphs` is not a list.")
        return
    for number, paragraph in enumerate(paragraphs):
        where = f"{row.where}.paragraphs[{number}]"
        questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
        if not isinstance(questions, list):
            yield rejected("article_malformed", where, None, "The paragraph has no list `qas`.")
            continue
        for index, question in enumerate(questions):
            if isinstance(question, dict):
                yield _question_of_article(row, paragraph, question, file, f"{where}.qas[{index}]")
            else:
                yield rejected("article_malformed", f"{where}.qas[{index}]", None, "The question is not an object.")


def _question_of_article(
    article: Row, paragraph: Mapping[str, object], question: Mapping[str, object], file: str, place: str
) -> RawQuestion:
    row_id = question.get("id")
    where = f"{file}#{writable(str(row_id))}" if isinstance(row_id, str | int) and row_id != "" else place
    is_impossible = _is_true(question.get("is_impossible"))
    return RawQuestion(
        where=where,
        id=row_id,
        question=question.get("question"),
        context=paragraph.get("context"),
        title=article.value.get("title"),
        answers=_nested_answers(question.get("answers")),
        is_impossible=is_impossible,
        has_gold=is_impossible or "answers" in question,
    )


def _question_of_flat_row(row: Row, columns: ColumnMap) -> RawQuestion:
    value = row.value
    answers = _nested_answers(value.get(columns.answers))
    if answers == ():
        answers = _flat_answers(value.get(columns.answer_text), value.get(columns.answer_start))
    is_impossible = _is_true(value.get("is_impossible"))
    return RawQuestion(
        where=row.where,
        id=value.get(columns.id),
        question=value.get(columns.question),
        context=value.get(columns.context),
        title=value.get("title"),
        answers=answers,
        is_impossible=is_impossible,
        has_gold=is_impossible or columns.answers in value or columns.answer_text in value,
    )


def _is_true(value: object) -> bool:
    """True, or a table's way to write it."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1"))


def _nested_answers(value: object) -> tuple[RawAnswer, ...] | str:
    """The answers of a column ``answers``, or a sentence that says what is wrong with it.

    It is a list of ``{"text", "answer_start"}`` as in SQuAD's files, a list of texts, or
    ``{"text": [...], "answer_start": [...]}`` as the hub has it; nothing if absent or empty.
    """
    if value is None or value in ("", []):
        return ()
    if isinstance(value, dict):
        if "text" not in value:
            return "`answers` has no `text`."
        return _flat_answers(value["text"], value.get("answer_start"))
    if not isinstance(value, list):
        return f"`answers` is {_kind_of(value)}, neither a list nor an object with `text` and `answer_start`."
    answers = []
    for answer in value:
        if isinstance(answer, dict) and "text" in answer:
            answers.append(RawAnswer(answer["text"], answer.get("answer_start")))
        elif isinstance(answer, str):
            answers.append(RawAnswer(answer, None))
        else:
            return "`answers` has an element that is neither a text nor an object with `text`."
    return tuple(answers)


def _flat_answers(texts: object, starts: object) -> tuple[RawAnswer, ...] | str:
    """Answers of a text or a list of texts, with an offset, a list of as many, or none."""
    if texts is None or texts in ("", []):
        return ()
    all_texts = cast("list[object]", texts) if isinstance(texts, list) else [texts]
    if starts is None or starts in ("", []):
        return tuple(RawAnswer(text, None) for text in all_texts)
    all_starts = cast("list[object]", starts) if isinstance(starts, list) else [starts]
    if len(all_texts) != len(all_starts):
        return f"There are {len(all_texts)} answer texts but {len(all_starts)} offsets."
    return tuple(RawAnswer(text, start) for text, start in zip(all_texts, all_starts, strict=True))


def _kind_of(value: object) -> str:
    """What ``value`` is, for a message."""
    return "text" if isinstance(value, str) else f"of type {type(value).__name__}"
