"""Labelled texts as annotation tools and benchmarks write them: what is read, what is decided, and that it is told."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.data.first_columns import first_columns, first_rows
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextSet
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.spellings import as_spelled, one_spelling, spelling_key
from distiltune.tasks.text_classification.targets import Targets, find_problem, find_targets, numbers_as_classes

FORMS = Path(__file__).parents[2] / "data" / "label_forms"
Gold = tuple[str, ...] | None


def read(path: Path, columns: str = "", labels: LabelSettings = LabelSettings()) -> TextSet:  # noqa: B008 (frozen)
    found = read_texts([path], "train", TextColumns.parse(columns), 1.0, labels=labels)
    assert found.findings.n_rows == len(found.examples) + len(found.findings.unused())
    return found


def gold(found: TextSet) -> list[Gold]:
    return [example.gold for example in found.examples]


def kinds(found: TextSet) -> set[str]:
    return {finding.kind for finding in found.findings.items}


def of_two(*names: str) -> list[Gold]:
    """Six texts with two labels in turn."""
    return [(names[place % 2],) for place in range(6)]


@pytest.mark.parametrize(
    ("file", "columns", "expected", "told"),
    [
        (
            "multi-hot.jsonl",
            "",
            [("label_1", "label_2"), ("label_0", "label_2"), *of_two("label_1", "label_0")[2:]],
            {"labels_multi_hot", "label_count"},
        ),
        (
            "multi-hot.csv",
            "",
            [("label_1",), ("label_0", "label_1")] * 3,
            {"labels_multi_hot", "labels_in_a_cell"},
        ),
        (
            "columns.csv",
            "",
            [("insult",), ("insult", "toxic"), (), ("toxic",), (), ("toxic",)],
            {"label_columns"},
        ),
        (
            "columns.csv",
            "labels=toxic+insult",
            [("insult",), ("insult", "toxic"), (), ("toxic",), (), ("toxic",)],
            set(),
        ),
        (
            "lists.csv",
            "",
            [("old", "slow"), ("bright",), ("cold", "slow"), ("kind",), ()],
            {"labels_in_a_cell", "without_labels"},
        ),
        ("one-a-row.csv", "", of_two("bad", "good"), {"label_missing"}),
        ("comma-names.csv", "", [("no, never",), ("yes, gladly",), ("no, never",)], {"label_not_parted"}),
        ("doccano.jsonl", "", of_two("bad", "good"), {"columns_unused"}),
        ("doccano-numbers.jsonl", "", of_two("3", "4"), {"labels_by_number"}),
        ("doccano-spans.jsonl", "", [("good",)], {"label_is_a_span", "form_read"}),
        ("prodigy.jsonl", "", [("bad",), ("good",)] * 2, {"answer_reject", "answer_ignore", "columns_unused"}),
        ("prodigy-choice.jsonl", "", of_two("bad", "good"), {"labels_of_choice"}),
        (
            "label-studio.json",
            "",
            [("bad",), ("good",)],
            {"labels_of_choice", "annotators_disagree", "answer_ignore", "form_read"},
        ),
        ("label-studio-min.json", "label=mood", [("bad", "slow"), *of_two("bad", "good")[1:]], {"columns_unused"}),
        ("spacy-cats.jsonl", "", of_two("BAD", "GOOD"), {"labels_of_cats", "label_not_0_or_1"}),
        (
            "snli.jsonl",
            "text=sentence1,pair=sentence2,label=gold_label",
            [("neutral",), ("entailment",), ("-",)] * 2,
            {"columns_unused"},
        ),
    ],
)
def test_every_form_is_read_and_told(file: str, columns: str, expected: list[Gold], told: set[str]) -> None:
    found = read(FORMS / file, columns)
    assert gold(found) == expected
    assert kinds(found) == told
    entry = TASKS["text-classification"]
    fits = entry.fits(dict.fromkeys(first_columns(FORMS / file)), columns) or entry.by_values(
        [row.value for row in first_rows(FORMS / file)], entry.renamed(columns)
    )
    only_the_task_tells = (("doccano-spans.jsonl", ""),)
    assert fits or (file, columns) in only_the_task_tells


def test_rows_of_0_and_1_get_names_and_keep_their_places() -> None:
    named = read(FORMS / "multi-hot.csv", labels=LabelSettings(("toxic", "rude", "absent")))
    assert gold(named) == [("rude",), ("rude", "toxic")] * 3
    targets = find_targets(named.examples, "auto", {})
    assert (targets.problem, targets.labels) == ("multi-label", ("toxic", "rude", "absent"))
    # a model's own labels name the places where it is used
    used = read(FORMS / "multi-hot.csv", labels=LabelSettings(names_of_places=targets.labels))
    assert gold(used) == gold(named)
    with pytest.raises(RecipeError, match="2 names of labels and rows of 3"):
        read(FORMS / "multi-hot.csv", labels=LabelSettings(("toxic", "rude")))


def test_classes_by_number_get_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\none,0\nother,1\nmore,2\n")
    found = read(tmp_path / "a.csv", labels=LabelSettings(("sad", "glad")))
    assert gold(found) == [("sad",), ("glad",)]
    assert kinds(found) == {"label_missing"}


def test_lists_of_class_numbers_are_no_rows_of_0_and_1(tmp_path: Path) -> None:
    def labels(*lists: list[object]) -> list[Gold]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps({"text": f"t{i}", "labels": each}) + "\n" for i, each in enumerate(lists)))
        return gold(read(path))

    assert labels([0], [1], [0, 1], []) == [("0",), ("1",), ("0", "1"), ()]
    assert labels([3, 1], [1]) == [("1", "3"), ("1",)]
    assert labels([0, 1], [1, 0]) == [("label_1",), ("label_0",)]
    of_a_model = LabelSettings(names_of_places=("sad", "glad", "calm"))
    assert gold(read(tmp_path / "rows.jsonl", labels=of_a_model)) == [("0", "1")] * 2
    assert labels([True, False], [True, True]) == [("label_0",), ("label_0", "label_1")]
    with pytest.raises(DataError, match="rows of 0 and 1, such as 1, 0, 1, and others are not, such as 5"):
        labels([1, 0, 1], [0, 0, 1], [5])


@pytest.mark.parametrize(("file", "separator"), [("commas.csv", ","), ("doccano.csv", "#")])
def test_several_labels_in_a_cell_are_not_taken_for_one(file: str, separator: str) -> None:
    with pytest.raises(DataError, match="look like several labels in one cell") as caught:
        read(FORMS / file)
    assert f"--label-separator {separator!r}" in caught.value.fix
    assert "--label-separator '|'" in caught.value.fix
    parted = read(FORMS / file, labels=LabelSettings(separator=separator))
    assert max(len(each or ()) for each in gold(parted)) == 2
    whole = read(FORMS / file, labels=LabelSettings(separator="|"))
    assert max(len(each or ()) for each in gold(whole)) == 1


def test_numbers_parted_by_a_comma_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabels\none\t2,10\nother\t27\n")
    with pytest.raises(DataError, match="'2,10' look like several labels"):
        read(tmp_path / "a.tsv")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(
            ["0 1 1", "1 0 0", "1 1 0"], [("label_1", "label_2"), ("label_0",), ("label_0", "label_1")], id="blanks"
        ),
        pytest.param(["0;1;1", "1;0;0"], [("label_1", "label_2"), ("label_0",)], id="semicolons"),
        pytest.param(["0,1,1", "1,0,0"], [("label_1", "label_2"), ("label_0",)], id="commas"),
        pytest.param(["0 1", "1 0"], [("label_1",), ("label_0",)], id="two places"),
    ],
)
def test_rows_of_0_and_1_in_a_text_are_multi_hot(tmp_path: Path, cells: list[str], expected: list[Gold]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f'day {i},"{cell}"\n' for i, cell in enumerate(cells)))
    found = read(path)
    assert gold(found) == expected
    assert kinds(found) == {"labels_in_a_cell", "labels_multi_hot"}


@pytest.mark.parametrize("sign", [" ", ",", ";", "|"])
def test_probabilities_in_a_text_are_no_labels(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f'day {i},"0.{i}{sign}0.{9 - i}"\n' for i in range(1, 9)))
    with pytest.raises(DataError, match="looks like a number for each class"):
        read(path)


def test_labels_with_blanks_between_are_refused_where_each_part_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "text,label\n" + "".join(f"day {each},{each}\n" for each in ("rude", "sad", "rude sad", "sad rude"))
    )
    with pytest.raises(DataError, match="parted by blanks") as caught:
        read(path)
    assert "--label-separator ' '" in caught.value.fix
    assert gold(read(path, labels=LabelSettings(separator=" ")))[2] == ("rude", "sad")
    path.write_text("text,label\na,good\nb,very good\nc,bad\nd,very bad\n")
    assert gold(read(path))[1] == ("very good",)


def test_digits_0_and_1_without_anything_between_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,010\nb,110\nc,001\n")
    found = read(path)
    assert gold(found)[0] == ("010",)
    assert "label_not_parted" in kinds(found)


def test_a_number_for_each_label_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": "a", "label": {"rude": 1, "sad": 0}}, {"text": "b", "label": {"rude": 0.4, "sad": 0.6}}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(path)
    assert gold(found) == [("rude",)]
    assert kinds(found) == {"labels_of_cats", "label_not_0_or_1"}


def test_what_the_labels_are_by_one_rule() -> None:
    def problem(file: str) -> str:
        return find_problem(read(FORMS / file).examples)

    assert problem("one-a-row.csv") == "single-label"
    assert problem("doccano.jsonl") == "single-label"  # lists of one label each
    assert problem("lists.csv") == "multi-label"
    assert problem("multi-hot.jsonl") == "multi-label"
    assert problem("scores.csv") == "regression"  # although one row is N/A
    with pytest.raises(DataError, match="50% of the labels are numbers") as caught:
        problem("mixed-scores.csv")
    assert caught.value.where.endswith("mixed-scores.csv:4")
    with pytest.raises(DataError, match="60 different whole numbers"):
        problem("prices.csv")
    targets = find_targets(read(FORMS / "prices.csv").examples, "regression", {})
    assert (targets.mean, round(targets.spread)) == (550_000 + 137 * 29.5, 2373)


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([str(n) for n in range(101) if n % 14], "93 classes are whole numbers from 1 to 100"),
        ([f"{n}%" for n in range(101) if n % 14], "93 classes are whole numbers from 1% to 100%"),
        ([str(n) for n in range(101)], "101 classes are whole numbers from 0 to 100"),
        ([str(n) for n in range(-30, 30, 2)], "from -30 to 28"),
        ([str(n) for n in range(77)], ""),  # numbered classes
        ([str(n) for n in range(1, 31)], ""),
        ([f"{n:05d}" for n in range(1000, 60_000, 1999)], ""),  # codes
        ([str(n) for n in (0, 25, 50, 100)], ""),
        ([*(f"class {n}" for n in range(30)), "7"], ""),
    ],
)
def test_dozens_of_whole_numbers_may_be_a_measure(labels: list[str], shown: str) -> None:
    said = numbers_as_classes(Targets("single-label", tuple(labels)))
    assert shown in said if shown else not said
    assert ("--problem regression" in said) is bool(shown)
    assert not numbers_as_classes(Targets("multi-label", tuple(labels)))


def test_one_class_in_several_spellings_of_a_file_is_told() -> None:
    found = one_spelling(read(FORMS / "spellings.csv"))
    assert gold(found) == gold(read(FORMS / "spellings.csv"))
    told = [finding.message for finding in found.findings.items if finding.kind == "label_spelled_differently"]
    assert "'GOOD' (1 times" in told[0]
    assert "'Good' (1 times" in told[0]
    assert "'1' (1 times" in told[1]
    (none,) = [finding.message for finding in found.findings.items if finding.kind == "label_like_none"]
    assert none.startswith("'N/A' (1 times, first ")


def test_labels_that_look_the_same_are_told_to_differ_in_unicode_form(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,K\u00fcndigung\nb,Ku\u0308ndigung\nc,PER\nd,Per\n", encoding="utf-8")
    umlaut, case = [item.message for item in one_spelling(read(path)).findings.items]
    assert "Unicode form (NFC, NFD)" in umlaut
    assert "Unicode form" not in case


def test_across_files_spellings_of_a_class_are_one(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("text,label\na,1\nb,true\nc,PER\n")
    (tmp_path / "2.csv").write_text("text,label\nd,1.0\ne,True\nf,per\n")
    found = one_spelling(read(tmp_path))
    assert gold(found) == [("1",), ("true",), ("PER",)] * 2
    assert [finding.kind for finding in found.findings.items] == ["label_respelled"] * 3
    model = as_spelled(read(tmp_path / "2.csv"), ("1", "true", "PER"))
    assert gold(model) == [("1",), ("true",), ("PER",)]
    assert gold(as_spelled(read(tmp_path / "2.csv"), ("Per", "PER", "1.0"))) == [("1.0",), ("True",), ("per",)]
    assert spelling_key("2.50") == "2.50"


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["", " ", "a", "b", "a,b", "a|b", "[1, 0]", "['a']", "N/A", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "choices"]), inner, max_size=2),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        *("text", "label", "labels", "text_pair", "id", "cats", "accept", "options", "answer"),
        *("data", "annotations", "x"),
    ]
)


@given(st.lists(st.dictionaries(NAMES, CELLS, max_size=5), max_size=5))
def test_rows_of_any_form_are_read_or_rejected(tmp_path_factory: pytest.TempPathFactory, rows: list[object]) -> None:
    path = tmp_path_factory.mktemp("odd") / "rows.jsonl"
    good = {"text": "a good one", "label": "c"}
    path.write_text("".join(json.dumps(row) + "\n" for row in [good, *rows]), encoding="utf-8")
    with contextlib.suppress(DataError):  # cells that look like several labels
        found = read(path)
        assert all(finding.where.startswith(f"{path}:") for finding in found.findings.of("rejected"))
        assert not [example for example in found.examples if example.gold is None]


@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_whatever_the_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"rows{suffix}"
    head = (
        '{"text": "one", "label": "a"}\n'
        if suffix == ".jsonl"
        else "text,label\none,a\n".replace(",", "\t" if suffix == ".tsv" else ",")
    )
    path.write_bytes(head.encode() + content)
    with contextlib.suppress(DataError):
        found = read(path)
        assert all(finding.where.startswith(f"{path}:") for finding in found.findings.of("rejected"))


def studio(path: Path, *answers: dict[str, dict[str, Any]]) -> Path:
    """Tasks of Label Studio's with what was chosen for each question, by its name: kind → value."""
    tasks = [
        {
            "id": number,
            "data": {"text": f"day {number}"},
            "annotations": [{"result": [{"from_name": name, "value": value} for name, value in each.items()]}],
        }
        for number, each in enumerate(answers)
    ]
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def test_the_question_that_is_named_is_the_label(tmp_path: Path) -> None:
    both = [{"mood": {"choices": [mood]}, "topic": {"choices": ["home"]}} for mood in ("glad", "sad")]
    path = studio(tmp_path / "a.json", *both)
    with pytest.raises(DataError, match="choices of several kinds: --columns label=NAME, of mood, topic"):
        read(path)
    assert gold(read(path, "label=mood")) == [("glad",), ("sad",)]
    one = studio(tmp_path / "b.json", *({"mood": {"choices": [mood]}} for mood in ("glad", "sad")))
    assert gold(read(one, "label=mood")) == [("glad",), ("sad",)]
    with pytest.raises(DataError, match="No row has the column 'weather'"):
        read(one, "label=weather")


def test_paths_of_a_taxonomy_are_labels_and_told(tmp_path: Path) -> None:
    path = studio(tmp_path / "a.json", {"kind": {"taxonomy": [["animal", "bird"], ["sea"]]}}, {})
    found = read(path)
    assert gold(found)[:1] == [("animal/bird", "sea")]
    assert any("each path is a label, its parts joined by a slash" in each.message for each in found.findings.items)


def test_every_way_in_which_rows_were_read_is_told(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "intent": "x", "entities": [{"entity": "e", "start": 0, "end": 1}]},
        {"text": "b", "intent": "y", "entities": []},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = read(tmp_path / "a.jsonl")
    assert gold(found) == [("x",), ("y",)]
    assert [each.message for each in found.findings.items if each.kind == "form_read"] == [
        "Rows are Rasa's; the label is `intent`, the spans are `entities`.",
        "The label is `intent`.",
    ]
