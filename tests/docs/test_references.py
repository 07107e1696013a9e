"""Files, modules, targets and tools that the documentation names are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tools.imports import SOURCE

from tests.helpers import TINY, people, write_squad, write_tiny_model

ROOT = Path(__file__).parents[2]
OF_THEIR_TIME = ("CHANGELOG.md", "docs/lab-notes.md")
"""They tell of what was, by the names that it had."""
NOT_THERE = {
    "CONTRIBUTING.md": ("src/distiltune/a/b/c.py", "tests/a/b/test_c.py"),
    "docs/add-a-task.md": ("distiltune_odd_word/",),
    "docs/how-to/onnx.md": ("example.py", "exported/example.py"),
}
"""Page → what it names that a reader makes, or that stands for others."""
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
    if page.relative_to(ROOT).as_posix() not in OF_THEIR_TIME
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_of_code_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    made = NOT_THERE.get(page.relative_to(ROOT).as_posix(), ())
    # In code, or in the arguments of pytest, which may be several.
    named = set(re.findall(r"(?<=[`\s])((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)(?=[`\s])", text))
    places = (ROOT, SOURCE, ROOT / "tests", page.parent)
    lost = {name for name in named if not any((place / name).is_file() for place in places)}
    assert {name for name in lost if not name.startswith(made)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_module_and_target_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"-m ((?:tools|benchmarks|tests)(?:\.\w+)+)", text):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text)) <= targets


def test_the_profiler_shows_our_own_operations(tmp_path: Path) -> None:
    known = people()
    data = str(write_squad(tmp_path / "data.json", known.examples[:8]))
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    model = str(write_tiny_model(tmp_path / "tiny", known.tokenizer, config))
    flags = (
        "--recipe",
        "classic",
        "--max-length",
        "48",
        "--stride",
        "8",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--output",
        str(tmp_path / "run"),
    )
    # In a process of its own: after another training in one, a first step's operations are no longer all seen.
    # All operations, not the costliest few: which those are is a matter of time.
    code = "import sys; from tools.profile_training import run; print(run(sys.argv[1:], n_shown=-1))"
    command = [sys.executable, "-c", code, "train", "--train", data, "--validation", data, "--model", model, *flags]
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    table = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": paths}, check=True, capture_output=True, text=True
    ).stdout
    assert "_LinearBackward" in table
    assert "_PackedAttention" in table
