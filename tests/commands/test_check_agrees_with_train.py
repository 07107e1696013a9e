"""What `check` says of a training, by its last line and exit status, is what `train` does: every task and form."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distiltune import cli
from tests.helpers import TINY, word_pieces, write_tiny_model

Row = dict[str, Any]
N = 40
FORMS = ("jsonl", "csv", "tsv", "parquet", "json")
TOWN = "In the old town number {} a woman called Marta sells the bread, and a man called Karl sells the fish."


def text(i: int) -> Row:
    return {"text": ("the kettle sang on day {}", "nobody came on day {}")[i % 2].format(i), "label": "ab"[i % 2]}


def words(i: int) -> Row:
    tokens = ["Ada", "met", "Ben", "in", "town", str(i)]
    return {"tokens": tokens, "tags": ["B-PER", "O", "B-PER", "O", "O", "O"]}


def question(i: int) -> Row:
    context, name = TOWN.format(i), ("Karl", "Marta")[i % 2]
    asked = f"Who sells {('fish', 'bread')[i % 2]} in town {i}?"
    return {"question": asked, "context": context, "answer_text": name, "answer_start": context.index(name)}


def slipped(row: Row) -> Row:
    start = row["answer_start"] + 1
    return {**row, "answer_text": row["context"][start : start + 6], "answer_start": start}


def with_(**fields: Any) -> Callable[[Row], Row]:
    return lambda row: {**row, **fields}


def rows(make: Callable[[int], Row], change: Callable[[Row], Row] = dict, every: int = 1, n: int = N) -> list[Row]:
    return [change(make(i)) if i % every == 0 else make(i) for i in range(n)]


RUNS, SPOILT, STOPS = "runs", "spoilt", "stops"
BAD: list[tuple[str, list[Row], str]] = [
    ("text few empty", rows(text, with_(text=""), 40), RUNS),
    ("text unlabelled", rows(text, with_(label=None), 4), STOPS),
    ("text one label", rows(text, with_(label="x")), STOPS),
    ("text one text", rows(text, with_(text="same")), STOPS),
    ("text conflicts", [{"text": f"line {i // 2}", "label": "ab"[i % 2]} for i in range(N)], SPOILT),
    ("text own labels", [{**text(i), "label": f"c{i}"} for i in range(N)], STOPS),
    ("text two rows", rows(text, n=2), STOPS),
    ("text numbers", [{**text(i), "label": i / 7} for i in range(N)], RUNS),
    ("text far out", [{**text(i), "label": 1e9 if i == 3 else i / 7} for i in range(N)], SPOILT),
    ("words one short", rows(words, with_(tags=["O"] * 5), 40), RUNS),
    ("words unmarked", rows(words, with_(tags=["O"] * 6)), STOPS),
    ("words one sentence", rows(lambda i: words(0)), STOPS),
    ("words no scheme", rows(words, with_(tags=["B-", "O", "X?Y", "O", "O", "O"]), 10), STOPS),
    ("question not found", rows(question, with_(answer_text="submarine"), 40), RUNS),
    ("question one passage", [{**question(0), "question": f"Who sells fish {i}?"} for i in range(N)], STOPS),
    ("question slipped", rows(question, slipped), SPOILT),
    ("question empty", rows(question, with_(question=""), 4), STOPS),
    ("question unanswerable", rows(question, with_(answer_text="", answer_start=None)), SPOILT),
]
CASES = [
    *((f"{name} {form}", made, form, RUNS) for name, made in (
        ("text", rows(text)), ("words", rows(words)), ("question", rows(question))
    ) for form in FORMS),
    *((f"{name} many bad {form}", made, form, STOPS) for name, made in (
        ("text", rows(text, with_(text=""), 4)), ("words", rows(words, with_(tags=["O"] * 5), 4)),
        ("question", rows(question, with_(answer_text="submarine"), 4))
    ) for form in FORMS[1:3]),
    *((name, made, FORMS[i % len(FORMS)], outcome) for i, (name, made, outcome) in enumerate(BAD)),
]  # fmt: skip


def write(folder: Path, made: Sequence[Row], form: str) -> Path:
    path = folder / f"rows.{form}"
    if form in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(made[0]), delimiter="," if form == "csv" else "\t")
            writer.writeheader()
            writer.writerows({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in made)
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(list(made)), path)
    else:
        path.write_text(json.dumps(made) if form == "json" else "".join(json.dumps(row) + "\n" for row in made))
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    seen = {word.lower() for case in CASES for row in case[1] for word in re.findall(r"\w+", str(row))}
    tokenizer = word_pieces([*".,?", *sorted(seen)])
    config = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny", tokenizer, config)


@pytest.mark.parametrize(("made", "form", "outcome"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_check_says_what_train_does(
    tmp_path: Path,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    made: list[Row],
    form: str,
    outcome: str,
) -> None:
    path = write(tmp_path, made, form)
    shared = ["--model", str(base), "--max-length", "48", "--stride", "8", "--threads", "1"]

    def status(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["distiltune", *arguments, *shared])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0)

    checked = status("check", str(path))
    said = "".join(capsys.readouterr()).strip().splitlines()
    trained = status(
        "train", "--train", str(path), "--epochs", "1", "--recipe", "classic", "--output", str(tmp_path / "run")
    )
    errors = [line for line in said if line.startswith("error")]
    assert (trained != 0) == (outcome == STOPS)
    assert bool(errors) == (outcome == SPOILT) or outcome == STOPS
    if outcome == STOPS:
        assert checked == 1
        assert any(line.startswith(("a training stops before its first step: ", "distiltune: ")) for line in said)
    else:
        assert said[-1].startswith("a training runs on ")
        assert ("spoil it" in said[-1]) == (checked == 1) == (outcome == SPOILT)
