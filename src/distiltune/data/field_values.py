"""Whether what a column holds can be what a field is for: a text, a label, words, their tags, spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from distiltune.data.literals import literal
from distiltune.data.tag_schemes import looks_like_tags


def can_hold(field: str, values: Sequence[object]) -> bool:
    """Whether a column with these values can be this field's; values that are missing say nothing."""
    given = [_listed(value) for value in values if value is not None and value != ""]
    return not given or field not in _CHECKS or _CHECKS[field](given)


def _listed(value: object) -> object:
    """A list that is written as text as the list that it spells; anything else as it is."""
    spelled = literal(value) if isinstance(value, str) and value.lstrip().startswith("[") else None
    return value if spelled is None else spelled


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _are_labels(values: Sequence[object]) -> bool:
    """Whether each is a name or a number, or a list of such, and they are not a tag for each word of a sentence."""
    if any(isinstance(part, dict | list) for value in values for part in _parts(value)):
        return False
    parts = [part for value in values for part in _parts(value)]
    has_several = any(len(_parts(value)) > 1 for value in values)
    return not (has_several and all(isinstance(p, str) for p in parts) and looks_like_tags(Counter(map(str, parts))))


def _parts(value: object) -> list[object]:
    return value if isinstance(value, list) else [*value.split()] if isinstance(value, str) else [value]


def _are_words(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) or _is_list_of(value, str) for value in values)


def _are_tags(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) or _is_list_of(value, str | int) for value in values)


def _are_spans(values: Sequence[object]) -> bool:
    return all(_is_list_of(value, dict | list) for value in values)


def _is_list_of(value: object, kind: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)  # type: ignore[arg-type]


_CHECKS: Final[Mapping[str, Callable[[Sequence[object]], bool]]] = {
    **dict.fromkeys(("text", "pair", "question", "context"), _are_texts),
    **dict.fromkeys(("label", "labels"), _are_labels),
    "tokens": _are_words,
    "tags": _are_tags,
    "ner_tags": _are_tags,
    "spans": _are_spans,
}
