"""The journal of a search: what is left of it after a full disk or a kill is made readable again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Final

from distiltune.errors import TrainingError
from distiltune.system.durable import write_whole

JOURNAL: Final = "study.log"
"""The file of a search's directory in which Optuna keeps what was tried: one JSON object a line."""


def mend_journal(path: Path) -> tuple[str, ...]:
    """Take an end that was broken off out of a journal, so that the search goes on from its last whole line.

    Nobody may be writing it meanwhile.

    Returns:
        a sentence for the user if something was taken out.

    Raises:
        TrainingError: if it is damaged elsewhere than at its end.
        OSError: if it cannot be read or written.

    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    lines = io.BytesIO(content).readlines()
    n_whole = next((number for number, line in enumerate(lines) if not _is_whole(line)), len(lines))
    if n_whole == len(lines):
        return ()
    if any(map(_is_whole, lines[n_whole + 1 :])):
        raise TrainingError(
            f"Line {n_whole + 1} of the search's journal is damaged, and others follow it.",
            where=f"{path}:{n_whole + 1}",
            fix="put the file back as it was, or begin a new search with another --output",
        )
    kept = b"".join(lines[:n_whole])
    write_whole(path, kept)
    n_lost = len(content) - len(kept)
    return (
        f"the search's journal was cut inside a line, as by a full disk: its last {n_lost:,} bytes are taken out, and "
        f"the search goes on from the {n_whole:,} whole lines before them",
    )


def _is_whole(line: bytes) -> bool:
    """Whether it is an object with its line end."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
