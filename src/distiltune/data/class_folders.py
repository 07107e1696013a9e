"""A folder for each class with a text a file, as scikit-learn's ``load_files`` and Keras have it, and its way here."""

from __future__ import annotations

import shlex
from pathlib import Path

from distiltune.errors import DataError

_FEWEST_CLASSES = 2
_CODE = (
    "import csv, pathlib, sys; "
    "files = sorted(pathlib.Path(sys.argv[1]).glob('*/*.txt')); "
    "rows = [(each.read_text(encoding='utf-8'), each.parent.name) for each in files]; "
    "csv.writer(open(sys.argv[2], 'w', encoding='utf-8', newline='')).writerows([('text', 'label'), *rows])"
)


def classes_in(folder: Path) -> list[str]:
    """The folders in a folder that hold texts, by name; none where there are fewer than two, or texts beside them."""
    try:
        if not folder.is_dir() or any(folder.glob("*.txt")):
            return []
        names = sorted(each.name for each in folder.iterdir() if each.is_dir() and any(each.glob("*.txt")))
    except OSError:
        return []
    return names if len(names) >= _FEWEST_CLASSES else []


def way_to_table(folder: Path) -> str:
    """How such a folder becomes a table, in a line to paste; empty if it is none."""
    if not classes_in(folder):
        return ""
    table = folder.absolute().name + ".csv"
    return f'write a table, {table}, of it: python -c "{_CODE}" {shlex.quote(str(folder))} {shlex.quote(table)}'


def check_no_classes(folder: Path) -> None:
    """Refuse such a folder where rows are wanted.

    Raises:
        DataError: if it is one, with the line that makes a table of it.

    """
    way = way_to_table(folder)
    if way:
        names = classes_in(folder)
        raise DataError(
            f"The directory holds no data file, but {len(names)} folders with texts ({', '.join(names[:5])}"
            f"{', ...' if len(names) > 5 else ''}), which may be classes.",
            where=str(folder),
            fix=way,
        )
