"""Which tests run something whole, as a user would: a training, a command, a server, another process, a browser."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import distiltune

WHOLE = (
    *(
        "distiltune.cli",
        "distiltune.commands.app",
        "distiltune.python",
        "distiltune.runs.fine_tune",
        *(f"distiltune.{name}" for name in distiltune.__all__),
    ),
    *("subprocess", "multiprocessing", "torch.multiprocessing", "playwright", "schemathesis"),
    *("benchmarks", "tests.faults", "tests.serving.in_thread"),
)
"""What a test file imports that runs something whole, or what is in it."""


@cache
def runs_something_whole(file: Path) -> bool:
    """Whether a test file imports one of `WHOLE`, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return "distiltune" in names or any(name == each or name.startswith(f"{each}.") for name in names for each in WHOLE)
