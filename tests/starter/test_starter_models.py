"""The models inside the package: their size, their cards, and that they do what they are for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import distiltune
from distiltune.errors import DistiltuneError
from distiltune.model.source import PACKAGED, UNTRAINED, load_source, resolve_model
from distiltune.tasks.question_answering.read import read_examples
from distiltune.tasks.question_answering.task import HEAD_RULES

ROOT = Path(__file__).parents[2]
MB = 1_000_000


def directory(name: str) -> Path:
    """Where the model lies; skips where this checkout has no weights of it."""
    try:
        found = resolve_model(name)
    except DistiltuneError:
        pytest.skip(f"this checkout has no {name}: make starter")
    if not (found / "model.safetensors").is_file():
        pytest.skip(f"this checkout has no weights of {name}: make starter")
    return found


@pytest.mark.parametrize("name", PACKAGED)
def test_each_is_small_enough_to_ship(name: str) -> None:
    assert sum(file.stat().st_size for file in directory(name).iterdir()) < 20 * MB


def test_both_fit_together() -> None:
    assert sum(file.stat().st_size for name in PACKAGED for file in directory(name).iterdir()) < 30 * MB


@pytest.mark.parametrize(("name", "answers"), [("starter", False), ("starter-qa", True)])
def test_each_is_what_it_says(name: str, answers: bool) -> None:
    directory(name)
    source = load_source(name, HEAD_RULES)
    assert (source.config.n_layers, source.config.hidden_size, source.config.vocab_size) == (6, 160, 30_522)
    assert UNTRAINED not in source.config_hf
    assert (source.missing == ()) is answers
    assert source.unexpected == ()
    assert any("float16" in note for note in source.notes)


@pytest.mark.parametrize("name", PACKAGED)
def test_each_card_names_teacher_data_and_licences(name: str) -> None:
    card = (directory(name) / "README.md").read_text(encoding="utf-8")
    for words in ("license: apache-2.0", "all-MiniLM-L6-v2", "Apache-2.0", "SQuAD", "CC BY-SA 4.0", "docs/starter.md"):
        assert words in card
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in notice
    assert "SQuAD" in notice


def test_starter_qa_answers() -> None:
    directory("starter-qa")
    answerer = distiltune.Answerer("starter-qa")
    text = "The bridge was designed by Maria Lopez in 1911. It crosses the river Orr near the town of Hale."
    assert answerer("Who designed the bridge?", text).text == "Maria Lopez"
    assert answerer("When was the bridge designed?", text).text == "1911"


def test_one_epoch_of_the_quickstart_teaches_the_starter_to_answer(tmp_path: Path) -> None:
    """Random weights, and an encoder that knows words only, get 9, as "no answer" to everything does."""
    directory("starter")
    run = distiltune.fine_tune(
        train="starter",
        model="starter",
        epochs=1,
        learning_rate=3e-4,
        warmup_share=0.1,
        max_gradient_norm=1.0,
        threads=1,
        output=tmp_path / "run",
    )
    assert run.best.validation["f1"] > 25


def test_the_quickstarts_questions_are_held_out() -> None:
    """Its passage is one of the validation part, and so is each of its questions."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    passage = (ROOT / "docs" / "examples" / "stannick-bells.txt").read_text(encoding="utf-8").strip()
    held_out = {e.question for e in read_examples(["starter"], split="validation").examples if e.context == passage}
    asked = re.findall(r'"([^"]+\?)"', makefile[makefile.index("docs/examples/stannick-bells.txt") :])[:3]
    assert len(asked) == 3
    assert set(asked) <= held_out
