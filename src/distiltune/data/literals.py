"""Lists and dictionaries that were written into a cell of a table: as JSON, or as Python or NumPy print them."""

from __future__ import annotations

import ast
import json
from typing import Final

MAX_CHARACTERS = 200_000
"""A longer cell is no list of labels or answers that somebody wrote."""

_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_NAMES: Final[dict[str, object]] = {"nan": None, "null": None, "true": True, "false": False}


def literal(text: str) -> list[object] | dict[object, object] | None:
    """The list or dictionary that a text spells, tuples and arrays as lists; None if it spells neither.

    ``['a', 'b']``, ``["a", "b"]``, ``(3, 7)`` and ``{'text': array(['a'], dtype=object), 'answer_start': array([3])}``
    are all read. Nothing is run.
    """
    stripped = text.strip()
    if len(stripped) > MAX_CHARACTERS or _BRACKETS.get(stripped[:1]) != stripped[-1:]:
        return None
    try:
        value: object = json.loads(stripped)
    except (ValueError, RecursionError):
        try:
            value = _value(ast.parse(stripped, mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return value if isinstance(value, list | dict) else None


def _value(node: ast.expr) -> object:
    """What a node of Python's grammar stands for. Raises ValueError for all that is no plain value."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str | int | float | bool | None):
            return node.value
    elif isinstance(node, ast.List | ast.Tuple):
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
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "array" and node.args:
        return _value(node.args[0])
    raise ValueError(f"no plain value: {type(node).__name__}")
