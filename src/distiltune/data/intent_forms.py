"""Rows of tools for chatbots → plain rows: Rasa, LUIS and CLU, which are Azure's, and intents with their patterns.

The intent is the label of the whole text; what is marked in it are its entities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from distiltune.data.plain_rows import Plain, Value, whole_number, without

_SAY_OTHERWISE: Final = frozenset({"label", "labels", "spans", "tokens", "tags"})
"""Columns beside which an intent is one column more."""


@dataclass(frozen=True, slots=True)
class _Entities:
    """How a tool writes entities: its name, what each has, and the span that each is; and what is to be told of it."""

    tool: str
    names: frozenset[str]
    span: Callable[[Mapping[str, object]], dict[str, object]]
    told: str = ""


def intent_rows(document: Mapping[str, object]) -> list[object] | None:
    """The rows of such a tool's JSON object, which are not in ``data``; None if it is none."""
    inside = document.get("rasa_nlu_data")
    if isinstance(inside, dict) and isinstance(common := inside.get("common_examples"), list):
        return [{"entities": [], **each} if isinstance(each, dict) else each for each in common]
    if isinstance(intents := document.get("intents"), list) and intents and all(map(_has_patterns, intents)):
        return intents
    assets = document.get("assets")  # of CLU; of Azure's other projects these are documents in files of their own
    said = (assets if isinstance(assets, dict) else document).get("utterances")
    if isinstance(said, list) and said and all(isinstance(each, dict) and "intent" in each for each in said):
        return said
    return None


def _has_patterns(intent: object) -> bool:
    patterns = intent.get("patterns") if isinstance(intent, dict) else None
    return isinstance(patterns, list) and all(isinstance(each, str) for each in patterns)


def with_intent(value: Value) -> Iterator[Plain]:
    """A text with its ``intent``, and with ``entities`` as Rasa, LUIS or CLU has them, if there are some."""
    given = value.get("entities", [])
    if not isinstance(value.get("text"), str) or "intent" not in value or not isinstance(given, list):
        return
    if _SAY_OTHERWISE & value.keys():
        return
    marks = [each for each in given if isinstance(each, dict)]
    read = next((form for form in _ENTITIES if all(form.names <= each.keys() for each in marks)), None)
    if read is None or len(marks) < len(given):
        return
    row = {**without(value, "intent", "entities"), "label": value["intent"]}
    if not given:
        yield Plain({**row, **({"spans": []} if "entities" in value else {})}, "the label is `intent`")
        return
    told = f"rows are {read.tool}; the label is `intent`, the spans are `entities`{read.told}"
    yield Plain({**row, "spans": list(map(read.span, marks))}, told)


def _span_of_luis(entity: Mapping[str, object]) -> dict[str, object]:
    last = whole_number(entity["endPos"])
    return {"start": entity["startPos"], "end": None if last is None else last + 1, "label": entity["entity"]}


def _span_of_clu(entity: Mapping[str, object]) -> dict[str, object]:
    first, length = whole_number(entity["offset"]), whole_number(entity["length"])
    end = None if first is None or length is None else first + length
    return {"start": entity["offset"], "end": end, "label": entity["category"]}


def _span_of_rasa(entity: Mapping[str, object]) -> dict[str, object]:
    return {**{name: entity.get(name) for name in ("start", "end", "value")}, "label": entity["entity"]}


_ENTITIES: Final = (
    _Entities(
        "LUIS's",
        frozenset({"entity", "startPos", "endPos"}),
        _span_of_luis,
        ", whose `endPos` is the last character",
    ),
    _Entities("CLU's", frozenset({"category", "offset", "length"}), _span_of_clu),
    _Entities("Rasa's", frozenset({"entity"}), _span_of_rasa),
)
"""In which order they are tried."""


def intent_with_patterns(value: Value) -> Iterator[Plain]:
    """An intent with the texts that mean it: ``tag`` (or ``intent``) and ``patterns``; a row for each text."""
    name = next((name for name in ("tag", "intent") if isinstance(value.get(name), str)), "")
    patterns = value.get("patterns")
    if not name or not isinstance(patterns, list) or not _has_patterns(value):
        return
    for pattern in patterns:
        yield Plain({"text": pattern, "label": value[name]}, f"each of `patterns` is a text, its label is `{name}`")
