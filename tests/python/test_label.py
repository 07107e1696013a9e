from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

import distiltune
from distiltune import DistiltuneError, Labelling
from distiltune.labelling.desk import Said
from distiltune.python.label import labelling_room

SETTINGS = {"task": "text-classification", "model": "starter"}
HOW = Labelling(("repair", "payment"), "file", retrain_every=0)


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "letters"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.txt").write_text(f"Letter {i % 5} is about the boiler.", encoding="utf-8")
    return folder


def test_a_folder_is_labelled_and_gone_on_with(letters: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.jsonl"
    with labelling_room([str(letters)], output, HOW, SETTINGS) as room:
        assert room.notes == ("left out, as they stand there before: 1 texts",), "no count that the page outdates"
        key = room.desk.next("w")
        assert key is not None
        room.desk.save(key, "0", Said({"labels": ["repair"]}))
    assert json.loads(output.read_text(encoding="utf-8"))["label"] == "repair"
    with labelling_room([str(letters)], output, HOW, SETTINGS) as room:
        assert room.desk.counts().labelled == 1
        assert room.desk.labels == ["repair", "payment"]
    assert str(letters) not in output.read_text(encoding="utf-8"), "no path is kept"


def test_one_process_at_a_file(letters: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.jsonl"
    with (
        labelling_room([str(letters)], output, HOW, SETTINGS),
        pytest.raises(DistiltuneError, match="Another `distiltune label`"),
        labelling_room([str(letters)], output, HOW, SETTINGS),
    ):
        pass
    with labelling_room([str(letters)], output, HOW, SETTINGS):
        pass


def test_what_cannot_be_is_told_in_the_words_of_python(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(DistiltuneError, match="Plain texts do not tell") as raised:
        distiltune.label(str(letters), tmp_path / "mine.jsonl")
    assert "task" in raised.value.fix
    with pytest.raises(DistiltuneError, match="JSON lines"):
        distiltune.label(str(letters), tmp_path / "mine.csv", task="text-classification")
    with pytest.raises(DistiltuneError, match="label takes no patience"):
        distiltune.label(str(letters), tmp_path / "mine.jsonl", patience=3)  # type: ignore[call-arg]
    with pytest.raises(DistiltuneError, match="order is"):
        Labelling(order="luck")
    with pytest.raises(DistiltuneError, match="cannot be done yet"):
        distiltune.label([{"question": "?", "choices": ["a", "b"]}], tmp_path / "mine.jsonl", task="multiple-choice")
    assert not (tmp_path / "mine.jsonl").exists()
