from __future__ import annotations

import io
import shlex

import pytest
from rich.cells import cell_len
from rich.console import Console

from distiltune.checks.concerns import SevereLine
from distiltune.coach.sickness import Advice
from distiltune.report.wrapping import print_line, wrapped

PROSE = "  why: the validation loss rose from 0.955 to 1.204 after epoch 3, and the training loss fell on"
COMMAND = 'ask it: distiltune ask --model runs/a-long-name/model --document TEXT.txt "A question of some words?"'


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_lines_are_broken_between_words(width: int) -> None:
    pieces = wrapped(PROSE, width)
    assert " ".join(piece.strip() for piece in pieces) == PROSE.strip()
    assert all(len(piece) <= width for piece in pieces)
    assert all(piece.startswith("    ") for piece in pieces[1:]), "what follows is indented"


def test_what_fits_stays_as_it_is() -> None:
    table = "warning    2 of 6:   two   spaces"
    assert wrapped(table, 40) == [table]


@pytest.mark.parametrize("width", [40, 60])
def test_a_command_that_is_broken_can_be_copied(width: int) -> None:
    first, *rest = wrapped(COMMAND, width)
    assert first == "ask it:"
    assert all(piece.endswith(" \\") for piece in rest[:-1])
    copied = "\n".join(rest)
    assert shlex.split(copied.replace("\\\n", " ")) == shlex.split(COMMAND.removeprefix("ask it: "))
    assert any('"A question of some words?"' in piece for piece in rest), "what is quoted is one word"


def test_a_sentence_about_a_command_is_prose() -> None:
    line = "what to do: give rows; `distiltune check --task TASK` lists what is wrong with each of them, and why it is"
    assert not any(piece.endswith("\\") for piece in wrapped(line, 40))


def test_wide_characters_count_twice() -> None:
    pieces = wrapped("模型 " * 30, 41)
    assert max(map(cell_len, pieces)) <= 41
    assert len(pieces) > 1


def test_a_word_that_is_too_wide_stands_alone() -> None:
    path = "runs/" + "x" * 50
    assert wrapped(f"model: {path} is there", 30) == ["model:", f"  {path}", "  is there"]


def printed(line: str, *, terminal: bool) -> str:
    file = io.StringIO()
    print_line(
        Console(file=file, force_terminal=terminal, width=40, color_system="standard" if terminal else None), line
    )
    return file.getvalue()


@pytest.mark.parametrize(("severity", "colour"), [("error", "31"), ("warning", "33"), ("note", "36")])
def test_the_coach_is_coloured_by_how_much_it_matters(severity: str, colour: str) -> None:
    advice = Advice(severity, "overfitting", "overfitting from epoch 2 on; the best one is 1", "the loss rose")  # type: ignore[arg-type]
    first, why = advice.lines()
    assert colour in printed(first, terminal=True).split("m")[0]
    assert printed(first, terminal=True).count(f"{colour}m") == 2, "both pieces of the sentence"
    assert "\x1b" not in printed(why, terminal=True)
    assert printed(first, terminal=False) == f"coach: {advice.message}\n", "elsewhere whole and plain"


def test_of_a_list_the_first_word_is_coloured() -> None:
    line = SevereLine.of("warning  2 of 6: repeated", "warning")
    assert printed(line, terminal=True) == "\x1b[33mwarning\x1b[0m  2 of 6: repeated\n"
    assert printed("[bold]x[/] 12", terminal=True) == "[bold]x[/] 12\n", "no markup, no colours of numbers"


@pytest.mark.parametrize("terminal", [False, True])
def test_control_characters_of_a_line_are_shown(terminal: bool) -> None:
    said = printed("note: a\x1b]0;x\x07\x9b31m\u202eb\nc", terminal=terminal)
    assert said == "note: a\\x1b]0;x\\x07\\x9b31m\\u202eb\nc\n"
