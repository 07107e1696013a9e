"""What reading the rows of a data set came upon, as concerns: by one rule for every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from distiltune.checks.concerns import Case, Concern, Severity, concern_of
from distiltune.data.rejections import at_fault_of
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.values import is_generated_id

MAX_REJECTED_SHARE = 0.05
"""Share of rejected rows beyond which a training stops, unless its recipe says otherwise."""
MANY_SHARE = 0.2
"""A repair that so large a share of the rows needs is no slip: whatever wrote the file does it wrongly. One that may be
wrong is an error then; one that is certain stays a warning, since a training reads the right values."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a kind of finding that leaves the row as it is means: how much it matters, and what to do."""

    severity: Severity
    message: str
    repair: str = ""
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class ReadingWords:
    """What a task says of the findings of its reading.

    Attributes:
        repaired: kind of repair → what was wrong.
        noted: kind → what it means; another is a note by its name.
        errors: kinds of rejection that are errors however few the rows are.
        certain: kinds of repair after which the row is right beyond doubt, so that they are no error however many.
        mends: whether the task's ``--fix`` takes care of rejected and repaired rows.

    """

    repaired: Mapping[str, str] = field(default_factory=dict)
    noted: Mapping[str, Noted] = field(default_factory=dict)
    errors: frozenset[str] = frozenset()
    certain: frozenset[str] = frozenset()
    mends: bool = False


_OF_ALL_TASKS = {
    "id_repeated": Noted("note", "the id is taken by an earlier row"),
    "folder_ignored": Noted(
        "warning",
        "folders in a data directory are not entered, and have data files",
        "name them too, or move their files up",
    ),
    "file_ignored": Noted("note", "files in a data directory that are no data files"),
    "marks_one_a_row": Noted(
        "warning",
        "columns look like marks of entities, one a row",
        "to learn the marks, write one row a text with a list `spans` of start, end and label: --task "
        "token-classification; if the columns say something else, take them out",
    ),
}


def reading_concerns(
    findings: RowFindings, words: ReadingWords, max_rejected_share: float = MAX_REJECTED_SHARE
) -> list[Concern]:
    """What reading the rows came upon.

    Rejected rows are errors where a training would stop at them, by the same share and count, and else warnings.
    Repaired rows are warnings, and errors where many are and the repair may be wrong. How a file was read where it did
    not say is a note.
    """
    at_fault, n_rows = at_fault_of(findings, findings.n_rows)
    stops = len(at_fault) > max_rejected_share * n_rows
    by_kind: dict[tuple[str, str], list[RowFinding]] = {}
    for finding in findings.items:
        by_kind.setdefault((finding.outcome, finding.kind), []).append(finding)
    concerns = list(decisions_on(findings))
    for (outcome, kind), found in by_kind.items():
        if outcome == "decided":  # about a whole file: the sentence is all there is to say
            continue
        cases = [Case(_place(finding), finding.message) for finding in found]
        n_rows_found = len({(finding.where, finding.row_id) for finding in found})
        many = stops or kind in words.errors if outcome == "rejected" else n_rows_found > MANY_SHARE * findings.n_rows
        noted = _meaning(outcome, kind, many, words)
        again = f" ({len(found):,} times)" if n_rows_found < len(found) else ""
        concerns += [
            replace(concern, count=n_rows_found)
            for concern in concern_of(
                noted.severity, kind, noted.message + again, cases, findings.n_rows, noted.repair, fixable=noted.fixable
            )
        ]
    return concerns


def decisions_on(findings: RowFindings) -> tuple[Concern, ...]:
    """How files were read where they did not say: of a set that is checked, and of the one that it is compared with."""
    return tuple(Concern("note", each.kind, f"{each.where}: {each.message}") for each in findings.decided())


def _place(finding: RowFinding) -> str:
    """What a person finds the row by: its id, or its line where it has none of its own."""
    return finding.where if finding.where and is_generated_id(finding.row_id) else finding.row_id or finding.where


def _meaning(outcome: str, kind: str, many: bool, words: ReadingWords) -> Noted:
    name = kind.replace("_", " ")
    if outcome == "rejected":
        repair = "mend them at their source; training leaves them out" + ", and so does --fix" * words.mends
        return Noted("error" if many else "warning", f"rows cannot be used: {name}", repair, words.mends)
    if outcome == "left_out":
        return Noted("note", f"rows are left out, as they say themselves: {name}")
    if outcome == "repaired":
        repair = "training repairs them as it reads" + "; --fix writes them repaired" * words.mends
        is_error = many and kind not in words.certain
        if is_error:
            repair += "; so many come from whatever wrote the file: look there first"
        return Noted("error" if is_error else "warning", words.repaired.get(kind, name), repair, words.mends)
    return words.noted.get(kind) or _OF_ALL_TASKS.get(kind) or Noted("note", name)
