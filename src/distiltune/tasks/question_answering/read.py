"""Data in: files, directories, the starter or hub names → examples that training and evaluation can rely on.

Every row becomes an example or a rejected finding with the place and the reason. Whatever was repaired or is
remarkable is a finding too; nothing is dropped or changed silently, and no context is ever changed at all.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from distiltune.data.files import Row, fingerprint, iter_rows
from distiltune.data.findings import Finding, Findings, Outcome
from distiltune.data.hub import Split
from distiltune.data.sources import SourceFiles, find_source, has_splits
from distiltune.errors import DataError
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.place_answer import Misplaced, Placed, place_answer
from distiltune.tasks.question_answering.question_rows import (
    ColumnMap,
    RawAnswer,
    RawQuestion,
    is_article,
    questions_of,
    rejected,
)

__all__ = ["ColumnMap", "ExampleSet", "has_own_validation", "read_examples"]

MAX_TEXT_CHARACTERS = 1_000_000
"""The longest question, context or answer: a novel has as many."""

_SHOWN_REJECTIONS = 5
_GENERATED_ID_DIGITS = 16
# Names that people give a column of answers. Where none of the mapped columns exists but one of these does,
# going on would train every question as unanswerable.
_LIKELY_ANSWER_COLUMNS = frozenset({"answer", "answers", "answertext", "answertexts", "goldanswer", "goldanswers"})

_MISPLACED = {
    "answer_empty": "is empty or white space only",
    "answer_ambiguous": "is not at its offset and occurs several times in the context",
    "answer_not_found": "does not occur in the context",
}
_REPAIRED = {
    "offset_in_bytes": "its offset counted UTF-8 bytes",
    "offset_in_utf16": "its offset counted UTF-16 units",
    "answer_moved": "it was not at its offset and is found elsewhere",
    "answer_respelled": "the context spells it with other white space, case or Unicode form",
}


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """The examples of one split, everything noticed while reading them, and where they are from.

    ``findings.n_rows`` is the number of examples plus the number of rejected findings. ``fingerprint`` is the
    SHA-256 of the files' contents; ``sources`` are as the user named them.
    """

    examples: tuple[Example, ...]
    findings: Findings
    fingerprint: str
    sources: tuple[str, ...]


def read_examples(
    sources: Sequence[str | Path],
    *,
    split: Split,
    columns: ColumnMap = ColumnMap(),  # noqa: B008 (frozen)
    max_rejected_share: float = 0.05,
) -> ExampleSet:
    """Read the examples of one split from all sources, in order.

    Args:
        sources: paths to data files or directories, ``starter``, or names of data sets on the hub.
        split: which part of ``starter`` and of hub data sets; files are read as they are.
        columns: what the columns of flat rows are called.
        max_rejected_share: the largest share of rows, 0 to 1, that may be left out.

    Raises:
        DataError: if a source cannot be read, if no row can be used, or if more than ``max_rejected_share``
            of the rows had to be rejected.
        HubError: if a data set on the hub cannot be fetched.

    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    starter = resources.files("distiltune.starter") / "data" / f"{split}.json"
    reading = _Reading()
    with resources.as_file(starter) as starter_path, _no_garbage_collection():
        found = [find_source(source, split, starter_path) for source in sources]
        for source in found:
            _read_source(source, columns, reading)
        digest = fingerprint(file for source in found for file in source.files)
    _check_share(reading, columns, max_rejected_share, where=", ".join(map(str, sources)))
    names = tuple(source.source for source in found)
    return ExampleSet(tuple(reading.examples), reading.findings, digest, names)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """While objects grow in number Python looks for cycles again and again: a third of the time, and here are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def has_own_validation(source: str | Path) -> bool:
    """Whether reading ``source`` with ``split="validation"`` gives other questions than with ``"train"``.

    So it is for `starter` and for names on the hub; files are read as they are for either split.
    """
    return has_splits(source)


@dataclass(slots=True)
class _Reading:
    """What has been read so far.

    ``contexts`` maps each context to the one object that all its examples share. ``n_of_id`` counts how
    often an id was asked for. ``columns_seen`` are the columns of the first flat row, for messages.
    """

    examples: list[Example] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    contexts: dict[str, str] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    n_of_id: dict[str, int] = field(default_factory=dict)
    columns_seen: tuple[str, ...] = ()


def _read_source(source: SourceFiles, columns: ColumnMap, reading: _Reading) -> None:
    """Add all rows of a source to ``reading``."""
    for path in source.ignored:
        message = "The file is in the data directory but is no data file."
        reading.findings.add(Finding("noted", "file_ignored", str(path), "", message))
    for path in source.files:
        _read_file(path, columns, reading)


def _read_file(path: Path, columns: ColumnMap, reading: _Reading) -> None:
    """Add all rows of a file to ``reading``."""
    file = str(path)
    first_flat_row: Row | None = None
    has_answers = False
    for row in iter_rows(path):
        if isinstance(row, Row) and not is_article(row):
            first_flat_row = first_flat_row or row
            has_answers = has_answers or columns.answers in row.value or columns.answer_text in row.value
        for question in questions_of(row, file, columns):
            reading.findings.n_rows += 1
            result = question if isinstance(question, Finding) else _example_of(question, reading)
            if isinstance(result, Finding):
                reading.findings.add(result)
            else:
                reading.examples.append(result)
    if first_flat_row is not None:
        reading.columns_seen = reading.columns_seen or tuple(map(str, first_flat_row.value))
        if not has_answers:
            reading.findings.add(_no_answer_column(file, first_flat_row, columns))


def _no_answer_column(file: str, row: Row, columns: ColumnMap) -> Finding:
    """The finding that a file has no answers at all; `DataError` if they are in a column not mapped."""
    for column in row.value:
        if "".join(filter(str.isalnum, str(column).lower())) in _LIKELY_ANSWER_COLUMNS:
            raise DataError(
                f"There is no column {columns.answer_text!r} or {columns.answers!r}, but one {column!r}.",
                where=file,
                fix=f"if it holds the answers, name it: --columns answer_text={column}; otherwise rename it.",
            )
    message = f"No row has {columns.answer_text!r} or {columns.answers!r}: every question counts as unanswerable."
    return Finding("noted", "no_answer_column", file, "", message)


def _example_of(raw: RawQuestion, reading: _Reading) -> Example | Finding:
    """The example, or the finding that rejects it. Adds what else there is to say to ``reading.findings``."""
    problem = _text_problem(raw.question, "question")
    if problem is None and (not isinstance(raw.context, str) or raw.context not in reading.contexts):
        problem = _text_problem(raw.context, "context")
    if problem is None and not _is_id(raw.id):
        problem = _Problem("id_not_text", f"The id is {_shown(raw.id)}, neither text nor a whole number.")
    if problem is not None:
        return rejected(problem.kind, raw.where, raw.id, problem.message)
    assert isinstance(raw.question, str)  # _text_problem has looked
    assert isinstance(raw.context, str)
    context = reading.contexts.setdefault(raw.context, raw.context)
    wanted_id = _id_text(raw.id) or _generated_id(context, raw.question)
    golds = _place_golds(raw, context, wanted_id)
    if golds.rejection is not None:
        return golds.rejection
    reading.findings.extend(golds.findings)
    title = raw.title if isinstance(raw.title, str) and _is_encodable(raw.title) else ""
    return Example(_unique_id(raw, wanted_id, reading), raw.question, context, golds.answers, title)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why something cannot be used: a kind and a sentence."""

    kind: str
    message: str


def _text_problem(value: object, name: str) -> _Problem | None:
    """What is wrong with a question, context or answer, called ``name``; None if it is a usable text."""
    words = name.replace("_", " ")
    if value is None:
        return _Problem(f"{name}_missing", f"There is no {words}.")
    if not isinstance(value, str):
        return _Problem(f"{name}_not_text", f"The {words} is {_shown(value)}, not text.")
    if len(value) > MAX_TEXT_CHARACTERS:
        return _Problem(
            f"{name}_too_long", f"The {words} has {len(value):,} characters; at most 1,000,000 can be used."
        )
    if not value or value.isspace():
        return _Problem(f"{name}_empty", f"The {words} is empty or white space only.")
    if not _is_encodable(value):
        return _Problem(f"{name}_not_encodable", f"The {words} has half of a surrogate pair, which is not a character.")
    return None


def _is_encodable(text: str) -> bool:
    """Whether the text is free of lone surrogates, which no encoding can write."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    """A value for a message, cut short; lone surrogates come out escaped."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of too many digits
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_id(value: object) -> bool:
    """Whether an id can be used: absent, text that can be written, or a whole number."""
    if isinstance(value, str):
        return _is_encodable(value)
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _id_text(value: object) -> str:
    """The id as text; empty if the row has none."""
    return "" if value is None else str(value).strip()


def _generated_id(context: str, question: str) -> str:
    """An id for a row without one: the same for the same question on the same context, in every run."""
    digest = hashlib.sha256(f"{context}\0{question}".encode())
    return digest.hexdigest()[:_GENERATED_ID_DIGITS]


def _unique_id(raw: RawQuestion, wanted: str, reading: _Reading) -> str:
    """``wanted``, or with ``-2``, ``-3``, ... if it is taken; says so if the file gave it."""
    unique = wanted
    while unique in reading.ids:
        reading.n_of_id[wanted] = reading.n_of_id.get(wanted, 1) + 1
        unique = f"{wanted}-{reading.n_of_id[wanted]}"
    reading.ids.add(unique)
    if unique != wanted and _id_text(raw.id):
        message = f"The id {_shown(wanted)} is taken by a row before; this one is now {_shown(unique)}."
        reading.findings.add(Finding("noted", "id_repeated", raw.where, unique, message))
    return unique


@dataclass(frozen=True, slots=True)
class _Golds:
    """The placed gold answers of one question with findings about them, or what rejects the question."""

    answers: tuple[Answer, ...] = ()
    findings: tuple[Finding, ...] = ()
    rejection: Finding | None = None


def _place_golds(raw: RawQuestion, context: str, row_id: str) -> _Golds:
    """Place every gold answer. Bad ones are left out, each with a finding, as long as a good one stays."""

    def finding(outcome: Outcome, kind: str, message: str) -> Finding:
        return Finding(outcome, kind, raw.where, row_id, message)

    if raw.is_impossible and raw.answers:
        message = "The question is marked as impossible but has answers; they are left out."
        return _Golds(findings=(finding("noted", "impossible_with_answers", message),))
    answers: list[Answer] = []
    findings: list[Finding] = []
    problems: list[_Problem] = []
    for gold in raw.answers:
        placed = _place_gold(gold, context)
        if isinstance(placed, _Problem):
            problems.append(placed)
            findings.append(finding("repaired", "gold_answer_dropped", f"{placed.message} It is left out."))
            continue
        answers.append(placed.answer)
        text = _shown(gold.text)
        if placed.repair is not None:
            message = f"The answer {text} is now at {placed.answer.start}: {_REPAIRED[placed.repair]}."
            findings.append(finding("repaired", placed.repair, message))
        if placed.is_ambiguous:
            message = f"The answer {text} has no offset and occurs several times; the first is taken."
            findings.append(finding("noted", "answer_ambiguous", message))
    if problems and not answers:
        return _Golds(rejection=finding("rejected", problems[0].kind, problems[0].message))
    return _Golds(tuple(answers), tuple(findings))


def _place_gold(gold: RawAnswer, context: str) -> Placed | _Problem:
    """The answer in the context, or why it has no place there."""
    problem = _text_problem(gold.text, "answer")
    if problem is not None:
        return problem
    assert isinstance(gold.text, str)  # _text_problem has looked
    start = _offset(gold.start)
    if isinstance(start, _Problem):
        return start
    placed = place_answer(context, gold.text, start)
    if isinstance(placed, Misplaced):
        return _Problem(placed.reason, f"The answer {_shown(gold.text)} {_MISPLACED[placed.reason]}.")
    return placed


def _offset(value: object) -> int | _Problem | None:
    """An offset as a whole number, None if absent; tables hold it as text, and with gaps as a float."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and not value.strip():
        return None
    if isinstance(value, str | float):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if number.is_integer():
            return int(number)
    return _Problem("answer_start_not_whole", f"The answer's offset is {_shown(value)}, not a whole number.")


def _check_share(reading: _Reading, columns: ColumnMap, max_rejected_share: float, where: str) -> None:
    """Raise `DataError` if nothing can be used or more than the allowed share was rejected."""
    rejections = reading.findings.of("rejected")
    n_rows = reading.findings.n_rows
    if n_rows == 0:
        raise DataError("There is no row in the data.", where=where, fix="give a file that holds questions.")
    if reading.examples and len(rejections) <= max_rejected_share * n_rows:
        return
    counts = reading.findings.counts()
    lines = [
        f"  {kind.removeprefix('rejected/')}: {count:,}"
        for kind, count in counts.items()
        if kind.startswith("rejected/")
    ]
    lines += [f"  {item.where}: {item.message}" for item in rejections[:_SHOWN_REJECTIONS]]
    if reading.examples:
        share = 100 * len(rejections) / n_rows
        allowed = f"more than the {100 * max_rejected_share:.3g} % that may be"
        what = f"{len(rejections):,} of {n_rows:,} rows ({share:.3g} %) cannot be used, {allowed}:"
        fix = "mend them, or go on without them: --max-rejected-share 1."
    else:
        what = f"None of the {n_rows:,} rows can be used:"
        fix = "mend the data."
    if missing := _missing_columns(reading, columns):
        option = f"--columns {','.join(f'{name}=...' for name in missing)}"
        seen = ", ".join(reading.columns_seen)
        fix += f" The first row has the columns {seen}; if they are only named otherwise, use {option}."
    raise DataError("\n".join([what, *lines]), where=where, fix=fix)


def _missing_columns(reading: _Reading, columns: ColumnMap) -> list[str]:
    """The fields of `ColumnMap` that every row needs and the first flat row does not have."""
    wanted = {"question": columns.question, "context": columns.context}
    seen = reading.columns_seen
    return [name for name, column in wanted.items() if seen and column not in seen]
