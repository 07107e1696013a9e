"""What of the recipe is token classification's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from distiltune.settings.engine import EngineSettings, Text, joined_by

Overlapping = Literal["outermost", "longest", "reject"]


class TokenClassificationSettings(EngineSettings):
    """The settings of a training that is for words and their labels."""

    overlapping: Overlapping = "outermost"
    """Of spans that overlap, which is learnt: `outermost` (of nested ones the outer; rows where they cross are left
    out), `longest` (also where they cross), or `reject` (such rows are left out)."""
    tag_names: Annotated[Text, BeforeValidator(joined_by(","))] = ""
    """Names of tags that the data has as numbers, from 0, as `O,B-person,I-person`; Parquet files may have them."""
