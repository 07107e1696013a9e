"""Messages name the argument in Python and the flag in the terminal."""

from __future__ import annotations

import pytest

import distiltune
from distiltune import cli
from distiltune.commands.app import app
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.python.wording import FUNCTIONS, in_python, in_python_terms

SAID = {
    "or name the columns with --columns.": "or name the columns with columns=.",
    "say which, as --columns tokens=1,tags=2": 'say which, as columns="tokens=1,tags=2"',
    "A column each: --columns text=NAME,labels=a+b, or so.": 'A column each: columns="text=NAME,labels=a+b", or so.',
    "did you mean --columns label=stars? It is": 'did you mean columns="label=stars"? It is',
    "did you mean distiltune check --columns label=stars?": 'did you mean distiltune.check(columns="label=stars")?',
    "if it is a row: --no-header, and columns by number": "if it is a row: no_header=True, and columns by number",
    "go on without them: --max-rejected-share 1.": "go on without them: max_rejected_share=1.",
    "give --train DATA": "give train=DATA",
    "by hand, --recipe classic is 2022's": 'by hand, recipe="classic" is 2022\'s',
    "see `distiltune train --help`": "see help(distiltune.fine_tune)",
    "go on with: distiltune train --resume runs/a": 'go on with: distiltune.resume("runs/a")',
    "distiltune train --recipe a.toml --output a --overwrite": (
        'distiltune.fine_tune(recipe="a.toml", output="a", overwrite=True)'
    ),
    "for the answers alone: distiltune predict; if": "for the answers alone: distiltune.predict(); if",
    "a command of others, hf auth --login, stays": "a command of others, hf auth --login, stays",
    "distiltune ask --text TEXT": "distiltune ask --text TEXT",
    "what is wrong: distiltune check memory:list-48db5053e9f54f50": "what is wrong: distiltune.check(DATA)",
    "distiltune.fine_tune('a.toml', output='b', train=TRAIN) with --epochs 24 --learning-rate 1e-4; or": (
        "distiltune.fine_tune('a.toml', output='b', train=TRAIN, epochs=24, learning_rate=1e-4); or"
    ),
    "nothing to say": "nothing to say",
}


@pytest.mark.parametrize(("text", "expected"), SAID.items(), ids=lambda each: str(each)[:30])
def test_flags_and_commands_are_said_as_arguments_and_calls(text: str, expected: str) -> None:
    assert in_python_terms(text) == expected


def test_every_command_has_its_function_or_class() -> None:
    names = {each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands if each.callback}
    assert names - {"ask", "completion", "mcp"} == FUNCTIONS.keys()
    assert all(callable(getattr(distiltune, name)) for name in FUNCTIONS.values())


def test_an_error_keeps_its_kind_and_loses_its_flags() -> None:
    @in_python
    def go(value: int) -> int:
        """Go."""
        raise RecipeError("--steps is wrong.", where="--columns a", fix=f"use --epochs {value}")

    with pytest.raises(RecipeError) as caught:
        go(3)
    told = caught.value.what, caught.value.where, caught.value.fix
    assert told == ("steps= is wrong.", "columns= a", "use epochs=3")
    assert caught.value.args == ("steps= is wrong.",)
    assert go.__name__ == "go"


def test_the_same_mistake_from_both_sides(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DistiltuneError) as caught:
        distiltune.find_lr(steps=3)
    assert caught.value.where == "steps="
    monkeypatch.setattr("sys.argv", ["distiltune", "find-lr", "--steps", "3"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "--steps" in capsys.readouterr().err
