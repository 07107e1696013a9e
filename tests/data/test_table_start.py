"""What the first lines of a table show: what parts fields, names of rows, lines that say more of the columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from distiltune.data.file_form import FileDecision, FileForm
from distiltune.data.files import iter_rows
from distiltune.data.first_columns import first_columns
from distiltune.data.rows import BadRow, Row
from distiltune.data.table_start import delimiters_of, more_headers, rows_have_names, unescaped


def read(path: Path, form: FileForm = FileForm()) -> tuple[list[list[object]], dict[str, str]]:  # noqa: B008 (frozen)
    """The values of the rows, and what is told; no row may be bad."""
    found = list(iter_rows(path, form))
    assert not [each for each in found if isinstance(each, BadRow)]
    told = {each.kind: each.message for each in found if isinstance(each, FileDecision)}
    return [list(each.value.values()) for each in found if isinstance(each, Row)], told


def write(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            'label, text\nbad, "Loud, slow."\ngood, "Best, so far."\n',
            [["bad", "Loud, slow."], ["good", "Best, so far."]],
        ),
        ('text,label\n"Loud, slow.", "bad"\nBest, "good"\n', [["Loud, slow.", "bad"], ["Best", "good"]]),
        ('"text"; "label"\n"Loud; slow.";  "bad"\n"Best"; "good"\n', [["Loud; slow.", "bad"], ["Best", "good"]]),
        (
            'id, text\n1, "It ""leaks"", and\nis loud."\n2, "Best"\n',
            [["1", 'It "leaks", and\nis loud.'], ["2", "Best"]],
        ),
    ],
    ids=["commas inside", "labels", "semicolons and two blanks", "marks and a line break inside"],
)
@pytest.mark.parametrize("quoting", ["auto", "csv"])
def test_marks_after_blanks_stand_round_fields(tmp_path: Path, text: str, rows: list[list[str]], quoting: str) -> None:
    path = write(tmp_path, text)
    found, told = read(path, FileForm(quoting="auto" if quoting == "auto" else "csv"))
    assert found == rows
    assert "before a quotation mark round a field, the first at line" in told["blanks_before_quotes"]
    assert [each.strip('"') for each in first_columns(path)] == first_columns(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('text,label\nhe said, "no" and left\nfine, good\n', [["he said", ' "no" and left'], ["fine", " good"]]),
        ('text,label\n"one, ""two"", three",a\n four,b\n', [['one, "two", three', "a"], [" four", "b"]]),
        ("text,label\n one, a\n", [[" one", " a"]]),
    ],
    ids=["text goes on after the mark", "marks inside of a field", "no marks"],
)
def test_blanks_are_text_where_no_marks_round_fields_follow(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    found, told = read(write(tmp_path, text))
    assert found == rows
    assert "blanks_before_quotes" not in told


def test_marks_that_are_text_keep_blanks_before_them(tmp_path: Path) -> None:
    found, _ = read(write(tmp_path, 'text,label\na, "b"\n'), FileForm(quoting="none"))
    assert found == [["a", ' "b"']]


def test_what_parts_the_rows_parts_the_names(tmp_path: Path) -> None:
    text = "Zeit;What did you like, what not, and why?;Rating, overall\n1;Loud, slow.;bad\n2;Best.;good\n"
    found, told = read(write(tmp_path, text))
    assert found == [["1", "Loud, slow.", "bad"], ["2", "Best.", "good"]]
    assert told["delimiter_of_rows"].startswith("';' is taken")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["a,b;c", "1,2;3"], (",", ",")),
        (["a,b,c;d", "1;2"], (",", ";")),
        (["a,b,c;d", "x"], (",", ",")),
        (["title", "a;b"], (",", ",")),
        ([], (",", ",")),
    ],
)
def test_what_parts_fields(lines: list[str], found: tuple[str, str]) -> None:
    assert delimiters_of(lines) == found


def test_names_of_rows_have_no_name(tmp_path: Path) -> None:
    text = '"text"\t"label"\n"3"\t"Loud, it ""leaks""\tand more"\t"bad"\n"1"\t"Best."\t"good"\n'
    found, told = read(write(tmp_path, text, "r.tsv"))
    assert found == [['Loud, it "leaks"\tand more', "bad"], ["Best.", "good"]]
    assert "whose first is a number of the row" in told["row_names"]
    assert "columns_unnamed" not in told
    assert first_columns(tmp_path / "r.tsv") == ["text", "label"]


@pytest.mark.parametrize(
    "lines",
    [
        ["text,label", "1,2,a", "1,3,b"],
        ["text,label", "so,so,a", "no,3,b"],
        ["text,label", "1,a,", "2,b,"],
        ["text,label", "1,a,x", "2,b", "3,c,y"],
        ["text,label", "1,a,x"],
    ],
    ids=["numbers twice", "no numbers", "nothing at the end", "some without", "one row"],
)
def test_fields_that_are_no_names_of_rows(lines: list[str]) -> None:
    assert not rows_have_names(lines, ",")


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("id,text,label\n,Open-Ended Response,Response\n1,Loud.,bad\n", "2"),
        ("id,text,label\nmeta,string,discrete\n,meta,class\n1,Loud.,bad\n", "2, 3"),
        ('Q1,Q2\nWhat was bad?,What kind?\n"{""ImportId"":""QID1""}","{""ImportId"":""QID2""}"\nLoud.,bad\n', "2, 3"),
    ],
    ids=["SurveyMonkey", "Orange", "Qualtrics"],
)
def test_lines_that_say_more_of_the_columns_are_no_rows(tmp_path: Path, text: str, more: str) -> None:
    found, told = read(write(tmp_path, text))
    assert [each[-2:] for each in found] == [["Loud.", "bad"]]
    assert told["more_headers"].startswith(f"Line {more} says more")


def test_a_row_is_no_line_of_kinds() -> None:
    assert more_headers([["Response", "late"], ["text", "class"]]) == 0
    assert more_headers([["text", ""], []]) == 0


def test_nulls_of_databases(tmp_path: Path) -> None:
    text = "text\tlabel\tnote\nLoud,\\nslow \\\\ dear\\tbad\tbad\t\\N\nBest\t\\N\tx\\N\n"
    found, told = read(write(tmp_path, text, "pg.tsv"))
    assert found == [["Loud,\nslow \\ dear\tbad", "bad", None], ["Best", None, "xN"]]
    assert told["nulls"].startswith(r"2 rows have \N in some field, the first at line 2: it is read as nothing, and \n")


def test_a_backslash_is_itself_where_no_null_says_otherwise(tmp_path: Path) -> None:
    found, told = read(write(tmp_path, "text\tlabel\nC:\\new \\N\tbad\n", "a.tsv"))
    assert found == [["C:\\new \\N", "bad"]]
    assert "nulls" not in told
    found, told = read(write(tmp_path, "text,label\nC:\\new,\\N\n"))
    assert found == [["C:\\new", None]]
    assert "backslash" not in told["nulls"]
    assert unescaped("a\\") == "a\\"
