"""Marked texts that are many are read, featurised and checked from disk: everything comes out as of few."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from distiltune.data import ids, scratch, stored
from distiltune.data.parts import forget_gold, keep_if, set_aside
from distiltune.data.reading import Use
from distiltune.data.rows import BadRow, Row
from distiltune.data.stored import Growing, OnDisk, chosen
from distiltune.errors import DataError
from distiltune.tasks.labelled_check import labelled_concerns
from distiltune.tasks.token_classification import analysis, features
from distiltune.tasks.token_classification import read as reading
from distiltune.tasks.token_classification.analysis import chance_losses
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.drafts import DRAFT_FORM, Draft
from distiltune.tasks.token_classification.examples import TOKEN_FORM, Entity, TokenExample, TokenSet, weights_of
from distiltune.tasks.token_classification.features import TokenData, TokenWindows, featurise
from distiltune.tasks.token_classification.labelled import labelled_texts
from distiltune.tasks.token_classification.read import read_marked
from distiltune.tasks.token_classification.tags import tag_names
from distiltune.tasks.token_classification.word_rows import as_sentences
from tests.helpers import word_pieces

TOKENIZER = word_pieces([*"abcdefgh", *(f"##{letter}" for letter in "abcdefgh")])
WORDS = ("a", "b", "abc", "hgfedcba", "zz", "\u200d", "c" * 40)
TAGS = ("O", "O", "B-x", "I-x", "B-y")


def sentences(n: int = 60) -> list[dict[str, object]]:
    draw = random.Random(1)
    rows: list[dict[str, object]] = []
    for _ in range(n):
        words = draw.choices(WORDS, k=draw.randint(1, 9))
        rows.append({"tokens": words, "tags": draw.choices(TAGS, k=len(words))})
    return rows


def jsonl(folder: Path, rows: list[dict[str, object]]) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def changed(change: Callable[[int], dict[str, object]]) -> list[dict[str, object]]:
    return [{**row, **change(i)} for i, row in enumerate(sentences())]


def spans(folder: Path) -> Path:
    rows: list[dict[str, object]] = []
    for i in range(40):
        text = f"a b{i} abc. zz"
        marks: list[dict[str, object]] = [{"start": 0, "end": 1, "label": "x"}, {"start": 2, "end": 9, "label": "y"}]
        rows.append({"text": text, "spans": marks[: i % 3]} if i % 7 else {"text": text, "answer": "accept"})
    return jsonl(folder, rows)


def word_table(folder: Path) -> Path:
    path = folder / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence", "word", "pos", "tag"])
        for i, row in enumerate(sentences(20)):
            pairs = zip(row["tokens"], row["tags"], strict=True)  # type: ignore[call-overload]
            writer.writerows([i // 2 if i % 5 else "nan", word, "N", tag] for word, tag in pairs)
    return path


def columns_file(folder: Path) -> Path:
    path = folder / "a.conll"
    with path.open("w", encoding="utf-8") as file:
        for row in sentences(30):
            pairs = zip(row["tokens"], row["tags"], strict=True)  # type: ignore[call-overload]
            file.write("".join(f"{'x.' if word == WORDS[5] else word} {tag}\n" for word, tag in pairs) + "\n")
    return path


DATA: dict[str, Callable[[Path], Path]] = {
    "tokens": lambda folder: jsonl(folder, sentences()),
    "bad rows": lambda folder: jsonl(folder, changed(lambda i: {"tags": ["O", 7]} if i % 4 == 0 else {})),
    "weights and ids": lambda folder: jsonl(folder, changed(lambda i: {"id": i // 2, "sample_weight": i / 7})),
    "tags of no scheme": lambda folder: jsonl(
        folder, [{"tokens": ["a", "b"], "tags": [("M", "B-x", "I-x")[i % 3], "O"]} for i in range(30)]
    ),
    "spans": spans,
    "a word a row": word_table,
    "columns": columns_file,
    "nothing marked": lambda folder: jsonl(folder, [{"tokens": row["tokens"]} for row in sentences()]),
}


def read(data: str, folder: Path) -> TokenSet:
    use: Use = "prediction" if data == "nothing marked" else "training"
    return read_marked([DATA[data](folder)], "train", TokenColumns(), 1.0, use)


def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BATCH_ROWS", 4)
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 8)
    monkeypatch.setattr(ids, "IDS_IN_MEMORY", 8)
    monkeypatch.setattr(scratch, "_BYTES_IN_MEMORY", 64)
    monkeypatch.setattr(features, "_WORDS_AT_ONCE", 30)
    monkeypatch.setattr(features, "_WORDS_KNOWN", 4)


def made_of(found: TokenSet) -> TokenData:
    labels = {entity.label for example in found.examples for entity in example.gold or ()}
    data = featurise(found, TOKENIZER, TokenWindows(12, 4), tag_names(labels or {"x"}))
    return data.weighed(weights_of(found.examples))


@pytest.mark.parametrize("data", DATA)
def test_many_are_read_and_featurised_as_few(
    data: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(data, tmp_path)
    made = [made_of(few)]
    on_disk(monkeypatch)
    for many in (read(data, tmp_path), read(data, tmp_path)):  # read, and then recalled
        assert isinstance(many.examples, OnDisk)
        assert list(many.examples) == list(few.examples)
        assert many.findings == few.findings
        assert many.fingerprint == few.fingerprint
    made += [made_of(many), made_of(many)]  # made, and then from the cache
    for each in made[1:]:
        assert each.features.fingerprint() == made[0].features.fingerprint()
        assert each.features.example_of.tolist() == made[0].features.example_of.tolist()
        assert each.arrays["word_place"].tolist() == made[0].arrays["word_place"].tolist()
        assert each.findings == made[0].findings
    seen = [labelled_texts(each) for each in made]
    concerns = [labelled_concerns(one, them, them[:9], TOKENIZER) for one, them in zip(made, seen, strict=True)]
    assert concerns[0] == concerns[1]
    if data != "nothing marked":
        guessed = [chance_losses(each.features, 5) for each in made]
        monkeypatch.setattr(analysis, "_FEATURES_AT_ONCE", 3)
        assert chance_losses(made[0].features, 5) == pytest.approx(guessed[1])


def test_what_was_read_is_not_read_again(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    once = read("spans", tmp_path)
    monkeypatch.setattr(reading, "_read_file", lambda *arguments: pytest.fail("it is read again"))
    assert list(read("spans", tmp_path).examples) == list(once.examples)


def test_rows_accepted_without_marks_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    said = [each.message for each in read("spans", tmp_path).findings.items if each.kind == "accepted_unmarked"]
    assert said == ["In 6 rows without spans, accepted or submitted by somebody, nothing is marked."]


def test_words_met_before_are_forgotten_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_WORDS_KNOWN", 3)
    table = features._WordTable(TOKENIZER)
    for word in "abcdefgh":
        pieces, n_pieces, _ = table.pieces([word, "a"], 9)
        assert pieces.tolist() == TOKENIZER.encode(f"{word} a", add_special_tokens=False).ids
        assert n_pieces.tolist() == [1, 1]
        assert len(table._numbers) <= 5


def test_sentences_of_many_words_go_to_disk_before_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_words = sum(len(cast(list[str], row["tokens"])) for row in sentences())
    monkeypatch.setattr(stored, "CHARACTERS_IN_MEMORY", 512 * n_words + 100_000)
    assert isinstance(read("tokens", tmp_path).examples, tuple)
    monkeypatch.setattr(stored, "CHARACTERS_IN_MEMORY", 512 * n_words)
    assert isinstance(read("tokens", tmp_path).examples, OnDisk)


def test_parts_of_many_are_those_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = read("tokens", tmp_path)
    on_disk(monkeypatch)
    many = read("tokens", tmp_path)

    def against(example: TokenExample) -> str:
        return "y" if any(entity.label == "y" for entity in example.gold or ()) else ""

    kept = [keep_if(each, against, "label_unknown", 1.0, "") for each in (few, many)]
    assert list(kept[0].examples) == list(kept[1].examples)
    assert kept[0].findings == kept[1].findings
    assert 0 < len(kept[0].examples) < len(few.examples)
    parted = [set_aside(each, 0.3, 1, lambda example: example.text, "text") for each in (few, many)]
    for one, other in zip(*parted, strict=True):
        assert list(one.examples) == list(other.examples)
    forgotten = [forget_gold(each, against, "label_unknown") for each in (few, many)]
    assert list(forgotten[0].examples) == list(forgotten[1].examples)


@pytest.mark.parametrize("rows", [[["a", "O"], ["b", "O"]], [["a", "B-x"], ["b", "O"]] * 20])
def test_what_is_refused_of_few_is_refused_of_many(
    rows: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of words in which nothing says where a sentence ends."""
    path = tmp_path / "a.csv"
    path.write_text("word,tag\n" + "".join(f"{word},{tag}\n" for word, tag in rows), encoding="utf-8")
    said = []
    for spill in (False, True):
        if spill:
            on_disk(monkeypatch)
            monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 1)
        with pytest.raises(DataError) as error:
            read_marked([path], "train", TokenColumns(), 1.0)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_cell_without_a_form_in_json_becomes_neither_a_word_nor_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    cells: list[object] = ["a", b"b", "c"]
    table = [Row({"word": f"w{i}", "tag": cells[i % 3], "sentence": i // 3}, f"a:{i}") for i in range(30)]
    (first, *_) = as_sentences(iter([*table, BadRow("a:30", "is bad")]), Path("a"), TokenColumns())
    assert isinstance(first, Row)
    assert first.value == {"tokens": ["w0", "w1", "w2"], "tags": ["a", {"bytes": "b'b'"}, "c"]}


def test_examples_and_drafts_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    golds = [None, (), (Entity(0, 1, "b"), Entity(1, 3, "a\n"))]
    words = ((0, 1), (2, 3), (4, 5))
    examples = [TokenExample(f"é{i}", "a b c", words, golds[i % 3], f"f:{i}", i / 3) for i in range(20)]
    growing = Growing(TOKEN_FORM)
    growing.extend(examples)
    kept = growing.done()
    assert isinstance(kept, OnDisk)
    assert list(kept) == examples
    assert [type(entity) for entity in kept[2].gold or ()] == [Entity, Entity]
    drafts = [
        Draft(
            i, f"f:{i}", "a b", words[:2], ("O", "\ud800"), golds[i % 3], (("noted", "k", "m"),) * (i % 2), None, i > 5
        )
        for i in range(20)
    ]
    growing_drafts = Growing(DRAFT_FORM)
    growing_drafts.extend(drafts)
    assert list(growing_drafts.done()) == drafts
    assert list(chosen(kept, np.array([4, 2]))) == [examples[4], examples[2]]
