from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from distiltune.errors import DataError
from distiltune.labelling.desk import Said
from distiltune.labelling.items import is_for_validation
from distiltune.labelling.offered import ReadText
from distiltune.serving.corrections import ConflictError
from tests.labelling.desks import desk_of

TEXTS = [f"text number {i}" for i in range(40)]


def test_what_is_saved_is_there_after_a_new_start(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    first, second, third = list(desk.items)[:3]
    desk.save(first, "0", Said({"start": 0, "end": 4}))
    desk.save(second, "0", Said(None, "skipped"))
    desk.save(third, "0", Said({"start": 5, "end": 11}, "unsure"))
    again = desk_of(TEXTS, tmp_path)
    assert again.said(first) == Said({"start": 0, "end": 4})
    assert again.said(second) == Said(None, "skipped")
    assert again.said(third) == Said({"start": 5, "end": 11}, "unsure")
    assert again.said(first).revision == desk.said(first).revision
    rows = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [TEXTS[0]], "what is set aside is not trained on"
    counts = again.counts()
    assert (counts.items, counts.labelled, counts.skipped, counts.unsure) == (40, 1, 1, 1)


def test_taking_back_and_setting_aside_move_between_the_files(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    key = next(iter(desk.items))
    said = desk.save(key, "0", Said({"start": 0, "end": 4}))
    said = desk.save(key, said.revision, Said({"start": 0, "end": 4}, "unsure"))
    assert (tmp_path / "mine.jsonl").read_text(encoding="utf-8") == ""
    said = desk.save(key, said.revision, Said())
    assert said.revision == "0"
    assert (tmp_path / "aside.jsonl").read_text(encoding="utf-8") == ""
    assert desk_of(TEXTS, tmp_path).said(key) == Said()


def test_two_windows_do_not_overwrite_each_other(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    key = next(iter(desk.items))
    seen = desk.said(key).revision
    desk.save(key, seen, Said({"start": 0, "end": 4}))
    with pytest.raises(ConflictError) as raised:
        desk.save(key, seen, Said({"start": 5, "end": 11}))
    assert "text 1 of some.txt" in raised.value.where
    assert desk.said(key).answer == {"start": 0, "end": 4}


def test_two_windows_get_different_texts(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    one, other = desk.next("one"), desk.next("other")
    assert one != other
    assert desk.next("one") == one, "what it had and did not label it gets again"
    assert desk.next("one", besides=str(one)) not in (one, other)


def test_what_other_windows_have_open_is_counted_and_given_back(tmp_path: Path) -> None:
    desk = desk_of(["a b", "c d"], tmp_path)
    first, second = desk.items
    assert (desk.next("one"), desk.next("other"), desk.next("third")) == (first, second, None)
    assert (desk.held_by_others("third"), desk.held_by_others("one")) == (2, 1)
    desk.save(first, "0", Said({"start": 0, "end": 1}), "one")
    assert desk.held_by_others("third") == 1, "of what is labelled nobody needs to be told"
    desk.hold("other", "")
    assert (desk.held_by_others("third"), desk.next("third")) == (0, second)
    desk.hold("one", second)
    assert desk.held_by_others("one") == 1, "what another has stays with it"
    with pytest.raises(DataError, match="no such text"):
        desk.hold("one", "nothing")


def test_a_text_that_was_chosen_and_one_that_was_taken_back_are_held_too(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    first, second = list(desk.items)[:2]
    desk.hold("one", first)
    assert desk.next("other") == second
    said = desk.save(first, "0", Said({"start": 0, "end": 4}), "one")
    desk.save(first, said.revision, Said(), "one")
    assert desk.next("other") == second


def test_all_are_handed_out_and_then_none(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path, "doubt")
    seen = []
    while (key := desk.next("w")) is not None:
        seen.append(key)
        desk.save(key, "0", Said({"start": 0, "end": 4}))
    assert sorted(seen) == sorted(desk.items)
    # the fifth for validation comes evenly, as long as there is some
    n_first = sum(is_for_validation(key) for key in seen[:20])
    assert 3 <= n_first <= 5


def test_a_label_that_cannot_be_is_not_kept(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    key = next(iter(desk.items))
    with pytest.raises(DataError):
        desk.save(key, "0", Said({"start": 0, "end": 999}))
    assert desk.said(key) == Said()
    with pytest.raises(DataError):
        desk.item("../../etc/passwd")


def test_rows_are_parted_for_training_and_validation(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    for key in desk.items:
        desk.save(key, "0", Said({"start": 0, "end": 4}))
    training, validation = desk.rows(for_validation=False), desk.rows(for_validation=True)
    assert len(training) + len(validation) == 40
    assert {row["text"] for row in validation} == {i.text for i in desk.items.values() if i.for_validation}
    assert validation


def test_equal_texts_are_labelled_once_and_ids_are_unique(tmp_path: Path) -> None:
    desk = desk_of([ReadText("a b", id="1"), ReadText("a b", id="2"), ReadText("c", id="1")], tmp_path)
    ids = [item.id for item in desk.items.values()]
    assert len(ids) == len(set(ids)) == 2
    assert ids[0] == "1"


def test_what_no_other_text_is_labelled_is_trained_on_and_not_measured_on(tmp_path: Path) -> None:
    desk = desk_of(TEXTS, tmp_path)
    desk.task = replace(desk.task, labels_in=lambda answer: (str(answer["end"]),))
    kept = next(key for key, item in desk.items.items() if item.for_validation)
    plain = [key for key, item in desk.items.items() if not item.for_validation]
    desk.save(plain[0], "0", Said({"start": 0, "end": 4}))
    desk.save(kept, "0", Said({"start": 0, "end": 5}))
    assert [row["end"] for row in desk.rows(for_validation=False)] == [4, 5]
    assert desk.rows(for_validation=True) == []
    assert (desk.counts().for_training, desk.counts().for_validation) == (2, 0)
    desk.save(plain[1], "0", Said({"start": 0, "end": 5}))
    assert [row["end"] for row in desk.rows(for_validation=False)] == [4, 5]
    assert [row["text"] for row in desk.rows(for_validation=True)] == [desk.items[kept].text]
    assert (desk.counts().for_training, desk.counts().for_validation) == (2, 1)
