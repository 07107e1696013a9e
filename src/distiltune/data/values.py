"""A row's values by themselves: texts and ids that can be used, and what is said of those that cannot."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from distiltune.data.row_findings import RowFinding

MAX_TEXT_CHARACTERS = 1_000_000
"""The longest text of an example, such as a context: a novel has as many."""
_GENERATED_ID_DIGITS = 16
_GENERATED_ID: Final = re.compile(rf"[0-9a-f]{{{_GENERATED_ID_DIGITS}}}(-\d+)?")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something cannot be used: a kind and a sentence."""

    kind: str
    message: str


def text_problem(value: object, name: str) -> Problem | None:
    """What is wrong with a text called ``name``; None if it is a usable text."""
    words = name.replace("_", " ")
    if value is None:
        return Problem(f"{name}_missing", f"There is no {words}.")
    if not isinstance(value, str):
        return Problem(f"{name}_not_text", f"The {words} is {shown(value)}, not text.")
    if len(value) > MAX_TEXT_CHARACTERS:
        return Problem(
            f"{name}_too_long",
            f"The {words} has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} can be used.",
        )
    if not value or value.isspace():
        return Problem(f"{name}_empty", f"The {words} is empty or white space only.")
    if not is_encodable(value):
        return Problem(f"{name}_not_encodable", f"The {words} has half of a surrogate pair, which is not a character.")
    return None


def id_problem(value: object) -> Problem | None:
    """What is wrong with an id; None if it is absent, text that can be written, or a whole number."""
    fits = is_encodable(value) if isinstance(value, str) else value is None or type(value) is int
    return None if fits else Problem("id_not_text", f"The id is {shown(value)}, neither text nor a whole number.")


def id_text(value: object) -> str:
    """The id as text; empty if the row has none."""
    return "" if value is None else str(value).strip()


def sample_weight(row: Mapping[str, object], column: str) -> float | Problem | None:
    """What a row says that it weighs in the training loss, which is 1 otherwise; None if it has no such column."""
    if column not in row:
        return None
    value = row[column]
    try:
        weight = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # which it tries
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if 0.0 <= weight < math.inf:
        return weight
    return Problem("sample_weight_unusable", f"The weight is {shown(value)}, not a number from 0 on.")


def weights_told(column: str) -> tuple[str, str]:
    """The decision to read that column as weights: its kind, and a sentence."""
    return "sample_weights", f"The column {column!r} says what each row weighs in the training loss."


def generated_id(*parts: str) -> str:
    """An id for a row without one: the same for the same row, in every run."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_GENERATED_ID_DIGITS]


def short_hash(text: str) -> int:
    """64 bits of a hash, the same in every run."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def is_generated_id(row_id: str) -> bool:
    """Whether an id looks like one that `generated_id` made, or a repetition of it, which nobody finds in a file."""
    return _GENERATED_ID.fullmatch(row_id) is not None


def is_encodable(text: str) -> bool:
    """Whether the text is free of lone surrogates, which no encoding can write."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def writable(text: str) -> str:
    """``text`` with lone surrogates escaped, so that reports can be written."""
    return text.encode("utf-8", "backslashreplace").decode()


def shown(value: object) -> str:
    """A value for a message, cut short; lone surrogates come out escaped."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; a number of too many digits
        return f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def rejected(kind: str, where: str, row_id: object, message: str) -> RowFinding:
    """A finding that leaves a row out."""
    return RowFinding("rejected", kind, where, "" if row_id is None else writable(str(row_id)), message)


def gold_ignored(kind: str, where: str, row_id: object, message: str) -> RowFinding:
    """A finding that leaves a row in, but not the gold that it has."""
    told = rejected(kind, where, row_id, f"{message} There is nothing to compare the answer with.")
    return replace(told, outcome="noted")
