"""Damaged inputs for every reader: `python -m tests.faults.fuzz --inputs 10000 --folder DIRECTORY [--readers ...]`.

Inputs are drawn by seed, and read in a process that may not grow by more than a stated bound nor take more than some
seconds of the processor for one of them. A finding (a traceback, a crash, a hang, too much memory) is kept in
``tests/faults/corpus``, which the tests read again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from distiltune.errors import DistiltuneError
from tests.faults.readers import Reader, make_readers, place

CORPUS = Path(__file__).parent / "corpus"
MAX_GROWTH_BYTES = 2 * 1024**3
"""What reading one input may add to the process's memory."""
MAX_CPU_S = 20.0
_AT_ONCE = 1_000


class Hang(BaseException):
    """An input took too long."""


def check(reader: Reader, folder: Path, data: bytes) -> str:
    """What is wrong with how an input is read, as a traceback; empty if nothing is."""
    (folder / reader.file).write_bytes(data)
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_CPU_S)
    try:
        reader.read(folder)
    except DistiltuneError as error:
        return "" if error.what and str(error).encode("utf-8", "backslashreplace") else "an error without words"
    except KeyboardInterrupt:
        raise
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def _on_time_up(number: int, frame: FrameType | None) -> NoReturn:
    raise Hang


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MAX_GROWTH_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def input_of(reader: Reader, seed: int) -> bytes:
    """The input of that number."""
    return reader.inputs(random.Random(f"{reader.name}-{seed}"))


def run_stretch(reader: Reader, base: Path, folder: Path, first: int, n: int, results: Path) -> None:
    """Read ``n`` inputs in this process; one line a finding, and one at the end."""
    signal.signal(signal.SIGVTALRM, _on_time_up)
    place(reader, base, folder)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libraries print when they panic
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _bound_memory()
    with results.open("w", encoding="utf-8") as out:
        for seed in range(first, first + n):
            data = input_of(reader, seed)
            problem = check(reader, folder, data)
            if problem:
                out.write(json.dumps({"seed": seed, "problem": problem}) + "\n")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        out.write(json.dumps({"done": n, "grown_mib": grown // 1024}) + "\n")


def fuzz(reader: Reader, base: Path, work: Path, first: int, n: int) -> dict[str, object]:
    """Read inputs ``first`` to ``first + n`` in forked processes, and keep what is found."""
    findings: list[dict[str, object]] = []
    grown = done = 0
    began = time.monotonic()
    while done < n:
        size = min(_AT_ONCE, n - done)
        results = work / f"{reader.name}.jsonl"
        results.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            try:
                run_stretch(reader, base, work / reader.name, first + done, size, results)
            except BaseException:
                (work / f"{reader.name}.broken.txt").write_text(traceback.format_exc(), encoding="utf-8")
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        lines = (
            [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []
        )
        findings += [line for line in lines if "problem" in line]
        if lines and "done" in lines[-1]:
            grown = max(grown, int(lines[-1]["grown_mib"]))
        else:  # the process died at the input that lies there
            data = (work / reader.name / reader.file).read_bytes()
            findings.append({"seed": -1, "problem": f"the process died: status {status}", "data": keep(reader, data)})
        done += size
    for finding in findings:
        if int(str(finding["seed"])) >= 0:
            finding["data"] = keep(reader, input_of(reader, int(str(finding["seed"]))))
    return {
        "reader": reader.name,
        "inputs": n,
        "findings": len(findings),
        "grown_mib": grown,
        "seconds": round(time.monotonic() - began, 1),
        "problems": sorted({str(each["problem"]).strip().splitlines()[-1][:200] for each in findings}),
    }


def keep(reader: Reader, data: bytes) -> str:
    """Put an input into the corpus, under a name made of what it holds."""
    folder = CORPUS / reader.name
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(data).hexdigest()[:16]
    (folder / name).write_bytes(data)
    return name


def main() -> int:
    """Fuzz the readers named, or all; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--readers", nargs="*", default=[])
    wanted = parser.parse_args()
    readers = make_readers(wanted.folder / "valid")
    n_findings = 0
    for name in wanted.readers or readers:
        result = fuzz(readers[name], wanted.folder / "valid", wanted.folder / "work", wanted.first, wanted.inputs)
        n_findings += int(str(result["findings"]))
        print(json.dumps(result), flush=True)
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
