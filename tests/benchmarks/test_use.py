"""The benchmarks of a model in use, on a model and questions of a few seconds: that they run, and what they hold to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.classifying import CONTESTANTS, plan, summary

from benchmarks import answers, second_start
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.question_data import load_examples
from tests.helpers import people, write_squad

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_squad(tmp_path_factory.mktemp("use") / "people.json", people().examples))


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_a_contestant_of_the_onnx_benchmark_takes_its_turn(name: str, people_model: Path, data: str) -> None:
    if name == "transformers":
        pytest.importorskip("transformers")
    command = [sys.executable, "-m", "benchmarks.onnx", "--contestant", name]
    command += ["--model", str(people_model), "--data", data, "--questions", "8"]
    done = subprocess.run(command, input="run\n", stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    turn = json.loads(done.stdout)
    assert turn["questions"] == 8
    assert turn["f1"] > 90


def test_answers_are_held_to_evaluate_and_to_every_span(people_model: Path, data: str) -> None:
    answerer = Answerer(people_model, threads=1)
    examples = load_examples([data], "validation", "", 0.05).examples
    held = answers.as_evaluate(answerer, str(people_model), [data], examples)
    assert held["equal"] == held["questions"] == len(examples)
    document = answers.Document(examples[0].context, tuple(examples[:1]), (0,))
    assert answers.whole_text_order(answerer, [document], 1)["same_order"] == 1


def test_a_second_start_is_timed(people_model: Path, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--teacher", str(people_model), "--model", str(people_model), "--train", data, "--validation", data]
    settings = ["--questions", "20", "--rounds", "1", "--max-length", "64", "--stride", "8", "--threads", "1"]
    second_start.main([*names, *settings])
    first, again, *medians = capsys.readouterr().out.splitlines()
    assert first.startswith("first: start ")
    assert again.startswith("again: start ")
    assert [line.split()[2] for line in medians] == ["start", "step"]


def test_each_seed_has_every_contestant_and_ratios_are_within_a_seed(people_model: Path) -> None:
    import argparse

    options = argparse.Namespace(
        kind="token", train="a.conll", test="b.conll", model=str(people_model), epochs=1, learning_rate=1e-4,
        examples=0, threads=1, seeds=[0, 1], contestants=list(CONTESTANTS),
    )  # fmt: skip
    turns = plan(options)
    assert [(turn["seed"], turn["contestant"]) for turn in turns] == [(s, c) for s in (0, 1) for c in CONTESTANTS]
    rates = {"distiltune": 30.0, "distiltune float32": 20.0, "trainer": 10.0}
    figures = {"loss": 1.0, "f1": 0.5, "precision": 0.5, "recall": 0.5, "seconds": 1.0}
    results = [
        {**turn, **figures, "examples_per_second": rates[turn["contestant"]] * (turn["seed"] + 1)} for turn in turns
    ]
    lines = summary(results, "token")
    assert "distiltune over Trainer: 3.00 (median of 2)" in lines[-2]
    assert "float32 over Trainer: 2.00 (median of 2)" in lines[-1]
