"""The run directory: where each thing lies, and what is written into it before the first step."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomli_w

from distiltune.device import Machine
from distiltune.errors import TrainingError
from distiltune.model.build import LoadedModel
from distiltune.recipe import Recipe
from distiltune.tasks.base import Dataset
from distiltune.training.run_log import RunLog

_PACKAGES = ("distiltune", "torch", "tokenizers", "safetensors", "numpy")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The places in a run directory."""

    path: Path

    def check_free(self, *, overwrite: bool) -> None:
        """Check that a new run may be made here.

        Raises:
            TrainingError: if something is there already that may not be replaced.

        """
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return
        if not self.recipe.is_file():
            raise TrainingError(
                "The output is not an empty directory.", where=str(self.path), fix="choose another --output"
            )
        if not overwrite:
            raise TrainingError(
                "The output directory holds a run already.",
                where=str(self.path),
                fix="choose another --output, or replace it with --overwrite",
            )

    def create(self, *, overwrite: bool) -> None:
        """Make the directory for a new run, in place of an old one if that is allowed.

        Raises:
            TrainingError: if something is there already that may not be replaced, or it cannot be made.

        """
        self.check_free(overwrite=overwrite)
        try:
            if self.path.exists():
                shutil.rmtree(self.path)
            self.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise TrainingError(
                f"The run directory cannot be made: {error.strerror}.",
                where=str(self.path),
                fix="choose another --output",
            ) from error

    @property
    def recipe(self) -> Path:
        """The recipe as run, with versions, machine and data fingerprints."""
        return self.path / "recipe.toml"

    @property
    def log(self) -> Path:
        """One JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The last and the best checkpoint."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The end of the last epoch, with the optimiser."""
        return self.checkpoints / "last"

    @property
    def best_checkpoint(self) -> Path:
        """The weights of the best epoch."""
        return self.checkpoints / "best"

    @property
    def model(self) -> Path:
        """The best epoch as a model directory."""
        return self.path / "model"

    @property
    def rejected(self) -> Path:
        """Every input row that was left out, and why."""
        return self.path / "rejected.jsonl"

    @property
    def answers(self) -> Path:
        """Every validation example of the best epoch: asked, given, wanted, scores."""
        return self.path / "answers.jsonl"

    @property
    def report(self) -> Path:
        """The run on one page."""
        return self.path / "report.html"

    @property
    def events(self) -> Path:
        """TensorBoard's events, if they were asked for."""
        return self.path / "events"

    @property
    def curves_svg(self) -> Path:
        """Losses and accuracies as a picture."""
        return self.path / "curves.svg"

    @property
    def curves_png(self) -> Path:
        """The same as pixels."""
        return self.path / "curves.png"

    @property
    def new_predictions(self) -> Path:
        """Where an evaluation's answers lie until it is known whether they are the best."""
        return self.checkpoints / "predictions"

    def keep_predictions(self) -> None:
        """Move the last evaluation's answers to the run directory itself."""
        if self.new_predictions.is_dir():
            for path in self.new_predictions.iterdir():
                path.replace(self.path / path.name)

    def drop_new_predictions(self) -> None:
        """Throw away what is left of the last evaluation's answers."""
        shutil.rmtree(self.new_predictions, ignore_errors=True)


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


def write_run_start(
    run: RunDirectory,
    log: RunLog,
    recipe: Recipe,
    loaded: LoadedModel,
    training: Dataset,
    validation: Dataset | None,
    machine: Machine,
) -> None:
    """Write ``recipe.toml``, ``rejected.jsonl`` and the log's first lines, before the first step."""
    data = {"train": _describe(training)} | ({"validation": _describe(validation)} if validation else {})
    surroundings: dict[str, Any] = {"versions": versions(), "machine": machine.as_json(), "data": data}
    table = "[recipe]\n" + recipe.to_toml() + "\n" + tomli_w.dumps(surroundings)
    run.recipe.write_text(table, encoding="utf-8")
    log.write(
        "start",
        recipe=recipe.model_dump(),
        **surroundings,
        model=loaded.source.directory.name,
        notes=loaded.source.notes,
    )
    with run.rejected.open("w", encoding="utf-8") as rejected:
        for name, dataset in (("train", training), ("validation", validation)):
            for finding in dataset.findings.items if dataset is not None else ():
                if finding.outcome == "rejected":
                    line = {"set": name, **finding.as_json()}
                    rejected.write(json.dumps(line, ensure_ascii=False) + "\n")
                else:
                    log.write("event", event="finding", set=name, finding=finding.as_json())


def _describe(data: Dataset) -> Mapping[str, Any]:
    return {
        "sources": list(data.sources),
        "examples": data.n_examples,
        "features": len(data.features),
        "fingerprint": data.fingerprint,
        "findings": data.findings.counts(),
    }
