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
LAYERS = (
    *("version", "errors", "progress", "system", "data", "model", "training", "inference", "checks", "distillation"),
    *("coach", "serving", "settings", "tasks", "recipe", "report", "runs", "studies", "export", "commands", "cli"),
)
"""Every package and module at the root, each of which may import only those before it."""

NOT_LAYERED = {"__init__", "__main__", "starter"}
"""The public names, which import everything lazily; the module that calls the command line; data."""


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


def unit_of(file: Path) -> str:
    """The package or module at the root that a file belongs to."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def layered() -> list[Path]:
    return [file for file in sorted(SOURCE.rglob("*.py")) if unit_of(file) not in NOT_LAYERED]


def test_every_package_has_its_layer() -> None:
    assert {unit_of(file) for file in layered()} == set(LAYERS)


def test_no_import_goes_upward() -> None:
    upward = {
        f"{file.relative_to(SOURCE)}: {name}"
        for file in layered()
        for name in imports_of(file)
        if LAYERS.index(name.split(".")[1]) > LAYERS.index(unit_of(file))
    }
    assert upward == set()


def test_no_two_files_import_each_other() -> None:
    """Not in a roundabout way either, nor inside functions, nor for types only."""
    files = {".".join(file.relative_to(SOURCE.parent).with_suffix("").parts): file for file in layered()}

    def module(name: str) -> str:
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name

    imported = {name: {module(each) for each in imports_of(file)} - {name, ""} for name, file in files.items()}
    done: dict[str, bool] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for each in sorted(imported[name]):
                visit(each, (*path, name))
            done[name] = True

    for name in files:
        visit(name, ())


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
