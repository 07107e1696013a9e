"""What each task offers for labelling: texts read from anything, and rows that its own reader takes back as meant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distiltune.errors import DataError, RecipeError
from distiltune.labelling.offered import LabelTask
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.question_answering.labelling import _Suggester
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.table import TASKS
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.read import read_texts
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.read import read_marked

QA, TEXT, TOKEN = "question-answering", "text-classification", "token-classification"
OTHER = "Another text, which says very little, though at some length."
HARD = "Zoe\u0308 \N{GRINNING FACE}\N{FAMILY} paid 5 €.\r\n\r\nIn cafe\u0301 Mu\u0308ller\u200d, \u2028Zu\u0308rich."


def offered(task: str, sources: Sequence[str | Path], labels: Sequence[str] = (), **settings: Any) -> LabelTask:
    entry = TASKS[task]
    return entry.needed(entry.labeller)(
        [str(each) for each in sources], Recipe.build({"task": task, **settings}), labels
    )


def place(part: str) -> dict[str, int]:
    return {"start": HARD.index(part), "end": HARD.index(part) + len(part)}


def written(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="")
    return path


ANSWERS: dict[str, Any] = {
    TEXT: {"labels": ["bill"]},
    TOKEN: {
        "spans": [
            {**place("Zoe\u0308"), "label": "person"},
            {**place("cafe\u0301 Mu\u0308ller\u200d"), "label": "place"},
        ]
    },
    QA: {
        "questions": [
            {"question": "Who paid?", "answers": [place("Zoe\u0308")]},
            {"question": "How much?", "answers": [place("5 €")]},
            {"question": "Why?", "answers": []},
        ]
    },
}


def read_back(task: str, path: Path) -> Any:
    if task == TEXT:
        (text,) = read_texts([path], "train", TextColumns(), 0.0).examples
        return {"labels": list(text.gold or ())}
    if task == TOKEN:
        (marked,) = read_marked([path], "train", TokenColumns(), 0.0).examples
        return {
            "spans": [
                {"start": marked.words[each.start][0], "end": marked.words[each.end - 1][1], "label": each.label}
                for each in marked.gold or ()
            ]
        }
    asked = read_examples([path], split="train", max_rejected_share=0.0).examples
    return {
        "questions": [
            {"question": each.question, "answers": [{"start": a.start, "end": a.end} for a in each.answers]}
            for each in asked
        ]
    }


@pytest.mark.parametrize("task", [TEXT, TOKEN, QA])
def test_rows_are_read_by_training_at_the_very_code_points(task: str, tmp_path: Path) -> None:
    """Emoji, combining marks, joiners, line separators and carriage returns shift nothing."""
    document = tmp_path / "hard.txt"
    document.write_bytes(HARD.encode())
    found = offered(task, [document], ["bill", "other"])
    (text,) = found.texts.texts
    assert text.text == HARD
    rows = found.rows(text.text, text.prompt, "hard-1", ANSWERS[task])
    path = written(tmp_path / "mine.jsonl", rows)
    assert read_back(task, path) == ANSWERS[task]
    kept = [found.kept(json.loads(json.dumps(row))) for row in rows]
    assert [each.text for each in kept if each] == [HARD] * len(rows)
    assert found.joined([each.answer for each in kept if each and each.answer]) == ANSWERS[task]


@pytest.mark.parametrize("task", [TEXT, TOKEN, QA])
def test_labelled_data_come_back_to_be_reviewed(task: str, tmp_path: Path) -> None:
    first = offered(
        task,
        [
            written(
                tmp_path / "a.jsonl",
                [{"text": HARD}, {"text": OTHER}],
            )
        ],
    )
    assert [each.answer for each in first.texts.texts] == [None, None]
    rows = first.rows(HARD, "", "one", ANSWERS[task])
    again = offered(task, [written(tmp_path / "b.jsonl", rows)])
    found = [each for each in again.texts.texts if each.answer is not None]
    assert again.joined([each.answer for each in found if each.answer]) == ANSWERS[task]
    assert found[0].id == "one"
    if task == QA:
        assert [each.prompt for each in found] == ["Who paid?", "How much?", "Why?"]
    else:
        assert set(again.labels) == ({"bill"} if task == TEXT else {"person", "place"})


@pytest.mark.parametrize(("task", "n"), [(TEXT, 1), (TOKEN, 12), (QA, 12)])
def test_long_documents_come_in_passages_where_places_are_marked(task: str, n: int, tmp_path: Path) -> None:
    document = tmp_path / "long.txt"
    document.write_text(
        "\n\n".join(f"Part {i}. " + "Nothing of note happened. " * 35 for i in range(12)), encoding="utf-8"
    )
    texts = offered(task, [document]).texts.texts
    assert len(texts) == n
    assert {each.document for each in texts} == {"long.txt"}, "the name, and no path"


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (TEXT, {"labels": []}),
        (TEXT, {"labels": ["a", "b"]}),
        (TOKEN, {"spans": [{"start": 5, "end": 99, "label": "x"}]}),
        (TOKEN, {"spans": [{"start": 0, "end": 3, "label": "x"}, {"start": 2, "end": 4, "label": "y"}]}),
        (QA, {"questions": [{"question": "?", "answers": [{"start": 3, "end": 3}]}]}),
        (QA, {"questions": [{"question": "?", "answers": [{"start": 1, "end": 2}]}]}),
    ],
)
def test_what_cannot_be_is_refused(task: str, answer: Any, tmp_path: Path) -> None:
    found = offered(
        task,
        [
            written(
                tmp_path / "a.jsonl",
                [{"text": "A bc."}, {"text": OTHER}],
            )
        ],
    )
    with pytest.raises(DataError):
        found.rows("A bc.", "", "1", answer)


def test_a_text_that_is_too_long_is_told_of_alone_and_among_others(tmp_path: Path) -> None:
    long, short = tmp_path / "long.txt", tmp_path / "short.txt"
    long.write_text("word " * 200_001, encoding="utf-8")
    short.write_text("a few words", encoding="utf-8")
    with pytest.raises(DataError, match=r"no text to label\. long\.txt: The text has 1,000,004 characters"):
        offered(TEXT, [long])
    both = offered(TEXT, [long, short])
    assert [each.document for each in both.texts.texts] == ["short.txt"]
    assert any("left out: long.txt" in note for note in both.texts.notes)


def test_another_question_than_the_one_asked_is_refused(tmp_path: Path) -> None:
    found = offered(QA, [written(tmp_path / "a.jsonl", [{"question": "Who?", "context": "It was Ada."}])])
    (text,) = found.texts.texts
    assert (text.prompt, text.answer) == ("Who?", None)
    with pytest.raises(DataError):
        found.rows(text.text, "Who?", "1", {"questions": [{"question": "What?", "answers": []}]})


def test_several_labels_a_text_and_numbers(tmp_path: Path) -> None:
    rows = [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": []}]
    found = offered(TEXT, [written(tmp_path / "a.jsonl", rows)])
    assert found.kind == found.training["problem"] == "multi-label"
    assert found.rows("b", "", "1", {"labels": []}) == [{"id": "1", "text": "b", "labels": []}]
    with pytest.raises(RecipeError, match="Numbers"):
        offered(TEXT, [written(tmp_path / "b.jsonl", [{"text": "a", "label": 0.5}, {"text": "b", "label": 1.25}])])


def test_a_second_text_of_a_pair_is_kept(tmp_path: Path) -> None:
    found = offered(TEXT, [written(tmp_path / "a.jsonl", [{"text": "a", "text_pair": "b", "label": "x"}])])
    (text,) = found.texts.texts
    assert text.prompt == "b"
    (row,) = found.rows(text.text, text.prompt, text.id, {"labels": ["y"]})
    assert row["text_pair"] == "b"


def test_questions_are_thought_up_for_passages(tmp_path: Path) -> None:
    texts = [
        "The harbour was built by Ada Byron in 1891. It lies north of the old town and has two piers.",
        "Every year the town remembers Ada Byron, who built the harbour, with a long procession.",
    ]
    found = offered(QA, [written(tmp_path / "a.jsonl", [{"text": each} for each in texts])])
    assert found.hints is not None
    for text, hint in found.hints(texts).items():
        for each in hint["questions"]:
            assert all(text[a["start"] : a["end"]] for a in each["answers"])
    assert found.hints(["Nothing in common with any other text here at all."]) == {}


def test_a_mark_of_punctuation_is_no_suggested_answer() -> None:
    text = "Ada, Ben, Cleo, Dan; Eva: Finn!"

    class Answers:
        def ask(self, questions: Sequence[str], document: str, *, n_best: int) -> list[SimpleNamespace]:
            places = [(3, 4), (0, 3), (8, 9), (5, 8), (10, 14), (16, 19)]
            found = [SimpleNamespace(start=a, end=b, text=text[a:b], confidence=0.1) for a, b in places[:n_best]]
            return [SimpleNamespace(candidates=found, can_decline=False, answer=found[0], no_answer_confidence=0.0)]

    said = _Suggester(Answers()).suggest(text, "Who?")  # type: ignore[arg-type]
    assert [text[each["start"] : each["end"]] for each in said["answers"]] == ["Ada", "Ben", "Cleo"]


def test_multiple_choice_says_that_it_cannot_be_done_yet() -> None:
    entry = TASKS["multiple-choice"]
    with pytest.raises(RecipeError, match="cannot be done yet"):
        entry.needed(entry.labeller)


@pytest.mark.parametrize("task", [TEXT, TOKEN, QA])
def test_a_document_without_text_is_named(task: str, tmp_path: Path) -> None:
    (tmp_path / "full.txt").write_text(OTHER)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "blank.txt").write_text(" \n\n")
    found = offered(task, [tmp_path])
    assert [each.document for each in found.texts.texts] == ["full.txt"]
    assert {"empty.txt: it holds no text", "blank.txt: it holds no text"} <= set(found.texts.notes)
