"""The page on adding a task: its files as they stand make a package whose task the command line has, and are short."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import distiltune
from tests.helpers import TINY, word_pieces, write_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"
FRUIT, TOOLS = ("apple", "plum", "pear", "fig", "lime"), ("saw", "axe", "file")


def files() -> dict[str, str]:
    """The page's files by name."""
    parts = re.split(r"^## `(\S+)`$", PAGE.read_text(), flags=re.M)[1:]
    code = (re.findall(r"^```(?:python|toml)\n(.*?)^```", text, re.M | re.S) for text in parts[1::2])
    return {name: only for name, (only,) in zip(parts[::2], code, strict=True)}


def install(folder: Path, changes: dict[str, tuple[str, str]] | None = None) -> None:
    """Put the package where `pip` would, with its entry points; of a file named, one text is replaced by another."""
    for name, code in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        old, new = (changes or {}).get(name, ("", ""))
        assert old in code
        (folder / name).write_text(code.replace(old, new) if old else code)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    record = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [
        "".join([f"[{group}]\n", *(f"{name} = {value}\n" for name, value in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (record / "entry_points.txt").write_text("\n".join(groups))


def distiltune_with(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a Python of its own that has the package in ``folder``."""
    path = os.pathsep.join([str(Path(distiltune.__file__).parents[1]), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "distiltune", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120"},
    )


def test_it_is_under_150_lines_of_code() -> None:
    assert list(files()) == ["pyproject.toml", "distiltune_odd_word/__init__.py", "distiltune_odd_word/task.py"]
    code = [text for name, text in files().items() if name.endswith(".py")]
    assert sum(line != "" for text in code for line in text.split("\n")) < 150


def rows() -> list[dict[str, str]]:
    """One tool among fruit; of every other row the tool is called by a name in capitals."""
    found = []
    for i, tool in enumerate(TOOLS * 20):
        words = [FRUIT[(i + j) % 5] for j in range(4)]
        words.insert(i % 5, tool)
        found.append({"text": " ".join(words), "odd": tool.upper() if i % 2 else tool})
    return found


def test_it_trains_as_written_by_the_command_line(tmp_path: Path) -> None:
    site, data, run = tmp_path / "site", tmp_path / "odd.jsonl", tmp_path / "run"
    install(site)
    data.write_text("".join(json.dumps(row) + "\n" for row in [*rows(), {"text": "plum", "odd": "saw"}]))
    tokenizer = word_pieces([*FRUIT, *TOOLS])
    model = write_tiny_model(tmp_path / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    settings = ["--max-length=32", "--stride=8", "--epochs=6", "--batch-size=8", "--learning-rate=5e-3", "--threads=1"]
    settings += ["--dropout=0", "--attention-dropout=0"]
    source = ["--train", data, "--model", model, "--output", run]

    refused = distiltune_with(site, "train", *source, *settings)
    assert refused.returncode == 1
    assert "31 of 61 rows" in refused.stderr, "the capitals are another word, unless --odd-case says otherwise"

    trained = distiltune_with(site, "train", *source, *settings, "--odd-case", "any")
    assert trained.returncode == 0, trained.stderr
    recipe = tomllib.loads((run / "recipe.toml").read_text())["recipe"]
    assert (recipe["task"], recipe["odd_case"]) == ("odd-word", "any")
    assert "null_threshold" not in recipe
    assert "points at the odd word" in (run / "model" / "README.md").read_text()
    assert "distiltune evaluate --model" in trained.stdout

    # Read as it was trained: the model keeps the setting.
    measured = distiltune_with(site, "evaluate", "--model", run, "--data", data, "--json")
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    assert found["metrics"]["accuracy"] == 1.0
    assert len(found["rejected"]) == 1
    predicted = distiltune_with(site, "predict", "--model", run, "--data", data, "--output", tmp_path / "out")
    assert predicted.returncode == 0, predicted.stderr
    assert (tmp_path / "out" / "predictions.jsonl").read_text().count("\n") == 60


def test_its_setting_is_a_flag_and_help_says_whose(tmp_path: Path) -> None:
    install(tmp_path)
    done = distiltune_with(tmp_path, "train", "--task", "odd-word", "--help")
    assert done.returncode == 0
    panel = done.stdout.partition("Only odd word")[2].partition("╰")[0]
    assert "--odd-case" in panel
    assert "letter by letter, or in any case" in " ".join(panel.replace("│", " ").split())


PACKAGE, TASK = "distiltune_odd_word/__init__.py", "distiltune_odd_word/task.py"
BROKEN = {
    "cannot be imported: ModuleNotFoundError": ("from typing import", "import no_such_module\nfrom typing import"),
    "two tasks called 'text-classification'": ('name="odd-word"', 'name="text-classification"'),
    "epochs is a setting of every task": ("    odd_case:", "    epochs: int = 1\n    odd_case:"),
    "n_best is a setting of question-answering": ("    odd_case:", "    n_best: int = 1\n    odd_case:"),
}
COMMANDS = (("--help",), ("train", "--help"), ("train", "--train", "starter", "--output", "run"), ("ask", "Who?"))


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_package_is_told_in_one_message_that_names_it(problem: str, tmp_path: Path) -> None:
    install(tmp_path, {PACKAGE: BROKEN[problem]})
    for command in COMMANDS if problem.startswith("cannot") else COMMANDS[:1]:
        done = distiltune_with(tmp_path, *command)
        assert (done.returncode, done.stdout) == (1, ""), command
        first, *others = done.stderr.splitlines()
        assert first.startswith("distiltune: The package distiltune-odd-word brings a task that cannot be used: ")
        assert problem in first
        assert len(others) == 2, "where, and what to do; no traceback"
        assert others[1].endswith("pip uninstall distiltune-odd-word")
    assert "Traceback" in distiltune_with(tmp_path, "--debug", "--help").stderr


def test_a_task_whose_code_cannot_be_imported_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    install(tmp_path, {TASK: ("import json", "import no_such_module")})
    assert distiltune_with(tmp_path, "train", "--task", "odd-word", "--help").returncode == 0
    (tmp_path / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    done = distiltune_with(tmp_path, "train", "--train", tmp_path / "odd.jsonl", "--output", tmp_path / "run")
    assert done.returncode == 1
    assert "The task odd-word of the package distiltune_odd_word cannot be imported: ModuleNotFound" in done.stderr
    assert "Traceback" not in done.stderr
