"""Rows → examples: questions, their choices, and which is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distiltune.data.column_names import mapped_columns
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.hub import Split
from distiltune.data.reading import Reading, ToRead, Use, need_gold, read_sources
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import BadRow
from distiltune.data.values import Problem, generated_id, gold_ignored, id_problem, id_text, rejected
from distiltune.errors import DataError
from distiltune.tasks.multiple_choice.choice_rows import RawChoice, columns_read, questions_of
from distiltune.tasks.multiple_choice.columns import ChoiceColumns
from distiltune.tasks.multiple_choice.examples import ChoiceExample, ChoiceSet
from distiltune.tasks.multiple_choice.right_choices import Counting, counting_of, is_not_given, right_choice


def read_choices(
    sources: Sequence[str | Path],
    split: Split,
    columns: ChoiceColumns,
    max_rejected_share: float,
    use: Use = "training",
    form: FileForm = AS_USUAL,
) -> ChoiceSet:
    """Read the questions of one split from all sources, in order, as `read_sources` does.

    Of a file whose rows do not say what is right every example's ``gold`` is None; where some do, a row that does not
    is rejected, but for a prediction, where any number of rows may be.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to learn from or
            to evaluate with.
        HubError: if a data set on the hub cannot be fetched.

    """
    if "starter" in sources:
        raise DataError("The starter has no questions with choices.", where="starter", fix="give data of your own")
    mapped = {name: each for name, each in mapped_columns(columns).items() if "+" not in each}
    if use == "prediction":
        mapped.pop("label", None)
    reading: Reading[ChoiceExample] = Reading(form=form, mapped=mapped)
    reading.used.update({columns.id} if use == "training" else ())
    read = read_sources(
        ToRead(
            sources,
            split,
            "data/train.json",
            {"question": columns.question or "question", "choices": columns.choices or "choices"},
            max_rejected_share if use != "prediction" else 1.0,
        ),
        reading,
        lambda path: _read_file(path, columns, reading, use),
    )
    if use == "prediction":
        return read
    return need_gold(read, lambda example: example.gold is not None, f"{columns.label or 'label'!r} or 'answer'")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A question and where its row stands."""

    question: RawChoice
    where: str


def _read_file(path: Path, columns: ChoiceColumns, reading: Reading[ChoiceExample], use: Use) -> None:
    """Add all rows of a file: the texts one by one, what is right once all are known."""
    found: list[_Placed] = []
    told: dict[str, None] = {}
    for row in reading.rows(path):
        reading.findings.count_row()
        if isinstance(row, BadRow):
            reading.findings.add(rejected("row_unreadable", row.where, None, f"The row {row.reason}"))
            continue
        reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
        told.update({row.decision: None} if row.told else {})
        reading.used.update(columns_read(row.value, columns) if reading.used else ())
        questions = list(questions_of(row.value, columns))
        reading.findings.n_rows += len(questions) - 1  # an article counts as its questions
        for each in questions:
            problem = each if isinstance(each, Problem) else id_problem(each.id)
            if isinstance(each, RawChoice) and problem is None:
                found.append(_Placed(each, row.where))
            elif problem is not None:
                reading.findings.add(rejected(problem.kind, row.where, row.value.get(columns.id), problem.message))
    for message in told:
        reading.findings.add(RowFinding("decided", "form_read", str(path), "", message))
    labelled = [each.question for each in found if not is_not_given(each.question.label)]
    counting = counting_of(labelled)
    if counting.told:
        reading.findings.add(RowFinding("decided", counting.kind, str(path), "", counting.told))
    if found and not labelled:
        message = "No row says which choice is right: there is nothing to compare with."
        reading.findings.add(RowFinding("noted", "no_label_column", str(path), "", message))
    for placed in found:
        made = _example(placed, counting, reading, use if labelled else "prediction")
        if isinstance(made, RowFinding):
            reading.findings.add(made)
        else:
            reading.examples.append(made)


def _example(
    placed: _Placed, counting: Counting, reading: Reading[ChoiceExample], use: Use
) -> ChoiceExample | RowFinding:
    """The example with what is right, or the finding that rejects it."""
    question, where = placed.question, placed.where
    gold: int | Problem | None = None
    if not is_not_given(question.label):
        gold = right_choice(question, counting)
    elif use != "prediction":
        return rejected("label_missing", where, question.id, "Nothing says which choice is right.")
    if isinstance(gold, Problem):
        if use != "prediction":
            return rejected(gold.kind, where, question.id, gold.message)
        reading.findings.add(gold_ignored(gold.kind, where, question.id, gold.message))
        gold = None
    wanted = id_text(question.id) or generated_id(question.context, question.question, *question.choices)
    unique = reading.unique_id(question.id, wanted, where)
    return ChoiceExample(unique, question.context, question.question, question.choices, gold, where)
