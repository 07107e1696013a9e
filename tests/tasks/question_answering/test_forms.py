"""Questions as annotation tools and benchmarks write them: what is read, what is decided, and that it is told."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.first_columns import first_columns
from distiltune.errors import DataError
from distiltune.tasks.question_answering.no_answer import NoAnswer, like_none
from distiltune.tasks.question_answering.read import ColumnMap, QuestionSet, read_examples
from distiltune.tasks.table import TASKS

FORMS = Path(__file__).parents[2] / "data" / "label_forms"
HARBOUR = "🚢 The harbour master is Ida Brandt.\r\nThe ferry leaves at nine."
MASTER, NINE = ("Ida Brandt", HARBOUR.index("Ida")), ("nine", HARBOUR.index("nine"))


def read(path: Path, columns: str = "", **settings: Any) -> QuestionSet:
    found = read_examples([path], split="train", columns=ColumnMap.parse(columns), max_rejected_share=1.0, **settings)
    assert found.findings.n_rows == len(found.examples) + len(found.findings.of("rejected"))
    for each in found.examples:
        assert all(each.context[answer.start : answer.end] == answer.text for answer in each.answers)
    return found


def answers(found: QuestionSet) -> list[list[tuple[str, int]]]:
    return [[(answer.text, answer.start) for answer in example.answers] for example in found.examples]


def kinds(found: QuestionSet) -> set[str]:
    return {finding.kind for finding in found.findings.items}


@pytest.mark.parametrize(
    ("file", "columns", "expected", "told"),
    [
        ("paragraphs.json", "", [[MASTER], []], {"paragraphs_alone"}),
        ("mrqa.jsonl.gz", "", [[NINE], [MASTER]], {"header_line", "offsets_elsewhere", "paragraphs_alone"}),
        ("cmrc.json", "", [[("林海", 3), ("林海", 3)], [("九点", 10)]], {"paragraphs_alone"}),
        ("haystack-annotation.json", "", [[MASTER], []], {"offset_in_utf16", "answers_empty"}),
        ("haystack-labels.json", "", [[NINE], []], {"answers_malformed"}),
        (
            "label-studio-questions.json",
            "",
            [[MASTER], []],
            {"offset_in_utf16", "marked_answers", "answers_malformed"},
        ),
        ("hub-cells.csv", "", [[MASTER], [NINE], []], {"answers_in_a_cell", "quotes_round_fields"}),
        (
            "newsqa.csv",
            "context=story_text",
            [[MASTER], []],
            {"answer_ranges", "answers_malformed", "quotes_round_fields", "columns_unused"},
        ),
        ("newsqa.json", "", [[("nine.", NINE[1])], []], {"consensus", "answers_malformed"}),
        (
            "subjqa.csv",
            "context=review,answer_text=human_ans_spans,answer_start=human_ans_indices",
            [[("bright", 13)], [("ANSWERNOTFOUND", 40)]],
            {"offset_pair", "answer_like_none", "columns_unused"},
        ),
        ("coqa.json", "", [[MASTER], []], {"conversation"}),
        ("quac.json", "", [[("Tom Reed", 22)], [("CANNOTANSWER", 32)]], {"answer_like_none"}),
        ("start-end.jsonl", "", [[("Bob", 19)], [("Bob", 0)]], {"offsets_elsewhere", "answer_at_nearest"}),
        ("blank-ends.jsonl", "", [[("Bob", 3)], [("Ann", 12)]], {"answer_trimmed"}),
        ("marks.jsonl", "", [[("Ida Brande\u0301", 0)], [("साधु", 3)]], set()),
        ("markers.jsonl", "", [[("Bob", 0)]], {"answer_not_found", "answer_empty"}),
    ],
)
def test_every_form_is_read_and_told(
    file: str, columns: str, expected: list[list[tuple[str, int]]], told: set[str]
) -> None:
    found = read(FORMS / file, columns)
    assert answers(found) == expected
    assert kinds(found) == told
    assert TASKS["question-answering"].fits(dict.fromkeys(first_columns(FORMS / file)), columns)


def test_empty_texts_inside_answers_mean_that_none_is_given() -> None:
    found = read(FORMS / "empty-texts.jsonl")
    assert [example.is_unanswerable for example in found.examples] == [False, True, True, True, True]
    assert not found.findings.of("rejected")
    assert kinds(found) == {"answer_at_nearest", "answers_empty"}


def test_what_stands_for_no_answer_is_said_with_a_flag() -> None:
    said = read(FORMS / "markers.jsonl", no_answer="No Answer| ")
    assert [example.is_unanswerable for example in said.examples] == [False, True, True]
    assert not said.findings.items
    asked = read(FORMS / "markers.jsonl").findings.of("rejected")
    assert "--no-answer 'no answer'" in asked[0].message
    assert "--no-answer ' '" in asked[1].message
    assert answers(read(FORMS / "quac.json", no_answer="CANNOTANSWER")) == [[("Tom Reed", 22)], []]
    assert not NoAnswer().means_none("")
    assert like_none("[no answer]")
    assert not like_none("nine")
    assert not like_none("unknown")
    assert like_none("unknown", unplaced=True)


@pytest.mark.parametrize(
    ("row", "option"),
    [
        ({"text": "Bob", "answer_start": 0}, "--columns answer_text=text;"),
        ({"text": "Bob", "start": 0}, "--columns answer_text=text,answer_start=start;"),
        ({"gold_answer": "Bob"}, "--columns answer_text=gold_answer;"),
        ({"answer_start": 0}, "--columns answer_text=NAME,answer_start=answer_start."),
    ],
)
def test_answers_in_columns_without_a_mapping_are_not_taken_for_none(
    tmp_path: Path, row: dict[str, object], option: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "Who met Ann there?", "context": "Bob met Ann.", **row}))
    with pytest.raises(DataError) as caught:
        read(path)
    assert option in caught.value.fix


def test_a_prediction_is_told_of_the_mapping_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": "Who met Ann there?", "context": "Bob met Ann.", "answer": "Bob"}))
    (note,) = read(path, use="prediction").findings.items
    assert note.kind == "no_answer_column"
    assert "--columns answer_text=answer;" in note.message


def test_an_offset_under_another_name_decides_between_occurrences(tmp_path: Path) -> None:
    context = "Bob met Ann. Later Bob left."
    rows = [
        {"question": "Who left then?", "context": context, "answer_text": "Bob", "start": 19, "end": 22},
        {"question": "Who left then?", "context": context, "answers": [{"text": "Bob", "start": 19, "end": 22}]},
        {"question": "Who left now?", "context": context, "answers": [{"text": "Bob", "char_spans": [[19, 21]]}]},
        {"question": "Who left so?", "context": context, "answer_char_ranges": "19:22|None|19:22"},
        {"question": "Who left by then?", "context": context, "answer_text": "Bob", "answer_char_ranges": "None|19:22"},
        {"question": "Who left there?", "context": context, "answer_text": "Bob", "char_spans": [[4, 7], [19, 21]]},
        {"question": "Who left where?", "context": context, "answer_text": "['Bob']", "answer_start": "[19]"},
    ]
    for number, row in enumerate(rows):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(json.dumps(row))
        found = read(path)
        assert answers(found) == [[("Bob", 19)]]
        assert len(found.findings.items) == 1, "what was decided is told"


def test_one_article_alone_is_read(tmp_path: Path) -> None:
    document = json.loads((FORMS / "paragraphs.json").read_text(encoding="utf-8"))[0]
    for name, content in (("one.json", document), ("article.json", {"title": "T", "paragraphs": [document]})):
        (tmp_path / name).write_text(json.dumps(content))
        assert answers(read(tmp_path / name)) == [[MASTER], []]


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.floats()
    | st.sampled_from(["", " ", "Bob", "x", "3:5|None", "[1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "answer_start", "start", "char_spans", "qid", "question"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("question", "context", "answers", "answer_text", "answer_start", "start", "answer_char_ranges", "qas", "id"),
        *("paragraphs", "data", "annotations", "story", "questions", "query", "document", "answer", "storyId", "text"),
        *("header", "is_impossible", "detected_answers"),
    ]
)


@given(st.lists(st.dictionaries(NAMES, ODD, max_size=6), max_size=4))
def test_rows_of_any_form_are_read_or_rejected(tmp_path_factory: pytest.TempPathFactory, rows: list[object]) -> None:
    path = tmp_path_factory.mktemp("odd") / "rows.jsonl"
    good = {
        "question": "Who met Ann there?",
        "context": "Bob met Ann.",
        "answers": [{"text": "Bob", "answer_start": 0}],
    }
    path.write_text("".join(json.dumps(row) + "\n" for row in [good, *rows]), encoding="utf-8")
    found = read(path)
    assert all(str(path) in finding.where for finding in found.findings.of("rejected"))


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_whatever_the_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"rows{suffix}"
    table = "question,context\nWho?,Bob met Ann.\n".replace(",", "\t" if suffix == ".tsv" else ",")
    good = '{"question": "Who?", "context": "Bob met Ann."}\n' if suffix == ".jsonl" else table
    path.write_bytes(good.encode() + content)
    with contextlib.suppress(DataError):
        found = read_examples([path], split="train", max_rejected_share=1.0, use="prediction")
        assert found.findings.n_rows == len(found.examples) + len(found.findings.of("rejected"))
        assert all(finding.where.startswith(str(path)) for finding in found.findings.of("rejected"))
