"""`check` names the columns that are not read, what one may be meant for, and rows that say what to do with them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distiltune.data.held import holding
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.read import read_texts

Run = Callable[..., str]
Table = Sequence[Mapping[str, object]]
N = 20


def lines(rows: Table) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: Table, sign: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=sign, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def reviews(**others: object) -> Table:
    return [{"text": f"day {i} was long", "label": "good" if i % 2 else "bad", **others} for i in range(N)]


def write(path: Path, rows: Table) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    else:
        path.write_text(lines(rows) if path.suffix == ".jsonl" else table(rows, "," if path.suffix == ".csv" else "\t"))
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_that_nothing_reads_are_told_once(tmp_path: Path, check: Run, suffix: str) -> None:
    said = check(write(tmp_path / f"rows.{suffix}", reviews(author="Ida", colour="red")))
    assert said.count("Columns not used: author, colour.") == 1
    assert "[columns_unused]" in said


def test_columns_in_memory_too() -> None:
    with holding(list(reviews(author="Ida")), "train") as (name,):
        read = read_texts((name,), "train", TextColumns(), 0.05)
    assert [each.message for each in read.findings.of("decided")] == ["Columns not used: author."]


def test_nothing_is_said_where_all_columns_are_read(tmp_path: Path, check: Run) -> None:
    said = check(write(tmp_path / "rows.jsonl", reviews(id=None, text_pair="it rained", sample_weight=2)))
    assert "not used" not in said


def test_what_is_mapped_is_used(tmp_path: Path, check: Run) -> None:
    path = write(tmp_path / "rows.csv", reviews(hypothesis="it rained"))
    assert "If `hypothesis` is a second text to read with the first: --columns pair=hypothesis." in check(path)
    assert "not used" not in check(path, "--columns", "pair=hypothesis")


def test_a_second_text_is_not_asked_for_twice(tmp_path: Path, check: Run) -> None:
    said = check(write(tmp_path / "rows.csv", reviews(text_pair="it rained", title="Rain")))
    assert "Columns not used: title." in said
    assert "second text" not in said


@pytest.mark.parametrize(
    ("begin", "end"), [("start", "end"), ("begin_offset", "end_offset"), ("Start Char", "End Char"), ("begin", "end")]
)
def test_marks_one_a_row_are_warned_of(tmp_path: Path, check: Run, begin: str, end: str) -> None:
    said = check(write(tmp_path / "rows.csv", reviews(**{begin: 0, end: 3})))
    assert f"`{begin}` and `{end}` look like the place of an entity" in said
    assert "[marks_one_a_row]" in said
    assert "warning" in said.partition("columns look like marks of entities, one a row")[0]
    assert "--task token-classification" in said


@pytest.mark.parametrize("column", ["is_deleted", "status", "is_correct"])
def test_columns_that_seem_to_choose_rows_do_not(tmp_path: Path, check: Run, column: str) -> None:
    said = check(write(tmp_path / "rows.csv", reviews(**{column: 1})))
    assert f"`{column}` does not choose rows: all are read" in said


def test_a_split_does_not_choose_rows(tmp_path: Path, check: Run) -> None:
    rows = [{**row, "split": "test" if i > 15 else "train"} for i, row in enumerate(reviews())]
    assert "`split` (train, test) does not choose rows" in check(write(tmp_path / "rows.csv", rows))
    assert "choose rows" not in check(write(tmp_path / "wood.csv", reviews(split="oak")))


QUESTIONS = [{"question": f"Who sat {i}?", "context": f"Ida sat at desk {i}.", "answer_text": "Ida"} for i in range(N)]
TAGGED = [{"tokens": ["Ida", "sat"], "tags": ["B-PER", "O"], "id": i} for i in range(N)]
WORDS = [
    {"Sentence #": i // 2, "Word": ("Ida", "sat")[i % 2], "Tag": ("B-PER", "O")[i % 2], "POS": "X"} for i in range(N)
]
CHOICES = [{"question": f"Who sat {i}?", "A": "Ida", "B": "Tom", "answer": "AB"[i % 2]} for i in range(N)]


@pytest.mark.parametrize(
    ("task", "rows", "named"),
    [
        pytest.param("question-answering", QUESTIONS, "colour", id="questions"),
        pytest.param("token-classification", TAGGED, "colour", id="tags"),
        pytest.param("token-classification", WORDS, "POS, colour", id="words"),
        pytest.param("multiple-choice", CHOICES, "colour", id="choices"),
    ],
)
def test_every_task_tells_of_them(tmp_path: Path, check: Run, task: str, rows: Table, named: str) -> None:
    path = write(tmp_path / "rows.jsonl", [{**row, "colour": "red"} for row in rows])
    said = check(path, "--task", task)
    assert said.count(f"Columns not used: {named}.") == 1


def test_no_tool_is_asked_why_it_writes_what_it_writes(tmp_path: Path, check: Run) -> None:
    spans = [{"start": 0, "end": 3, "label": "PER", "token_start": 0, "token_end": 0}]
    tokens = [{"text": "Ida", "start": 0, "end": 3, "id": 0}]
    rows = [{"text": f"Ida sat {i}", "tokens": tokens, "spans": spans, "_input_hash": i} for i in range(N)]
    assert "not used" not in check(write(tmp_path / "rows.jsonl", rows), "--task", "token-classification")


@pytest.mark.parametrize(
    ("column", "no", "yes"),
    [
        ("answerable", False, True),
        ("has_answer", 0, 1),
        ("is_answerable", "false", "true"),
        ("unanswerable", True, False),
        ("is_unanswerable", 1, 0),
        ("is_impossible", 1, 0),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_what_says_that_there_is_no_answer_is_heeded(
    tmp_path: Path, check: Run, suffix: str, column: str, no: object, yes: object
) -> None:
    rows = [{**row, column: no if i % 2 else yes} for i, row in enumerate(QUESTIONS)]
    said = check(write(tmp_path / f"rows.{suffix}", rows), "--task", "question-answering")
    assert "10 of 20" in said
    assert "[impossible_with_answers]" in said
    assert ("[answerable_read]" in said) is (column != "is_impossible")
    assert "not used" not in said


def argilla(annotation: object) -> Table:
    statuses = ("Validated", "Discarded", "Default", "Validated")
    return [
        {"text": f"Ida sat {i}", "annotation": annotation, "prediction": None, "status": statuses[i % 4]}
        for i in range(N)
    ]


@pytest.mark.parametrize(
    ("task", "annotation"), [("text-classification", "good"), ("token-classification", [["PER", 0, 3]])]
)
def test_what_argilla_has_not_validated_is_left_out(tmp_path: Path, check: Run, task: str, annotation: object) -> None:
    rows = [*argilla(annotation)]
    if annotation == "good":
        rows += [{**row, "annotation": "bad"} for row in rows]
    said = check(write(tmp_path / "rows.jsonl", rows), "--task", task)
    n = len(rows)
    for kind in ("discarded", "unvalidated"):
        assert f"{n // 4} of {n}: rows are left out, as they say themselves: answer {kind}" in said


@pytest.mark.parametrize("numbers", [(-1, 0, 1, 2), ("-1", "0", "1", "2")])
def test_minus_one_beside_class_numbers_is_asked_about(tmp_path: Path, check: Run, numbers: tuple[object, ...]) -> None:
    rows = [{**row, "label": numbers[i % len(numbers)]} for i, row in enumerate(reviews())]
    said = check(write(tmp_path / "rows.jsonl", rows), "--columns", "label=label")
    assert "[label_like_none]" in said
    assert "it usually means that there is no label" in said


@pytest.mark.parametrize("numbers", [(-1, 0, 1), ("-1", "0", "1")])
def test_minus_one_nought_and_one_are_three_classes_and_told(
    tmp_path: Path, check: Run, numbers: tuple[object, ...]
) -> None:
    rows = [{**row, "label": numbers[i % len(numbers)]} for i, row in enumerate(reviews())]
    said = check(write(tmp_path / "rows.jsonl", rows), "--columns", "label=label")
    assert "label_like_none" not in said
    assert "-1, 0 and 1 are taken as three classes. If -1 means that there is no label" in said


def test_minus_one_and_one_are_two_classes(tmp_path: Path, check: Run) -> None:
    rows = [{**row, "label": (-1, 1)[i % 2]} for i, row in enumerate(reviews())]
    assert "label_like_none" not in check(write(tmp_path / "rows.jsonl", rows))


def conll(parted: bool) -> str:
    sentence = "Ida\tB-PER\nsat\tO\nin\tO\nOslo\tB-LOC\n.\tO\n"
    return "\n".join([sentence] * 30) if parted else sentence * 30


def test_sentences_that_nothing_parts_are_warned_of(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.conll"
    path.write_text(conll(False))
    said = check(path)
    assert "The file has 1 sentence with 150 words in the longest and up to 30 full stops in one" in said
    assert "[sentences_not_parted]" in said
    assert "write an empty line after each sentence" in said
    path.write_text(conll(True))
    assert "sentences_not_parted" not in check(path)


def test_one_long_sentence_is_one(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.conll"
    path.write_text("Ida\tB-PER\n" + "and\tO\nTom\tB-PER\n" * 80 + ".\tO\n\n")
    assert "sentences_not_parted" not in check(path)


OBJECTS = [{"start": 0, "end": 3, "label": "PER"}]


@pytest.mark.parametrize(
    ("column", "marks", "order"),
    [
        pytest.param("entities", OBJECTS, "with start, end and label", id="entities"),
        pytest.param("annotations", OBJECTS, "with start, end and label", id="annotations"),
        pytest.param("label", OBJECTS, "with start, end and label", id="label"),
        pytest.param("label", [["PER", 0, 3]], "[label, start, end]", id="label first"),
        pytest.param("entities", [["PER", 0, 3]], "[label, start, end]", id="label first in entities"),
        pytest.param("label", [[0, 3, "PER"]], "[start, end, label]", id="label last"),
    ],
)
def test_marks_of_no_tool_are_read_and_told(tmp_path: Path, check: Run, column: str, marks: object, order: str) -> None:
    rows = [{"text": f"Ida sat at desk {i}", column: marks} for i in range(N)]
    said = check(write(tmp_path / "rows.jsonl", rows))
    assert f"`{column}` is taken for spans" in said
    assert order in said
    assert "labels: PER 20" in said


def test_entities_beside_a_label_leave_the_label(tmp_path: Path, check: Run) -> None:
    said = check(write(tmp_path / "rows.jsonl", reviews(entities=OBJECTS)), "--task", "text-classification")
    assert "labels: bad 10, good 10" in said
