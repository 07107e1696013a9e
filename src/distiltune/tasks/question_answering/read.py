"""Data in: files, directories, the starter or hub names → examples that training and evaluation can rely on.

No context is ever changed; what else holds of reading, `distiltune.data.reading` says.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from distiltune.data.column_names import absent_column, mapped_columns
from distiltune.data.example_set import ExampleSet
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.hub import Split
from distiltune.data.kept_reading import Keeping
from distiltune.data.reading import Reading, ToRead, Use, need_gold, read_sources
from distiltune.data.row_findings import Outcome, RowFinding
from distiltune.data.rows import Row
from distiltune.data.stored import SHARED_IN_MEMORY, Growing
from distiltune.data.values import (
    Problem,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    is_encodable,
    rejected,
    shown,
    text_problem,
    weights_told,
)
from distiltune.errors import DataError
from distiltune.tasks.question_answering.examples import QUESTION_FORM, Answer, Example
from distiltune.tasks.question_answering.locate_answer import LocatedAnswer, Misplaced, in_other_signs, locate_answer
from distiltune.tasks.question_answering.no_answer import NoAnswer, like_none, way_to_say_none
from distiltune.tasks.question_answering.question_rows import ColumnMap, columns_read, is_nested, questions_of
from distiltune.tasks.question_answering.raw_answers import END_NAMES, RANGE_NAMES
from distiltune.tasks.question_answering.raw_question import Decision, RawAnswer, RawAnswers, RawQuestion

__all__ = ["ColumnMap", "QuestionSet", "read_examples"]

_GOLD = ("answer_text", "answer_start", "answers")
"""Fields whose columns a prediction does not need."""
_TO_TRAIN = ("sample_weight",)
"""Those that only a training needs."""

QuestionSet = ExampleSet[Example]
"""The questions of one split."""

# Names that people give a column of answers. Where none of the mapped columns exists but one of these does,
# going on would train every question as unanswerable.
_LIKELY_ANSWER_COLUMNS = frozenset(
    {
        *("answer", "answers", "answertext", "answertexts", "goldanswer", "goldanswers", "answerspan", "answerspans"),
        *("text", "span", "spantext", "humanansspans"),
    }
)
_LIKELY_OFFSET_COLUMNS = frozenset({"answerstart", "start", "startchar", "charstart", "spanstart", "humanansindices"})

_MISPLACED = {
    "answer_empty": "is empty or white space only",
    "answer_ambiguous": "occurs several times in the context",
    "answer_not_found": "does not occur in the context",
}
_REPAIRED = {
    "offset_in_bytes": "its offset counted UTF-8 bytes",
    "offset_in_utf16": "its offset counted UTF-16 units",
    "answer_moved": "it was not at its offset and is found elsewhere",
    "answer_at_nearest": "it was not at its offset, and of several places this is the nearest",
    "answer_respelled": "the context spells it with other white space, case or Unicode form",
    "answer_trimmed": "it had white space at an end",
}


def read_examples(
    sources: Sequence[str | Path],
    *,
    split: Split,
    columns: ColumnMap = ColumnMap(),  # noqa: B008 (frozen)
    max_rejected_share: float = 0.05,
    use: Use = "training",
    no_answer: str = "",
    form: FileForm = AS_USUAL,
) -> QuestionSet:
    """Read the examples of one split from all sources, in order, as `read_sources` does.

    Where no row of a file has a place for answers, none of its examples has gold, but for training, where they count as
    unanswerable; where some do, a row without one is unanswerable.

    Args:
        sources: paths to data files or directories, ``starter``, or names of data sets on the hub.
        split: which part of ``starter`` and of hub data sets; files are read as they are.
        columns: what the columns of flat rows are called.
        max_rejected_share: the largest share of rows, 0 to 1, that may be left out.
        use: what for. Of gold answers that are not found in their context, training leaves out the question, evaluation
            keeps the text to score against; for a prediction a question may have no gold.
        no_answer: texts that mean that there is no answer, as `NoAnswer.parse` reads them.
        form: how files are read where they do not say.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to evaluate with.
        HubError: if a data set on the hub cannot be fetched.

    """
    unneeded = (*(_GOLD if use == "prediction" else ()), *(_TO_TRAIN if use != "training" else ()))
    mapped = mapped_columns(columns, without=unneeded)
    reading = _Reading(
        form=form, mapped=mapped, use=use, no_answer=NoAnswer.parse(no_answer), grown=Growing(QUESTION_FORM)
    )
    reading.used.update(columns_read(columns) if use == "training" else ())
    kept_by = {"split": split, "use": use, "no_answer": no_answer}
    read = read_sources(
        ToRead(
            sources,
            split,
            f"data/{split}.json",
            {"question": columns.question, "context": columns.context},
            max_rejected_share,
        ),
        reading,
        lambda path: _read_file(path, columns, reading),
        Keeping({**kept_by, "columns": asdict(columns), "form": asdict(form)}, _pack, _unpack, QUESTION_FORM),
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.has_gold, f"{columns.answer_text!r} or {columns.answers!r}")


def _pack(examples: Sequence[Example]) -> dict[str, Any]:
    """A list for each field; a context, which many examples share, stands once."""
    places = {context: place for place, context in enumerate(dict.fromkeys(each.context for each in examples))}
    return {
        "contexts": list(places),
        "context": [places[each.context] for each in examples],
        "id": [each.id for each in examples],
        "question": [each.question for each in examples],
        "title": [each.title for each in examples],
        "answers": [[(answer.text, answer.start) for answer in each.answers] for each in examples],
        "unplaced": [each.unplaced for each in examples],
        "has_gold": [each.has_gold for each in examples],
        "weight": [each.weight for each in examples],
    }


def _unpack(kept: Any) -> list[Example]:
    """The examples that `_pack` packed."""
    contexts = kept["contexts"]
    names = ("id", "question", "context", "answers", "title", "unplaced", "has_gold", "weight")
    return [
        Example(
            row_id,
            question,
            contexts[context],
            tuple([Answer(text, start) for text, start in answers]),
            title,
            tuple(unplaced),
            has_gold,
            weight,
        )
        for row_id, question, context, answers, title, unplaced, has_gold, weight in zip(
            *(kept[name] for name in names), strict=True
        )
    ]


@dataclass(slots=True)
class _Reading(Reading[Example]):
    """What has been read so far, and for what use.

    ``contexts`` maps each context to the one object that its examples share, as long as these have at most
    `SHARED_IN_MEMORY` characters; ``decided`` is what was said of the file that is being read.
    """

    use: Use = "training"
    no_answer: NoAnswer = field(default_factory=NoAnswer)
    contexts: dict[str, str] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    n_characters: int = 0

    def shared(self, context: str) -> str:
        """The object that this context has."""
        known = self.contexts.get(context)
        if known is not None:
            return known
        self.n_characters += len(context)
        if self.n_characters > SHARED_IN_MEMORY:
            self.contexts.clear()
            self.n_characters = len(context)
        self.contexts[context] = context
        return context

    def change(self, change: Callable[[int, Example], Example | None]) -> None:
        """Make each example read so far another one, by its place, or leave it out."""
        assert self.grown is not None  # as `read_examples` makes it
        changed: Growing[Example] = Growing(QUESTION_FORM)
        changed.extend(filter(None, map(change, itertools.count(), self.grown.done())))
        self.grown = changed

    def say_once(self, decisions: Sequence[Decision], file: str) -> None:
        """Note how something in a file is understood, each kind once."""
        for decision in decisions:
            if decision.kind not in self.decided:
                self.decided.add(decision.kind)
                self.findings.add(RowFinding("decided", decision.kind, file, "", decision.message))


def _read_file(path: Path, columns: ColumnMap, reading: _Reading) -> None:
    """Add all rows of a file to ``reading``."""
    file = str(path)
    first_flat_row: Row | None = None
    has_gold = False
    n_before = reading.n_examples
    unread: dict[int, RowFinding] = {}
    reading.decided.clear()
    for row in reading.rows(path, is_flat=lambda row: not is_nested(row) and row.value.keys() != {"header"}):
        if isinstance(row, Row) and row.value.keys() == {"header"}:
            reading.findings.add(
                RowFinding("noted", "header_line", row.where, "", "The line tells of the file; it is no row.")
            )
            continue
        if isinstance(row, Row) and row.told:
            reading.say_once((Decision("form_read", row.decision),), file)
        if first_flat_row is None and isinstance(row, Row) and not is_nested(row):
            first_flat_row = row
        for question in questions_of(row, file, columns):
            reading.findings.count_row()
            if isinstance(question, RowFinding):
                reading.findings.add(question)
                continue
            has_gold = has_gold or question.has_gold
            malformed = question.answers if not question.has_gold and isinstance(question.answers, str) else ""
            if malformed:
                question = replace(question, answers=RawAnswers())
            result = _example_of(question, reading)
            if isinstance(result, RowFinding):
                reading.findings.add(result)
                continue
            if malformed:
                unread[reading.n_examples] = rejected("answers_malformed", question.where, question.id, malformed)
            _say_of(question, path, columns, reading)
            reading.add(result)
    if first_flat_row is not None:
        reading.columns_seen = reading.columns_seen or tuple(map(str, first_flat_row.value))
    if not has_gold and (first_flat_row is not None or reading.n_examples > n_before):
        reading.findings.add(_no_answer_column(file, first_flat_row, columns, reading.use))
    if has_gold and reading.use != "prediction" and unread:
        reading.findings.extend(reversed(unread.values()))
        reading.change(lambda place, example: None if place in unread else example)
    if not has_gold and reading.use != "training" and reading.n_examples > n_before:
        reading.change(lambda place, example: example if place < n_before else replace(example, has_gold=False))


def _say_of(question: RawQuestion, path: Path, columns: ColumnMap, reading: _Reading) -> None:
    """Note how a question's row is understood, each kind of it once a file."""
    file = str(path)
    reading.say_once(question.decisions, file)
    reading.say_once(question.answers.decisions if isinstance(question.answers, RawAnswers) else (), file)
    if question.weight is not None and reading.use == "training":
        name = columns.sample_weight if columns.sample_weight in reading.columns[path] else "sample_weight"
        reading.say_once((Decision(*weights_told(name)),), file)


def _no_answer_column(file: str, row: Row | None, columns: ColumnMap, use: Use) -> RowFinding:
    """The finding that a file has no answers at all; `DataError` if they are wanted and in a column not mapped."""
    likely = None if row is None else _likely_columns(row, columns)
    if row is not None and likely is not None and use != "prediction":
        named = mapped_columns(columns)
        for name in ("answer_text", "answers"):
            if name in named:  # no row has it, since no row has answers
                raise absent_column(name, named, row.value, file)
        raise DataError(
            f"There is no column {columns.answer_text!r} or {columns.answers!r}, but {likely.what}.",
            where=file,
            fix=likely.fix,
        )
    what = "every question counts as unanswerable" if use == "training" else "there is nothing to compare with"
    message = f"No row has {columns.answer_text!r} or {columns.answers!r}: {what}."
    message += f" There is {likely.what}: {likely.fix}" if likely is not None else ""
    return RowFinding("noted", "no_answer_column", file, "", message)


@dataclass(frozen=True, slots=True)
class _Likely:
    """A column that is not mapped and may hold answers, in words, and what to do about it."""

    what: str
    fix: str


def _likely_columns(row: Row, columns: ColumnMap) -> _Likely | None:
    """The first column that is not mapped and looks like one of answers, or of their offsets."""
    plain = {str(column): "".join(filter(str.isalnum, str(column).lower())) for column in row.value}
    mapped = {columns.question, columns.context, columns.id}
    texts = [name for name, key in plain.items() if key in _LIKELY_ANSWER_COLUMNS and name not in mapped]
    offsets = [name for name, key in plain.items() if key in _LIKELY_OFFSET_COLUMNS and name not in mapped]
    if texts and isinstance(row.value[texts[0]], dict | list):
        way = 'each answer is to be {"text": ..., "answer_start": ...}, or a text alone in a column of its own'
        return _Likely(f"one {texts[0]!r} of another form, {shown(row.value[texts[0]])}", f"{way}.")
    if texts:
        also = f",answer_start={offsets[0]}" if offsets and offsets[0] != columns.answer_start else ""
        option = f"--columns answer_text={texts[0]}{also}"
        return _Likely(f"one {texts[0]!r}", f"if it holds the answers, name it: {option}; otherwise rename it.")
    if offsets:
        name_it = f"name the column of the answers' texts: --columns answer_text=NAME,answer_start={offsets[0]}"
        ends = [name for name in map(str, row.value) if name in END_NAMES and name not in mapped]
        if not ends:
            return _Likely(f"offsets, {offsets[0]!r}", f"{name_it}.")
        way = f"if there is none, write both into one column {RANGE_NAMES[0]}, as 12:21 for characters 12 to 20"
        return _Likely(f"offsets, {offsets[0]!r} and {ends[0]!r}", f"{name_it}; {way}.")
    return None


def _example_of(raw: RawQuestion, reading: _Reading) -> Example | RowFinding:
    """The example, or the finding that rejects it. Adds what else there is to say to ``reading.findings``."""
    problem = text_problem(raw.question, "question")
    if problem is None and (not isinstance(raw.context, str) or raw.context not in reading.contexts):
        problem = text_problem(raw.context, "context")
    problem = problem or id_problem(raw.id)
    weight = raw.weight if reading.use == "training" and raw.weight is not None else 1.0
    if isinstance(weight, Problem):
        problem, weight = problem or weight, 1.0
    if problem is not None:
        return rejected(problem.kind, raw.where, raw.id, problem.message)
    assert isinstance(raw.question, str)  # text_problem has looked
    assert isinstance(raw.context, str)
    context = reading.shared(raw.context)
    wanted_id = id_text(raw.id) or generated_id(context, raw.question)
    golds = _locate_golds(raw, context, wanted_id, reading)
    if golds.rejection is not None:
        return golds.rejection
    reading.findings.extend(golds.findings)
    title = raw.title if isinstance(raw.title, str) and is_encodable(raw.title) else ""
    unique_id = reading.unique_id(raw.id, wanted_id, raw.where)
    return Example(unique_id, raw.question, context, golds.answers, title, golds.unplaced, golds.has_gold, weight)


@dataclass(frozen=True, slots=True)
class _Golds:
    """The placed gold answers of one question with findings about them, or what rejects the question."""

    answers: tuple[Answer, ...] = ()
    unplaced: tuple[str, ...] = ()
    has_gold: bool = True
    findings: tuple[RowFinding, ...] = ()
    rejection: RowFinding | None = None


def _locate_golds(raw: RawQuestion, context: str, row_id: str, reading: _Reading) -> _Golds:
    """Place every gold answer. Bad ones are left out, each with a finding, as long as a good one stays.

    But for training, one that is a text and has no place is good to be scored against. Those that mean that there is
    no answer are none.
    """
    use = reading.use

    def finding(outcome: Outcome, kind: str, message: str) -> RowFinding:
        return RowFinding(outcome, kind, raw.where, row_id, message)

    if isinstance(raw.answers, str):
        return _without_gold(raw, row_id, Problem("answers_malformed", raw.answers), use)
    given = [gold for gold in raw.answers.given if not reading.no_answer.means_none(gold.text)]
    if raw.is_impossible and given:
        message = "The question is marked as impossible but has answers; they are left out."
        return _Golds(findings=(finding("noted", "impossible_with_answers", message),))
    answers: list[Answer] = []
    unplaced: list[str] = []
    findings: list[RowFinding] = []
    problems: list[Problem] = []
    for gold in given:
        placed = _locate_gold(gold, context)
        if isinstance(placed, Problem) and use != "training" and text_problem(gold.text, "answer") is None:
            unplaced.append(str(gold.text))
            findings.append(
                finding("noted", "answer_not_placed", f"{placed.message} It is scored against all the same.")
            )
            continue
        if isinstance(placed, Problem):
            problems.append(placed)
            findings.append(finding("repaired", "gold_answer_dropped", f"{placed.message} It is left out."))
            continue
        answers.append(placed.answer)
        text = shown(gold.text)
        if like_none(placed.answer.text):
            message = f"The answer {text} stands in the text and is taken as one. {way_to_say_none(text)}"
            findings.append(finding("noted", "answer_like_none", message))
        if placed.repair is not None:
            message = f"The answer {text} is now at {placed.answer.start}: {_REPAIRED[placed.repair]}."
            findings.append(finding("repaired", placed.repair, message))
        if placed.is_ambiguous:
            message = f"The answer {text} has no offset and occurs several times; the first is taken."
            findings.append(finding("noted", "answer_ambiguous", message))
    if problems and not answers and not unplaced:
        return _without_gold(raw, row_id, problems[0], use)
    return _Golds(tuple(answers), tuple(unplaced), findings=tuple(findings))


def _without_gold(raw: RawQuestion, row_id: str, problem: Problem, use: Use) -> _Golds:
    """What becomes of a question of whose gold answers none can be used."""
    if use == "prediction":
        ignored = gold_ignored(problem.kind, raw.where, row_id, problem.message)
        return _Golds(has_gold=False, findings=(ignored,))
    return _Golds(rejection=rejected(problem.kind, raw.where, row_id, problem.message))


def _locate_gold(gold: RawAnswer, context: str) -> LocatedAnswer | Problem:
    """The answer in the context, or why it has no place there."""
    problem = text_problem(gold.text, "answer")
    if problem is not None and problem.kind == "answer_empty":
        return replace(problem, message=f"{problem.message} {way_to_say_none(shown(gold.text))}")
    if problem is not None:
        return problem
    assert isinstance(gold.text, str)  # text_problem has looked
    start = _offset(gold.start)
    if isinstance(start, Problem):
        return start
    placed = locate_answer(context, gold.text, start)
    if isinstance(placed, Misplaced):
        text = shown(gold.text)
        also = f" {way_to_say_none(text)}" if like_none(gold.text, unplaced=True) else ""
        at = ""
        if placed.reason == "answer_ambiguous":
            at = "has no offset and " if start is None or start < 0 else f"is not at its offset, {start}, and "
        alike = in_other_signs(context, gold.text) if placed.reason == "answer_not_found" else ""
        also += f" With other quotation marks, apostrophes or dashes it does: {shown(alike)}." if alike else ""
        return Problem(placed.reason, f"The answer {text} {at}{_MISPLACED[placed.reason]}.{also}")
    return placed


def _offset(value: object) -> int | Problem | None:
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
    return Problem("answer_start_not_whole", f"The answer's offset is {shown(value)}, not a whole number.")
