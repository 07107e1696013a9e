"""Where a command writes to: seen before the work whether that can be done, and said plainly where it cannot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distiltune.errors import DistiltuneError


@contextmanager
def writing_to(output: Path, kind: type[DistiltuneError]) -> Iterator[None]:
    """Say what keeps something from being written to ``output`` that somebody named.

    Raises:
        DistiltuneError: of this ``kind``, in place of what the system says.

    """
    try:
        yield
    except OSError as error:
        raise kind(
            f"The output cannot be written: {error.strerror or error}.",
            where=str(output),
            fix="choose another --output, or make room or rights there",
        ) from error


def try_writing(directory: Path) -> None:
    """Write into a directory, or where it would be made, and leave nothing.

    Raises:
        OSError: if that cannot be done.

    """
    directory = directory.resolve()
    place = next(place for place in (directory, *directory.parents) if place.exists())
    with tempfile.TemporaryDirectory(dir=place):
        pass
