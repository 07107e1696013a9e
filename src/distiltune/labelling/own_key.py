"""The key to a page that only who started it may open: other accounts of the machine reach its port as well."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

_NAME: Final = "key"
_FORM: Final = re.compile(r"[\w-]{32}")
_N_BYTES: Final = 24
"""Random bytes of a key, which make 32 letters."""


def own_key(folder: Path) -> str:
    """The key of the page whose things lie in this folder; made at first, the same after that, so that pages stay open.

    It is in a file that its user alone may read. One that others may read, or that is no plain file, is put anew.

    Raises:
        OSError: if the file cannot be written.

    """
    path = folder / _NAME
    if (kept := _kept(path)) is not None:
        return kept
    key = secrets.token_urlsafe(_N_BYTES)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key)
    return key


def _kept(path: Path) -> str | None:
    """The key that is there, if there is one that nobody else knows."""
    try:
        about = path.lstat()
        text = path.read_text(encoding="ascii") if stat.S_ISREG(about.st_mode) else ""
    except (OSError, UnicodeDecodeError):
        return None
    is_private = os.name == "nt" or (about.st_uid == os.getuid() and not about.st_mode & 0o077)
    return text if is_private and _FORM.fullmatch(text) else None
