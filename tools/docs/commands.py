"""Write `docs/commands.md` from the code: every command, its arguments and flags, as `--help` has them.

Run from the repository: `python tools/docs/commands.py`. A test holds the page to what this writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from distiltune.commands.app import app
from distiltune.recipe.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

_INTRODUCTION = """# Commands

Every command tells with `--help` its common flags, ten at most, in under half a second, and with `--help-all` all
that is below; `--task NAME --help` shows those of a task too. `distiltune completion bash` (or `zsh`, `fish`) makes the
shell complete them. A model is named first or by `--model`, data after it or by `--data`.

With `--json`, where there is one, standard output holds one JSON value and nothing else: a list for the answers of
`ask`, an object elsewhere, on one line for `train`, `distill` and `convert`; progress goes to standard error. Exit
status: 0 done, 1 could not do it (with one message: what, where, what to do; `distiltune --debug COMMAND` shows the
traceback), 2 wrong usage, 130 interrupted.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    return _INTRODUCTION + "".join(_section(name, command) for name, command in group.commands.items())


def _section(name: str, command: Any) -> str:
    text, _, example = (command.help or "").partition("Example:")
    lines = [f"\n## {name}\n", " ".join(text.split())]
    if found := re.search(r"`(.*)`", example):
        lines.append(f"\n```console\n$ {found.group(1)}\n```")
    lines.append("\n| argument or flag | default | meaning |\n|---|---|---|")
    recipe = {setting.replace("_", "-") for setting in Recipe.model_fields}
    shown = [each for each in command.params if each.name != "help"]
    own = [each for each in shown if _flag(each).removeprefix("--") not in recipe or each.required]
    settings = [f"`{_flag(each)}`" for each in shown if each not in own]
    lines += [_row(each) for each in own]
    if settings:
        lines.append(f"\nAnd these [settings](recipe.md): {', '.join(settings)}.")
    return "\n".join(lines) + "\n"


def _flag(parameter: Any) -> str:
    """Its longest name; an argument's is that of its place."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))


def _row(parameter: Any) -> str:
    default = "required" if parameter.required else parameter.default
    plain = default in (None, "", False, [], ()) or callable(default)
    shown = default if parameter.required else "" if plain else f"`{default}`"
    cells = (f"`{_flag(parameter)}`", shown, parameter.help)
    return f"| {' | '.join(str(cell or '').replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")
