"""The comparison with few labels: the same draws for all, what is done is not done again, the table."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmarks.few_labels import Job, drawn, orange, summary
from benchmarks.kept import read_rows
from benchmarks.setfit_contestant import n_pairs

from benchmarks import few_labels


def test_so_many_of_each_label_are_drawn_by_the_seed_alone() -> None:
    rows = [(f"text {i}", "abc"[min(i % 4, 2)]) for i in range(40)]
    assert Counter(label for _, label in drawn(rows, 8, 0)) == {"a": 8, "b": 8, "c": 8}
    assert Counter(label for _, label in drawn(rows, 16, 0)) == {"a": 10, "b": 10, "c": 16}
    assert drawn(rows, 8, 1) == drawn(rows, 8, 1) != drawn(rows, 8, 2)


def test_a_table_of_oranges_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tab"
    path.write_text('Category\tText\nd\tstring\nclass\t\nearn\tprofit "rose\ngrain\twheat fell\n\n')
    assert orange(path) == [('profit "rose', "earn"), ("wheat fell", "grain")]


def test_pairs_of_a_default_epoch_are_counted_as_setfit_draws_them() -> None:
    labels = [*"aaaabbbb"]  # 12 like, 16 unlike: the like ones are drawn again until there are as many
    assert n_pairs(labels) == 32


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int, str, int]] = []

    def one(job: Job, options: argparse.Namespace) -> dict[str, Any]:
        if len(done) == 3 and job.key not in done:
            done.append(job.key)  # the next time it is done
            raise KeyboardInterrupt
        done.append(job.key)
        name, size, contestant, seed = job.key
        row = {"set": name, "labels": size, "contestant": contestant, "seed": seed}
        return row | {"accuracy": 0.5 + 0.1 * seed, "seconds": 2.0}

    monkeypatch.setattr(few_labels, "one", one)
    output = tmp_path / "results.jsonl"
    arguments = ["run", "--sizes", "8", "16", "--seeds", "2", "--setfit", "python", "--output", str(output)]
    with pytest.raises(KeyboardInterrupt):
        few_labels.main(arguments)
    first = [("emotion", 8, "auto", 0), ("emotion", 8, "pairs", 0), ("emotion", 8, "self", 0)]
    assert [key_of(row) for row in read_rows(output)] == first
    few_labels.main(arguments)
    keys = [key_of(row) for row in read_rows(output)]
    assert keys[:3] == first
    assert len(keys) == len(set(keys)) == 2 * 4 * 2
    table = summary(read_rows(output))
    assert table[0] == "| set | labels a class | auto | pairs | self | SetFit |"
    assert table[2].startswith("| emotion | 8 | 55.0 ± 7.1 (n = 2), 2 s |")


def test_the_others_are_those_that_were_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"text {i}", "ab"[i % 2]) for i in range(40)] + [("text 1", "b")]
    monkeypatch.setattr(few_labels, "emotion", lambda path: rows)
    job = Job(few_labels.SOURCES[0], 4, "self", {}, 3)
    path = few_labels.write_others(job, argparse.Namespace(shared=tmp_path), tmp_path)
    others = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(set(each) == {"text"} for each in others)
    texts = [each["text"] for each in others]
    assert len(texts) == len(set(texts)) == 40 - 8
    assert not set(texts) & {text for text, _ in drawn(rows, 4, 3)}


def test_a_line_that_was_cut_is_not_there(tmp_path: Path) -> None:
    output = tmp_path / "results.jsonl"
    output.write_text('{"set": "emotion"}\n{"set": "emo')
    assert read_rows(output) == [{"set": "emotion"}]


def key_of(row: dict[str, Any]) -> tuple[str, int, str, int]:
    return row["set"], row["labels"], row["contestant"], row["seed"]
