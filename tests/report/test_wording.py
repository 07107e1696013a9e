"""Values in words, and nothing of the training machine's disk in them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from distiltune.progress import shown_seconds
from distiltune.report.run_summary import find_hub_names
from distiltune.report.wording import (
    best_epoch_sentence,
    shown_findings,
    shown_metric,
    shown_name,
    shown_text,
    shown_value,
)
from distiltune.tasks.guide import MetricLabel

from .a_run import a_run


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("distilbert/base", "distilbert/base"),
        ("starter", "starter (inside the distiltune package)"),
        ("/home/jane/models/mine", "mine"),
        ("runs/squad/", "squad"),
        ("C:\\Users\\Jane\\train.json", "train.json"),
        ("~/secret/dev.json.gz", "dev.json.gz"),
        ("two\nlines", "two lines"),
        ("caf\udce9.json", "caf?.json"),
    ],
)
def test_of_a_path_only_the_last_part_is_shown(name: str, shown: str) -> None:
    assert shown_name(name, frozenset({"distilbert/base"})) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Read /home/jane/x.json twice.", "Read x.json twice."),
        ("from '/srv/a b.json', and D:\\data\\c.json", "from 'a b.json', and c.json"),
        ("~/models/mine and /data/train", "mine and train"),
        ("and/or, 3/4, https://example.org/page", "and/or, 3/4, https://example.org/page"),
        ("my own/private place/train.json was read", "train.json was read"),
    ],
)
def test_paths_in_a_text_lose_their_directories(text: str, shown: str) -> None:
    assert shown_text(text, a_run(base_model="my own/private place/train.json")) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not set"),
        (True, "yes"),
        (5, "5"),
        (2e-5, "2e-5"),
        (0.1, "0.1"),
        (1e-12, "1e-12"),
        ("", "none"),
        ((), "none"),
        (("data/train.json", "starter"), "train.json, starter"),
        ("distilbert-base-uncased", "distilbert-base-uncased"),
    ],
)
def test_settings_as_a_reader_expects_them(value: object, shown: str) -> None:
    assert shown_value(value, a_run()) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.7, "1 min 00 s"),
        (150, "2 min 30 s"),
        (2880, "48 min"),
        (11100, "3 h 05 min"),
    ],
)
def test_times(seconds: float, shown: str) -> None:
    assert shown_seconds(seconds) == shown


def test_metrics_have_the_decimals_and_the_unit_of_their_kind() -> None:
    assert shown_metric(10570.0, MetricLabel("n", "count")) == "10,570"
    assert shown_metric(77.2345, MetricLabel("EM", "percent")) == "77.23 %"
    assert shown_metric(0.5, MetricLabel("share", "share")) == "0.5000"
    assert shown_metric(math.nan, MetricLabel("n", "count")) == "not a number"


def test_what_was_left_out_comes_first() -> None:
    assert shown_findings(a_run().train) == [("left out", "answer not found", 12), ("repaired", "answer moved", 7)]


def test_why_the_model_is_from_this_epoch() -> None:
    assert best_epoch_sentence(a_run(5)) == (
        "The model is from epoch 2, the best by validation loss, of 5 run (counted from 0)."
    )
    within = replace(a_run(5), monitor="macro_f1", epoch_choice="within_error")
    assert "from epoch 2, the latest within a standard error of the best by macro f1, of" in best_epoch_sentence(within)
    assert best_epoch_sentence(a_run(3, validation=False)) == (
        "The model is from epoch 2, the last one, since there was no validation data, of 3 run (counted from 0)."
    )


def test_what_lies_on_the_disk_is_not_taken_for_a_name_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    names = ["starter", "runs/mine", "runs/other", "train.json", "./here", "squad", "distilbert/base"]
    assert find_hub_names(names) == {"squad", "distilbert/base"}
