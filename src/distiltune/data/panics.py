"""The tokenizer library panics where others raise: a `BaseException` that nobody catches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from distiltune.errors import ModelError


@contextmanager
def panics_told(what: str, where: str, fix: str) -> Iterator[None]:
    """Turn whatever the tokenizer library raises in this block into a `ModelError`; the arguments are its parts."""
    try:
        yield
    except ModelError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(what, where=f"{where} ({first})", fix=fix) from error
