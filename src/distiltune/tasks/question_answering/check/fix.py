"""The cleaned data set of `distiltune check --fix`: what is certain is mended, and every change is listed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from distiltune.checks.concerns import LEAKED
from distiltune.errors import DataError, RecipeError
from distiltune.system.durable import write_whole, writing_set, writing_to
from distiltune.tasks.question_answering.check.examples import asks_nothing
from distiltune.tasks.question_answering.check.repeats import Repeats, fits
from distiltune.tasks.question_answering.check.spans import slipped_span
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.read import QuestionSet

Action = Literal["removed", "repaired", "merged", "left"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the data, or (``left``) one thing that only a person can decide."""

    action: Action
    kind: str
    row_id: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The change as one line of the list."""
        return {"action": self.action, "kind": self.kind, "id": self.row_id, "what": self.text}


@dataclass(frozen=True, slots=True)
class Fixed:
    """The cleaned examples and all that was done to get them."""

    examples: tuple[Example, ...]
    changes: tuple[Change, ...]


def fix(read: QuestionSet, repeats: Repeats) -> Fixed:
    """Mend what is certain: offsets, slipped spans, copies, leaks, questions that ask nothing."""
    changes = list(_of_reading(read))
    examples = read.examples
    removed: dict[int, tuple[str, str]] = {}
    for kind, found in (("question_leaked", repeats.leaks), ("passage_leaked", repeats.leaked_passages)):
        for repeat in found:
            removed.setdefault(repeat.index, (kind, "it is in the other set"))
    for index, example in enumerate(examples):
        if asks_nothing(example.question):
            removed.setdefault(index, ("no_question", repr(example.question[:60])))
    merged, copies = _merge(examples, repeats, removed)
    changes += copies
    for repeat in repeats.contradictions:
        changes.append(Change("left", "answers_contradict", examples[repeat.index].id, f"see {examples[repeat.of].id}"))
    changes += [Change("removed", kind, examples[index].id, text) for index, (kind, text) in sorted(removed.items())]
    kept: list[Example] = []
    for index, example in enumerate(merged):
        if index in removed:
            continue
        mended, spans = _mend_spans(example)
        changes += spans
        kept.append(mended)
    return Fixed(tuple(kept), tuple(changes))


def _of_reading(read: QuestionSet) -> Iterable[Change]:
    """What the reader did already."""
    for finding in read.findings.items:
        if finding.outcome == "rejected":
            yield Change("removed", finding.kind, finding.row_id or finding.where, finding.message)
        elif finding.outcome == "repaired" or finding.kind in ("id_repeated", "impossible_with_answers"):
            yield Change("repaired", finding.kind, finding.row_id or finding.where, finding.message)


def _merge(
    examples: Sequence[Example], repeats: Repeats, removed: dict[int, tuple[str, str]]
) -> tuple[list[Example], list[Change]]:
    """Give the first of several copies the answers of all, and mark the others as removed."""
    merged, changes = list(examples), []
    for kind, found in (("question_repeated", repeats.copies), ("question_nearly_repeated", repeats.near_copies)):
        for repeat in found:
            if repeat.index in removed or repeat.of in removed:
                continue
            first, copy = merged[repeat.of], merged[repeat.index]  # which has the answers of its own copies
            new = [answer for answer in copy.answers if fits(first, answer) and answer not in first.answers]
            merged[repeat.of] = replace(first, answers=(*first.answers, *new))
            removed[repeat.index] = (kind, f"a copy of {first.id}")
            if new:
                texts = ", ".join(repr(answer.text) for answer in new)
                changes.append(Change("merged", kind, first.id, f"has the answers of {copy.id} too: {texts}"))
    return merged, changes


def _mend_spans(example: Example) -> tuple[Example, list[Change]]:
    answers, changes = [], []
    for answer in example.answers:
        slipped = slipped_span(example.context, answer)
        if slipped is not None:
            text = f"{answer.text!r} at {answer.start} → {slipped.text!r} at {slipped.start}"
            changes.append(Change("repaired", "answer_cut_into_word", example.id, text))
            answer = slipped
        if answer not in answers:
            answers.append(answer)
    return (replace(example, answers=tuple(answers)) if changes else example), changes


def changes_path(output: Path) -> Path:
    """Where the list of changes lies: beside the cleaned data."""
    return output.with_name(f"{output.name.removesuffix(output.suffix)}.changes.jsonl")


def check_output(output: Path, sources: Sequence[str]) -> None:
    """Check that the cleaned data may be written there.

    Raises:
        RecipeError: if it is of a kind that is not written.
        DataError: if it is there already.

    """
    if output.suffix not in (".json", ".jsonl"):
        raise RecipeError(
            f"Cleaned data is written as .json (SQuAD) or .jsonl, not as {output.suffix!r}.",
            where=f"--fix {output}",
            fix=f"write --fix {output.with_suffix('.json')}",
        )
    for path in (output, changes_path(output)):
        if os.path.lexists(path) or str(path) in sources:
            raise DataError("There is a file already.", where=str(path), fix="give --fix another name")


def write_fixed(fixed: Fixed, output: Path) -> None:
    """Write the cleaned data, as SQuAD JSON or as JSON lines by its suffix, and beside it the list of changes.

    Raises:
        DataError: if nothing is left to be written, or it cannot be.

    """
    if not fixed.examples:
        removed = Counter(change.kind for change in fixed.changes if change.action == "removed")
        kind, count = removed.most_common(1)[0]
        raise DataError(
            f"Nothing would be left: {removed.total():,} rows are to be taken out, {count:,} of them as {kind}.",
            where=str(output),
            fix="name another data set with --against than the one that is cleaned"
            if kind.endswith(LEAKED)
            else "see what the check says without --fix",
        )
    with writing_to(output, DataError, what="The cleaned data", fix="give --fix another name"):
        is_squad = output.suffix == ".json"
        rows = json.dumps(_as_squad(fixed.examples), ensure_ascii=False) + "\n" if is_squad else ""
        changes = changes_path(output)
        with writing_set(output.parent, (output.name, changes.name)) as beside:
            write_whole(beside / output.name, rows or _lines(map(_as_row, fixed.examples)))
            write_whole(beside / changes.name, _lines(change.as_json() for change in fixed.changes))


def _lines(objects: Iterable[Any]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def _as_row(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        **({"title": example.title} if example.title else {}),
        "question": example.question,
        "context": example.context,
        "answers": _as_answers(example),
    }


def _as_answers(example: Example) -> list[dict[str, Any]]:
    return [{"text": answer.text, "answer_start": answer.start} for answer in example.answers]


def _as_squad(examples: Sequence[Example]) -> dict[str, Any]:
    """SQuAD's form, titles and passages in the order in which they first occur."""
    articles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for example in examples:
        question = {
            "id": example.id,
            "question": example.question,
            "answers": _as_answers(example),
            "is_impossible": not example.answers,
        }
        articles.setdefault(example.title, {}).setdefault(example.context, []).append(question)
    return {
        "version": "v2.0",
        "data": [
            {"title": title, "paragraphs": [{"context": context, "qas": qas} for context, qas in passages.items()]}
            for title, passages in articles.items()
        ],
    }
