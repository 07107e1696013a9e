"""Who may import whom: each stage reads the stage before it, and the engine knows no task."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import distiltune

SOURCE = Path(distiltune.__file__).parent
ENGINE = ("data", "model", "training", "inference")

# The stages that come before each, itself included; top-level modules are named by their file.
MAY_IMPORT = {
    "data": {"data", "errors", "hub_errors", "progress"},
    "model": {"data", "model", "errors", "hub_errors", "outputs"},
}
ALLOWED_OF_TASKS = {
    "training": {"distiltune.tasks.base"},
    # Evaluating looks up the task that a recipe names; the table is the one place that knows them all.
    "inference": {
        "distiltune.tasks.base",
        "distiltune.tasks.table",
        "distiltune.recipe.choose_task",
        "distiltune.tasks.trained",
    },
}


def modules_of(folder: str) -> list[Path]:
    return sorted((SOURCE / folder).rglob("*.py"))


def imports_of(file: Path) -> set[str]:
    """Every name of ours that a file imports, at its top or inside a function, as ``distiltune.a.b.name``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = list(file.relative_to(SOURCE.parent).with_suffix("").parts)
            base = package[: len(package) - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "distiltune"}


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_the_parser_sees_every_form_of_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "distiltune" / "data" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import distiltune.a\nfrom distiltune import b\nfrom distiltune.c import d as e\nfrom . import f\n"
        "from ..g import h\nimport os\ndef late():\n    import distiltune.i\n"
    )
    monkeypatch.setattr("tests.test_architecture.SOURCE", tmp_path / "distiltune")
    assert imports_of(file) == {
        *("distiltune.a", "distiltune.b", "distiltune.c.d", "distiltune.data.f", "distiltune.g.h", "distiltune.i")
    }


@pytest.mark.parametrize("folder", ENGINE)
def test_the_engine_knows_no_task(folder: str) -> None:
    assert len(modules_of(folder)) > 1
    allowed = ALLOWED_OF_TASKS.get(folder, set())
    wrong = {
        f"{file.name}: {name}"
        for file in modules_of(folder)
        for name in imports_of(file)
        if within(name, "distiltune.tasks") and not any(within(name, each) for each in allowed)
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_stage_reads_the_stages_before_it(folder: str) -> None:
    wrong = {
        f"{file.name}: {name}"
        for file in modules_of(folder)
        for name in imports_of(file)
        if name.split(".")[1] not in MAY_IMPORT[folder]
    }
    assert wrong == set()


def test_what_is_imported_is_declared() -> None:
    """Of other packages: not only there because a declared one needs it today."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for each in project["optional-dependencies"].values() for line in each)]
    declared = {re.split(r"[\[<>=]", line)[0].replace("-", "_") for line in lines} | {"distiltune", "bs4"}
    assert "beautifulsoup4" in declared  # which is imported as bs4
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            others = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - declared
            assert not others, f"{file.relative_to(SOURCE)}: {others}"


def test_the_loop_knows_neither_recipe_nor_report() -> None:
    """Modules receive plain values, never the whole recipe."""
    for folder in ("data", "model", "training"):
        for file in modules_of(folder):
            named = {name.split(".")[1] for name in imports_of(file)}
            assert not named & {"recipe", "report", "cli", "fine_tuning", "inference", "serving"}, file.name
