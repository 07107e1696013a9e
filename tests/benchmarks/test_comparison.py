"""The comparison's data, scores and lines; the libraries themselves are not here."""

from __future__ import annotations

import ast
import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.comparison import run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The three jobs' files, made of a folder like `shared`."""
    shared = tmp_path / "shared" / "data"
    for name in ("emotion", "wnut17", "squad-v1.1"):
        (shared / name).mkdir(parents=True)
    rows = pa.table({"text": ["glad", "sad", "cross"], "label": [1, 0, 3]})
    passage = {"context": "Ada signs.", "qas": [{"id": "1", "question": "Who?", "answers": [{"text": "Ada"}]}]}
    for split in ("train", "test"):
        pq.write_table(rows, shared / "emotion" / f"{split}.parquet")
        with gzip.open(shared / "wnut17" / f"{split}.conll.gz", "wt", encoding="utf-8") as text:
            text.write("Ada\tB-person\nruns\tO\n\nIn\tO\nOslo\tB-place\n")
    for split in ("train", "dev"):
        with gzip.open(shared / "squad-v1.1" / f"{split}.json.gz", "wt", encoding="utf-8") as text:
            json.dump({"data": [{"title": "a", "paragraphs": [passage]}]}, text)
    run.write_data(tmp_path / "shared", tmp_path / "data", {"classify": 2, "mark": 2, "answer": 1})
    return tmp_path / "data"


def test_all_read_the_same_files(data: Path) -> None:
    with (data / "classify" / "train.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"text": "glad", "label": "joy"}, {"text": "sad", "label": "sadness"}]
    assert (data / "mark" / "test.conll").read_text(encoding="utf-8").count("\n\n") == 1
    (article,) = json.loads((data / "answer" / "test.json").read_text(encoding="utf-8"))["data"]
    assert len(article["paragraphs"][0]["qas"]) == 1


def test_predictions_are_scored_by_one_code(data: Path) -> None:
    assert run.score("classify", data / "classify", ["joy", "joy"]) == {"accuracy": 50.0}
    assert run.score("mark", data / "mark", [["B-person", "O"], ["O", "O"]])["f1"] == pytest.approx(200 / 3)
    assert run.score("mark", data / "mark", [["B-person"], []])["f1"] == pytest.approx(200 / 3)  # cut short
    assert run.score("answer", data / "answer", {"1": "the Ada"}) == {"exact_match": 100.0, "f1": 100.0}
    assert run.score("answer", data / "answer", {})["f1"] == 0.0


def test_lines_are_those_that_do_something(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# why\nimport sys\n\n\nprint(1)\n", encoding="utf-8")
    assert run.lines_of(tmp_path / "a.py") == 2


@pytest.mark.parametrize("script", sorted(run.PEERS.glob("*.py")), ids=lambda path: path.stem)
def test_every_script_takes_and_gives_the_same(script: Path) -> None:
    job, _, library = script.stem.partition("_")
    assert job in run.JOBS
    assert library in run.LIBRARIES
    text = script.read_text(encoding="utf-8")
    ast.parse(text)
    assert "data, model, output = sys.argv[1:]" in text
    assert "predictions.json" in text


def test_the_page_has_the_lines_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "comparison.md").read_text(encoding="utf-8")
    for library, name in {**dict(zip(run.LIBRARIES, run.LIBRARIES, strict=True)), "sklearn": "scikit-learn"}.items():
        scripts = [run.PEERS / f"{job}_{library}.py" for job in run.JOBS]
        counts = " | ".join(str(run.lines_of(each)) if each.is_file() else "" for each in scripts)
        assert f"| {name} | {counts} |".replace("|  |", "| |").replace("|  |", "| |") in page
