"""What went wrong, where, and what to do: every error a user may cause has these three parts."""

from __future__ import annotations

import json
import re
import shlex
import sys
import traceback
from pathlib import Path
from typing import Final

CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, names its window or turns the direction of its text, but for line ends and tabs."""


def with_controls_shown(text: str) -> str:
    """The text with its control characters as escapes, but for line ends and tabs.

    What documents, names of tensors and of files hold would move a terminal's cursor, name its window or turn the
    direction of its text otherwise.
    """
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


class DistiltuneError(Exception):
    """An error that tells its reader what happened, where, and what to do about it.

    ``what`` is one sentence; ``where`` names a file, line, tensor or id; ``fix`` says what to do.
    The command line prints the three parts without a traceback and exits with 1.
    """

    def __init__(self, what: str, *, where: str = "", fix: str) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what)

    def __reduce__(self) -> tuple[object, ...]:
        """So that what another process raised, and pickled, has all three parts here."""
        return _raised_elsewhere, (type(self), self.what), self.__dict__

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        parts.append(f"  what to do: {self.fix}")
        return with_controls_shown("\n".join(parts))


def _raised_elsewhere(kind: type[DistiltuneError], what: str) -> DistiltuneError:
    return kind.__new__(kind, what)


class DataError(DistiltuneError):
    """A data file cannot be read, or what it holds cannot be used."""


class ModelError(DistiltuneError):
    """A model directory, checkpoint or tokenizer cannot be read or does not fit."""


class HubError(DistiltuneError):
    """A name could not be fetched from the Hugging Face hub."""


class RecipeError(DistiltuneError):
    """A setting has a value that it may not have, or two settings exclude each other."""


class ArgumentError(RecipeError, ValueError):
    """An argument of `pipeline`, or of a call of what it gives, means nothing here.

    Also a ValueError, which is what the pipeline that it stands in for raises.
    """


class CallError(RecipeError, TypeError):
    """A function was called without an argument that it needs, with one that it has not, or with another kind of thing.

    Also a TypeError, which is what Python raises for it.
    """


class InstallationError(DistiltuneError):
    """Another package, which is to add a task, cannot be used."""


class TrainingError(DistiltuneError):
    """Training cannot start or cannot go on."""


class DivergedError(TrainingError):
    """Training came to a loss, a gradient or a score that is not a finite number."""


def install_extra(extra: str) -> str:
    """The command that adds one of our extras to this Python, from where distiltune itself came.

    A package index is named only if distiltune was installed from one: elsewhere the name may be anybody's.
    """
    source = Path(__file__).parents[2]
    if (source / "pyproject.toml").is_file():
        what = f"--editable {shlex.quote(f'{source}[{extra}]')}"
    else:
        what = shlex.quote(f"distiltune[{extra}]{_came_from()}")
    return f"{shlex.quote(sys.executable or 'python')} -m pip install {what}"


def _came_from() -> str:
    """`` @ URL`` of the folder, file or repository that pip installed distiltune from; empty for an index."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        record = distribution("distiltune").read_text("direct_url.json")
        return f" @ {json.loads(record)['url']}" if record else ""
    except (PackageNotFoundError, ValueError, KeyError, TypeError):
        return ""


_PRINTERS: Final = ("rich", "click", "typer", "distiltune.commands.output", "distiltune.report.console")


def is_of_printing(error: OSError) -> bool:
    """Whether it came up where something was printed, and not where a file was written: nobody reads it, or no room."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = modules[-1] if modules else ""
    return not error.filename and any(module == each or module.startswith(f"{each}.") for each in _PRINTERS)
