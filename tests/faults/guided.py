"""Coverage-guided fuzzing with atheris: `python -m tests.faults.guided --folder DIRECTORY --reader json --runs 20000`.

Inputs that reach new code are kept in the folder and changed further. A finding is put into ``tests/faults/corpus``.
Without atheris (there are no builds of it for some systems) this says so and ends well.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Fuzz one reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--runs", type=int, default=20_000)
    wanted = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: nothing was done")
        return 0

    with atheris.instrument_imports(include=["distiltune", "json", "csv", "tomllib"]):
        import csv  # noqa: F401
        import json
        import tomllib  # noqa: F401

        from distiltune.tasks.question_answering import read  # noqa: F401
    from tests.faults.fuzz import check, keep
    from tests.faults.readers import make_readers, place

    valid, work = wanted.folder / "valid", wanted.folder / "work" / f"guided-{wanted.reader}"
    reader = make_readers(valid)[wanted.reader]
    place(reader, valid, work)
    corpus = wanted.folder / "guided" / wanted.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(reader.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def one_input(data: bytes) -> None:
        if problem := check(reader, work, data):
            name = keep(reader, data)
            print(json.dumps({"reader": reader.name, "data": name, "problem": problem.strip()[-400:]}), flush=True)

    options: list[Any] = [f"-runs={wanted.runs}", "-max_len=20000", "-rss_limit_mb=4096", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *options], one_input)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
