"""What is wrong with a request, in plain words: what, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_EXAMPLES: Final = "; /docs shows what is expected, with examples"
_KINDS: Final = {
    "string": "a text in quotes",
    "list": "a list in square brackets",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "an object in braces",
    "model": "an object in braces",
    "model_attributes": "an object in braces",
}
_PLACES: Final = {"body": "field", "query": "parameter", "header": "header", "path": "part of the path"}
_RULES: Final = {
    "missing": ("is missing.", "add it"),
    "extra_forbidden": ("is not known here.", "leave it out, or mend its name"),
    "string_pattern_mismatch": ("is blank.", "give something to read"),
    "string_too_short": ("is empty.", "give something to read"),
    "string_too_long": ("is longer than {max_length} characters.", "shorten it"),
    "string_unicode": ("holds half of a surrogate pair, which is no character.", "send valid Unicode"),
    "too_short": ("has fewer than {min_length}.", "give at least {min_length}"),
    "too_long": ("has more than {max_length}.", "give at most {max_length}, or send several requests"),
    "greater_than_equal": ("is below {ge}.", "give at least {ge}"),
    "less_than_equal": ("is above {le}.", "give at most {le}"),
    "literal_error": ("is none of {expected}.", "give one of them"),
    "int_from_float": ("is no whole number.", "give a whole number"),
    "json_invalid": ("is not valid JSON.", "send what a JSON library writes"),
}
"""For each of pydantic's kinds of error what is said, and what to do."""


_FIELD: Final = re.compile(r"[a-z][a-z0-9_]*")
_TYPES: Final = frozenset({"str", "int", "float", "bool", "dict", "list", "tuple", "none"})


def _is_of_a_type(part: object) -> bool:
    """Whether a part of a place is pydantic's name for one of several types: ``constrained-str``, ``list[Text]``."""
    return isinstance(part, str) and (part in _TYPES or not _FIELD.fullmatch(part))


def in_plain_words(error: Mapping[str, Any], tags: Sequence[str] = ()) -> tuple[str, str, str]:
    """What, where and what to do, of one of pydantic's errors; its input is left out: it may be a whole document.

    Args:
        error: as pydantic lists it.
        tags: parts of the place that name a form of the request and no field.

    """
    kind = str(error["type"])
    parts = [part for part in error["loc"] if part not in tags]
    last = len(parts) - 1 if kind == "extra_forbidden" else len(parts)  # a name that was sent, whatever it is
    path = [str(part) for i, part in enumerate(parts) if not (0 < i < last and _is_of_a_type(part))]
    where = "body" if kind == "json_invalid" else ".".join(path)
    rule = _RULES.get(kind)
    if rule is None and kind.endswith("_type") and kind.removesuffix("_type") in _KINDS:
        wanted = _KINDS[kind.removesuffix("_type")]
        rule = (f"is not {wanted}.", f"make it {wanted}")
    given = error.get("ctx", {})
    if kind == "value_error":
        return (
            f"{str(given.get('error', 'It is not as described')).rstrip('.')}.",
            where,
            f"see what is wanted{_EXAMPLES}",
        )
    what, fix = rule or ("is not as described.", "see what is wanted")
    subject = "The body" if where == "body" else f"The {_PLACES.get(path[0], 'part')} {'.'.join(path[1:])}"
    return f"{subject} {what.format_map(given)}", where, fix.format_map(given) + _EXAMPLES
