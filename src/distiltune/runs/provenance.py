"""What a run is made of and on: the recipe with what it left open, versions, machine, data; written as it begins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from distiltune.model.build import LoadedModel
from distiltune.recipe.auto import Chosen
from distiltune.recipe.recipe import Recipe
from distiltune.runs.directory import RunDirectory
from distiltune.system.device import Machine
from distiltune.system.durable import write_whole, writing_text
from distiltune.tasks.base import Dataset
from distiltune.training.run_log import RunLog

_PACKAGES = ("distiltune", "torch", "tokenizers", "safetensors", "numpy")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a run is made of and on.

    Attributes:
        recipe: as it was given, and what its rule chose.
        chosen: what that was, and from what.
        resolved: what was decided where the recipe leaves it open, under the names of the settings.
        sets: the data, by what they are for.
        machine: that it is trained on.

    """

    recipe: Recipe
    chosen: Chosen
    resolved: Mapping[str, Any]
    sets: Mapping[str, Dataset]
    machine: Machine

    def as_toml(self) -> str:
        """The content of ``recipe.toml``."""
        return "[recipe]\n" + self.recipe.to_toml() + "\n" + tomli_w.dumps(self.surroundings())

    def surroundings(self) -> dict[str, Any]:
        """All but the recipe, as plain values."""
        return {
            **({"chosen": self.chosen.as_json()} if self.chosen.settings else {}),
            "resolved": dict(self.resolved),
            "versions": versions(),
            "machine": self.machine.as_json(),
            "data": {name: _describe(data) for name, data in self.sets.items()},
        }


def write_run_start(run: RunDirectory, log: RunLog, provenance: Provenance, loaded: LoadedModel) -> None:
    """Write ``recipe.toml``, ``rejected.jsonl`` and the log's first lines, before the first step."""
    write_whole(run.recipe, provenance.as_toml().encode())
    log.write(
        "start",
        recipe=provenance.recipe.model_dump(),
        **provenance.surroundings(),
        model=loaded.source.directory.name,
        notes=loaded.source.notes,
    )
    with writing_text(run.rejected) as rejected:
        for name, dataset in provenance.sets.items():
            for finding in dataset.findings.items:
                if finding.outcome in ("rejected", "left_out"):
                    line = {"set": name, **finding.as_json()}
                    rejected.write(json.dumps(line, ensure_ascii=False) + "\n")
                else:
                    log.write("event", event="finding", set=name, finding=finding.as_json())


def versions() -> dict[str, str]:
    """Versions of the packages that decide a run's numbers, and the git revision of the code if it has one."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    if revision := _git_revision():
        found["git_revision"] = revision
    return found


def _git_revision() -> str:
    """Revision of the checkout that this code runs from, with a plus sign if it was changed; empty if none."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()

    try:
        if not (Path(git("rev-parse", "--show-toplevel")) / "src" / "distiltune").is_dir():
            return ""  # installed into somebody else's repository
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _describe(data: Dataset) -> Mapping[str, Any]:
    return {
        "sources": list(data.sources),
        "examples": data.n_examples,
        "features": len(data.features),
        "fingerprint": data.fingerprint,
        "findings": data.findings.counts(),
    }
