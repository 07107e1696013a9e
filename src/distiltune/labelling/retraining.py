"""Retraining beside labelling: a process of its own, which gives way, and ends with the server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from distiltune.labelling.curve import Point, advice, telling
from distiltune.labelling.desk import Desk
from distiltune.labelling.offered import Row
from distiltune.serving.corrections import append_lines
from distiltune.system.durable import write_whole

State = Literal["off", "waiting", "running", "failed"]

FEWEST: Final = 4
"""Labels for training below which nothing can be learnt."""
_KEPT_RUNS: Final = 2
_TAIL_CHARACTERS: Final = 2_000
_STOP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class RunScore:
    """What a training scores on the labels kept for validation, in percent, and of how many examples."""

    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class How:
    """How it is trained.

    Attributes:
        every: labels after which it is trained anew; 0: only when somebody asks for it.
        arguments: files to train on and to measure on (None: there is nothing yet), the run to make → the arguments of
            the command.
        measured: a run → what it scores; None where it was not measured.
        model_of: a run → its model.

    """

    every: int
    arguments: Callable[[Path, Path | None, Path], Sequence[str]]
    measured: Callable[[Path], RunScore | None]
    model_of: Callable[[Path], Path]


@dataclass(slots=True, eq=False)
class Retraining:
    """The trainings of a desk, one at a time.

    Attributes:
        desk: whose labels are trained on.
        folder: for the files, the runs and the curve.
        how: what is run.
        on_model: told of each new model, by its directory and on how many labels it was trained.

    """

    desk: Desk
    folder: Path
    how: How
    on_model: Callable[[Path, int], None]
    points: list[Point] = field(default_factory=list)
    _state: State = "waiting"
    _problem: str = ""
    _begun_with: int = 0
    _child: subprocess.Popen[bytes] | None = None
    _run: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_closed: bool = False

    def open(self) -> Path | None:
        """Read the curve of before; the newest model of before, if there is one."""
        self._state = "waiting" if self.how.every else "off"
        if self._curve.is_file():
            lines = self._curve.read_text(encoding="utf-8").splitlines()
            self.points = [Point(**json.loads(line)) for line in lines if line.endswith("}")]
        self._begun_with = self.points[-1].n_labels if self.points else 0
        models = [model for run in reversed(self._runs()) if (model := self.how.model_of(run)).is_dir()]
        return models[0] if models else None

    def consider(self) -> None:
        """Train, if enough labels have come since the last time."""
        n = self.desk.counts().labelled
        if self.how.every and n - self._begun_with >= self.how.every:
            self.start()

    def start(self) -> bool:
        """Train now, unless it is being trained; whether it is."""
        with self._lock:
            if self._child is not None or self._is_closed:
                return False
            counts = self.desk.counts()
            if counts.for_training < FEWEST:
                self._problem = f"A training needs {FEWEST} labels besides those kept for validation."
                return False
            self._begun_with = counts.labelled
            try:
                run, arguments = self._prepare()
                self._child = _start(arguments, self.folder / "stderr.txt")
            except OSError as error:
                self._state, self._problem = "failed", f"The training cannot be started: {error}."
                return False
            self._run, self._state, self._problem = run, "running", ""
        threading.Thread(target=self._wait, args=(run, counts.for_training), name="retraining", daemon=True).start()
        return True

    def told(self) -> dict[str, Any]:
        """How it stands, for the page."""
        counts = self.desk.counts()
        run = self._run if self._state == "running" else None
        done, of = _steps(run / "log.jsonl") if run is not None else (0, 0)
        return {
            "state": self._state,
            "problem": self._problem,
            "next_in": max(0, self.how.every - (counts.labelled - self._begun_with)) if self.how.every else 0,
            "steps_done": done,
            "steps": of,
            "points": [asdict(each) for each in telling(self.points)],
            "advice": advice(self.points),
        }

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            self._is_closed = True
            child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()

    @property
    def _curve(self) -> Path:
        return self.folder / "curve.jsonl"

    def _runs(self) -> list[Path]:
        runs = self.folder / "runs"
        return sorted(runs.iterdir()) if runs.is_dir() else []

    def _prepare(self) -> tuple[Path, Sequence[str]]:
        """Write the labels as they are now, and say what is to be run."""
        files = {}
        for name, for_validation in (("train", False), ("validation", True)):
            rows = self.desk.rows(for_validation=for_validation)
            files[name] = self.folder / f"{name}.jsonl" if rows else None
            if (path := files[name]) is not None:
                write_whole(path, _as_lines(rows))
        last = self._runs()[-1:]
        number = int(last[0].name) + 1 if last and last[0].name.isdecimal() else 1
        run = self.folder / "runs" / f"{number:04}"
        run.parent.mkdir(exist_ok=True)
        train = files["train"]
        assert train is not None, "there are labels to train on"
        return run, self.how.arguments(train, files["validation"], run)

    def _wait(self, run: Path, n_labels: int) -> None:
        assert self._child is not None
        status = self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()
        if self._is_closed:
            return
        try:
            if status == 0:
                self._take(run, n_labels)
                state: State = "waiting" if self.how.every else "off"
                problem = ""
            else:
                state, problem = "failed", self._said() or f"The training ended with status {status}."
        except Exception as error:  # whatever is wrong with its files: labelling goes on
            state, problem = "failed", f"What the training made cannot be read: {error}"
        with self._lock:
            self._child, self._state, self._problem = None, state, problem
        self.consider()

    def _take(self, run: Path, n_labels: int) -> None:
        found = self.how.measured(run)
        if found is not None:
            point = Point(n_labels, found.n, found.metric, found.value, found.low, found.high)
            append_lines(self._curve, json.dumps(asdict(point)).encode() + b"\n")
            self.points.append(point)
        self.on_model(self.how.model_of(run), n_labels)
        for old in self._runs()[:-_KEPT_RUNS]:
            shutil.rmtree(old, ignore_errors=True)

    def _said(self) -> str:
        text = (self.folder / "stderr.txt").read_text(encoding="utf-8", errors="replace")
        return text.strip()[-_TAIL_CHARACTERS:]


def _start(arguments: Sequence[str], errors: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distiltune.labelling.niced", *arguments]
    with errors.open("wb") as file:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=file)


def _as_lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _steps(log: Path) -> tuple[int, int]:
    """How many steps are done, and of how many, as the log of a run says; 0 of 0 where it does not yet."""
    try:
        lines = log.read_bytes().split(b"\n")
    except OSError:
        return 0, 0
    for line in reversed(lines):
        if line.startswith(b'{"kind": "step"') and line.endswith(b"}"):
            last = json.loads(line)
            return int(last["step"]) + 1, int(last["n_steps"])
    return 0, 0
