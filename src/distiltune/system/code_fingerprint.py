"""What code makes something: a hash of the source of a module and of all that it imports of its own package and ours.

A cached result is only as good as the code that made it is the same. The imports are found by their text, without
importing anything, inside functions and for types too: rather one module too many than one too few.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OURS = __name__.partition(".")[0]
_STARTED = time.time()
"""Code that was changed after this may not be what is running; of that nothing is known."""
_COMMENT = re.compile(rb"#[^\n]*|\\\r?\n")  # or a line that goes on
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n;]*)|import[ \t]+([^\n;]+))", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Source:
    """What matters of a module's source.

    Attributes:
        digest: its hash; empty if it was changed while this process was running.
        is_package: whether what is imported from it may be a module.
        imports: the modules named, each with what is imported from it.

    """

    digest: str
    is_package: bool
    imports: tuple[tuple[str, tuple[str, ...]], ...]


def module_of(function: Callable[..., Any]) -> str:
    """The module in which a function is written, also of a bound method or a `functools.partial`; else empty."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__module__", None) or "")


def code_fingerprint(modules: Iterable[str]) -> str:
    """Hash of the source of these modules and of all that they import, directly or not, of their own package and ours.

    Packages that others keep, such as NumPy, are not looked into. The public names of the package itself
    (``import distiltune``) count for nothing: they are all there is.

    Returns:
        64 hexadecimal digits; empty if the code cannot be known: a module is a script or has no source file, as in a
        notebook, or it was changed while this process was running.

    """
    asked = sorted(set(modules))
    roots = {_OURS, *(name.partition(".")[0] for name in asked)}
    sources: dict[str, _Source | None] = {}
    waiting = list(asked)
    while waiting:
        name = waiting.pop()
        if name in sources or name == _OURS or name.partition(".")[0] not in roots:
            continue
        source = sources[name] = _read(name)
        if source is None and name not in asked and name not in sys.modules:
            continue  # nothing is running that has this name: a text mentions it
        if source is None or not source.digest:
            return ""
        for module, names in source.imports:
            waiting.append(module)
            if module.partition(".")[0] in roots and module != _OURS and _is_package(module):
                waiting += [each for each in (f"{module}.{name}" for name in names) if _source_of(each)]
    lines = (f"{name} {source.digest}\n" for name, source in sorted(sources.items()) if source is not None)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@functools.cache
def _read(module: str) -> _Source | None:
    """A module's source; None if it has none that can be read."""
    path = _source_of(module)
    if path is None:
        return None
    try:
        text = path.read_bytes()
        changed = path.stat().st_mtime > _STARTED
    except OSError:
        return None
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    return _Source("" if changed else hashlib.sha256(text).hexdigest(), is_package, _imports_of(text, package))


def _is_package(module: str) -> bool:
    source = _read(module)
    return source is not None and source.is_package


@functools.cache
def _source_of(module: str) -> Path | None:
    """The file of a module, which need not have been imported, while the package that it is in must be."""
    root, _, rest = module.partition(".")
    if root == "__main__":  # a script, which may import others that lie beside it, or a notebook
        return None
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return Path(file) if file and file.endswith(".py") else None
    for folder in getattr(sys.modules.get(root), "__path__", ()):
        path = Path(folder, *rest.split("."))
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _imports_of(text: bytes, package: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a source of this package imports: modules, each with the names that are taken from it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for module, names, plain in _IMPORT.findall(_COMMENT.sub(b" ", text)):
        if plain:
            found += [(name, ()) for name in _names(plain)]
            continue
        name = module.decode().lstrip(".")
        if n_up := len(module) - len(name):
            parts = package.split(".")
            name = ".".join([*parts[: len(parts) - n_up + 1], *([name] if name else [])])
        found.append((name, _names(names)))
    return tuple(found)


def _names(listed: bytes) -> tuple[str, ...]:
    """What is imported, without what it is called here: ``b"(a as b, c)"`` → ``("a", "c")``."""
    parts = (part.split() for part in listed.decode(errors="replace").strip("()\r ").split(","))
    return tuple(part[0] for part in parts if part)
