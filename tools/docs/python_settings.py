"""Write `src/distiltune/python/settings.py` from the recipe: what an editor completes where functions take settings.

Run from the repository: `python -m tools.docs.python_settings`. A test holds the file to what this writes.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from pathlib import Path

from distiltune.recipe.for_use import (
    FOR_CHECKING,
    FOR_EMBEDDING,
    FOR_LABELLING,
    FOR_PREDICTING,
    FOR_READING_TEXTS,
    FOR_SERVING,
)
from distiltune.recipe.recipe import IN_PYTHON, Recipe

FILE = Path(__file__).parents[2] / "src" / "distiltune" / "python" / "settings.py"

_TAKEN = {
    **dict.fromkeys(("train", "validation", "warm_up_data", "unlabelled"), "Data"),
    **dict.fromkeys(("model", "teacher"), "str | os.PathLike[str]"),
    **dict.fromkeys(("label_names", "tag_names", "no_answer"), "str | Sequence[str]"),
    "tracker": "str | Sequence[str]",
    "freeze": "str | int",
    "lora_targets": "str | Sequence[str]",
    "columns": "str | Mapping[str, str]",
    "class_weights": "str | Mapping[str, float]",
}
"""Settings that take more than the type that they are kept as."""

_HEAD = '''"""The settings that functions take, by name and type.

`tools/docs/python_settings.py` makes this file from the recipe; it is not mended by hand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from distiltune.data.held import Data
'''

_TRAINING = tuple(name for name in Recipe.model_fields if name not in IN_PYTHON)
"""The others are arguments of their own, which take functions."""

_CLASSES = (
    ("Settings", "Every setting of a training; `docs/recipe.md` says what each means.", _TRAINING),
    ("UsingSettings", "The settings that matter where a trained model is used.", FOR_PREDICTING),
    ("CheckingSettings", "The settings that matter where data are checked.", FOR_CHECKING),
    ("ReadingSettings", "The settings that matter where plain texts are read.", FOR_READING_TEXTS),
    ("EmbeddingSettings", "The settings that matter where texts are given vectors.", FOR_EMBEDDING),
    ("LabellingSettings", "The settings that matter where texts are labelled.", FOR_LABELLING),
    ("ServingSettings", "The settings that matter where a model is served.", FOR_SERVING),
)


def source() -> str:
    """The whole file."""
    return _HEAD + "".join(_class(*each) for each in _CLASSES)


def _class(name: str, doc: str, names: Iterable[str]) -> str:
    lines = [f"    {each}: {_type(each)}" for each in Recipe.model_fields if each in set(names)]
    return "\n\nclass " + name + '(TypedDict, total=False):\n    """' + doc + '"""\n\n' + "\n".join(lines) + "\n"


def _type(name: str) -> str:
    return _TAKEN.get(name) or _written(Recipe.model_fields[name].annotation)


def _written(annotation: typing.Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _written(parts[0])
    if origin is typing.Literal:
        return "Literal[" + ", ".join(f'"{each}"' for each in parts) + "]"
    if parts:  # of a union with None
        return " | ".join(_written(each) for each in parts)
    return "None" if annotation is type(None) else str(annotation.__name__)


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
    print(f"written: {FILE}")
