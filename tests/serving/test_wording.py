"""No word of pydantic's reaches who asks, and every error says where and what to do."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from distiltune.serving.wording import in_plain_words


class Below(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=5, pattern=r"\S")]


class Asked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    items: Annotated[list[Below], Field(min_length=1, max_length=2)]
    n: Annotated[int, Field(ge=1, le=3)] = 1


def said(value: Any) -> tuple[str, str, str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Asked).validate_python(value)
    (first, *_) = caught.value.errors()
    return in_plain_words({**first, "loc": ("body", "form", *first["loc"])}, ("form",))


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        ({}, "The field items is missing.", "body.items"),
        ([], "The body is not an object in braces.", "body"),
        ({"items": []}, "The field items has fewer than 1.", "body.items"),
        ({"items": [{"text": "a"}] * 3}, "The field items has more than 2.", "body.items"),
        ({"items": "a"}, "The field items is not a list in square brackets.", "body.items"),
        ({"items": [{"text": 3}]}, "The field items.0.text is not a text in quotes.", "body.items.0.text"),
        ({"items": [{"text": ""}]}, "The field items.0.text is empty.", "body.items.0.text"),
        ({"items": [{"text": "  "}]}, "The field items.0.text is blank.", "body.items.0.text"),
        ({"items": [{"text": "secret"}]}, "The field items.0.text is longer than 5 characters.", "body.items.0.text"),
        ({"items": [{"text": "a"}], "n": 0}, "The field n is below 1.", "body.n"),
        ({"items": [{"text": "a"}], "n": 4}, "The field n is above 3.", "body.n"),
        ({"items": [{"text": "a"}], "n": "1"}, "The field n is not a whole number.", "body.n"),
        ({"items": [{"text": "a"}], "k": 1}, "The field k is not known here.", "body.k"),
    ],
    ids=str,
)
def test_plain_words(value: Any, what: str, where: str) -> None:
    told = said(value)
    assert told[:2] == (what, where)
    assert told[2]
    assert "secret" not in "".join(told)


def test_json_that_is_none() -> None:
    what, where, fix = in_plain_words({"type": "json_invalid", "loc": ("body", 7), "ctx": {"error": "Expecting"}})
    assert (what, where) == ("The body is not valid JSON.", "body")
    assert "JSON" in fix


def test_a_kind_of_error_that_is_new_has_words_too() -> None:
    assert in_plain_words({"type": "unheard_of", "loc": ("query", "kind")})[:2] == (
        *("The parameter kind is not as described.", "query.kind"),
    )


def test_a_place_in_one_of_several_types_names_fields_alone() -> None:
    class Short(BaseModel):
        text: Annotated[str, Field(min_length=1)]

    class Several(BaseModel):
        model_config = ConfigDict(extra="forbid")

        texts: list[Annotated[str, Field(min_length=1)] | Short]

    def all_said(value: Any) -> set[str]:
        with pytest.raises(ValidationError) as caught:
            TypeAdapter(Several).validate_python(value)
        return {in_plain_words({**each, "loc": ("body", *each["loc"])})[0] for each in caught.value.errors()}

    assert "The field texts.1 is empty." in all_said({"texts": ["a", ""]})
    assert "The field texts.0.text is empty." in all_said({"texts": [{"text": ""}]})
    assert all_said({"texts": ["a"], "max-Length": 1}) == {"The field max-Length is not known here."}
