"""Plant defects of twelve kinds into SQuAD's training data, and measure what `distiltune check` makes of them.

    python tools/plant_defects.py ../shared/data/squad-v1.1/train.json.gz ../shared/data/squad-v1.1/dev.json.gz

Seeded, so that a run can be repeated. Of each kind 100 are planted: ten kinds (1,000 defects), and two more that need
other eyes: white space at an answer's end, and another language. A defect is found if the check names the planted row
under an error or a warning; a question is accused if it is named so without anything having been planted on it. Mended
means: in the cleaned file the row has its original answer, character by character, or, for rows that should not be
there, is gone.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.tasks.question_answering.check.data_check import CheckedQuestions, CheckSettings, check_questions
from distiltune.tasks.question_answering.check.fix import fix
from distiltune.tasks.question_answering.check.spans import slipped_span
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.read import read_examples


@dataclass(frozen=True)
class Planted:
    """One defect: the row as it is written, and what is to come of it when it is mended (None: it goes)."""

    kind: str
    row: dict[str, Any]
    answer: Answer | None
    replaces: str = ""


Plant = Callable[[random.Random, Example, Sequence[Example]], Planted | None]
"""Makes a defect of a sound question with the help of others; None if this question does not lend itself to it."""


def row_of(example: Example, **changes: Any) -> dict[str, Any]:
    """A row of JSON lines."""
    answers = [{"text": answer.text, "answer_start": answer.start} for answer in example.answers]
    return {"id": example.id, "question": example.question, "context": example.context, "answers": answers, **changes}


def with_answer(example: Example, kind: str, text: str, start: int) -> Planted:
    """The question with its answer written otherwise; to be mended to what it was."""
    row = row_of(example, answers=[{"text": text, "answer_start": start}])
    return Planted(kind, row, example.answers[0], example.id)


def only_place(example: Example) -> bool:
    """Whether the answer's text occurs once."""
    return example.context.count(example.answers[0].text) == 1


def offset_shifted(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The offset is a few characters off."""
    answer = example.answers[0]
    start = answer.start + rng.choice([-3, -2, -1, 1, 2, 3])
    if start < 0 or not only_place(example):
        return None
    return with_answer(example, "offset_shifted", answer.text, start)


def offset_lost(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The offset is anywhere."""
    answer = example.answers[0]
    start = rng.choice([-1, rng.randrange(len(example.context))])
    if not only_place(example) or start == answer.start:
        return None
    return with_answer(example, "offset_lost", answer.text, start)


def offset_in_bytes(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The offset counts bytes."""
    answer = example.answers[0]
    start = len(example.context[: answer.start].encode())
    if start == answer.start or example.context.startswith(answer.text, start):
        return None
    return with_answer(example, "offset_in_bytes", answer.text, start)


def answer_respelled(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The answer has other case or white space than the text."""
    answer = example.answers[0]
    text = rng.choice([answer.text.upper(), answer.text.lower(), answer.text.replace(" ", "  ")])
    if text in example.context or example.context.lower().count(answer.text.lower()) != 1 or text.strip() != text:
        return None
    return with_answer(example, "answer_respelled", text, answer.start)


def answer_off_by_one(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The answer's text was cut at offsets that were off by one: "ork City," for "York City"."""
    answer = example.answers[0]
    start, end = answer.start + 1, answer.end + 1
    words_at_ends = (
        answer.text[:2].isalpha() and answer.text[-1].isalnum() and slipped_span(example.context, answer) is None
    )
    if end > len(example.context) or not words_at_ends or example.context[answer.end].isalnum():
        return None
    return with_answer(example, "answer_off_by_one", example.context[start:end], start)


def answer_with_space(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The answer has the blank before or behind it."""
    answer = example.answers[0]
    if answer.start == 0 or example.context[answer.start - 1] != " " or slipped_span(example.context, answer):
        return None
    return with_answer(example, "answer_with_space", " " + answer.text, answer.start - 1)


def answer_absent(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The answer is another question's, and not in the text."""
    text = rng.choice(others).answers[0].text
    if text.lower() in example.context.lower() or len(text) < 4:
        return None
    row = row_of(example, answers=[{"text": text, "answer_start": example.answers[0].start}])
    return Planted("answer_absent", row, None, example.id)


def question_copied(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The row occurs twice, as it is or with a typing error or other signs in the question."""
    question = example.question
    if len(question) < 40:
        return None
    place = rng.randrange(len(question) // 2, len(question) - 2)
    question = rng.choice(
        [question, question.upper(), f"{question} ", question[:place] + question[place + 1 :], f"Please: {question}"]
    )
    return Planted("question_copied", row_of(example, id=f"{example.id}-copied", question=question), None)


def answer_contradicted(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The question occurs twice, the second time with other words of the text as its answer."""
    words = [word for word in example.context.split() if word.isalpha() and len(word) > 5]
    answer = example.answers[0].text.lower()
    words = [word for word in words if word.lower() not in answer and example.context.count(word) == 1]
    if not words:
        return None
    text = rng.choice(words)
    answers = [{"text": text, "answer_start": example.context.index(text)}]
    return Planted("answer_contradicted", row_of(example, id=f"{example.id}-contradicted", answers=answers), None)


def no_question(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """There is no question."""
    question = rng.choice(["?", "", "N/A", "...", "TODO", "what?", "x", "12", "asdf", "Question"])
    return Planted("no_question", row_of(example, question=question), None, example.id)


def other_language(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """The text is in letters that the vocabulary hardly has (every Latin letter moved into another script)."""
    first = rng.choice([0x0561, 0x10D0, 0x13A0])  # Armenian, Georgian, Cherokee
    letters = {ord("a") + i: chr(first + i) for i in range(26)}
    context = example.context.lower().translate(letters)
    answer = example.answers[0]
    if len(context) != len(example.context) or len(context) < 200:
        return None
    text = context[answer.start : answer.end]
    answers = [{"text": text, "answer_start": answer.start}]
    return Planted("other_language", row_of(example, context=context, answers=answers), None, example.id)


def leaked(rng: random.Random, example: Example, others: Sequence[Example]) -> Planted | None:
    """A question of the validation data, its passage as it is or with a few words changed."""
    context, answer = example.context, example.answers[0]
    if rng.random() < 0.5 and len(context) - answer.end > 200:
        head, tail = context[: answer.end], context[answer.end :]
        for _ in range(2):
            words = tail.split(" ")
            words[rng.randrange(len(words))] = "indeed"
            tail = " ".join(words)
        context = head + tail
    row = row_of(example, id=f"{example.id}-leaked", context=context)
    row["answers"] = row["answers"][:1]
    return Planted("leaked", row, None)


TEN_KINDS: tuple[Plant, ...] = (
    offset_shifted,
    offset_lost,
    offset_in_bytes,
    answer_respelled,
    answer_off_by_one,
    answer_absent,
    question_copied,
    answer_contradicted,
    no_question,
    leaked,
)
MORE_KINDS: tuple[Plant, ...] = (answer_with_space, other_language)
CERTAIN = {
    *("offset_shifted", "offset_lost", "offset_in_bytes", "answer_respelled", "answer_off_by_one"),
    *("answer_with_space", "question_copied", "leaked", "no_question", "answer_absent"),
}
"""The kinds that --fix takes care of; a contradiction and a foreign language need a person."""


REPEATS = {"question_repeated", "answers_contradict"}
"""Kinds that are true by their definition: such a question does stand in the file twice."""


def plant(
    train: Sequence[Example], validation: Sequence[Example], before: CheckedQuestions, n_each: int, seed: int
) -> list[Planted]:
    """So many defects of each kind, each on a question of its own of which the check says nothing as it is."""
    rng = random.Random(seed)
    unsound = set(accused(before))
    for repeat in (*before.repeats.copies, *before.repeats.near_copies, *before.repeats.contradictions):
        unsound.add(before.examples.examples[repeat.of].id)
    sound = [example for example in train if example.id not in unsound]
    rng.shuffle(sound)
    ahead = iter(sound)
    held_out = list(validation)
    rng.shuffle(held_out)
    held_ahead = iter(held_out)
    planted: list[Planted] = []
    for make in (*TEN_KINDS, *MORE_KINDS):
        made = 0
        while made < n_each:
            defect = make(rng, next(held_ahead if make is leaked else ahead), train)
            if defect is not None:
                planted.append(defect)
                made += 1
    return planted


def write_rows(path: Path, train: Sequence[Example], planted: Sequence[Planted]) -> None:
    """The training data as JSON lines with the defects in it."""
    replaced = {defect.replaces: defect.row for defect in planted if defect.replaces}
    with path.open("w", encoding="utf-8") as file:
        for example in train:
            file.write(json.dumps(replaced.get(example.id) or row_of(example), ensure_ascii=False) + "\n")
        for defect in planted:
            if not defect.replaces:
                file.write(json.dumps(defect.row, ensure_ascii=False) + "\n")


def accused(report: CheckedQuestions) -> dict[str, set[str]]:
    """For each row id that stands under an error or a warning, the kinds that it stands under."""
    found: dict[str, set[str]] = {}
    for concern in report.looked.concerns:
        if concern.severity != "note":
            for case in concern.cases:
                found.setdefault(case.row_id, set()).add(concern.kind)
    return found


def measure(
    report: CheckedQuestions, before: CheckedQuestions, train: Sequence[Example], planted: Sequence[Planted]
) -> dict[str, Any]:
    """What was found, mended and accused."""
    named, named_before = accused(report), accused(before)
    fixed = fix(report.examples, report.repeats)
    after = {example.id: example for example in fixed.examples}
    rows: dict[str, Counter[str]] = {}
    missed, not_mended = [], []
    for defect in planted:
        row_id = defect.row["id"]
        counts = rows.setdefault(defect.kind, Counter())
        counts["planted"] += 1
        if row_id in named:
            counts["found"] += 1
        else:
            missed.append(defect)
        if defect.kind in CERTAIN:
            mended = after.get(row_id)
            right = (
                mended is None if defect.answer is None else (mended is not None and mended.answers == (defect.answer,))
            )
            counts["mended"] += right
            if not right:
                not_mended.append((defect, mended))
    own = {defect.row["id"] for defect in planted}
    partners = {defect.row["id"].rsplit("-", 1)[0] for defect in planted if not defect.replaces}
    others = [example.id for example in train if example.id not in own]
    newly = [row_id for row_id in others if row_id in named and row_id not in named_before and row_id not in partners]
    return {
        "kinds": {kind: dict(counts) for kind, counts in rows.items()},
        "sound": len(others),
        "accused": sum(row_id in named for row_id in others),
        "accused_without_planting": sum(example.id in named_before for example in train),
        "accused_kinds": dict(Counter(kind for row_id in others for kind in named.get(row_id, ())).most_common()),
        "newly_accused": newly,
        "repeats": sum(bool(named.get(row_id, set()) & REPEATS) for row_id in others),
        "missed": missed,
        "not_mended": not_mended,
    }


def main() -> None:
    """Plant, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("--model", default="starter", help="whose vocabulary")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--show", type=int, default=0, help="show so many accused questions, drawn by the seed")
    arguments = parser.parse_args()
    train = [
        replace(each, answers=each.answers[:1]) for each in read_examples([arguments.train], split="train").examples
    ]
    validation = read_examples([arguments.validation], split="validation").examples
    tokenizer = load_tokenizer(resolve_model(arguments.model))
    settings = CheckSettings(WindowSettings())
    before = check_questions([str(arguments.train)], [str(arguments.validation)], tokenizer, settings)
    planted = plant(train, validation, before, arguments.each, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planted.jsonl"
        write_rows(path, train, planted)
        began = time.perf_counter()
        report = check_questions([str(path)], [str(arguments.validation)], tokenizer, settings)
        seconds = time.perf_counter() - began
    result = measure(report, before, train, planted)
    print_result(result, seconds, len(planted))
    if arguments.show:
        by_id = {example.id: example for example in train}
        named = accused(report)
        ids = [row_id for row_id in named if row_id in by_id and row_id not in {defect.row["id"] for defect in planted}]
        for row_id in random.Random(arguments.seed).sample(ids, min(arguments.show, len(ids))):
            case = next(c for k in report.looked.concerns for c in k.cases if c.row_id == row_id)
            print(row_id, sorted(named[row_id]), case.text)


def print_result(result: dict[str, Any], seconds: float, n_planted: int) -> None:
    """The table, as docs/coach.md has it."""
    print("| kind | planted | found | mended |\n|---|---:|---:|---:|")
    for kind, counts in result["kinds"].items():
        mended = counts.get("mended", 0) if kind in CERTAIN else "a person decides"
        print(f"| {kind} | {counts['planted']} | {counts.get('found', 0)} | {mended} |")
    found = sum(counts.get("found", 0) for counts in result["kinds"].values())
    print(f"\nfound: {found} of {n_planted} ({found / n_planted:.2%})")
    share = result["accused"] / result["sound"]
    print(f"accused without a planted defect: {result['accused']} of {result['sound']} ({share:.3%})")
    print(result["accused_kinds"])
    rest = result["accused"] - result["repeats"]
    print(f"of these, not simply in the file twice: {rest} ({rest / result['sound']:.3%})")
    print(
        f"of the file before planting: {result['accused_without_planting']}; newly accused: {result['newly_accused']}"
    )
    print(f"checked in {seconds:.1f} s")
    for defect in result["missed"][:10]:
        print("missed:", defect.kind, defect.row["question"], defect.row["answers"], file=sys.stderr)
    for defect, mended in result["not_mended"][:10]:
        print(
            "not mended:", defect.kind, defect.row["answers"], defect.answer, mended and mended.answers, file=sys.stderr
        )


if __name__ == "__main__":
    main()
