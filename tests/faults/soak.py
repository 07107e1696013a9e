"""The long part: `make soak`, or `python -m tests.faults.soak --folder DIRECTORY [--inputs 1000000]`.

200 killed runs, every write failing once, all scenarios, a million damaged inputs shared among the readers, and a
coverage-guided stretch for each. One process at a time. Each part writes its lines into a file of its own in the
folder; a part whose last line is there already is left out, so that a soak that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.faults.readers import make_readers


def run_part(folder: Path, name: str, module: str, *arguments: str) -> bool:
    """Run one part, unless it has been; whether it found nothing."""
    told = folder / f"{name}.jsonl"
    ended = folder / f"{name}.ended"
    if not ended.exists():
        command = [sys.executable, "-m", f"tests.faults.{module}", "--folder", str(folder / module), *arguments]
        print(f"{name} ...", flush=True)
        with told.open("w", encoding="utf-8") as out:
            code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
        ended.write_text(f"{code}\n", encoding="utf-8")
    lines = told.read_text(encoding="utf-8").splitlines()
    print(f"{name}: exit {ended.read_text().strip()}: {lines[-1][:300] if lines else ''}", flush=True)
    return ended.read_text().strip() == "0"


def main() -> int:
    """All parts; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument(
        "--guided", type=int, default=20_000, help="inputs of the coverage-guided stretch of each reader"
    )
    parser.add_argument("--only", choices=("inputs", "all"), default="all")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    readers = make_readers(wanted.folder / "fuzz" / "valid")
    good = True
    if wanted.only == "all":
        good &= run_part(wanted.folder, "kills", "kills", "--seeds", "200")
        good &= run_part(wanted.folder, "failing-writes", "failing_writes")
        good &= run_part(wanted.folder, "scenarios", "stops")
    each = -(-wanted.inputs // len(readers))
    for name in readers:
        # from a number that the short part and the tests do not use
        good &= run_part(
            wanted.folder, f"inputs-{name}", "fuzz", "--inputs", str(each), "--first", "100000", "--readers", name
        )
    for name in readers if wanted.only == "all" else ():
        good &= run_part(wanted.folder, f"guided-{name}", "guided", "--reader", name, "--runs", str(wanted.guided))
    print(json.dumps({"inputs": each * len(readers), "readers": len(readers), "good": good}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
