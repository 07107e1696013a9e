"""Questions that are many are read, featurised and checked from disk: everything comes out as of few."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distiltune.data import ids, scratch, stored
from distiltune.data.parts import draw, set_aside
from distiltune.data.reading import Use
from distiltune.data.stored import Growing, OnDisk, changed, chosen
from distiltune.errors import DataError
from distiltune.tasks.question_answering import features
from distiltune.tasks.question_answering import read as reading
from distiltune.tasks.question_answering.check.data_check import CheckSettings, list_concerns, statistics
from distiltune.tasks.question_answering.check.repeats import find_repeats
from distiltune.tasks.question_answering.examples import QUESTION_FORM, Answer, Example
from distiltune.tasks.question_answering.features import WindowSettings
from distiltune.tasks.question_answering.question_data import QuestionData, featurise, weighed
from distiltune.tasks.question_answering.read import QuestionSet, read_examples
from tests.helpers import word_pieces

TOKENIZER = word_pieces([*"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), "?", "."])
WINDOWS = WindowSettings(max_length=24, stride=4, max_question_tokens=6)


def contexts(n: int) -> list[str]:
    draw_of = random.Random(1)
    words = ["a", "b", "abc", "hgfedcba", "zz", "fade", "bed."]
    return [" ".join(draw_of.choices(words, k=draw_of.randint(3, 30))) for _ in range(n)]


def rows(n: int = 60, gap: int = 1) -> list[dict[str, object]]:
    """Questions of which four share a context: those side by side, or those so far apart."""
    draw_of, texts = random.Random(2), contexts(n // 4)
    found: list[dict[str, object]] = []
    for i in range(n):
        context = texts[(i // 4 if gap == 1 else i) % len(texts)]
        answer = draw_of.choice(context.split())
        question = f"{draw_of.choice(['a', 'bed', 'fade', 'c d e f g h a'])} {'abcdefgh'[i % 8]}?"
        found.append({"question": question, "context": context, "answer_text": answer})
    return found


def altered(change: Callable[[int], dict[str, object]]) -> list[dict[str, object]]:
    return [{**row, **change(i)} for i, row in enumerate(rows())]


def without_answers() -> list[dict[str, object]]:
    return [{name: row[name] for name in ("question", "context")} for row in rows()]


DATA: dict[str, list[dict[str, object]]] = {
    "side by side": rows(),
    "far apart": rows(gap=15),
    "bad rows": altered(lambda i: {"context": ""} if i % 5 == 0 else {"answer_text": "nowhere"} if i % 7 == 0 else {}),
    "weights, ids, titles": altered(lambda i: {"id": i // 2, "sample_weight": i / 7, "title": f"t{i % 3}"}),
    "unanswerable": altered(lambda i: {"answer_text": ""} if i % 3 == 0 else {}),
    "answers of another form": [
        {
            "question": row["question"],
            "context": row["context"],
            "answer": "perhaps" if i % 6 == 0 else {"text": row["answer_text"]},
        }
        for i, row in enumerate(rows())
    ],
    "no answers": without_answers(),
    "no answers, to predict": without_answers(),
}


def jsonl(folder: Path, data: str) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in DATA[data]), encoding="utf-8")
    return path


def read(data: str, folder: Path) -> QuestionSet:
    use: Use = "prediction" if "predict" in data else "training"
    return read_examples([jsonl(folder, data)], split="train", max_rejected_share=1.0, use=use)


def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "BATCH_ROWS", 4)
    monkeypatch.setattr(stored, "ROWS_IN_MEMORY", 8)
    monkeypatch.setattr(ids, "IDS_IN_MEMORY", 8)
    monkeypatch.setattr(scratch, "_BYTES_IN_MEMORY", 64)
    monkeypatch.setattr(features, "_QUESTIONS_AT_ONCE", 7)


def same_features(one: QuestionData, other: QuestionData) -> None:
    first, second = one.question_features, other.question_features
    assert first.features.fingerprint() == second.features.fingerprint()
    assert first.features.example_of.tolist() == second.features.example_of.tolist()
    assert first.first_context_token.tolist() == second.first_context_token.tolist()
    assert first.truncated_examples.tolist() == second.truncated_examples.tolist()
    assert first.n_labelled == second.n_labelled
    for start, other_start, n in zip(first.window_start, second.window_start, first.n_context_tokens(), strict=True):
        places, others = slice(start, start + n), slice(other_start, other_start + n)
        assert first.char_starts[places].tolist() == second.char_starts[others].tolist()
        assert first.char_ends[places].tolist() == second.char_ends[others].tolist()
    assert one.findings == other.findings


@pytest.mark.parametrize("data", DATA)
def test_many_are_read_and_featurised_as_few(
    data: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = read(data, tmp_path)
    made = [weighed(featurise(few, TOKENIZER, WINDOWS))]
    on_disk(monkeypatch)
    for many in (read(data, tmp_path), read(data, tmp_path)):  # read, and then recalled
        assert isinstance(many.examples, OnDisk)
        assert list(many.examples) == list(few.examples) == [many.examples[i] for i in range(len(few.examples))]
        assert many.findings == few.findings
        assert many.fingerprint == few.fingerprint
    made += [weighed(featurise(many, TOKENIZER, WINDOWS)) for _ in range(2)]  # made, and then from the cache
    same_features(made[0], made[1])
    same_features(made[0], made[2])


@pytest.mark.parametrize("data", DATA)
def test_many_are_checked_as_few(data: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = featurise(read(data, tmp_path), TOKENIZER, WINDOWS)
    on_disk(monkeypatch)
    many = featurise(read(data, tmp_path), TOKENIZER, WINDOWS)
    others = [
        *few.examples[:9],
        replace(few.examples[20], id="x", context=f" {few.examples[20].context}"),
        replace(few.examples[30], id="y", question="bed a?"),
    ]
    for against in (others, ()):
        repeats = [find_repeats(each.examples, against) for each in (few, many)]
        assert repeats[0] == repeats[1]
        concerns = [
            list_concerns(each, TOKENIZER, CheckSettings(WINDOWS), of, against)
            for each, of in zip((few, many), repeats, strict=True)
        ]
        assert concerns[0] == concerns[1]
    assert statistics(few, TOKENIZER) == statistics(many, TOKENIZER)


def test_what_was_read_is_not_read_again(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    once = read("far apart", tmp_path)
    monkeypatch.setattr(reading, "_read_file", lambda *arguments: pytest.fail("it is read again"))
    again = read("far apart", tmp_path)
    assert isinstance(again.examples, OnDisk)
    assert again.examples.shared is not None
    assert list(again.examples) == list(once.examples)


def test_answers_that_are_not_read_cost_their_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    found = read("answers of another form", tmp_path)
    rejected = [each for each in found.findings.items if each.kind == "answers_malformed"]
    assert len(rejected) == 10
    assert len(found.examples) == found.findings.n_rows - len(found.findings.of("rejected"))


def test_parts_of_many_are_those_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = read("far apart", tmp_path)
    on_disk(monkeypatch)
    many = read("far apart", tmp_path)
    parted = [set_aside(each, 0.3, 1, lambda example: example.context, "text") for each in (few, many)]
    for one, other in zip(*parted, strict=True):
        assert list(one.examples) == list(other.examples)
    drawn = [draw(each, 11, 3) for each in (few, many)]
    assert list(drawn[0].examples) == list(drawn[1].examples)
    same_features(*(featurise(each, TOKENIZER, WINDOWS) for each in drawn))


@pytest.mark.parametrize("data", ["answers of another form", "no answers"])
def test_what_is_refused_of_few_is_refused_of_many(data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for spill in (False, True):
        if spill:
            on_disk(monkeypatch)
        with pytest.raises(DataError) as error:
            read_examples([jsonl(tmp_path, data)], split="train", max_rejected_share=0.0, use="evaluation")
        said.append(str(error.value))
    assert said[0] == said[1]


def questions(n: int, n_contexts: int) -> list[Example]:
    answers = [(), (Answer("b", 2),), (Answer("é", 0), Answer("b", 2))]
    return [
        Example(f"é{i}", f"q{i}?", f"é b {i % n_contexts}", answers[i % 3], "t", ("u",) * (i % 2), i % 5 > 0, i / 3)
        for i in range(n)
    ]


def grown(examples: list[Example]) -> OnDisk[Example]:
    growing = Growing(QUESTION_FORM)
    growing.extend(examples)
    kept = growing.done()
    assert isinstance(kept, OnDisk)
    return kept


def test_questions_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(monkeypatch)
    examples = questions(30, 7)
    kept = grown(examples)
    assert list(kept) == examples == [kept[i] for i in range(30)]
    assert kept == examples
    assert list(chosen(kept, np.array([9, 4, 21]))) == [examples[i] for i in (9, 4, 21)]
    assert list(chosen(kept, np.arange(3, 29))) == examples[3:29]
    assert list(changed(kept, lambda each: replace(each, title="!"))) == [replace(e, title="!") for e in examples]
    assert kept.fingerprint(["context"]) == grown(examples).fingerprint(["context"])
    other = [*examples[:-1], replace(examples[-1], context="é b !")]
    assert kept.fingerprint(["question"]) == grown(other).fingerprint(["question"])
    assert kept.fingerprint(["context"]) != grown(other).fingerprint(["context"])
    renamed = [replace(each, context=f"{each.context}!") for each in examples]  # whose contexts have the same numbers
    assert kept.fingerprint(["context"]) != grown(renamed).fingerprint(["context"])


@pytest.mark.parametrize(("n_characters", "n_texts"), [(1 << 20, 7), (20, 21)])
def test_a_context_that_many_share_lies_there_once(
    n_characters: int, n_texts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as not too many others are between its questions."""
    on_disk(monkeypatch)
    monkeypatch.setattr(stored, "SHARED_IN_MEMORY", n_characters)
    kept = grown(questions(21, 7))
    assert kept.shared is not None
    assert len(kept.shared) == n_texts
