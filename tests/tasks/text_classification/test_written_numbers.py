"""Numbers as people write them: read where a whole column is certain, refused by name where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distiltune.errors import DataError
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextSet
from distiltune.tasks.text_classification.label_cells import LabelSettings
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.text_classification.targets import find_problem
from distiltune.tasks.text_classification.written_numbers import Doubt, NumberForm, is_plain_number, number_form

N = 24


def column(tmp_path: Path, cells: list[str], problem: str = "auto") -> TextSet:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f'day {i},"{cell}"\n' for i, cell in enumerate(cells)))
    return read_texts([path], "train", TextColumns(), 1.0, labels=LabelSettings(problem=problem))


def numbers(found: TextSet) -> list[float]:
    return [float(example.gold[0]) for example in found.examples if example.gold]


def told(found: TextSet) -> str:
    return " ".join(each.message for each in found.findings.of("decided") if each.kind == "numbers_as_written")


@pytest.mark.parametrize(
    ("cells", "first", "says"),
    [
        pytest.param([f"{i},05" for i in range(N)], 0.05, "',' before the fraction", id="decimal comma"),
        pytest.param([f"-{i},5" for i in range(N)], -0.5, "',' before the fraction", id="below zero"),
        pytest.param([f"${i}.5" for i in range(N)], 0.5, "'$' beside them, which is left out", id="dollars"),
        pytest.param([f"{i},5 €" for i in range(N)], 0.5, "'€' beside them", id="euros"),
        pytest.param([f"{i}.5%" for i in range(N)], 0.5, "'%' beside them", id="per cent"),
        pytest.param([f"{1100 + i:,}.5" for i in range(N)], 1100.5, "1,100.5 as 1100.5", id="thousands"),
        pytest.param([f"1.{100 + i},5" for i in range(N)], 1100.5, "'.' between thousands", id="German thousands"),
        pytest.param([f"1'{100 + i}.5" for i in range(N)], 1100.5, '"\'" between thousands', id="Swiss thousands"),
        pytest.param([f"1\u202f{100 + i},5" for i in range(N)], 1100.5, "' ' between thousands", id="French thousands"),
        pytest.param([f"$1,{100 + i}.00" for i in range(N)], 1100.0, "'$' beside them", id="whole dollars, many"),
        pytest.param(["\u22123.5", *(f"{i}.5" for i in range(N))], -3.5, "as -3.5", id="another minus"),
    ],
)
def test_certain_numbers_are_read_and_told(tmp_path: Path, cells: list[str], first: float, says: str) -> None:
    found = column(tmp_path, cells)
    assert numbers(found)[0] == first
    assert len(numbers(found)) == len(cells)
    assert says in told(found)


def test_the_rule_for_the_problem_sees_the_numbers(tmp_path: Path) -> None:
    assert find_problem(column(tmp_path, [f"${i}.5" for i in range(N)]).examples) == "regression"
    with pytest.raises(DataError, match="24 different whole numbers"):
        find_problem(column(tmp_path, [f"${i}" for i in range(N)]).examples)


@pytest.mark.parametrize(
    ("cells", "what", "fix"),
    [
        pytest.param(
            [f"{i},5" for i in range(N)], "'0,5', '1,5'.*several labels in one cell", "regression", id="lists"
        ),
        pytest.param(
            [f"1,{100 + i}" for i in range(N)], "'1,100'.*thousands or a fraction", "separator", id="thousands"
        ),
        pytest.param([f"${i}.5" if i % 2 else f"{i}.5" for i in range(N)], "'0.5', '.1.5'|'.1.5'", "unit", id="units"),
        pytest.param(
            [f"{i}.5" if i % 2 else f"{i},5" for i in range(N)], "several ways.*: '0,5', '1.5'", "alone", id="ways"
        ),
        pytest.param([f"{i}.5 kg" for i in range(N)], "24 different ones.*'0.5 kg'", "single-label", id="other units"),
    ],
)
def test_doubtful_numbers_are_refused_by_name(tmp_path: Path, cells: list[str], what: str, fix: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        column(tmp_path, cells)
    assert fix in caught.value.fix


@pytest.mark.parametrize("sign", [".", ","])
def test_whole_numbers_among_longer_ones_tell_what_stands_between_thousands(tmp_path: Path, sign: str) -> None:
    cells = ["950", f"2{sign}500", f"12{sign}000", "720", f"1{sign}125"] * 5
    with pytest.raises(DataError, match=r"whole numbers with .* between thousands") as caught:
        column(tmp_path, cells)
    assert f"--problem regression, which reads 2{sign}500 as 2500" in caught.value.fix
    assert numbers(column(tmp_path, cells, "regression"))[:5] == [950, 2500, 12000, 720, 1125]
    assert column(tmp_path, cells, "single-label").examples[1].gold == (f"2{sign}500",)


@pytest.mark.parametrize(
    "cells",
    [["1.333", "2", "3.667"], ["0.500", "950"], ["2.50", "950"], ["2.500", "1500"], ["2.500", "950", "1.5"]],
    ids=["means of three", "below one", "two digits", "a longer one without a sign", "another fraction"],
)
def test_a_point_is_one_where_it_need_not_stand_between_thousands(cells: list[str]) -> None:
    form = number_form(cells * 5, are_numbers=True)
    assert form is None or (isinstance(form, NumberForm) and form.plain(cells[0]) == cells[0])


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (["3.1", "3.2", "3.10", "4.1"], "'3.1', '3.10'"),
        (["2.0", "1.9", "1.10", "2.1"], "'1.9', '1.10'"),
        (["1", "1.5", "2.00"], "'1.5', '2.00'"),
    ],
)
def test_numbers_of_sections_are_asked_about(tmp_path: Path, cells: list[str], shown: str) -> None:
    with pytest.raises(DataError, match=f"such as {shown} would be equal or in another order") as caught:
        column(tmp_path, cells * 5)
    assert "--problem single-label" in caught.value.fix
    kept = column(tmp_path, cells * 5, "single-label")
    assert {example.gold for example in kept.examples} == {(cell,) for cell in cells}
    assert numbers(column(tmp_path, cells * 5, "regression"))[: len(cells)] == list(map(float, cells))


@pytest.mark.parametrize(
    "cells",
    [["3.1", "3.2", "4.1"], ["3.10", "3.25", "4.00"], ["2.0", "3.25", "4.5"], [f"{i / 4:.2f}" for i in range(90)]],
    ids=["one digit", "two digits each", "as Python writes them", "many"],
)
def test_numbers_as_programs_write_them_are_not_asked_about(cells: list[str]) -> None:
    assert number_form(cells * 5, are_numbers=False) is None
    assert number_form([*cells, *(f"{i}.10" for i in range(60))], are_numbers=False) is None


def test_saying_the_problem_settles_it(tmp_path: Path) -> None:
    cells = [f"{i},5" for i in range(N)]
    assert numbers(column(tmp_path, cells, "regression"))[:2] == [0.5, 1.5]
    assert column(tmp_path, cells, "single-label").examples[0].gold == ("0,5",)


def test_few_whole_numbers_with_a_unit_are_classes_as_written(tmp_path: Path) -> None:
    found = column(tmp_path, [f"{i % 4 * 10}%" for i in range(N)])
    assert found.examples[1].gold == ("10%",)
    assert not told(found)


def test_a_prediction_needs_no_certain_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f'day {i},"1,{100 + i}"\n' for i in range(N)))
    found = read_texts([path], "validation", TextColumns(), 1.0, "prediction")
    assert [example.gold for example in found.examples] == [None] * N
    (noted,) = found.findings.of("noted")
    assert noted.kind == "labels_not_read"
    assert "'1,100'" in noted.message


@pytest.mark.parametrize(
    ("labels", "is_told"),
    [
        (["1.250", "2.500", "12.125"], True),  # perhaps 1250
        (["1.250", "2.500", "0.125"], False),
        (["1.25", "2.5", "3.125"], False),
        (["1.000", "2.000", "3.000"], False),
    ],
)
def test_a_point_that_might_stand_between_thousands_is_told_as_read(labels: list[str], is_told: bool) -> None:
    form = number_form(labels, are_numbers=True)
    assert (form is not None) is is_told
    if isinstance(form, NumberForm):
        assert form.plain("1.250") == "1.250"
        assert "nothing between thousands: 1.250 as 1.250" in form.sentence(labels)


@given(st.lists(st.decimals(-10_000_000, 10_000_000, places=2), min_size=3, max_size=30))
def test_what_is_written_one_way_is_read_back(values: list[object]) -> None:
    written = [f"{value:,}".replace(",", "_").replace(".", ",").replace("_", ".") + " €" for value in values]
    form = number_form(written, are_numbers=True)
    assert isinstance(form, NumberForm)
    assert [float(form.plain(text) or "nan") for text in written] == [float(str(value)) for value in values]


@given(st.lists(st.text(max_size=12), max_size=20), st.booleans())
def test_any_labels_give_a_form_a_doubt_or_nothing(labels: list[str], are_numbers: bool) -> None:
    form = number_form(labels, are_numbers=are_numbers)
    assert form is None or isinstance(form, Doubt | NumberForm)
    if isinstance(form, NumberForm):
        assert all(plain is None or is_plain_number(plain) for plain in map(form.plain, labels))
    if isinstance(form, Doubt):
        assert set(form.examples) <= set(labels)
