"""Lists and dictionaries that were written into a cell of a table: as JSON, or as Python or NumPy print them."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from typing import Final

MAX_CHARACTERS = 1_000_000
"""A longer cell is no list of words, labels or answers that somebody wrote."""

_NO_COMMA: Final = re.compile(r"""['"\d.]\s+['"\d.]|['"]{2}""")
"""Where NumPy may have printed two elements of an array, which it does without a comma."""
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_OF_SETS: Final = ("set", "frozenset")
_NAMES: Final[dict[str, object]] = {"nan": None, "null": None, "true": True, "false": False}


def literal(text: str) -> list[object] | dict[object, object] | None:
    """The list or dictionary that a text spells, tuples, sets and arrays as lists; None if it spells neither.

    ``['a', 'b']``, ``["a", "b"]``, ``(3, 7)`` and ``{'text': array(['a'], dtype=object), 'answer_start': array([3])}``
    are all read, and ``[1 0 1]`` and ``['a' 'b']``, as NumPy prints an array. Nothing is run.
    """
    stripped = text.strip()
    opened = next((name for name in _OF_SETS if stripped.startswith(f"{name}(")), "")
    if len(stripped) > MAX_CHARACTERS or _BRACKETS.get(stripped[len(opened) :][:1]) != stripped[-1:]:
        return None
    try:
        value: object = json.loads(stripped)
    except (ValueError, RecursionError):
        try:
            value = _value(ast.parse(_with_commas(stripped), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
            return None
    return value if isinstance(value, list | dict) else None


def listed(cell: object) -> object:
    """A list that is written into a cell as text; anything else as it is."""
    spelled = literal(cell) if isinstance(cell, str) and cell.lstrip().startswith("[") else None
    return cell if spelled is None else spelled


def _with_commas(text: str) -> str:
    """The text with a comma between elements that have none: Python would join two texts that stand side by side."""
    if not _NO_COMMA.search(text):
        return text
    parts: list[str] = []
    after_element = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.ENDMARKER):
            continue
        is_element = token.type in (tokenize.STRING, tokenize.NUMBER)
        parts += [","] if is_element and after_element else []
        parts.append(token.string)
        after_element = is_element
    return " ".join(parts)


def _value(node: ast.expr) -> object:
    """What a node of Python's grammar stands for. Raises ValueError for all that is no plain value."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str | int | float | bool | None):
            return node.value
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_value(each) for each in node.elts]
    elif isinstance(node, ast.Dict):
        keys = [_value(key) if key is not None else None for key in node.keys]
        if any(not isinstance(key, str | int) for key in keys):
            raise ValueError("a key that is no text")
        return dict(zip(keys, map(_value, node.values), strict=True))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "array" and node.args:
            return _value(node.args[0])
        if node.func.id in _OF_SETS and len(node.args) < 2:
            return _value(node.args[0]) if node.args else []
    raise ValueError(f"no plain value: {type(node).__name__}")
