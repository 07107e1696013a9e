"""How reading, featurising and checking grow with the rows: seconds, peak memory and disk of 10^5, 10^6, 10^7 rows.

    python -m benchmarks.scale --rows 100000 1000000 --folder /var/tmp [--task TASK] [--threads 2] [--before CHECKOUT]

Texts are drawn with a seed, about 300 bytes a row of JSON lines (3 GB of ten million), and are learnt with the small
model that ships with the package: of `text-classification` with one label of six each, of `token-classification` as
words with their tags, of `question-answering` as questions, five on a text of some 160 words (1.1 KB a row). Of each
size, in processes of their own:

first   `train` until its first step, with an empty cache; and how long that was after the last row was read
again   the same command, until its first step
check   `check`, until it ends

Memory is sampled from /proc: `own` is what only this process holds and nobody can take away (RssAnon), `resident` is
with the pages of mapped files and libraries that happen to be in memory (VmHWM), which the system takes back at need.
Disk is what the cache holds in the end, and the most that lies there while it runs, files without a name among it.
`--before` measures another checkout on the same files first. Linux only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LABELS = ("anger", "fear", "joy", "love", "sadness", "surprise")
ENTITIES = ("person", "place", "product")
QUESTIONS_A_TEXT = 5
N_WORDS = 20_000
WORDS_A_TEXT = (30, 50)
N_VALIDATION = 500
SECONDS_BETWEEN_LOOKS = 0.05
STAGES = ("first", "again", "check")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process took.

    Attributes:
        rows: of the training data.
        stage: as the module says.
        seconds: from the command on, until the first step or the end.
        cpu_seconds: of all cores in that time, which other work on the machine changes little.
        after_reading: of these the ones after the last row of the training data was read; of others than `first` 0.
        own_mib: the most memory of its own.
        resident_mib: the most memory with mapped files.
        cache_mib: what lies in the cache afterwards.
        most_mib: the most that lay on disk meanwhile.
        version: `now` or `before`.

    """

    rows: int
    stage: str
    seconds: float
    cpu_seconds: float
    after_reading: float
    own_mib: float
    resident_mib: float
    cache_mib: float
    most_mib: float
    version: str


def _text_rows(draw: random.Random, texts: Iterator[list[str]]) -> Iterator[dict[str, object]]:
    """A text and one of six labels each."""
    for words in texts:
        yield {"text": f"{' '.join(words)}.", "label": draw.choice(LABELS)}


def _marked_rows(draw: random.Random, texts: Iterator[list[str]]) -> Iterator[dict[str, object]]:
    """Words and their tags; two stretches of one to three words are marked in each."""
    for words in texts:
        tags = ["O"] * len(words)
        for first in (draw.randrange(0, 12), draw.randrange(15, 27)):
            label = draw.choice(ENTITIES)
            for place in range(first, first + draw.randint(1, 3)):
                tags[place] = f"{'B' if place == first else 'I'}-{label}"
        yield {"tokens": words, "tags": tags}


def _question_rows(draw: random.Random, texts: Iterator[list[str]]) -> Iterator[dict[str, object]]:
    """Questions on texts of four drawn ones, `QUESTIONS_A_TEXT` each; answers of one to three words."""
    context: list[str] = []
    for number, words in enumerate(texts):
        if number % QUESTIONS_A_TEXT == 0:
            context = [word for part in (words, *itertools.islice(texts, 3)) for word in part]
        first = draw.randrange(len(context) - 3)
        answer = " ".join(context[first : first + draw.randint(1, 3)])
        yield {
            "question": f"what {' '.join(draw.sample(words, 6))}?",
            "context": " ".join(context),
            "answer_text": answer,
            "answer_start": len(" ".join(context[:first])) + (first > 0),
        }


ROWS: dict[str, Callable[[random.Random, Iterator[list[str]]], Iterator[dict[str, object]]]] = {
    "text-classification": _text_rows,
    "token-classification": _marked_rows,
    "question-answering": _question_rows,
}


def write_rows(path: Path, n_rows: int, seed: int, task: str = "text-classification") -> None:
    """Rows of common and rare words for a task, as JSON lines; the same for the same numbers."""
    draw = random.Random(seed)
    syllables = ["ba", "co", "di", "fe", "gu", "la", "mi", "no", "pe", "ru", "sa", "ti", "vo", "we"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(N_WORDS)]
    frequent = [1 / (rank + 2) for rank in range(N_WORDS)]
    # Drawn once and cut anew: drawing each word of ten million texts would take an hour.
    stock = draw.choices(words, frequent, k=1 << 20)

    def texts() -> Iterator[list[str]]:
        while True:
            first, n_words = draw.randrange(len(stock) - WORDS_A_TEXT[1]), draw.randint(*WORDS_A_TEXT)
            yield [draw.choice(words), *stock[first : first + n_words]]

    with path.open("w", encoding="utf-8") as file:
        for row in itertools.islice(ROWS[task](draw, texts()), n_rows):
            file.write(json.dumps(row) + "\n")


def commands(folder: Path, task: str, threads: int) -> Iterator[tuple[str, list[str], Path | None]]:
    """Each stage, its command, and the log whose first step ends it; None: the command ends by itself."""
    data = [str(folder / "train.jsonl")]
    common = ["--task", task, "--model", "starter", "--threads", str(threads)]
    for stage in STAGES[:2]:
        output = folder / stage
        train = ["train", "--train", *data, "--validation", str(folder / "validation.jsonl"), *common]
        yield stage, [*train, "--log-every", "1", "--output", str(output)], output / "log.jsonl"
    yield "check", ["check", *data, "--against", str(folder / "validation.jsonl"), *common], None


def measure(
    stage: str, command: Sequence[str], log: Path | None, folder: Path, source: Path, version: str, n_rows: int
) -> Measured:
    """Run one command until it is where the stage ends."""
    cache = folder / "cache"
    environment = {
        **os.environ,
        "PYTHONPATH": str(source / "src"),
        "DISTILTUNE_CACHE": str(cache),
    }
    began, most = time.perf_counter(), {"RssAnon": 0, "VmHWM": 0, "disk": 0}
    kept_after = cpu_seconds = 0.0
    with subprocess.Popen(
        [sys.executable, "-m", "distiltune", *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while process.poll() is None and not (log is not None and _has_step(log)):
                cpu_seconds = max(cpu_seconds, _cpu_seconds(process.pid))
                for name, size in _memory(process.pid).items():
                    most[name] = max(most[name], size)
                most["disk"] = max(most["disk"], _held(cache, process.pid))
                if not kept_after and stage == "first" and any(cache.glob("*/examples.npy")):
                    kept_after = time.perf_counter() - began
                time.sleep(SECONDS_BETWEEN_LOOKS)
            seconds = time.perf_counter() - began
            # `check` ends with 1 where it finds an error in the data
            if process.poll() is not None and (log is not None or process.returncode not in (0, 1)):
                raise SystemExit(f"{stage} ended with {process.returncode}: distiltune {' '.join(command)}")
        finally:
            process.kill()
    return Measured(
        rows=n_rows,
        stage=stage,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        after_reading=seconds - kept_after if kept_after else 0.0,
        own_mib=most["RssAnon"] / 1024,
        resident_mib=most["VmHWM"] / 1024,
        cache_mib=_size(cache) / 1024**2,
        most_mib=most["disk"] / 1024**2,
        version=version,
    )


def _has_step(log: Path) -> bool:
    return log.exists() and '"step"' in log.read_text(encoding="utf-8")


def _memory(pid: int) -> dict[str, int]:
    """KiB of each kind; nothing of a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = (line.split() for line in lines if line.startswith(("RssAnon:", "VmHWM:")))
    return {name.rstrip(":"): int(size) for name, size, *_ in found}


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _held(folder: Path, pid: int) -> int:
    """Bytes of the files in a folder, those among them that have lost their name and are mapped still."""
    total = _size(folder)
    try:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            if str(folder) in line and line.endswith("(deleted)"):
                first, _, last = line.split()[0].partition("-")
                total += int(last, 16) - int(first, 16)
    except OSError:  # the process is gone
        return total
    return total


def _size(folder: Path) -> int:
    try:
        return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    except OSError:  # a file that went away meanwhile
        return 0


def table(measured: Sequence[Measured]) -> str:
    """The figures as a Markdown table, with what ten times the rows cost beside the size before."""
    lines = [
        "| version | rows | stage | seconds | CPU seconds | after reading | own MiB | resident MiB | cache MiB |"
        " most on disk | times the CPU seconds, the memory of a tenth |",
        "|---" * 11 + "|",
    ]
    for each in measured:
        tenth = next(
            (m for m in measured if (m.version, m.stage, m.rows * 10) == (each.version, each.stage, each.rows)), None
        )
        slope = f"{each.cpu_seconds / tenth.cpu_seconds:.1f}, {each.own_mib / tenth.own_mib:.1f}" if tenth else ""
        after = f"{each.after_reading:.1f}" if each.after_reading else ""
        lines.append(
            f"| {each.version} | {each.rows:,} | {each.stage} | {each.seconds:.1f} | {each.cpu_seconds:.1f} | {after} "
            f"| {each.own_mib:,.0f} | {each.resident_mib:,.0f} | {each.cache_mib:,.0f} | {each.most_mib:,.0f} "
            f"| {slope} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--task", choices=ROWS, default="text-classification")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--folder", type=Path, help="where the data, the cache and the runs lie; not in memory")
    parser.add_argument("--before", type=Path, help="another checkout, measured first")
    parser.add_argument("--only-before", action="store_true", help="and not this one")
    parser.add_argument("--output", type=Path, help="a file of JSON lines that each result is added to")
    options = parser.parse_args(arguments)
    versions = [("before", options.before)] if options.before else []
    versions += [] if options.only_before else [("now", Path.cwd())]
    measured = []
    for n_rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            write_rows(Path(folder) / "train.jsonl", n_rows, 1, options.task)
            write_rows(Path(folder) / "validation.jsonl", N_VALIDATION, 2, options.task)
            for version, source in versions:
                for stage, command, log in commands(Path(folder), options.task, options.threads):
                    if stage not in options.stages:
                        continue
                    measured.append(measure(stage, command, log, Path(folder), source, version, n_rows))
                    print(json.dumps(asdict(measured[-1])), flush=True)
                    if options.output is not None:
                        with options.output.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(asdict(measured[-1])) + "\n")
                for name in ("cache", *STAGES):
                    shutil.rmtree(Path(folder) / name, ignore_errors=True)
    print(table(measured))


if __name__ == "__main__":
    main()
