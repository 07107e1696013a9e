"""Who may import whom: each stage reads the stage before it, and the engine knows no task."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

from tools.imports import LAYERS, SOURCE, circles, imports_of, layered, module_arrows, unit_arrows, unit_of


def test_the_parser_sees_every_form_of_import(tmp_path: Path) -> None:
    file = tmp_path / "distiltune" / "data" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import distiltune.a\nfrom distiltune import b\nfrom distiltune.c import d as e\nfrom . import f\n"
        "from ..g import h\nimport os\ndef late():\n    import distiltune.i\n"
    )
    assert imports_of(file, tmp_path / "distiltune") == {
        *("distiltune.a", "distiltune.b", "distiltune.c.d", "distiltune.data.f", "distiltune.g.h", "distiltune.i")
    }


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
    assert circles(module_arrows()) == []
    assert circles(unit_arrows()) == []


def test_circles_are_found() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a", "e"}}
    assert circles(arrows) == [["a", "b", "c"], ["d", "e"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_what_is_imported_is_declared() -> None:
    """Of other packages: not only there because a declared one needs it today."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for each in project["optional-dependencies"].values() for line in each)]
    declared = {re.split(r"[\[<>=]", line)[0].replace("-", "_") for line in lines} | {"distiltune"}
    declared |= {"bs4", "markdown_it", "sklearn"}
    assert {"beautifulsoup4", "markdown_it_py", "scikit_learn"} <= declared  # which are imported by these names
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            others = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - declared
            assert not others, f"{file.relative_to(SOURCE)}: {others}"


def test_no_two_public_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(file.relative_to(SOURCE).as_posix())
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}
