"""A trained model that is held in memory: what an estimator has after `fit`, and what is pickled of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, Self, TypeVar

from distiltune.errors import ModelError
from distiltune.system.durable import write_whole, writing_to
from distiltune.system.names import as_path

R = TypeVar("R", covariant=True)


class Opens(Protocol[R]):
    """What opens a model directory: `TextClassifier`, `EntityMarker`."""

    def __call__(self, model: str | Path, *, device: str, threads: int) -> R:
        """The model, ready to be asked."""


class KeptModel:
    """The files of a model directory, and the model itself once it was asked for something.

    A pickle has the files only: it is opened on another machine, on that one's device, as a model directory is.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self._opened: Any = None

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The model in a directory, which is not needed any more afterwards."""
        return cls({file.name: file.read_bytes() for file in sorted(directory.iterdir()) if file.is_file()})

    def opened(self, kind: Opens[R], device: str, threads: int) -> R:
        """The model, opened when it is first asked for.

        Raises:
            ModelError: if the files are no model.
            RecipeError: if the device cannot be had.

        """
        asked = (kind, device, threads)
        if self._opened is None or self._opened[0] != asked:
            with TemporaryDirectory(prefix="distiltune-model-") as place:
                _write(self.files.items(), Path(place).joinpath)
                self._opened = asked, kind(place, device=device, threads=threads)
        opened: R = self._opened[1]
        return opened

    def save(self, directory: str | Path) -> Path:
        """Write it as a model directory, which every command and `transformers` read.

        Raises:
            ModelError: if something is there already, or it cannot be written.

        """
        place = as_path(directory, "directory")
        with writing_to(place, ModelError, fix="name another place, or make room or rights there"):
            if place.exists() and (not place.is_dir() or any(place.iterdir())):
                raise ModelError("There is something in its place already.", where=str(place), fix="name another place")
            place.mkdir(parents=True, exist_ok=True)
            _write(self.files.items(), place.joinpath)
        return place

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "_opened": None}

    def __repr__(self) -> str:
        return f"<KeptModel of {sum(map(len, self.files.values())) / 1e6:,.1f} MB>"


def _write(files: Iterable[tuple[str, bytes]], path_of: Callable[[str], Path]) -> None:
    for name, content in files:
        write_whole(path_of(name), content)
