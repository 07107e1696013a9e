"""Reading examples: every layout, every repair, every rejection, and the counts that must add up."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.sources import has_splits
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.question_answering.examples import Answer
from distiltune.tasks.question_answering.read import (
    ColumnMap,
    QuestionSet,
    read_examples,
)
from tests.hub_stand_in import HubStandIn

CONTEXT = "Ann met Bob in Paris. Bob left."
SHARED = Path(__file__).resolve().parents[4] / "shared"


def _flat(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "id": "q1",
        "question": "Where?",
        "context": CONTEXT,
        "answer_text": "Paris",
        "answer_start": 15,
    }
    return {name: value for name, value in {**row, **changes}.items() if value is not ...}


def _squad(*questions: object, context: object = CONTEXT) -> dict[str, object]:
    return {
        "version": "2.0",
        "data": [{"title": "T", "paragraphs": [{"context": context, "qas": [*questions]}]}],
    }


def _write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _read(
    path: Path | str, *, split: Literal["train", "validation"] = "train", columns: ColumnMap | None = None
) -> QuestionSet:
    read = read_examples([path], split=split, columns=columns or ColumnMap(), max_rejected_share=1.0)
    _check(read)
    return read


def _check(read: QuestionSet) -> None:
    """What holds whatever was read."""
    assert read.findings.n_rows == len(read.examples) + len(read.findings.of("rejected"))
    assert len({example.id for example in read.examples}) == len(read.examples)
    for each in read.examples:
        assert all(each.context[answer.start : answer.end] == answer.text for answer in each.answers)


def _read_rows(folder: Path, *rows: object) -> QuestionSet:
    """Those rows from a JSON file, with one more that is good, so that there always is an example."""
    return _read(_write(folder / "rows.json", [*rows, _flat(id="good")]))


def _kinds(read: QuestionSet) -> list[str]:
    return list(read.findings.counts())


def test_squad_articles(tmp_path: Path) -> None:
    questions = [
        {"id": "a", "question": "Where?", "answers": [{"text": "Paris", "answer_start": 15}] * 2},
        {
            "id": "b",
            "question": "Why?",
            "answers": [],
            "plausible_answers": [{"text": "Bob", "answer_start": 8}],
            "is_impossible": True,
        },
        {"question": "Who left?", "answers": [{"text": "Bob", "answer_start": 22}]},
    ]
    path = _write(tmp_path / "squad.json", _squad(*questions))
    read = _read(path)
    first, second, third = read.examples
    assert (first.id, first.title, first.context) == ("a", "T", CONTEXT)
    assert first.answers == (Answer("Paris", 15), Answer("Paris", 15))
    assert second.answers == ()
    assert third.answers == (Answer("Bob", 22),)
    assert len(third.id) == 16
    assert first.context is second.context is third.context
    assert not read.findings.items
    assert read.sources == (str(path),)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"answers": {"text": ["Paris"], "answer_start": [15]}}, [15]),
        ({"answers": {"text": ["Bob", "Bob"], "answer_start": [8, 22]}}, [8, 22]),
        ({"answers": {"text": [], "answer_start": []}}, []),
        ({"answers": [{"text": "Paris", "answer_start": 15}]}, [15]),
        ({"answers": ["Paris"]}, [15]),
        ({"answers": []}, []),
        ({"answers": None}, []),
        ({"answer_text": "Paris"}, [15]),
        ({"answer_text": "Paris", "answer_start": None}, [15]),
        ({"answer_text": "Paris", "answer_start": 15.0}, [15]),
        ({"answer_text": "Paris", "answer_start": [15]}, [15]),
        ({"answer_text": ["Bob", "Paris"], "answer_start": [22, 15]}, [22, 15]),
        ({"answer_text": ["Paris"]}, [15]),
        ({"answer_text": ""}, []),
        ({"answer_text": None, "answer_start": None}, []),
        ({"answer_text": []}, []),
        ({}, []),
    ],
)
def test_layouts_of_answers(tmp_path: Path, answers: dict[str, object], expected: list[int]) -> None:
    row = _flat(answer_text=..., answer_start=...) | answers
    read = _read(_write(tmp_path / "a.json", [row]))
    assert [answer.start for answer in read.examples[0].answers] == expected
    assert not read.findings.of("repaired")


def _write_table(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def test_csv(tmp_path: Path) -> None:
    context = 'Ann\r\nmet "Bob", e\u0301🙂 in Paris.'
    rows: list[list[object]] = [
        ["question", "context", "answer_text", "answer_start"],
        ["Where?", context, "Paris", context.index("Paris")],
        ["Where to?", context, "Paris", ""],
        ["Why?", context, "", ""],
    ]
    read = _read(_write_table(tmp_path / "a.csv", rows))
    assert [each.context for each in read.examples] == [context] * 3
    assert [[answer.text for answer in each.answers] for each in read.examples] == [["Paris"], ["Paris"], []]
    assert [item.kind for item in read.findings.items] == ["quotes_round_fields", "answers_empty"]


def test_parquet_with_nested_answers(tmp_path: Path) -> None:
    rows = [
        {"question": "Where?", "context": CONTEXT, "answers": {"text": ["Paris"], "answer_start": [15]}},
        {"question": "Why?", "context": CONTEXT, "answers": {"text": [], "answer_start": []}},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    read = _read(tmp_path / "a.parquet")
    assert [each.answers for each in read.examples] == [(Answer("Paris", 15),), ()]


def test_bad_rows_of_a_table_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,context\nWho?,Ann\nWho?,Ann,Bob\n")
    read = _read(path)
    (finding,) = read.findings.of("rejected")
    assert (finding.kind, finding.where) == ("row_unreadable", f"{path}:3")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"question": ...}, "question_missing"),
        ({"question": None}, "question_missing"),
        ({"question": " \n"}, "question_empty"),
        ({"question": 7}, "question_not_text"),
        ({"question": float("nan")}, "question_not_text"),
        ({"question": "a\ud800"}, "question_not_encodable"),
        ({"context": ...}, "context_missing"),
        ({"context": "\u00a0\t"}, "context_empty"),
        ({"context": ["Paris"]}, "context_not_text"),
        ({"context": f"{CONTEXT}\udc00"}, "context_not_encodable"),
        ({"answer_text": " "}, "answer_empty"),
        ({"answer_text": 7}, "answer_not_text"),
        ({"answer_text": float("nan")}, "answer_not_text"),
        ({"answer_text": "Pari\ud800s"}, "answer_not_encodable"),
        ({"answer_text": "London"}, "answer_not_found"),
        ({"answer_text": "Bob", "answer_start": 15}, "answer_ambiguous"),
        ({"answer_start": "soon"}, "answer_start_not_whole"),
        ({"answer_start": 1.5}, "answer_start_not_whole"),
        ({"answer_start": float("nan")}, "answer_start_not_whole"),
        ({"answer_start": float("inf")}, "answer_start_not_whole"),
        ({"answer_start": True}, "answer_start_not_whole"),
        ({"answer_start": [1, 2]}, "answers_malformed"),
        ({"answers": "Paris"}, "answers_malformed"),
        ({"answers": 7}, "answers_malformed"),
        ({"answers": [7]}, "answers_malformed"),
        ({"answers": {"texts": []}}, "answers_malformed"),
        ({"answers": [{"text": " "}]}, "answer_empty"),
        ({"id": ["x"]}, "id_not_text"),
        ({"id": float("nan")}, "id_not_text"),
        ({"id": "\ud800"}, "id_not_text"),
    ],
)
def test_rejections(tmp_path: Path, changes: dict[str, object], kind: str) -> None:
    read = _read_rows(tmp_path, _flat(**changes))
    (finding,) = read.findings.of("rejected")
    assert finding.kind == kind
    assert finding.where == f"{tmp_path / 'rows.json'}#0"
    assert finding.message.endswith(".")
    assert [each.id for each in read.examples] == ["good"]
    json.dumps(finding.as_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize("row", [7, None, [], "text"])
def test_rows_that_are_no_objects(tmp_path: Path, row: object) -> None:
    assert _kinds(_read_rows(tmp_path, row)) == ["rejected/row_unreadable"]


@pytest.mark.parametrize(
    "article",
    [
        {"paragraphs": 7},
        {"paragraphs": [7]},
        {"paragraphs": [{"context": CONTEXT}]},
        {"paragraphs": [{"context": CONTEXT, "qas": [7]}]},
        {"paragraphs": [{"context": CONTEXT, "qas": [{"id": "x", "question": "?", "answers": 7}]}]},
    ],
)
def test_malformed_articles(tmp_path: Path, article: object) -> None:
    read = _read_rows(tmp_path, article)
    assert len(read.findings.of("rejected")) == 1
    assert read.findings.n_rows == 2


def test_where_of_articles(tmp_path: Path) -> None:
    questions = [{"id": "x7", "question": " ", "answers": []}, {"question": " ", "answers": []}]
    path = _write(tmp_path / "a.json", {"data": [*_squad_articles(*questions), _flat()]})
    wheres = [finding.where for finding in _read(path).findings.of("rejected")]
    assert wheres == [f"{path}#x7", f"{path}#0.paragraphs[0].qas[1]"]


def _squad_articles(*questions: object) -> list[object]:
    articles = _squad(*questions)["data"]
    assert isinstance(articles, list)
    return articles


def test_repairs(tmp_path: Path) -> None:
    read = _read_rows(
        tmp_path,
        _flat(id="moved", answer_start=3),
        _flat(id="respelled", answer_text="PARIS "),
        _flat(id="bytes", context="é " + CONTEXT, answer_start=18),
        _flat(id="utf16", context="🙂 " + CONTEXT, answer_start=18),
        _flat(id="several", answer_text=["London", "Paris"], answer_start=[0, 15]),
        _flat(id="first", answer_text="Bob", answer_start=None),
    )
    said = [(item.outcome, item.kind, item.row_id) for item in read.findings.items]
    assert said == [
        ("repaired", "answer_moved", "moved"),
        ("repaired", "answer_respelled", "respelled"),
        ("repaired", "offset_in_bytes", "bytes"),
        ("repaired", "offset_in_utf16", "utf16"),
        ("repaired", "gold_answer_dropped", "several"),
        ("noted", "answer_ambiguous", "first"),
    ]
    texts = [each.answers[0].text for each in read.examples]
    assert texts == ["Paris", "Paris", "Paris", "Paris", "Paris", "Bob", "Paris"]


def test_all_gold_answers_bad_rejects_the_row(tmp_path: Path) -> None:
    read = _read_rows(tmp_path, _flat(answer_text=["London", " "], answer_start=[0, 15]))
    assert _kinds(read) == ["rejected/answer_not_found"]


def test_impossible_with_answers(tmp_path: Path) -> None:
    read = _read_rows(tmp_path, _flat(is_impossible=True), _flat(id="q2", is_impossible=False))
    assert [bool(each.answers) for each in read.examples] == [False, True, True]
    assert _kinds(read) == ["noted/impossible_with_answers"]


def test_ids_are_made_and_made_unique(tmp_path: Path) -> None:
    rows = [_flat(id=each) for each in ("a", "a-2", "a", "a", 7, None, ..., "")]
    read = _read(_write(tmp_path / "a.json", rows))
    ids = [each.id for each in read.examples]
    assert ids[:5] == ["a", "a-2", "a-3", "a-4", "7"]
    made = ids[5]
    assert ids[5:] == [made, f"{made}-2", f"{made}-3"]
    assert [item.row_id for item in read.findings.items if item.kind == "id_repeated"] == ["a-3", "a-4"]
    again = _read(_write(tmp_path / "b.json", rows[5:6]))
    assert again.examples[0].id == made


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("q,passage,answer\nWhere?,In Paris.,Paris\n")
    columns = ColumnMap.parse("question=q, context = passage,answer_text=answer")
    assert _read(path, columns=columns).examples[0].answers == (Answer("Paris", 3),)


def test_column_map() -> None:
    assert ColumnMap.parse("") == ColumnMap()
    for text, said in (
        ("question", "maps no column"),
        ("question=", "maps no column"),
        ("questions=q", "did you mean 'question'"),
        ("id=a,id=b", "twice"),
    ):
        with pytest.raises(RecipeError) as caught:
            ColumnMap.parse(text)
        assert said in str(caught.value)


def test_columns_under_other_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("q,passage,answer_text\nWhere?,In Paris.,Paris\n")
    with pytest.raises(DataError, match="None of the 1 rows") as caught:
        read_examples([path], split="train")
    assert "q, passage, answer_text" in caught.value.fix
    assert "--columns question=...,context=..." in caught.value.fix


def test_answers_under_another_name_do_not_become_unanswerable(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,context,Answer\nWhere?,In Paris.,Paris\n")
    with pytest.raises(DataError) as caught:
        read_examples([path], split="train")
    assert "--columns answer_text=Answer" in caught.value.fix
    assert len(read_examples([path], split="validation", use="prediction").examples) == 1
    path.write_text("question,context\nWhere?,In Paris.\n")
    assert _kinds(_read(path)) == ["noted/no_answer_column"]


def test_no_place_for_answers_is_not_no_answer(tmp_path: Path) -> None:
    """An empty answer says that the text does not tell; a file without any says nothing."""
    bare: dict[str, object] = {"id": "bare", "question": "Who?", "context": CONTEXT}
    article = {"id": "article", "question": "Who?"}
    for rows, known in (
        ([bare], False),
        ([{**bare, "answer_text": ""}], True),
        ([{**bare, "answers": []}], True),
        ([{**bare, "is_impossible": True}], True),
        ([bare, _flat()], True),  # where some rows of a file have answers, the others say that there is none
        (_squad(article), False),
        (_squad({**article, "answers": []}), True),
        (_squad({**article, "is_impossible": True}), True),
    ):
        path = _write(tmp_path / "a.json", rows)
        read = read_examples([path], split="validation", use="prediction")
        assert read.examples[0].has_gold is known, rows
        assert read.examples[0].is_unanswerable is known
        assert ("noted/no_answer_column" in _kinds(read)) is not known
        if known:
            assert read_examples([path], split="validation", use="evaluation").examples == read.examples
        else:
            with pytest.raises(DataError, match="nothing to measure"):
                read_examples([path], split="validation", use="evaluation")
        # To learn from, as ever: a text that does not tell.
        assert read_examples([path], split="train").examples[0].is_unanswerable


def test_a_gold_answer_without_a_place_costs_only_a_training_the_question(tmp_path: Path) -> None:
    rows = [
        _flat(id="good"),
        _flat(id="elsewhere", answer_text="London"),
        _flat(id="one of two", answer_text=["Paris", "Rome"], answer_start=...),
        _flat(id="no text", answer_text=7),
        _flat(id="no list", answer_text=..., answer_start=..., answers="Paris"),
        _flat(id="no question", question=" "),
    ]
    path = _write(tmp_path / "a.json", rows)
    found = {
        use: read_examples([path], split="validation", use=use, max_rejected_share=1.0)
        for use in ("training", "evaluation", "prediction")
    }
    for read in found.values():
        _check(read)
    assert [each.id for each in found["training"].examples] == ["good", "one of two"]
    assert [each.gold_texts for each in found["training"].examples] == [("Paris",), ("Paris",)]
    assert [each.id for each in found["evaluation"].examples] == ["good", "elsewhere", "one of two"]
    assert [each.gold_texts for each in found["evaluation"].examples] == [("Paris",), ("London",), ("Paris", "Rome")]
    assert found["evaluation"].findings.counts()["noted/answer_not_placed"] == 2
    assert [each.id for each in found["prediction"].examples] == [str(row["id"]) for row in rows[:-1]]
    assert [each.has_gold for each in found["prediction"].examples] == [True, True, True, False, False]
    noted = found["prediction"].findings.of("noted")
    assert [(each.kind, each.row_id) for each in noted][-2:] == [
        ("answer_not_text", "no text"),
        ("answers_malformed", "no list"),
    ]


def test_share_of_rejected_rows(tmp_path: Path) -> None:
    rows = [_flat(id=str(number)) for number in range(95)]
    bad = [_flat(id=f"bad{number}", answer_text="London") for number in range(5)]
    path = _write(tmp_path / "a.json", [*rows, *bad])
    assert len(read_examples([path], split="train").examples) == 95
    path = _write(tmp_path / "a.json", [*rows, *bad, _flat(question=None)])
    with pytest.raises(DataError) as caught:
        read_examples([path], split="train")
    message = str(caught.value)
    assert "6 of 101 rows (5.94 %)" in message
    assert "answer_not_found: 5" in message
    assert "question_missing: 1" in message
    assert f"{path}#99" in message
    assert f"{path}#100" in message  # the first of each kind
    assert caught.value.fix.endswith("--max-rejected-share 1.")
    assert len(read_examples([path], split="train", max_rejected_share=1).examples) == 95


def test_no_usable_row_is_always_an_error(tmp_path: Path) -> None:
    for rows, said in (([], "no row"), ([_flat(question=None)], "None of the 1 rows")):
        with pytest.raises(DataError, match=said):
            read_examples([_write(tmp_path / "a.json", rows)], split="train", max_rejected_share=1)


def test_several_sources_and_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    _write(folder / "b.json", [_flat()])
    _write(folder / "a.json", _squad({"id": "s", "question": "Where?", "answers": []}))
    (folder / "notes.md").write_text("hello")
    single = _write(tmp_path / "c.json", [_flat()])
    read = read_examples([folder, str(single)], split="train")
    _check(read)
    assert [each.id for each in read.examples] == ["s", "q1", "q1-2"]
    assert _kinds(read) == ["noted/file_ignored", "noted/id_repeated"]
    assert read.sources == (str(folder), str(single))
    assert read.fingerprint != read_examples([folder], split="train").fingerprint
    assert len(read.fingerprint) == 64


@pytest.mark.parametrize("name", ["trian.json", "./trian", "train.jsonl", "folder/none.csv", "train.txt"])
def test_paths_that_do_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "train.json", [_flat()])
    with pytest.raises(DataError, match="does not exist") as caught:
        read_examples([name], split="train")
    assert ("did you mean train.json?" in caught.value.fix) == (not name.startswith("folder"))


def test_what_has_splits_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "squad_v2", [])
    own = [has_splits(each) for each in ("starter", "squad", "a/b:c", "squad_v2", "a.json", "./starter")]
    assert own == [True, True, True, False, False, False]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_starter(split: Literal["train", "validation"]) -> None:
    read = read_examples(["starter"], split=split)
    _check(read)
    assert read.examples
    assert not read.findings.of("rejected")
    assert not read.findings.of("repaired")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with HubStandIn() as stand_in:
        stand_in.patch(monkeypatch, tmp_path / "hf-home")
        yield stand_in


def test_hub_name(hub: HubStandIn) -> None:
    for name, split in (("train", "train"), ("dev", "validation")):
        hub.add("dataset", f"owner/{name}", {f"{name}.json": json.dumps([_flat(id=split)]).encode()})
    assert _read("owner/train").examples[0].id == "train"
    assert _read("owner/dev", split="validation").examples[0].id == "validation"


def test_reading_local_files_does_not_import_the_hub_library(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", [_flat()])
    code = (
        "from distiltune.data.sources import find_source; from distiltune.data.files import iter_rows\n"
        "import sys; from pathlib import Path; source = find_source(sys.argv[1], 'train', Path())\n"
        "list(iter_rows(source.files[0]))\n"
        "print('huggingface_hub' in sys.modules, 'pyarrow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout.split() == ["False", "False"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "answer_start", "qas", "context", "id"]), inside, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "id",
    "question",
    "context",
    "answer_text",
    "answer_start",
    "answers",
    "is_impossible",
    "paragraphs",
]


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=6) | JSON_VALUES, max_size=5))
def test_no_row_crashes_or_vanishes(tmp_path_factory: pytest.TempPathFactory, rows: list[object]) -> None:
    _read_rows(tmp_path_factory.mktemp("any"), *rows)


@pytest.mark.parametrize(("name", "n"), [("train", 87_599), ("dev", 10_570)])
def test_squad_counts(name: str, n: int) -> None:
    path = SHARED / "data" / "squad-v1.1" / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    read = read_examples([path], split="train")
    _check(read)
    assert len(read.examples) == n
    assert not read.findings.items


@pytest.mark.parametrize(
    ("answers", "agrees"),
    [
        ([{"text": "Paris", "answer_start": 15}], True),
        ({"text": ["Bob", "Paris"], "answer_start": [8, 15]}, True),
        (["Paris"], True),
        ([], True),
        ([{"text": "Bob", "answer_start": 8}], False),
        ("[{'text': 'Bob', 'answer_start': 8}]", False),
        ([{"text": "Paris", "answer_start": 3}], False),
        ([""], False),
    ],
)
def test_an_answer_that_two_columns_give_must_be_one(tmp_path: Path, answers: object, agrees: bool) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [_flat(answers=answers), _flat(id="q2")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read = _read(path)
    refused = read.findings.of("rejected")
    assert len(read.examples) == 1 + agrees
    if not agrees:
        assert "`answer_text` is 'Paris' at 15, but `answers` has" in refused[0].message


def test_an_answer_alone_below_a_question_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    question = {"id": "a", "question": "Where?", "answer": {"text": "Paris", "answer_start": 15}}
    path.write_text(json.dumps(_squad(question)), encoding="utf-8")
    read = _read(path)
    assert read.examples[0].answers == (Answer("Paris", 15),)
    assert [each.kind for each in read.findings.of("decided")] == ["answer_alone"]


PASSAGE = "In the old town Marta sells the bread."


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"answer": {"text": "Marta", "answer_start": 16}}, {"answer_alone"}, id="object"),
        pytest.param({"answer": {"text": "Marta", "start": 16}}, {"answer_alone", "offsets_elsewhere"}, id="start"),
        pytest.param({"answer": [{"text": "Marta"}]}, {"answer_alone"}, id="list"),
        pytest.param({"answer": "{'text': 'Marta'}"}, {"answer_alone", "answers_in_a_cell"}, id="cell"),
        pytest.param({"answer_text": {"text": "Marta", "answer_start": 16}}, set(), id="in answer_text"),
        pytest.param({"answer_text": {"text": "Marta"}, "answer_start": 16}, set(), id="offset beside"),
        pytest.param({"answer_text": '{"text": "Marta"}'}, {"answers_in_a_cell"}, id="cell of answer_text"),
    ],
)
def test_one_answer_as_an_object_is_read_in_flat_rows(
    tmp_path: Path, fields: dict[str, object], told: set[str]
) -> None:
    path = _write(tmp_path / "a.json", [{"question": "Who sells bread?", "context": PASSAGE, **fields}])
    read = _read(path)
    assert read.examples[0].answers == (Answer("Marta", 16),)
    assert {each.kind for each in read.findings.of("decided")} == told


def test_a_weight_beside_one_answer_is_kept(tmp_path: Path) -> None:
    row = {"question": "Who sells bread?", "context": PASSAGE, "answer": {"text": "Marta"}, "sample_weight": 2.5}
    assert _read(_write(tmp_path / "a.json", [row])).examples[0].weight == 2.5


def test_a_text_beside_objects_in_answer_is_not_taken_for_none(tmp_path: Path) -> None:
    rows: list[object] = [
        {"question": f"Who sells bread, {i}?", "context": PASSAGE, "answer": answer}
        for i, answer in enumerate([{"text": "Marta"}, None, "Marta"])
    ]
    read = _read(_write(tmp_path / "a.json", rows))
    assert [len(example.answers) for example in read.examples] == [1, 0]
    assert [each.kind for each in read.findings.of("rejected")] == ["answers_malformed"]


@pytest.mark.parametrize(
    ("fields", "what", "fix"),
    [
        pytest.param({"start": 16, "end": 21}, "'start' and 'end'", "answer_char_ranges, as 12:21", id="start and end"),
        pytest.param({"answer_start": 16, "answer_end": 21}, "'answer_end'", "answer_char_ranges", id="answer_end"),
        pytest.param(
            {"answer": {"value": "Marta"}}, "of another form", '{"text": ..., "answer_start": ...}', id="form"
        ),
        pytest.param({"answer": "Marta"}, "one 'answer'", "--columns answer_text=answer", id="text"),
    ],
)
def test_where_answers_are_not_read_the_way_on_fits(
    tmp_path: Path, fields: dict[str, object], what: str, fix: str
) -> None:
    path = _write(tmp_path / "a.json", [{"question": "Who sells bread?", "context": PASSAGE, **fields}])
    with pytest.raises(DataError, match=what) as caught:
        _read(path)
    assert fix in caught.value.fix


def test_ranges_that_were_advised_are_read(tmp_path: Path) -> None:
    row = {"question": "Who sells bread?", "context": PASSAGE, "answer_char_ranges": "16:21"}
    assert _read(_write(tmp_path / "a.json", [row])).examples[0].answers == (Answer("Marta", 16),)
