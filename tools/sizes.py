"""Print the longest functions, files and parameter lists, the modules at the root, and the arrows that go wrong.

Run from the repository: `python -m tools.sizes`, of another checkout with `--source DIR/src/distiltune`.
`tests/test_sizes.py` holds the bars.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools.imports import LAYERS, SOURCE, circles, module_arrows, unit_arrows

MOST_FUNCTION_LINES = 60
MOST_FILE_LINES = 500
MOST_PARAMETERS = 7
MOST_ROOT_MODULES = 6


@dataclass(frozen=True)
class Function:
    """A function or method, nested ones too."""

    where: str
    """``package/module.py:Class.function``."""
    n_lines: int
    """From ``def`` to its last line, docstring included, decorators not."""
    n_parameters: int
    """All that a caller may give, keyword-only ones too; ``self`` and ``cls`` are not among them."""


def functions(source: Path = SOURCE) -> list[Function]:
    """Every function of the package, in order of its place."""
    return [
        Function(f"{file.relative_to(source).as_posix()}:{name}", (node.end_lineno or 0) - node.lineno + 1, n)
        for file in sorted(source.rglob("*.py"))
        for name, node, n in _functions_in(ast.parse(file.read_text(encoding="utf-8")), "", in_class=False)
    ]


def file_lines(source: Path = SOURCE) -> dict[str, int]:
    """``package/module.py`` → its number of lines."""
    return {
        file.relative_to(source).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in sorted(source.rglob("*.py"))
    }


def root_modules(source: Path = SOURCE) -> list[str]:
    """The modules beside the packages, without ``__init__`` and ``__main__``."""
    return sorted(file.stem for file in source.glob("*.py") if not file.stem.startswith("__"))


def upward(source: Path = SOURCE) -> list[str]:
    """The arrows between packages that go up in the list of layers; units that are not in it count for none."""
    place = {name: at for at, name in enumerate(LAYERS)}
    return [
        f"{own} -> {other}"
        for own, others in sorted(unit_arrows(source).items())
        for other in sorted(others)
        if own in place and other in place and place[other] > place[own]
    ]


def _functions_in(
    tree: ast.AST, prefix: str, in_class: bool
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions_in(node, f"{prefix}{node.name}.", in_class=True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node, _n_parameters(node, in_class)
            yield from _functions_in(node, f"{prefix}{node.name}.", in_class=False)
        else:
            yield from _functions_in(node, prefix, in_class)


def _n_parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool) -> int:
    given = node.args
    static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list)
    n = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
    n += (given.vararg is not None) + (given.kwarg is not None)
    return n - (in_class and not static)


def _lines(source: Path, n_shown: int) -> Iterator[str]:
    found, files = functions(source), file_lines(source)
    lengths = [each.n_lines for each in found]
    over = sum(n > MOST_FUNCTION_LINES for n in lengths)
    yield f"{len(found):,} functions, median {median(lengths):.0f} lines, {over} over {MOST_FUNCTION_LINES}"
    longest = sorted(found, key=lambda each: (-each.n_lines, each.where))[:n_shown]
    yield from (f"  {each.n_lines:5}  {each.where}" for each in longest)
    over = sum(n > MOST_FILE_LINES for n in files.values())
    yield f"{len(files)} files, {sum(files.values()):,} lines, {over} over {MOST_FILE_LINES}"
    yield from (f"  {n:5}  {name}" for name, n in sorted(files.items(), key=lambda item: (-item[1], item[0]))[:n_shown])
    yield f"{sum(each.n_parameters > MOST_PARAMETERS for each in found)} functions of over {MOST_PARAMETERS} parameters"
    most = sorted(found, key=lambda each: (-each.n_parameters, each.where))[:n_shown]
    yield from (f"  {each.n_parameters:5}  {each.where}" for each in most)
    names = root_modules(source)
    yield f"{len(names)} modules at the root: {', '.join(names)}"
    units = unit_arrows(source)
    pairs = [f"{a} <-> {b}" for a in sorted(units) for b in sorted(units[a]) if a < b and a in units[b]]
    yield f"{len(pairs)} pairs of packages import each other{': ' if pairs else ''}{', '.join(pairs)}"
    for what, arrows in (("packages", units), ("files", module_arrows(source))):
        loops = circles(arrows)
        yield f"{sum(map(len, loops))} of {len(arrows)} {what} are in a circle; the circles: {loops or 'none'}"
    arrows_up = upward(source)
    yield f"{len(arrows_up)} arrows upward{': ' if arrows_up else ''}{', '.join(arrows_up)}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE)
    parser.add_argument("--shown", type=int, default=10, help="how many of each kind are listed")
    wanted = parser.parse_args()
    print("\n".join(_lines(wanted.source, wanted.shown)))
