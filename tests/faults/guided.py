"""Coverage-guided fuzzing with atheris: `python -m tests.faults.guided --folder DIRECTORY --reader json --runs 20000`.

Inputs that reach new code are kept in the folder and changed further. A finding is put into ``tests/faults/corpus``.
Without atheris (there are no builds of it for some systems) this says so and ends well.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any


def fuzz(reader_name: str, folder: Path, n_runs: int, found: Path) -> None:
    """Fuzz one reader; a line for each finding goes to ``found``. Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["distiltune", "json", "csv", "tomllib"]):
        import json  # and not at the top of this file: what is imported before is not watched

        from tests.faults.fuzz import check, keep
        from tests.faults.readers import make_readers, place

        valid, work = folder / "valid", folder / "work" / f"guided-{reader_name}"
        reader = make_readers(valid)[reader_name]
        place(reader, valid, work)
        for seed in reader.seeds:  # what a reader imports when it is called is to be watched too
            check(reader, work, seed)
    corpus = folder / "guided" / reader_name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def one_input(data: bytes) -> None:
        if problem := check(reader, work, data):
            told = json.dumps({"reader": reader_name, "data": keep(reader, data), "problem": problem.strip()[-400:]})
            print(told, flush=True)
            with found.open("a", encoding="utf-8") as file:
                file.write(told + "\n")

    longest = 2 * max(len(seed) for seed in reader.seeds)
    options: list[Any] = [f"-runs={n_runs}", f"-max_len={longest}", "-rss_limit_mb=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one_input)
    atheris.Fuzz()


def main() -> int:
    """Fuzz one reader in a process of its own; 1 if anything was found or that process died."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--runs", type=int, default=20_000)
    wanted = parser.parse_args()
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed: nothing was done")
        return 0
    wanted.folder.mkdir(parents=True, exist_ok=True)
    found = wanted.folder / f"found-{wanted.reader}.jsonl"
    found.unlink(missing_ok=True)
    if (child := os.fork()) == 0:
        fuzz(wanted.reader, wanted.folder, wanted.runs, found)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    import json

    n_found = len(found.read_text(encoding="utf-8").splitlines()) if found.exists() else 0
    told = {
        "reader": wanted.reader,
        "guided": wanted.runs,
        "findings": n_found,
        "exit": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(told), flush=True)
    return 1 if n_found or status else 0


if __name__ == "__main__":
    sys.exit(main())
