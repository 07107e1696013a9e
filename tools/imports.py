"""Who imports whom in `src/distiltune`, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "distiltune"

LAYERS = (
    *("version", "errors", "progress", "system", "data", "model", "training", "inference", "checks", "distillation"),
    *("coach", "serving", "labelling", "settings", "tasks", "recipe", "report", "runs", "studies", "export"),
    *("python", "commands", "cli"),
)
"""Every package and module at the root, each of which may import only those before it."""

NOT_LAYERED = {"__init__", "__main__", "starter"}
"""The public names, which import everything lazily; the module that calls the command line; data."""


def imports_of(file: Path, source: Path = SOURCE) -> set[str]:
    """Every name of ours that a file imports, at its top or inside a function, as ``distiltune.a.b.name``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = list(file.relative_to(source.parent).with_suffix("").parts)
            base = package[: len(package) - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "distiltune"}


def unit_of(file: Path, source: Path = SOURCE) -> str:
    """The package or module at the root that a file belongs to."""
    return file.relative_to(source).parts[0].removesuffix(".py")


def layered(source: Path = SOURCE) -> list[Path]:
    """Every file that has a layer, in order of its path."""
    return [file for file in sorted(source.rglob("*.py")) if unit_of(file, source) not in NOT_LAYERED]


def module_arrows(source: Path = SOURCE) -> dict[str, set[str]]:
    """Module → the modules that it imports, both as ``distiltune.a.b``."""
    files = {".".join(file.relative_to(source.parent).with_suffix("").parts): file for file in layered(source)}

    def module(name: str) -> str:
        while name and name not in files:
            name = name.rpartition(".")[0]
        return name

    return {name: {module(each) for each in imports_of(file, source)} - {name, ""} for name, file in files.items()}


def unit_arrows(source: Path = SOURCE) -> dict[str, set[str]]:
    """Package or module at the root → those that it imports."""
    arrows: dict[str, set[str]] = {unit_of(file, source): set() for file in layered(source)}
    for file in layered(source):
        own = unit_of(file, source)
        found = {name.split(".")[1] for name in imports_of(file, source) if "." in name}
        arrows[own] |= (found & arrows.keys()) - {own}
    return arrows


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The sets of nodes that reach one another, largest first (Tarjan 1972); none where every arrow goes one way."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for each in sorted(arrows.get(node, ())):
            if each not in order:
                visit(each)
                lowest[node] = min(lowest[node], lowest[each])
            elif each in stack:
                lowest[node] = min(lowest[node], order[each])
        if lowest[node] == order[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return sorted((each for each in found if len(each) > 1), key=lambda each: (-len(each), each))
