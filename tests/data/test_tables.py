"""Tables as the world has them: stray quotation marks, columns without a name, no header, other encodings."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from distiltune.data import tables
from distiltune.data.file_form import AS_USUAL, FileDecision, FileForm, Quoting
from distiltune.data.files import iter_rows
from distiltune.data.first_columns import first_columns
from distiltune.data.other_kinds import kind_of
from distiltune.data.quotes import QuoteEvidence, look_at_quotes
from distiltune.data.rows import BadRow, Row
from distiltune.data.table_start import LINES_LOOKED_AT
from distiltune.errors import DataError

STRAY = 'text\tlabel\n" Hello there\tpos\nrain again\tneg\nhe said "no\tneg\nthe end"\tpos\nfine\tpos\n'
"""The first text begins with a quotation mark, and a later one ends in one."""


def rows_of(path: Path, form: FileForm = AS_USUAL) -> list[dict[str, object]]:
    return [row.value for row in iter_rows(path, form) if isinstance(row, Row)]


def bad_of(path: Path, form: FileForm = AS_USUAL) -> list[str]:
    return [row.where.rpartition(":")[2] for row in iter_rows(path, form) if isinstance(row, BadRow)]


def decisions_of(path: Path, form: FileForm = AS_USUAL) -> dict[str, str]:
    return {each.kind: each.message for each in iter_rows(path, form) if isinstance(each, FileDecision)}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_stray_mark_in_a_tsv_swallows_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", STRAY)
    assert [row["label"] for row in rows_of(path)] == ["pos", "neg", "neg", "pos", "pos"]
    assert rows_of(path)[0]["text"] == '" Hello there'
    told = decisions_of(path)["quotes_in_text"]
    assert "each of 6 lines, that with the names included, is a row" in told
    assert "--quoting csv" in told


@pytest.mark.parametrize(
    "text",
    [
        'text\tlabel\n"never closed\tpos\nmore\tneg\n',
        'text\tlabel\n"Good" she said\tpos\nmore\tneg\n',
        'text\tlabel\n"a\tpos"\nmore\tneg\n',
        'text\n"a\nb"\nmore\n',
    ],
    ids=["never closed", "text after a mark", "a tab between marks", "one column"],
)
def test_marks_that_are_text(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.tsv", text)
    assert len(rows_of(path)) == text.count("\n") - 1
    assert "quotes_in_text" in decisions_of(path)


@pytest.mark.parametrize(
    "rows",
    [
        [["one\ntwo", "pos"], ["three", "neg"], ["four\n\nfive", "neg"]],
        [["one\ttwo", "pos"], ["three", "neg"]],
        [["pos", "Ada,\r\n\tBob and\nfour"], ["neg", "no\n\nmore"]],
    ],
)
def test_a_tsv_that_was_written_with_marks_round_fields(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "a.tsv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows([["a", "b"], *rows])
    assert [list(row.values()) for row in rows_of(path)] == rows
    assert "--quoting none" in decisions_of(path)["quotes_round_fields"]


def test_marks_that_mean_the_same_both_ways_are_not_worth_a_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", '"text"\tlabel\n"a ""b"" c"\tpos\n')
    assert rows_of(path) == [{"text": 'a "b" c', "label": "pos"}]
    assert decisions_of(path) == {}


@pytest.mark.parametrize(("quoting", "n_rows"), [("none", 5), ("csv", 2)])
def test_what_is_said_wins(tmp_path: Path, quoting: Quoting, n_rows: int) -> None:
    path = write(tmp_path / "a.tsv", STRAY.replace('the end"', 'the "end"').replace('"no', "no").replace(' "end"', '"'))
    assert len(rows_of(path, FileForm(quoting=quoting))) == n_rows
    assert decisions_of(path, FileForm(quoting=quoting)) == {}


def test_a_csv_of_which_two_readings_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n" Hello there,pos\nrain again,neg\nthe end",pos\nfine,pos\n')
    with pytest.raises(DataError) as caught:
        rows_of(path)
    assert caught.value.where == f"{path}:2"
    assert "--quoting none" in caught.value.fix
    assert "--quoting csv" in caught.value.fix
    assert len(rows_of(path, FileForm(quoting="none"))) == 4
    assert len(rows_of(path, FileForm(quoting="csv"))) == 2


def test_a_csv_of_texts_with_lines_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *([f"Dear {i},\nthank you.\nYours", "pos"] for i in range(9))])
    assert len(rows_of(path)) == 9
    assert "28 lines are 10 rows" in decisions_of(path)["quotes_round_fields"]


def test_every_line_of_a_malformed_row_is_rejected(tmp_path: Path) -> None:
    """Or 11 lost lines would count as one."""
    path = write(tmp_path / "a.csv", 'text,label\n"a, b",pos\n" Hello,pos\nrain,neg\nsay "hi",pos\nfine,pos\n')
    assert [row["label"] for row in rows_of(path)] == ["pos", "pos"]
    assert bad_of(path) == ["3", "4", "5"]


def test_a_mark_never_closed_in_a_csv_names_the_flag(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n"3,4\n5,6\n')
    with pytest.raises(DataError, match="--quoting none"):
        rows_of(path)
    assert len(rows_of(path, FileForm(quoting="none"))) == 3


def test_columns_without_a_name_are_ignored_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "v1,v2,,,\nham,hello,,,\nspam,buy,now,,\nham,short\n", "utf-8-sig")
    assert [list(row.items()) for row in rows_of(path)] == [
        [("v1", "ham"), ("v2", "hello")],
        [("v1", "spam"), ("v2", "buy")],
        [("v1", "ham"), ("v2", "short")],
    ]
    told = decisions_of(path)["columns_unnamed"]
    assert "3, 4, 5 of 5" in told
    assert "1 row holds something there, the first at line 3" in told


def test_a_first_column_without_a_name_is_the_row_number_that_pandas_writes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",text,label\n0,a,pos\n1,b,neg\n")
    assert rows_of(path) == [{"text": "a", "label": "pos"}, {"text": "b", "label": "neg"}]
    assert "1 of 3" in decisions_of(path)["columns_unnamed"]


@pytest.mark.parametrize("header", [",,", "a,a"])
def test_a_header_that_cannot_be_one(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "a.csv", f"{header}\n1,2,3\n")
    with pytest.raises(DataError, match="--no-header"):
        rows_of(path)


@pytest.mark.parametrize("first", ["great film,1", f"{'a long text ' * 8},bad", "good film,pos"])
def test_a_first_line_that_looks_like_a_row_is_told(tmp_path: Path, first: str) -> None:
    path = write(tmp_path / "a.csv", f"{first}\nbad film,neg\nfine film,pos\n")
    told = decisions_of(path)["first_line_names"]
    assert "Line 1 (" in told
    assert "--no-header" in told


def test_without_a_header_columns_go_by_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "great film\t1\nbad film\t0\n")
    form = FileForm(has_header=False)
    assert rows_of(path, form) == [{"1": "great film", "2": "1"}, {"1": "bad film", "2": "0"}]
    assert first_columns(path, form) == ["1", "2"]
    assert decisions_of(path, form) == {}


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.tsv", 'text\t"label"\n" a\tb\n', ["text", "label"]),
        ("a.csv", '"text, full",label\n"a, b",c\n', ["text, full", "label"]),
    ],
)
def test_columns_are_known_without_reading_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, columns: list[str]
) -> None:
    def look(lines: Iterable[str], delimiter: str, *, skips_blanks: bool) -> QuoteEvidence:
        seen = list(lines)
        assert len(seen) <= LINES_LOOKED_AT, "only the start is needed"
        return look_at_quotes(seen, delimiter, skips_blanks=skips_blanks)

    monkeypatch.setattr(tables, "look_at_quotes", look)
    rest = content.splitlines(keepends=True)[1] * 3 * LINES_LOOKED_AT
    assert first_columns(write(tmp_path / name, content + rest)) == columns


def test_a_header_that_is_read_as_a_row_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\ngreat film,pos\n")
    assert "leave that out" in decisions_of(path, FileForm(has_header=False))["first_line_a_row"]


@pytest.mark.parametrize("suffix", ["a.csv", "a.jsonl", "a.json"])
def test_windows_1252_is_named_and_read(tmp_path: Path, suffix: str) -> None:
    text = {"a.csv": "text\ncafé – 5 €\n", "a.jsonl": '{"text": "café – 5 €"}\n', "a.json": '[{"text": "café – 5 €"}]'}
    path = write(tmp_path / suffix, text[suffix], "windows-1252")
    with pytest.raises(DataError) as caught:
        rows_of(path)
    assert "--encoding windows-1252" in caught.value.fix
    assert "café – 5 €" in caught.value.fix
    assert rows_of(path, FileForm(encoding="windows-1252")) == [{"text": "café – 5 €"}]


def test_an_encoding_that_another_file_does_not_have_is_told(tmp_path: Path) -> None:
    form = FileForm(encoding="windows-1252")
    plain = write(tmp_path / "a.csv", "text\nplain\n")
    assert decisions_of(plain, form) == {}
    utf_8 = write(tmp_path / "b.csv", "text\ncafé\n")
    assert "UTF-8 by all its bytes" in decisions_of(utf_8, form)["encoding_doubtful"]
    marked = write(tmp_path / "c.csv", "text\ncafé\n", "utf-8-sig")
    assert rows_of(marked, form) == [{"text": "café"}]
    assert "byte order mark" in decisions_of(marked, form)["encoding_doubtful"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_that_does_not_say_so(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.csv", "text\ncafé\n", encoding)
    with pytest.raises(DataError, match=f"--encoding {encoding}"):
        rows_of(path)
    assert rows_of(path, FileForm(encoding=encoding)) == [{"text": "café"}]


def without_names_again(
    filled: list[int], lines: list[str], found: list[Row | BadRow | FileDecision], has_header: bool
) -> list[int]:
    """The numbers of the lines that are rows: not the header's, nor where it stands again, if that was told."""
    is_told = any(isinstance(each, FileDecision) and each.kind == "names_again" for each in found)
    return [n for n in filled[has_header:] if not (is_told and lines[n - 1] == lines[filled[0] - 1])]


LINES = st.lists(
    st.lists(st.text(st.sampled_from("ab\"' \tÜ,;|\u2028"), max_size=6), min_size=1, max_size=4).map("\t".join),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=LINES, has_header=st.booleans())
@example(lines=['"'], has_header=False)
def test_of_literal_lines_each_is_a_row_or_rejected(tmp_path: Path, lines: list[str], has_header: bool) -> None:
    filled = [number for number, line in enumerate(lines, start=1) if line]
    path = write(tmp_path / "a.tsv", "".join(f"{line}\n" for line in lines))
    form = FileForm(quoting="none", has_header=has_header)
    try:
        found = list(iter_rows(path, form))
    except DataError:  # no line at all, or a header that can be none
        assert not filled or has_header
        return
    places = [row.where for row in found if not isinstance(row, FileDecision)]
    assert places == [f"{path}:{number}" for number in without_names_again(filled, lines, found, has_header)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.binary(max_size=80), suffix=st.sampled_from(["csv", "tsv"]), has_header=st.booleans())
@example(data=STRAY.encode(), suffix="tsv", has_header=True)
@example(data=STRAY.encode(), suffix="csv", has_header=True)
def test_whatever_the_bytes_lines_are_counted(tmp_path: Path, data: bytes, suffix: str, has_header: bool) -> None:
    """Each line is the header's, a row's, inside a row of several, rejected, or blank; none is twice or lost."""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    try:
        found = list(iter_rows(path, FileForm(has_header=has_header)))
    except DataError:
        return
    places = [int(row.where.rpartition(":")[2]) for row in found if not isinstance(row, FileDecision)]
    assert places == sorted(set(places))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = stream.readlines()
    is_literal = any(isinstance(row, FileDecision) and row.kind == "quotes_in_text" for row in found)
    if is_literal or b'"' not in data:
        filled = [number for number, line in enumerate(lines, start=1) if line.strip("\r\n")]
        assert places == without_names_again(filled, [line.strip("\r\n") for line in lines], found, has_header)


@pytest.mark.parametrize("quote", ["", '"'])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), min_size=1)] * 2), min_size=1))
def test_what_a_writer_of_csv_writes_is_read(tmp_path: Path, cells: list[tuple[str, str]], quote: str) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL).writerows([("a", "b"), *cells])
    form = FileForm(quoting="csv")
    assert [tuple(row.values()) for row in rows_of(path, form)] == cells


CELL = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\x0b\x0c\x1c\x1d\x1e\x85"), max_size=9
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cells=st.lists(st.tuples(CELL | st.just('"'), CELL | st.just('a"')), min_size=1, max_size=9))
@example(cells=[('" Hello', "pos"), ("a", "neg"), ('b"', "pos")])
@example(cells=[("a", '"'), ("b", '"')])
def test_of_a_tsv_without_marks_round_fields_no_line_is_lost(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    """Whatever quotation marks its texts have: nobody says that they are text."""
    path = write(tmp_path / "a.tsv", "".join(f"{a}\t{b}\n" for a, b in [("text", "label"), *cells]))
    assert [row.where for row in iter_rows(path) if isinstance(row, Row)] == [
        f"{path}:{number}" for number in range(2, len(cells) + 2)
    ]


@pytest.mark.parametrize("sign", [";", ",", "\t", "|", "~"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("said", ["sep={}\n", '"sep={}"\r\n', "\ufeffSep={}\n"])
def test_a_first_line_may_say_what_parts_fields(tmp_path: Path, name: str, sign: str, said: str) -> None:
    path = write(tmp_path / name, f"{said.format(sign)}text{sign}label\na b{sign}pos\nc{sign}d{sign}e\n")
    first, *rows = iter_rows(path)
    assert isinstance(first, FileDecision)
    assert first.kind == "delimiter_said"
    assert [(row.where, isinstance(row, Row) and row.value) for row in rows] == [
        (f"{path}:3", {"text": "a b", "label": "pos"}),
        (f"{path}:4", False),
    ]
    assert first_columns(path) == ["text", "label"]


def test_a_text_that_begins_so_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\nsep=;,pos\n")
    assert [row.value for row in iter_rows(path) if isinstance(row, Row)] == [{"text": "sep=;", "label": "pos"}]
    path = write(tmp_path / "b.csv", "sep=a,b\n1,2\n")
    assert [row.value for row in iter_rows(path) if isinstance(row, Row)] == [{"sep=a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("text,label\na,pos\nb,neg\n", ["text", "label"]),
        ("text;label\na, b;pos\nb;neg\n", ["text", "label"]),
        ('text,label\n"a, b",pos\n', ["text", "label"]),
        ("text,label\na\tb,pos\n", []),  # a tab somewhere: no row has the names' width
        ("Review, full\nGood, really, good\nBad\n", ["Review, full"]),  # not parted alike
        ("Review, full\nGood\n", ["Review, full"]),
    ],
)
def test_a_tsv_without_tabs_is_read_by_what_parts_every_line(tmp_path: Path, content: str, columns: list[str]) -> None:
    path = write(tmp_path / "a.tsv", content)
    assert first_columns(path) == columns
    told = [each.kind for each in iter_rows(path) if isinstance(each, FileDecision)]
    assert ("no_tabs" in told) == (len(columns) > 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=60) | st.lists(st.sampled_from([b'{"a": 1}', b"\xe9", b"[", b""])).map(b"\n".join))
def test_in_an_encoding_in_which_all_bytes_are_text_no_line_is_lost(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    form = FileForm(encoding="latin-1")
    if kind_of(data, path) is not None:
        with pytest.raises(DataError, match="The file is"):
            list(iter_rows(path, form))
        return
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x1f\x8b")) or data.lstrip().startswith(b"["):
        return  # another encoding, a packed file, and what may be a JSON list as a whole
    filled = [n for n, line in enumerate(data.decode("latin-1").split("\n"), start=1) if line.strip()]
    found = [row.where for row in iter_rows(path, form) if not isinstance(row, FileDecision)]
    assert found == [f"{path}:{number}" for number in filled]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_header_of_a_very_long_name_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    mark = "," if suffix == ".csv" else "\t"
    path.write_text(f"text{mark}{'n' * 200_000}\nada{mark}1\n")
    limit = csv.field_size_limit(131_072)  # what a new process has
    try:
        rows = [row for row in iter_rows(path) if isinstance(row, Row)]
    finally:
        csv.field_size_limit(max(limit, csv.field_size_limit()))
    assert rows[0].value == {"text": "ada", "n" * 200_000: "1"}


def test_the_names_once_more_are_no_row_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,x\ntext,label\nb,y\ntext,z\n")
    assert [row["text"] for row in rows_of(path)] == ["a", "b", "text"]
    assert "at line 3" in decisions_of(path)["names_again"]
    assert len(rows_of(path, FileForm(has_header=False))) == 5
    assert rows_of(write(tmp_path / "b.csv", "text\na\ntext\n")) == [{"text": "a"}, {"text": "text"}]


def test_empty_fields_beyond_the_names_are_left_out_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\na,x,\nb,y\nc,z,, \nd,x,more\n")
    assert rows_of(path) == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "z"}]
    assert bad_of(path) == ["5"]
    assert "2 rows have empty fields beyond the 2" in decisions_of(path)["fields_beyond"]


def test_single_quotation_marks_round_every_field_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n'a','x'\n'b','y'\n'tis,z\n")
    assert rows_of(path)[0] == {"text": "'a'", "label": "'x'"}
    assert "In 2 of 3 rows" in decisions_of(path)["single_quotes"]
    assert not decisions_of(write(tmp_path / "b.csv", "text,label\n'a',x\n"))


def test_marks_behind_a_backslash_are_named_as_what_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"he said \\"no\\", twice",a\n"so it is",b\n"she "left,a\n')
    bad = {row.where.rpartition(":")[2]: row.reason for row in iter_rows(path) if isinstance(row, BadRow)}
    assert bad.keys() == {"2", "4"}
    assert """.option("escape", '"')""" in bad["2"]
    assert "Spark" not in bad["4"]
