"""Which of several columns with lists holds the tags of the words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distiltune.errors import DataError
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.examples import TokenSet
from distiltune.tasks.token_classification.read import Choices, gold_tags, read_marked

WORDS = ["Ada", "sang"]
TAGS = ["B-PER", "O"]
NOUNS = ["NN", "VB"]


def read(tmp_path: Path, *rows: dict[str, Any], columns: str = "", choices: Choices = Choices()) -> TokenSet:  # noqa: B008
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_marked([str(path)], "train", TokenColumns.parse(columns), 0.0, choices=choices)


def told(found: TokenSet) -> str:
    return "\n".join(found.findings.decisions())


def test_the_column_that_is_plainly_tags_is_read_and_the_other_named(tmp_path: Path) -> None:
    row = {"tokens": WORDS, "tags": NOUNS, "ner_tags": TAGS}
    found = read(tmp_path, row)
    assert [gold_tags(each) for each in found.examples] == [TAGS]
    assert "`tags` is not used (to take it: --columns ner_tags=tags)" in told(found)
    assert gold_tags(read(tmp_path, row, columns="ner_tags=tags").examples[0]) == ["B-NN", "B-VB"]  # as it says


def test_two_that_may_be_meant_are_refused_until_one_is_named(tmp_path: Path) -> None:
    row = {"tokens": WORDS, "tags": [3, 0], "ner_tags": [1, 0]}
    names = Choices(("O", "B-PER", "B-NN", "B-VB"))
    with pytest.raises(DataError) as caught:
        read(tmp_path, row, choices=names)
    assert "--columns ner_tags=tags or --columns tags=ner_tags" in caught.value.fix
    assert gold_tags(read(tmp_path, row, columns="tags=ner_tags", choices=names).examples[0]) == TAGS
    assert gold_tags(read(tmp_path, row, columns="ner_tags=tags", choices=names).examples[0]) == ["B-VB", "O"]
    assert len(read(tmp_path, {"tokens": WORDS, "tags": TAGS, "ner_tags": TAGS}).examples) == 1  # the same in both


@pytest.mark.parametrize("names", [("tokens", "labels"), ("words", "labels"), ("Tokens", "NER"), ("words", "ner_tags")])
def test_lists_under_other_usual_names(names: tuple[str, str], tmp_path: Path) -> None:
    found = read(tmp_path, {names[0]: WORDS, names[1]: TAGS})
    assert [gold_tags(each) for each in found.examples] == [TAGS]
    assert f"`{names[0]}` is taken for the words" in told(found) or f"`{names[1]}` is taken for the tags" in told(found)


def test_labels_of_the_whole_row_are_no_tags(tmp_path: Path) -> None:
    found = read(tmp_path, {"tokens": WORDS, "labels": ["music"], "tags": TAGS})
    assert [gold_tags(each) for each in found.examples] == [TAGS]
    assert "taken for the tags" not in told(found)


def test_tokens_of_a_models_features_are_left_out_and_their_numbers_want_names(tmp_path: Path) -> None:
    row = {"tokens": ["[CLS]", *WORDS, "[SEP]"], "ner_tags": [-100, 1, 0, -100]}
    with pytest.raises(DataError, match="--tag-names"):
        read(tmp_path, row)
    found = read(tmp_path, row, choices=Choices(("O", "B-PER")))
    assert [(each.text, gold_tags(each)) for each in found.examples] == [("Ada sang", TAGS)]
    assert "are left out" in told(found)


@pytest.mark.parametrize(
    ("tags", "kind"), [([1, -100, 0], "tag_of_no_word"), ([-100, -100, -100], "tags_missing"), ([-1, 0, 1], "numbers")]
)
def test_numbers_that_are_no_tags_are_refused(tags: list[int], kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=kind):
        read(tmp_path, {"tokens": ["A", "##da", "sang"], "tags": tags})
