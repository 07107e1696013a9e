from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import distiltune
from distiltune.commands.app import app
from distiltune.data.example_set import DataSettings, ExampleSet
from distiltune.data.parts import leave_out
from distiltune.data.row_findings import RowFindings
from distiltune.errors import DataError, RecipeError, TrainingError
from distiltune.recipe.recipe import Recipe
from distiltune.studies import folds
from distiltune.studies.folds import t_interval
from distiltune.tasks.own import Own
from distiltune.tasks.text_classification.examples import TextExample
from distiltune.training.loop import StepReport
from distiltune.training.reporter import Quiet
from tests.helpers import TINY, people, word_pieces, write_squad, write_tiny_model

SETTINGS: dict[str, Any] = {
    "base": "classic",
    "max_length": 32,
    "stride": 4,
    "epochs": 1,
    "learning_rate": 3e-3,
    "batch_size": 8,
    "threads": 1,
}
WORDS = ("ada", "bob", "sees", "likes", "the", "cat", "dog", *map(str, range(10)))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, tokenizer = tmp_path_factory.mktemp("texts"), word_pieces(WORDS)
    rows = [{"id": f"t{i}", "text": f"ada sees the {WORDS[5 + i % 2]} {i}", "label": "ab"[i % 2]} for i in range(30)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shape = replace(TINY, vocab_size=tokenizer.get_vocab_size())
    return {
        **SETTINGS,
        "train": str(folder / "rows.jsonl"),
        "model": str(write_tiny_model(folder / "m", tokenizer, shape)),
    }


def examples(golds: Sequence[tuple[str, ...]], groups: int = 0) -> ExampleSet[TextExample]:
    made = tuple(
        TextExample(f"t{i}", f"text {i % groups if groups else i}", None, gold) for i, gold in enumerate(golds)
    )
    return ExampleSet(made, RowFindings(len(made)), "print", ("file",))


def part(read: ExampleSet[TextExample], n_folds: int, fold: int) -> tuple[list[str], list[str]]:
    settings = DataSettings((), (), 0.1, "", 0.0, 0, 0, 3, n_folds=n_folds, fold=fold)
    rest, aside = leave_out(read, settings, lambda each: each.text, "text")
    assert rest.fingerprint != aside.fingerprint
    return [each.id for each in rest.examples], [each.id for each in aside.examples]


def test_every_example_is_left_out_once_and_labels_are_dealt_evenly() -> None:
    golds = [*[("rare",)] * 5, *[("usual",)] * 20]
    read = examples(golds)
    seen: list[str] = []
    for fold in range(5):
        rest, aside = part(read, 5, fold)
        assert sorted(rest + aside) == sorted(each.id for each in read.examples)
        assert len(aside) == 5
        assert sum(int(name[1:]) < 5 for name in aside) == 1, "one of the rare ones each"
        assert (rest, aside) == part(read, 5, fold)
        seen += aside
    assert sorted(seen) == sorted(each.id for each in read.examples)


def test_what_belongs_together_is_never_parted() -> None:
    read = examples([("a",)] * 12, groups=4)
    for fold in range(3):
        rest, aside = part(read, 3, fold)
        assert not {int(name[1:]) % 4 for name in rest} & {int(name[1:]) % 4 for name in aside}
    with pytest.raises(DataError, match="4 different texts, too few for 5 folds"):
        part(read, 5, 0)


def test_the_interval_is_students() -> None:
    found = t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.value == 3.0
    assert found.high - found.value == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert t_interval([2.0]).low == -math.inf


def test_a_cross_validation(texts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = distiltune.cross_validate(
        output=tmp_path / "cv", folds=3, metrics={"same": lambda gold, given: 1.0}, **texts
    )
    assert [fold.directory.name for fold in found.folds] == ["fold-0", "fold-1", "fold-2"]
    lines = [json.loads(line) for line in (tmp_path / "cv" / "predictions.jsonl").read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(f"t{i}" for i in range(30))
    assert {line["fold"] for line in lines} == {0, 1, 2}
    right = sum(line["label"] == line["gold"] for line in lines)
    assert found.metrics["accuracy"].value == pytest.approx(right / 30)
    assert found.metrics["same"].value == 1.0
    assert found.metrics["accuracy"].low <= found.metrics["accuracy"].value <= found.metrics["accuracy"].high
    summary = json.loads((tmp_path / "cv" / "folds.json").read_text())
    assert summary["metrics"]["accuracy"]["mean"] == pytest.approx(right / 30)
    # One part by itself is the same training.
    alone = distiltune.fine_tune(
        output=tmp_path / "alone", folds=3, fold=1, metrics={"same": lambda gold, given: 1.0}, **texts
    )
    assert alone.best.validation == found.folds[1].best.validation
    before = _files(tmp_path / "cv")
    assert {"folds.json", "predictions.jsonl", "recipe.toml"} <= set(before)

    def full(path: Path, content: bytes | str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folds, "write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        folds._summed_up(tmp_path / "cv", found.folds[0].recipe, found.folds[:1])
    assert _files(tmp_path / "cv") == before, "never the answers of some beside the figures of others"


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Interrupts(Quiet):
    """In the second of the trainings."""

    n_begun = 0

    def begin(self, *args: Any) -> None:
        Interrupts.n_begun += 1

    def step(self, report: StepReport) -> None:
        if Interrupts.n_begun == 2:
            raise KeyboardInterrupt


def test_one_that_was_stopped_goes_on(texts: dict[str, Any], tmp_path: Path) -> None:
    Interrupts.n_begun = 0
    with pytest.raises(KeyboardInterrupt):
        distiltune.cross_validate(output=tmp_path / "cv", folds=3, make_reporter=Interrupts, **texts)
    assert sorted(path.name for path in (tmp_path / "cv").iterdir()) == ["fold-0", "fold-1"]
    with pytest.raises(TrainingError, match="epochs: 1 in the run, 2 now"):
        distiltune.cross_validate(output=tmp_path / "cv", folds=3, **{**texts, "epochs": 2})
    found = distiltune.cross_validate(output=tmp_path / "cv", folds=3, **texts)
    whole = distiltune.cross_validate(output=tmp_path / "whole", folds=3, **texts)
    assert found.metrics == whole.metrics


def called(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_on_the_command_line(tmp_path: Path) -> None:
    known = people()
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    model, data = (
        write_tiny_model(tmp_path / "m", known.tokenizer, shape),
        write_squad(tmp_path / "t.json", known.examples),
    )
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items() if name != "base"]
    arguments = ["--recipe", "classic", "--train", str(data), "--model", str(model), *flags]
    said = called(["train", *arguments, "--folds", "2", "--output", str(tmp_path / "cv")])
    assert "mean of 2 folds" in said
    assert "exact match" in said
    answers = json.loads((tmp_path / "cv" / "predictions.json").read_text())
    assert sorted(answers) == sorted(each.id for each in known.examples)
    again = called(["train", "--resume", str(tmp_path / "cv"), "--json"])
    assert len(json.loads(again.splitlines()[-1])["folds"]) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": 1}, "folds is 1"),
        ({"folds": 3, "fold": 3}, "fold is 3, and folds is 3"),
        ({"fold": 0}, "fold is 0, and folds is 0"),
        ({"folds": 3, "validation": ("starter",)}, "folds and validation exclude each other"),
    ],
    ids=["one", "beyond", "no folds", "validation"],
)
def test_what_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.build(settings)


def test_one_training_is_not_all_of_them(texts: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="3 folds are 3 trainings, and this is one"):
        distiltune.fine_tune(output=tmp_path / "run", folds=3, **texts)
    assert Own().settings == {}
