"""The examples as the checks see them."""

from __future__ import annotations

from distiltune.tasks.labelled_check import LabelledText
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.tasks.text_classification.features import TextData
from distiltune.tasks.text_classification.targets import names_of


def labelled_texts(data: TextData) -> list[LabelledText]:
    """The texts as the checks see them; numbers that are measures are no labels."""
    texts = [_as_text(example) for example in data.examples]
    kinds = {label for each in texts for label in each.labels}
    are_classes = len(kinds) < max(20, len(texts) // 10)
    return texts if are_classes else [LabelledText(each.id, each.text, each.gold, ()) for each in texts]


def _as_text(example: TextExample) -> LabelledText:
    text = example.text if example.pair is None else f"{example.text}\n{example.pair}"
    return LabelledText(example.id, text, tuple(sorted(names_of(example))), names_of(example))
