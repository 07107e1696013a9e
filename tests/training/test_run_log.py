from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from distiltune.errors import TrainingError
from distiltune.training.run_log import RunLog
from tests.helpers import read_log


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with RunLog(path) as log:
        log.write("start", model="é")
        assert [line["kind"] for line in read_log(path)] == ["start"]
        log.write("step", loss=0.5, step=3)
    first, second = read_log(path)
    assert first["model"] == "é"
    assert (second["kind"], second["loss"], second["step"]) == ("step", 0.5, 3)


def test_times_are_utc_and_now(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.jsonl") as log:
        log.write("start")
    written = datetime.fromisoformat(str(read_log(tmp_path / "log.jsonl")[0]["time"]))
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


def test_what_is_no_number_is_null_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with RunLog(path) as log:
        log.write("epoch", loss=math.nan, train={"loss": math.inf, "n": 1}, all=[1.0, -math.inf], at=(math.nan,))
        log.write("epoch", loss=np.float64("nan"))
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
    first, second = read_log(path)
    assert first["loss"] is None
    assert (first["train"], first["all"], first["at"]) == ({"loss": None, "n": 1}, [1.0, None], [None])
    assert second["loss"] is None


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    for number in range(2):
        with RunLog(tmp_path / "log.jsonl") as log:
            log.write("event", number=number)
    assert [line["number"] for line in read_log(tmp_path / "log.jsonl")] == [0, 1]


def test_a_text_of_several_lines_is_one_line(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.jsonl") as log:
        log.write("event", message="one\ntwo\u2028three")
    assert json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"))["message"] == "one\ntwo\u2028three"


def test_a_log_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"absent.log\.jsonl"), RunLog(tmp_path / "absent" / "log.jsonl"):
        pass
