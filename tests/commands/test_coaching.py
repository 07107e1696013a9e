"""check, find-lr, compare and tune as a person uses them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import cbook
from matplotlib.figure import Figure

from distiltune import cli
from distiltune.commands.output import EXIT_USAGE
from distiltune.errors import install_extra
from distiltune.recipe.recipe import Recipe
from distiltune.system.figures import literal
from tests.helpers import TINY, people, write_squad, write_tiny_model

Run = Callable[..., int]
SMALL = ("--epochs", "1", "--max-length", "48", "--stride", "8", "--threads", "1")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as leave:
            return int(leave.code or 0)
        return 0

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model, data, and a validation set that shares a passage with it."""
    made = tmp_path_factory.mktemp("folder")
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=64)
    write_tiny_model(made / "tiny", known.tokenizer, config)
    write_squad(made / "train.json", known.examples)
    write_squad(made / "dev.json", known.examples[:4])
    return made


def test_check_tells_finds_and_fixes(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("check", folder / "train.json", "--against", folder / "dev.json", "--model", folder / "tiny", *SMALL)
    assert run(*asked, "--fix", tmp_path / "clean.json") == 1, "a leak is an error"
    text = capsys.readouterr().out
    assert "32 questions on 8 passages, 0 rows left out" in text
    assert "[question_leaked]" in text
    assert "training on this machine: about" in text
    clean = json.loads((tmp_path / "clean.json").read_text(encoding="utf-8"))
    assert sum(len(p["qas"]) for p in clean["data"][0]["paragraphs"]) == 28
    assert run(*asked, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert {concern["kind"]: concern["count"] for concern in found["concerns"]}["question_leaked"] == 4
    assert run(*asked, "--fix", tmp_path / "clean.json") == 1
    assert "what to do: give --fix another name" in capsys.readouterr().err


def test_check_takes_the_settings_of_a_runs_recipe(
    run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(model=str(folder / "tiny"), train=("other.json",), max_length=16, stride=0, threads=1)
    (tmp_path / "recipe.toml").write_text(f"[recipe]\n{recipe.to_toml()}\n[versions]\ntorch = '2'\n")
    asked = ("check", folder / "train.json", "--recipe", tmp_path / "recipe.toml", "--json")
    assert run(*asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"] == [str(folder / "train.json")]
    assert found["statistics"]["windows"] > 32
    assert found["estimate"]["precision"] == "float32"  # which auto is for a model so narrow
    assert run(*asked, "--max-length", "64") == 0
    assert json.loads(capsys.readouterr().out)["statistics"]["windows"] == 32
    assert run(*asked, "--precision", "tf32", "--device", "cpu") == EXIT_USAGE
    assert "tf32 is a format of NVIDIA GPUs" in capsys.readouterr().err


def test_check_of_what_is_not_there_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "not-there.json") == 1
    assert "not-there.json" in capsys.readouterr().err


def test_find_lr_tells_and_writes(run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("find-lr", "--train", folder / "train.json", "--model", folder / "tiny", *SMALL, "--validation-share", "0")
    assert run(*asked, "--steps", "30", "--output", tmp_path / "lr") == 0
    text = capsys.readouterr().out
    assert "learning rate: " in text or "no suggestion: " in text
    assert "cost: " in text
    assert "held-out rows" in text
    assert {path.name for path in (tmp_path / "lr").iterdir()} == {"learning_rate.json", "learning_rate.svg"}
    assert run(*asked, "--steps", "30", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    before = json.loads((tmp_path / "lr" / "learning_rate.json").read_text())
    assert [each["loss"] for each in again["stretches"]] == [each["loss"] for each in before["stretches"]]
    assert again["test"] == before["test"]  # the same seed, the same curve


def test_too_few_steps_of_find_lr_are_no_fault_of_the_data(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("find-lr", "--steps", "12") == EXIT_USAGE
    said = capsys.readouterr().err
    assert "12 steps" in said
    assert "use 30 or more" in said
    assert "check" not in said


def test_compare_and_tune(run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    data = ("--train", folder / "train.json", "--validation", folder / "dev.json", "--model", folder / "tiny", *SMALL)
    search = (
        "tune",
        *data,
        "--search",
        "learning_rate=1e-4:1e-2:log",
        "--trials",
        "2",
        "--output",
        tmp_path / "search",
    )
    assert run(*search) == 0
    text = capsys.readouterr().out
    assert "2 trials" in text
    assert "best.toml" in text
    trials = tmp_path / "search" / "trials"
    assert run("compare", trials / "000", trials / "001", "--picture", tmp_path / "curves.svg") == 0
    text = capsys.readouterr().out
    assert "001 against 000" in text
    assert "learning_rate" in text
    assert (tmp_path / "curves.svg").is_file()
    assert run("compare", trials / "000", trials / "001", "--json") == 0
    assert json.loads(capsys.readouterr().out)["pairs"]
    assert run("compare", trials / "000", tmp_path) == 1
    assert (
        run("compare", "no-run", "nor-this", "--picture", tmp_path / "curves.txt") == EXIT_USAGE
    )  # said before any work
    said = capsys.readouterr().err
    assert ".svg or .png" in said


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("compare", "run"), 2, "only one run"),
        (("check", "starter", "--fix", "clean.txt"), 2, "--fix clean.txt"),
        (("find-lr", "--output", "file/lr"), 1, "cannot be written: Not a directory.\n  where: file/lr"),
        (("find-lr", "--output", "file"), 1, "cannot be written: Not a directory.\n  where: file"),
        (("tune", "--output", "file/search"), 1, "cannot be written: Not a directory.\n  where: file/search"),
    ],
)
def test_errors_are_told_before_the_work(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    monkeypatch.setattr("distiltune.studies.find_rate.prepare", lambda *arguments: pytest.fail("too late"))
    assert run(*arguments) == status
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_optuna_tune_says_what_to_install(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run("tune", "--train", folder / "train.json", "--output", tmp_path / "search") == 1
    assert install_extra("tune") in capsys.readouterr().err


def test_without_tensorboard_training_says_what_to_install(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    asked = ("train", "--train", folder / "train.json", "--model", folder / "tiny", *SMALL, "--tracker", "tensorboard")
    assert run(*asked, "--output", tmp_path / "run") == 1
    assert not (tmp_path / "run").exists()
    assert install_extra("tensorboard") in capsys.readouterr().err


def test_a_search_of_nothing_is_wrong_usage(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tune", "--search", "learning_rte=1:2", "--output", tmp_path / "search") == EXIT_USAGE
    assert "did you mean 'learning_rate'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["$a$", "_hidden", "$\\frac$", "plain"])
def test_a_run_is_shown_as_it_is_called(name: str) -> None:
    """As no formula, and not left out of a legend, as matplotlib does with what begins so."""
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([0, 1], label=literal(name))
    (shown,) = axes.legend().get_texts()
    assert shown.get_text().replace(r"\$", "$").strip() == name
    assert not cbook.is_math_text(shown.get_text())
    figure.savefig(io.BytesIO())
