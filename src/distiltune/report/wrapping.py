"""Lines on a terminal: broken between words, coloured by how much they matter; elsewhere as they are."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from distiltune.errors import with_controls_shown

_INDENT: Final = "  "
_COMMAND: Final = re.compile(r"(?<=: )distiltune [a-z-]+(?: [^\s;,()]+| '[^']*'| \"[^\"]*\")*$")
_WORD: Final = re.compile(r"\s*\S+")
_WORD_OF_COMMAND: Final = re.compile(r"""\s*(?:"[^"]*"|'[^']*'|\S)+""")
_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_HEAD: Final = re.compile(r"(?:coach: |error\b|warning\b|note\b)")


def wrapped(line: str, width: int) -> list[str]:
    """The line in pieces of at most ``width`` columns, broken between words, what follows indented.

    A word that is wider stands alone and is left to the terminal. Where a command ends the line, it is broken as a
    shell takes it, with a backslash, so that it can be copied.
    """
    if cell_len(line) <= width:
        return [line]
    found = _COMMAND.search(line)
    if found is None:
        return _broken(line, width, "")
    before, command = line[: found.start()].rstrip(), line[found.start() :]
    indent = _indent(line) + _INDENT
    return [*_broken(before, width, ""), *_broken(indent + command, width, " \\")]


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _broken(line: str, width: int, sign: str) -> list[str]:
    """The pieces of a line, all but the last of which end in the sign."""
    indent = _indent(line)
    pieces, current = [], indent
    for part in (_WORD_OF_COMMAND if sign else _WORD).findall(line[len(indent) :]):
        word = part.lstrip()
        is_fresh = not current.strip()
        if not is_fresh and cell_len(current + part + sign) > width:
            pieces.append(current + sign)
            current, is_fresh = indent + _INDENT, True
        current += word if is_fresh else part
    return [*pieces, current]


def print_line(console: Console, line: str) -> None:
    """Print a line as it is, without markup: on a terminal broken between words and coloured, else whole and plain.

    Control characters are shown: what data and file names hold does not command a terminal.
    """
    severity = getattr(line, "severity", "")
    for number, part in enumerate(map(with_controls_shown, line.split("\n"))):
        head = _HEAD.match(part) if severity and not number else None
        whole = part.startswith("coach: ")  # of the coach the whole sentence, of a list its first word
        for place, piece in enumerate(wrapped(part, console.width) if console.is_terminal else [part]):
            text = Text(piece)
            if head and (whole or not place):
                text.stylize(_STYLES[severity], 0, len(piece) if whole else head.end())
            console.print(text, soft_wrap=True)
