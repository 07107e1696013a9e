"""The epoch table, to the letter."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from distiltune.report.epoch_table import as_markdown, header, plain_table, row
from distiltune.tasks.question_answering.task import EPOCH_COLUMNS
from distiltune.training.objective import TableColumn

from .a_run import COLUMNS, epoch_report


def text(width: int, *, validation: bool = True) -> str:
    table = plain_table(COLUMNS, width)
    reports = [epoch_report(epoch, validation=validation) for epoch in range(2)]
    return "\n".join([*table.header_lines(), *(line for report in reports for line in table.row_lines(report))])


def test_the_columns_are_those_of_the_design_in_its_order() -> None:
    assert header(EPOCH_COLUMNS) == [
        "Epoch",
        "Train Loss",
        "Train End Logits Accuracy",
        "Train Start Logits Accuracy",
        "Validation Loss",
        "Validation End Logits Accuracy",
        "Validation Start Logits Accuracy",
        *("Validation Exact Match", "Validation F1"),
    ]
    assert list(EPOCH_COLUMNS[: len(COLUMNS)]) == list(COLUMNS)


def test_a_row_has_four_decimals_and_counts_epochs_from_zero() -> None:
    assert row(epoch_report(0), COLUMNS) == ["0", "1.8000", "0.5200", "0.4800", "1.3000", "0.6000", "0.5600"]


def test_what_was_not_measured_is_a_dash_and_what_is_no_number_says_so() -> None:
    report = replace(epoch_report(3, validation=False), train={"loss": math.nan, "end_accuracy": 0.5})
    assert row(report, COLUMNS) == ["3", "nan", "0.5000", "-", "-", "-", "-"]


def test_markdown() -> None:
    columns = (COLUMNS[0], TableColumn("A|B", "validation", "loss"))
    assert as_markdown([epoch_report(0), epoch_report(1, validation=False)], columns) == (
        "| Epoch | Train Loss | A\\|B |\n| ---: | ---: | ---: |\n| 0 | 1.8000 | 1.3000 |\n| 1 | 1.2161 | - |"
    )


def test_markdown_has_the_terminals_figures() -> None:
    reports = [epoch_report(epoch) for epoch in range(5)]
    markdown = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in as_markdown(reports, COLUMNS).splitlines()
    ]
    assert markdown[0] == header(COLUMNS)
    for width in (160, 100, 80):
        table = plain_table(COLUMNS, width)
        assert markdown[2:] == [line.split() for report in reports for line in table.row_lines(report)]


def test_a_wide_terminal_gets_one_line_of_titles() -> None:
    assert text(160) == (
        "Epoch  Train Loss  Train End Logits Accuracy  Train Start Logits Accuracy  Validation Loss"
        "  Validation End Logits Accuracy  Validation Start Logits Accuracy\n"
        "-----  ----------  -------------------------  ---------------------------  ---------------"
        "  ------------------------------  --------------------------------\n"
        "    0      1.8000                     0.5200                       0.4800           1.3000"
        "                          0.6000                            0.5600\n"
        "    1      1.2161                     0.6660                       0.6308           1.1500"
        "                          0.6535                            0.6184"
    )


def test_eighty_columns_get_titles_of_three_lines() -> None:
    assert text(80).splitlines() == [
        "                      Train         Train              Validation    Validation",
        "          Train  End Logits  Start Logits  Validation  End Logits  Start Logits",
        "Epoch      Loss    Accuracy      Accuracy        Loss    Accuracy      Accuracy",
        "-----  --------  ----------  ------------  ----------  ----------  ------------",
        "    0    1.8000      0.5200        0.4800      1.3000      0.6000        0.5600",
        "    1    1.2161      0.6660        0.6308      1.1500      0.6535        0.6184",
    ]


def test_a_narrow_terminal_gets_a_list() -> None:
    assert text(40, validation=False).splitlines()[:8] == [
        "Epoch 0",
        " 1.8000 Train Loss",
        " 0.5200 Train End Logits Accuracy",
        " 0.4800 Train Start Logits Accuracy",
        "      - Validation Loss",
        "      - Validation End Logits Accuracy",
        "      - Validation Start Logits Accuracy",
        "Epoch 1",
    ]


@pytest.mark.parametrize("width", range(40, 200, 3))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, text(width).splitlines())) <= width


def test_a_table_has_as_few_lines_of_titles_as_fit() -> None:
    n_lines = {width: len(plain_table(COLUMNS, width).header_lines()) for width in (156, 155, 96, 95, 79, 60, 59)}
    assert n_lines == {156: 2, 155: 3, 96: 3, 95: 4, 79: 4, 60: 0, 59: 0}


def test_a_loss_gone_astray_stays_under_its_title() -> None:
    report = replace(epoch_report(0), train={"loss": 123.4567, "end_accuracy": 0.0, "start_accuracy": 0.0})
    table = plain_table(COLUMNS, 80)
    assert len(table.row_lines(report)[0]) == len(table.header_lines()[-1])
