"""The file of corrections: whole lines or none, whoever else writes, in the form that `train` reads."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

from distiltune.errors import DataError
from distiltune.serving.corrections import CorrectionsFile, NotKeptError
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.question_answering.serve.forms import RightAnswerIn, correction_rows
from distiltune.tasks.text_classification.service import RightLabelsIn
from distiltune.tasks.text_classification.service import correction_row as label_row
from distiltune.tasks.text_classification.targets import Targets
from distiltune.tasks.token_classification.service import RightEntitiesIn
from distiltune.tasks.token_classification.service import correction_row as entities_row


def test_many_at_once_leave_whole_lines(tmp_path: Path) -> None:
    file = CorrectionsFile(tmp_path / "right.jsonl")
    others = CorrectionsFile(tmp_path / "right.jsonl")  # as of another process: the lock in memory is not shared

    def add(i: int) -> int:
        return (file, others)[i % 2].append([{"i": i, "text": "\N{PARTY POPPER}\r\n" * 500}, {"i": -i}])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(add, range(1, 41))) == [2] * 40
    found = [json.loads(line)["i"] for line in file.path.read_text(encoding="utf-8").splitlines()]
    assert sorted(found) == sorted([*range(1, 41), *range(-40, 0)])
    assert all(found[i] == -found[i + 1] for i in range(0, 80, 2)), "the rows of one stand together"


def test_a_torn_last_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    file = CorrectionsFile(tmp_path / "right.jsonl")
    file.path.write_text('{"i": 1}\n{"i": 2', encoding="utf-8")
    file.append([{"i": 3}])
    assert file.path.read_text(encoding="utf-8").splitlines() == ['{"i": 1}', '{"i": 2', '{"i": 3}']


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CorrectionsFile(tmp_path / "right.jsonl")
    file.append([{"i": 1}])
    before = file.path.read_bytes()
    written = os.write
    calls: list[int] = []

    def write(descriptor: int, content: Any) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(descriptor, content[:5])

    monkeypatch.setattr("distiltune.serving.corrections.os.write", write)
    with pytest.raises(NotKeptError, match="No space left"):
        file.append([{"i": 2, "text": "x" * 100}])
    assert file.path.read_bytes() == before


def test_what_cannot_be_written_or_read_again_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotKeptError, match="JSON lines"):
        CorrectionsFile(tmp_path / "right.csv").check()
    with pytest.raises(NotKeptError, match="could not be kept"):
        CorrectionsFile(tmp_path / "nowhere" / "right.jsonl").check()
    CorrectionsFile(tmp_path / "right.jsonl").check()
    assert (tmp_path / "right.jsonl").read_bytes() == b""


def correction(text: str, answer: Mapping[str, int] | None, *more: str) -> RightAnswerIn:
    documents = [{"text": each} for each in (*more, text)]
    return RightAnswerIn.model_validate({"question": "Who?", "documents": documents, "answer": answer})


def test_offsets_count_code_points_also_beside_emoji_and_line_ends(tmp_path: Path) -> None:
    text = "\N{PARTY POPPER}\N{GRINNING FACE}\r\nThe lease is signed by Ada.\r\n"
    start = text.index("Ada")
    file = CorrectionsFile(tmp_path / "right.jsonl")
    file.append(correction_rows(correction(text, {"document": 1, "start": start, "end": start + 3}, "another")))
    file.append(correction_rows(correction(text, None, "another")))
    read = read_examples([file.path], split="train", max_rejected_share=0.0).examples
    assert [(each.context, each.gold_texts) for each in read] == [(text, ("Ada",)), ("another", ()), (text, ())]
    assert read[0].answers[0].start == start


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({"document": 2, "start": 0, "end": 1}, "no document 2"),
        ({"start": 3, "end": 3}, "Nothing can be read"),
        ({"start": 3, "end": 99}, "Nothing can be read"),
        ({"start": 3, "end": 4}, "Nothing can be read"),
    ],
    ids=["document", "empty", "beyond", "blank"],
)
def test_an_answer_that_is_nowhere_is_refused(answer: dict[str, int], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        correction_rows(correction("The lease", answer))
    assert caught.value.where
    assert caught.value.fix


def test_labels_are_the_models_own() -> None:
    single, several = Targets("single-label", ("joy", "anger")), Targets("multi-label", ("joy", "anger"))
    number = Targets("regression", ("score",))

    def row(targets: Targets, **given: Any) -> dict[str, Any]:
        found = label_row(RightLabelsIn.model_validate({"text": "x", **given}), targets)
        del found["id"]
        return found

    assert row(single, labels=["joy"]) == {"text": "x", "label": "joy"}
    assert row(several, labels=["joy", "anger", "joy"]) == {"text": "x", "labels": ["joy", "anger"]}
    assert row(several, labels=[], text=["x", "y"]) == {"text": "x", "text_pair": "y", "labels": []}
    assert row(number, number=1.5) == {"text": "x", "label": 1.5}
    refused: list[tuple[Targets, dict[str, Any]]] = [
        *((single, {"labels": each}) for each in (["fear"], [], ["joy", "anger"])),
        (single, {"number": 1.0}),
        (number, {"labels": ["joy"]}),
        (number, {}),
    ]
    for targets, given in refused:
        with pytest.raises(DataError) as caught:
            row(targets, **given)
        assert caught.value.fix


def test_entities_lie_apart_and_have_the_models_labels() -> None:
    def row(*entities: tuple[int, int, str]) -> list[Any]:
        given = [{"start": start, "end": end, "label": label} for start, end, label in entities]
        found = RightEntitiesIn.model_validate({"text": "Ada sees Rome", "entities": given})
        return list(entities_row(found, ("person", "place"))["spans"])

    assert [each["start"] for each in row((9, 13, "place"), (0, 3, "person"))] == [0, 9]
    assert row() == []
    for bad in [((0, 3, "thing"),), ((3, 4, "place"),), ((9, 99, "place"),), ((0, 3, "person"), (2, 5, "place"))]:
        with pytest.raises(DataError) as caught:
            row(*bad)
        assert caught.value.where.startswith("entities")
