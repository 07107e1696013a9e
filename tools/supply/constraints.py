"""Write `.ci/constraints.txt`: the exact versions that CI installs, from the environment that this runs in.

Run it in `.venv` after `make setup-dev` when a bound in `pyproject.toml` changes or a new version is wanted:
`.venv/bin/python tools/supply/constraints.py`. Packages that distiltune does not need, directly or not, are left out.
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

FILE = Path(__file__).parents[2] / ".ci" / "constraints.txt"
_EXTRAS = ("dev",)


def closure(name: str, extras: tuple[str, ...]) -> dict[str, str]:
    """Name → version of all that a package needs, itself left out."""
    found: dict[str, str] = {}
    waiting = [(name, extras)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        package, wanted = item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            installed = distribution(package)
        except PackageNotFoundError:
            continue  # of another platform or an extra that is not installed
        if normal(package) != name:
            found[normal(package)] = installed.version.partition("+")[0]
        for line in installed.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": each}) for each in ("", *wanted)
            ):
                waiting.append((requirement.name, tuple(sorted(requirement.extras))))
    return found


def normal(name: str) -> str:
    """A package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the file."""
    found = closure("distiltune", _EXTRAS)
    found.pop("setuptools", None)  # the environment's own, which also builds other packages
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    head = "# What CI installs: made by tools/supply/constraints.py, read by pip through PIP_CONSTRAINT.\n"
    FILE.write_text(head + "".join(lines), encoding="utf-8")
    print(f"written: {FILE}, {len(lines)} packages")


if __name__ == "__main__":
    main()
