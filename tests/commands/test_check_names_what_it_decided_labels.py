"""Labels and answers in forms that were once misread without a word: `check` names what was decided, or refuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

Run = Callable[..., str]
Rows = Iterable[object]
N = 20
STREET = "In street {0} old Marta sells the bread, and Karl number {0} sells the fish."
GATE = "Karl met Anna at gate {0}. Later Karl met Bea at gate {0}9, and Karl left."
AT = GATE.format(0).rindex("Karl")
LEASE = (
    "This lease is made between {name} as tenant and the Harbour Housing Company as landlord. The monthly rent is "
    "{rent} crowns, due on the first of each month. The tenant shall keep the flat in good order, shall not sublet "
    "without written consent, and shall give three months' notice before leaving. Repairs below a hundred crowns are "
    "borne by the tenant."
)


def lines(rows: Rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def labelled(labels: Callable[[int], object], column: str = "labels") -> str:
    return lines({"text": f"day {i} was long", column: labels(i)} for i in range(N))


def table(cells: Callable[[int], str], column: str = "labels", n: int = N) -> str:
    return f"text,{column}\n" + "".join(f"day {i} was long,{cells(i)}\n" for i in range(n))


def bits(i: int) -> list[int]:
    return [i % 2, i // 2 % 2, int(i % 3 == 0)]


def in_turn(*cells: str) -> Callable[[int], str]:
    return lambda i: cells[i % len(cells)]


LABELS = [
    ("multi-hot lists", "jsonl", labelled(bits), "[labels_multi_hot]"),
    ("multi-hot floats", "jsonl", labelled(lambda i: list(map(float, bits(i)))), "[labels_multi_hot]"),
    ("multi-hot of true and false", "jsonl", labelled(lambda i: list(map(bool, bits(i)))), "[labels_multi_hot]"),
    ("multi-hot in `label`", "jsonl", labelled(bits, "label"), "[labels_multi_hot]"),
    ("multi-hot in a cell", "csv", table(lambda i: f'"{bits(i)}"'), "[labels_multi_hot]"),
    ("multi-hot of NumPy", "csv", table(lambda i: str(bits(i)).replace(",", "")), "[labels_multi_hot]"),
    (
        "a column for each label",
        "csv",
        table(lambda i: ",".join(map(str, bits(i))), "bad,worse,worst"),
        "[label_columns]",
    ),
    ("Python lists", "csv", table(in_turn("\"['toxic', 'insult']\"", "['rude']")), "[labels_in_a_cell]"),
    ("NumPy lists", "csv", table(in_turn("['toxic' 'insult']", "['rude']")), "such as toxic, insult"),
    ("a bar", "csv", table(in_turn("toxic|insult", "rude")), "[labels_in_a_cell]"),
    ("commas", "csv", table(in_turn('"toxic,insult"', "toxic", "insult")), "--label-separator ','"),
    ("numbers with commas", "csv", table(in_turn('"2,10"', '"3,10"')), "--label-separator ','"),
    (
        "one a row",
        "csv",
        table(in_turn("joy", "anger", "fear")),
        "single-label, 3 classes: anger, fear, joy. [problem]",
    ),
    ("decimal commas", "csv", table(lambda i: f'"{i},05"', "label"), "[numbers_as_written]"),
    ("dollars", "csv", table(lambda i: f"${i}.5", "label"), "[numbers_as_written]"),
    ("per cent", "csv", table(lambda i: f"{i}.5%", "label"), "[numbers_as_written]"),
    ("commas between thousands", "csv", table(lambda i: f'"1,{100 + i}.5"', "label"), "[numbers_as_written]"),
    ("commas in doubt", "csv", table(lambda i: f'"{i},5"', "label"), "--problem regression"),
    ("rows of 0 and 1 with blanks", "csv", table(lambda i: " ".join(map(str, bits(i))), "label"), "[labels_multi_hot]"),
    (
        "probabilities with blanks",
        "csv",
        table(lambda i: f"0.{i % 9} 0.{9 - i % 9}", "label"),
        "a number for each class",
    ),
    ("1 and 1.0", "csv", table(in_turn("1", "1.0", "0"), "label"), "[label_spelled_differently]"),
    ("True and true", "csv", table(in_turn("True", "true", "no"), "label"), "[label_spelled_differently]"),
    ("PER and Per", "csv", table(in_turn("PER", "Per", "LOC"), "label"), "[label_spelled_differently]"),
    (
        "N/A among numbers",
        "csv",
        table(lambda i: f"{i}.5" if i != 3 else "N/A", "label"),
        "rows.csv:5: The label 'N/A'",
    ),
    (
        "one label and unreadable ones",
        "jsonl",
        labelled(lambda i: "good" if i < 10 else {"x": 1}, "label"),
        "rows.jsonl:11: The label is {'x': 1}",
    ),
    ("prices", "csv", table(lambda i: str(550_000 + 137 * i), "label"), "20 different whole numbers"),
    ("scores", "csv", table(lambda i: f"{2.615 + i / 8}", "label"), "taken as a regression, of numbers about"),
]


def asked(answers: Callable[[int], dict[str, object]], context: str = STREET) -> str:
    return lines(
        {"question": f"Who sells bread in street {i}?", "context": context.format(i), **answers(i)} for i in range(9)
    )


def sometimes(empty: object) -> Callable[[int], dict[str, object]]:
    return lambda i: {"answers": empty if i % 3 == 0 else [{"text": "old Marta"}]}


def alone(question: str, context: str, answer: str, start: int) -> str:
    given = {"text": [answer], "answer_start": [start]}
    return lines({"question": question, "context": context, "answers": given} for _ in range(2))


def leases() -> str:
    rows: list[object] = []
    for i in range(6):
        name, rent = f"Ada Lund-{i}", str(4_000 + 37 * i)
        context = LEASE.format(name=name, rent=rent)
        for question, answer in (("Who is the tenant?", name), ("What is the monthly rent?", rent)):
            rows.append({"question": question, "context": context, "answer_text": answer})
    return lines(rows)


PARAGRAPHS = [
    {"context": GATE.format(i), "qas": [{"id": f"q{i}", "question": "Who left?", "answers": [{"text": "Anna"}]}]}
    for i in range(3)
]
MASTER = "Here the master, Ida Brandt, was seen.\nThe ferry left."
NFD = "Signed by Ida Brande\u0301 at noon."
HINDI = "वह साधु गाँव में रहता है।"
ARABIC = "كان الرجل رياضيّ جدا."
ANSWERS = [
    ("leases that differ in names and sums", "jsonl", leases(), "[passage_nearly_repeated]"),
    ("谁卖票？", "jsonl", alone("谁卖票？", "站旁的老人卖票。", "老人", 3), "[question_short]"),
    ("ใครชนะ?", "jsonl", alone("ใครชนะ?", "ทีมสีแดงชนะ", "ทีมสีแดง", 0), "[question_short]"),
    ("N/A as a question", "jsonl", alone("N/A", MASTER, "Ida", 17), "[no_question]"),
    ("a blank before", "jsonl", alone("Who was seen?", MASTER, " Ida Brandt", 16), "[answer_trimmed]"),
    ("a blank after", "jsonl", alone("What is she there?", MASTER, "master, ", 9), "[answer_trimmed]"),
    ("lines before", "jsonl", alone("What left then?", MASTER, "\n  The ferry", 0), "[answer_respelled]"),
    ("a final accent", "jsonl", alone("Who signed it?", NFD, "Ida Brande\u0301", 10), "[mark_at_the_end]"),
    ("an accent cut off", "jsonl", alone("Who signed it?", NFD, "Ida Brande", 10), "[mark_at_the_end]"),
    ("a vowel sign", "jsonl", alone("गाँव में कौन रहता है?", HINDI, "साधु", 3), "[mark_at_the_end]"),
    ("a shadda", "jsonl", alone("من كان الرجل هناك؟", ARABIC, "رياضيّ", 10), "[mark_at_the_end]"),
    ("empty, as the hub has it", "jsonl", asked(sometimes({"text": [""], "answer_start": [-1]})), "[answers_empty]"),
    ("empty, in a list", "jsonl", asked(sometimes([{"text": ""}])), "[answers_empty]"),
    ("null, in a list", "jsonl", asked(sometimes([{"text": None}])), "[answers_empty]"),
    (
        "empty, in `answer_text`",
        "jsonl",
        asked(lambda i: {"answer_text": ["" if i % 3 else "Karl"]}),
        "[answers_empty]",
    ),
    ("blank", "jsonl", asked(lambda i: {"answer_text": "  " if i % 3 else "Karl"}), "--no-answer ' '"),
    (
        "a marker",
        "jsonl",
        asked(lambda i: {"answer_text": "ANSWERNOTFOUND"} if i else {"answer_text": "Karl"}),
        "--no-answer",
    ),
    ("start and end", "jsonl", asked(lambda i: {"answer_text": "Karl", "start": AT, "end": AT + 4}, GATE), "`start`"),
    ("ranges alone", "jsonl", asked(lambda i: {"answer_char_ranges": f"{AT}:{AT + 4}"}, GATE), "[answer_ranges]"),
    (
        "ranges beside texts",
        "jsonl",
        asked(lambda i: {"answer_text": "Karl", "answer_char_ranges": f"{AT}:{AT + 4}"}, GATE),
        "`answer_char_ranges`",
    ),
    ("no mapping", "jsonl", asked(lambda i: {"text": "Karl", "answer_start": AT}, GATE), "--columns answer_text=text"),
    ("paragraphs alone", "json", json.dumps(PARAGRAPHS), "[paragraphs_alone]"),
    ("MRQA", "jsonl.gz", lines([{"header": {"split": "train"}}, *PARAGRAPHS]), "[header_line]"),
    (
        "CMRC",
        "json",
        json.dumps(
            [
                {
                    "context_text": MASTER,
                    "qas": [{"query_id": "a", "query_text": "Who is it?", "answers": ["Ida Brandt"]}],
                }
            ]
        ),
        "[paragraphs_alone]",
    ),
    (
        "a hub's dictionary in a cell",
        "csv",
        "question,context,answers\n"
        + "".join(f"Who left {i}?,Karl left.,\"{{'text': ['Karl'], 'answer_start': [0]}}\"\n" for i in range(3)),
        "[answers_in_a_cell]",
    ),
    ("an object in `answer`", "jsonl", asked(lambda i: {"answer": {"text": "old Marta"}}), "[answer_alone]"),
    (
        "start and end alone",
        "jsonl",
        asked(lambda i: {"start": AT, "end": AT + 4}, GATE),
        "answer_char_ranges, as 12:21",
    ),
    ("the whole text", "jsonl", asked(lambda i: {"answer_text": STREET.format(i)}), "[answer_is_whole_text]"),
]


@pytest.mark.parametrize(
    ("suffix", "content", "named"), [pytest.param(*case[1:], id=case[0]) for case in LABELS + ANSWERS]
)
def test_check_names_what_was_decided(tmp_path: Path, check: Run, suffix: str, content: str, named: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    written = content.encode()
    path.write_bytes(gzip.compress(written) if suffix.endswith(".gz") else written)
    assert named in check(path)


def test_no_lease_is_removed_and_what_was_cleaned_has_a_way_on(tmp_path: Path, check: Run) -> None:
    path, clean = tmp_path / "leases.jsonl", tmp_path / "clean.jsonl"
    path.write_text(leases())
    assert f"distiltune train --train {clean}" in check(path, "--fix", clean)
    assert len(clean.read_text().splitlines()) == 12


def test_what_cannot_be_cleaned_names_the_check_without_it(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(in_turn("good", "bad")))
    assert f"distiltune check {path}" in check(path, "--fix", tmp_path / "clean.jsonl")


def test_the_set_that_is_compared_with_is_told_of_too(tmp_path: Path, check: Run) -> None:
    for name, cells in (("a.csv", in_turn("Good", "Bad")), ("b.csv", in_turn("good", "bad"))):
        (tmp_path / name).write_text(table(cells, "label"))
    said = check(tmp_path / "a.csv", "--against", tmp_path / "b.csv")
    assert "The label 'good' is read as 'Good', as the model has it" in said
    (tmp_path / "a.json").write_text(json.dumps(PARAGRAPHS))
    (tmp_path / "b.jsonl").write_text(asked(sometimes([""])))
    assert "b.jsonl: Empty texts" in check(tmp_path / "a.json", "--against", tmp_path / "b.jsonl")


def test_rows_that_an_annotator_rejected_are_told_where_no_second_label_is_left(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.jsonl"
    answers = in_turn("accept", "reject")
    path.write_text(lines({"text": f"day {i} was long", "label": "SPORT", "answer": answers(i)} for i in range(N)))
    said = check(path)
    assert "All texts have the same label, 'SPORT'." in said
    assert "Before that 10 of 20 rows were left out" in said
    assert "answer_reject: 10, the first" in said
    assert "these are the negatives" in said


@pytest.mark.parametrize("extra", [(), ("--task", "text-classification")])
def test_a_json_list_called_json_lines_is_told(tmp_path: Path, check: Run, extra: tuple[str, ...]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], indent=2))
    said = check(path, *extra)
    assert "is a JSON list, not JSON lines" in said
    assert "call it rows.json" in said


def test_columns_by_number_need_no_header(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("".join(f"The kettle sang {i} times,{'good' if i % 2 else 'bad'}\n" for i in range(N)))
    assert "--no-header --columns text=1,label=2" in check(path, "--columns", "text=1,label=2")


def test_a_score_in_whole_numbers_is_a_warning_until_it_is_said(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(lambda i: f"{i * 7 % 101 // 4 * 4}", "label", n=60))
    said = check(path)
    assert "[numbers_as_classes]" in said
    assert "--problem regression" in said
    for problem in ("regression", "single-label"):
        assert "[numbers_as_classes]" not in check(path, "--problem", problem)


def test_many_empty_cells_of_labels_are_a_warning(tmp_path: Path, check: Run) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(table(in_turn("late|rude", "", "late", "")))
    said = check(path)
    assert "10 of 20 texts have an empty cell" in said
    assert "[many_without_labels]" in said
