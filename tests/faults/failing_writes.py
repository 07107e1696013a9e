"""Every k-th write failing: `python -m tests.faults.failing_writes --folder DIRECTORY [--every N]`.

A short run is started again and again; in run k the k-th thing that changes the run directory (an open for writing, a
write, a sync, a rename, a directory made, a removal) fails as on a full disk; where k is odd, so do all later ones.
Afterwards the run directory must be one that can be resumed, and then end as the undisturbed run does.
"""

from __future__ import annotations

import argparse
import builtins
import errno
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults import trainings
from tests.faults.kills import undisturbed_run

_AUDITED = {"os.rename": 0, "os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "os.truncate": 0}


class Faults:
    """Counts what would change anything under a directory, and makes the k-th of it fail (and all later ones)."""

    def __init__(self, directory: Path, k: int, *, lasting: bool, count: Path | None = None) -> None:
        self._directory, self._k, self._lasting, self._count = str(directory), k, lasting, count
        self.n = 0
        self._open = io.open
        self._is_off = False

    def install(self) -> None:
        """Put the faults in place, for the rest of this process."""
        sys.addaudithook(self._audit)
        sync = os.fsync

        def fsync(descriptor: Any) -> None:
            self.hit(Path(f"/proc/self/fd/{descriptor}").readlink())
            sync(descriptor)

        os.fsync = fsync  # type: ignore[assignment]
        io.open = builtins.open = self._guarded_open

    def hit(self, path: object) -> None:
        """Something is about to change at ``path``."""
        if self._is_off or not str(path).startswith(self._directory):
            return
        self.n += 1
        if self._count is not None:
            self._is_off = True
            with self._count.open("a", encoding="utf-8") as counted:
                counted.write(f"{path}\n")
            self._is_off = False
        if self.n == self._k or (self._lasting and self.n > self._k):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            self.hit(os.fspath(arguments[0]) if not isinstance(arguments[0], int) else "")

    def _guarded_open(self, file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        changes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        inside = isinstance(file, str | os.PathLike) and os.fspath(file).startswith(self._directory)
        if not (changes and inside):
            return self._open(file, mode, *arguments, **named)
        self.hit(file)
        raw = _FailingFile(os.fspath(file), mode.replace("b", "").replace("t", ""), self.hit, named.get("opener"))
        if named.get("buffering", arguments[0] if arguments else -1) == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(
            buffered, encoding=named.get("encoding"), errors=named.get("errors"), newline=named.get("newline")
        )


class _FailingFile(io.FileIO):
    """A file whose writes are counted."""

    def __init__(
        self, path: str, mode: str, hit: Callable[[object], None], opener: Callable[[str, int], int] | None
    ) -> None:
        self._hit, self._path = hit, path
        super().__init__(path, mode, opener=opener)

    def write(self, data: Any) -> int:
        self._hit(self._path)
        return super().write(data)


def one_fault(k: int, folder: Path, undisturbed: Path, *, lasting: bool) -> dict[str, object]:
    """One run in which the k-th change fails, what it said, and whether it came through afterwards."""
    output = folder / f"write-{k}"
    said = output.with_name(f"{output.name}.said.txt")
    for path in (output, said):
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True) if path.is_file() else None
    install = Faults(output, k, lasting=lasting).install
    code = trainings.fork_training(trainings.new_run(folder, output), output, install).wait()
    first_words = said.read_text()
    problems = []
    if code not in (0, 1) or "Traceback" in first_words or "unexpected" in first_words:
        problems.append(f"exit {code}: {first_words[-1500:]}")
    if code == 1 and "No space left" not in first_words:
        problems.append(f"the message does not say why: {first_words[-500:]}")
    # A disk that fails from the last removals on has let the run end: what is left is cleared when it is next touched.
    if code or lasting:
        again = trainings.fork_training(trainings.next_run(folder, output), output).wait()
        if again:
            problems.append(f"not resumable: exit {again}: {said.read_text()[-1500:]}")
    if not problems:
        problems = trainings.differences(output, undisturbed)
    if not problems:
        shutil.rmtree(output)
        said.unlink()
    return {"k": k, "lasting": lasting, "exit": code, "problems": problems}


def count_changes(folder: Path) -> int:
    """How many changes an undisturbed run makes."""
    output, count = folder / "counted", folder / "count.txt"
    shutil.rmtree(output, ignore_errors=True)
    count.unlink(missing_ok=True)
    install = Faults(output, -1, lasting=False, count=count).install
    assert trainings.fork_training(trainings.new_run(folder, output), output, install).wait() == 0
    return len(count.read_text(encoding="utf-8").splitlines())


def main() -> int:
    """Every k, or every ``--every``-th; 0 if all came through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    trainings.load_everything()
    undisturbed, _ = undisturbed_run(wanted.folder)
    n = count_changes(wanted.folder)
    n_failed = n_runs = n_stopped = 0
    for k in range(wanted.first, n + 1, wanted.every):
        result = one_fault(k, wanted.folder, undisturbed, lasting=k % 2 == 1)
        n_runs += 1
        n_failed += bool(result["problems"])
        n_stopped += result["exit"] == 1
        print(json.dumps(result), flush=True)
    print(json.dumps({"changes": n, "runs": n_runs, "stopped": n_stopped, "failed": n_failed}), flush=True)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
