"""Rows of tools for chatbots: the intent of each text, and the entities in it, as each tool counts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distiltune.data.files import iter_rows
from distiltune.data.intent_forms import intent_with_patterns, with_intent
from distiltune.data.rows import Row

TEXT = "fly from Oslo to Lima"
OSLO = {"start": 9, "end": 13, "label": "city"}

ENTITIES: dict[str, dict[str, object]] = {
    "Rasa's": {"start": 9, "end": 13, "value": "Oslo", "entity": "city"},
    "LUIS's": {"entity": "city", "startPos": 9, "endPos": 12, "children": []},
    "CLU's": {"category": "city", "offset": 9, "length": 4},
}


@pytest.mark.parametrize("tool", ENTITIES)
def test_intents_and_entities_of_each_tool(tool: str) -> None:
    (row,) = with_intent({"id": 7, "text": TEXT, "intent": "book", "entities": [ENTITIES[tool]]})
    assert (row.value["id"], row.value["text"], row.value["label"]) == (7, TEXT, "book")
    spans = row.value["spans"]
    assert isinstance(spans, list)
    assert [{name: span[name] for name in OSLO} for span in spans] == [OSLO]
    assert row.told.startswith(f"rows are {tool}; the label is `intent`, the spans are `entities`")


def test_rows_without_entities_are_no_tools_and_lose_no_column() -> None:
    (row,) = with_intent({"text": TEXT, "intent": "book", "slots": "O O B-city O B-city"})
    assert row.value == {"text": TEXT, "label": "book", "slots": "O O B-city O B-city"}
    assert row.told == "the label is `intent`"
    (row,) = with_intent({"text": TEXT, "intent": "book", "entities": []})
    assert (row.value["spans"], row.told) == ([], "the label is `intent`")


@pytest.mark.parametrize("column", ["label", "labels", "spans", "tokens", "tags"])
def test_an_intent_beside_what_says_otherwise_is_a_column_more(column: str) -> None:
    assert not list(with_intent({"text": TEXT, "intent": "book", column: ["x"]}))


@pytest.mark.parametrize(
    "entity", [{"entity": "city", "startPos": 9, "endPos": None}, {"category": "city", "offset": 9, "length": "?"}]
)
def test_a_place_that_is_none_is_told_with_its_row(entity: dict[str, object]) -> None:
    (row,) = with_intent({"text": TEXT, "intent": "book", "entities": [entity]})
    assert row.value["spans"] == [{"start": 9, "end": None, "label": "city"}]


def test_each_pattern_of_an_intent_is_a_text() -> None:
    rows = list(intent_with_patterns({"tag": "greet", "patterns": ["Hi", "Hello there"], "responses": ["Hello!"]}))
    assert [row.value for row in rows] == [{"text": "Hi", "label": "greet"}, {"text": "Hello there", "label": "greet"}]
    assert rows[0].told == "each of `patterns` is a text, its label is `tag`"
    assert not list(intent_with_patterns({"tag": "greet", "patterns": [1]}))


SAID = {"text": TEXT, "intent": "book", "entities": [ENTITIES["LUIS's"]]}
BARE = {"text": TEXT, "intent": "book"}


@pytest.mark.parametrize(
    ("document", "spans"),
    [
        ({"luis_schema_version": "7", "intents": [{"name": "book"}], "utterances": [SAID]}, 1),
        ({"assets": {"projectKind": "Conversation", "utterances": [SAID]}}, 1),
        ({"rasa_nlu_data": {"common_examples": [BARE]}}, 0),  # here a text without any has no entity
        ({"intents": [{"tag": "book", "patterns": [TEXT]}]}, None),
    ],
    ids=["LUIS", "CLU", "Rasa", "patterns"],
)
def test_rows_inside_an_object(tmp_path: Path, document: object, spans: int | None) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    (row,) = iter_rows(path)
    assert isinstance(row, Row)
    assert (row.value["text"], row.value["label"]) == (TEXT, "book")
    found = row.value.get("spans")
    assert (len(found) if isinstance(found, list) else None) == spans
