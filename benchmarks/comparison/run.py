"""The same classification, entities and questions in distiltune and in what users would pick instead.

    python -m benchmarks.comparison.run --shared ../shared --output comparison.jsonl \
        --python transformers=VENV/bin/python sklearn=VENV/bin/python setfit=VENV/bin/python

Each script in `peers/` is written as its library's documentation writes it, with the numbers that stand there: it reads
the same files, trains on one thread, and writes its predictions, which are scored here, by one code for all. Time is
that of a processor (user and system, of the whole script, imports included), which other work on the machine hardly
moves; lines are those of the script without comments and blank ones. A peer's Python is where it is installed: they do
not all fit into one environment. A line of --output is one turn; what is there already is not repeated.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from safetensors.torch import load_file, save_file

from distiltune.tasks.question_answering.metrics import score_answer
from distiltune.tasks.token_classification.metrics import EntityCounts
from distiltune.tasks.token_classification.tags import entities_of

PEERS = Path(__file__).parent / "peers"
JOBS = ("classify", "mark", "answer")
LIBRARIES = ("distiltune", "sklearn", "transformers", "simpletransformers", "setfit")
SECONDS = 3_600
_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")


def write_data(shared: Path, folder: Path, sizes: Mapping[str, int]) -> None:
    """The three jobs' files: ``classify`` as CSV, ``mark`` as CoNLL, ``answer`` as SQuAD; training and test each."""
    for job in JOBS:
        (folder / job).mkdir(parents=True)
    names = ("sadness", "joy", "love", "anger", "fear", "surprise")
    for split, source in (("train", "train"), ("test", "test")):
        rows = pq.read_table(shared / "data" / "emotion" / f"{source}.parquet").slice(0, sizes["classify"]).to_pylist()
        with (folder / "classify" / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *((row["text"], names[row["label"]]) for row in rows)])
        with gzip.open(shared / "data" / "wnut17" / f"{source}.conll.gz", "rt", encoding="utf-8") as text:
            sentences = text.read().strip().split("\n\n")[: sizes["mark"]]
        (folder / "mark" / f"{split}.conll").write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    for split, source in (("train", "train"), ("test", "dev")):
        with gzip.open(shared / "data" / "squad-v1.1" / f"{source}.json.gz", "rt", encoding="utf-8") as text:
            data = list(_some_of(json.load(text)["data"], sizes["answer"]))
        (folder / "answer" / f"{split}.json").write_text(json.dumps({"version": "1.1", "data": data}), encoding="utf-8")


def _some_of(articles: list[dict[str, Any]], n_questions: int) -> Iterator[dict[str, Any]]:
    """Passages from all articles in turn, with one question each, until there are so many."""
    for number in range(n_questions):
        article = articles[number * 7 % len(articles)]
        passage = article["paragraphs"][number // len(articles) % len(article["paragraphs"])]
        yield {"title": article["title"], "paragraphs": [{**passage, "qas": passage["qas"][:1]}]}


def write_float32(model: Path, folder: Path) -> Path:
    """The model with weights of float32, as those on the hub are: in halves, `transformers` 5 would train in halves."""
    folder.mkdir()
    for file in model.iterdir():
        if file.name not in ("model.safetensors", "config.json"):
            shutil.copyfile(file, folder / file.name)
    weights = {name: value.float() for name, value in load_file(model / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    settings |= {name: "float32" for name in ("dtype", "torch_dtype") if name in settings}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def score(job: str, data: Path, predictions: Any) -> dict[str, float]:
    """What the predictions are worth, in percent."""
    if job == "classify":
        with (data / "test.csv").open(encoding="utf-8", newline="") as file:
            gold = [row["label"] for row in csv.DictReader(file)]
        assert len(gold) == len(predictions)
        return {"accuracy": 100 * sum(map(str.__eq__, gold, predictions)) / len(gold)}
    if job == "mark":
        sentences = (data / "test.conll").read_text(encoding="utf-8").strip().split("\n\n")
        gold_tags = [[line.split("\t")[-1] for line in sentence.splitlines()] for sentence in sentences]
        assert len(gold_tags) == len(predictions)
        counts = EntityCounts()
        for right, said in zip(gold_tags, predictions, strict=True):
            padded = (said + ["O"] * len(right))[: len(right)]
            counts.add(entities_of(right), entities_of(padded))
        return {"f1": 100 * counts.metrics()["f1"]}
    articles = json.loads((data / "test.json").read_text(encoding="utf-8"))["data"]
    asked = [qa for article in articles for passage in article["paragraphs"] for qa in passage["qas"]]
    texts = {qa["id"]: [answer["text"] for answer in qa["answers"]] for qa in asked}
    scores = [score_answer(predictions.get(name, ""), golds) for name, golds in texts.items()]
    return {
        "exact_match": 100 * sum(each.exact for each in scores) / len(scores),
        "f1": 100 * sum(each.f1 for each in scores) / len(scores),
    }


def lines_of(script: Path) -> int:
    """Lines that are neither blank nor comments."""
    lines = map(str.strip, script.read_text(encoding="utf-8").splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def turn(job: str, library: str, python: str, data: Path, model: Path) -> dict[str, Any]:
    """One script in a process of its own: what it scores, what it takes, or what it says where it fails."""
    script = PEERS / f"{job}_{library}.py"
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if library != "distiltune":
        environment.pop("PYTHONPATH", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryDirectory() as output:
        command = [python, str(script), str(data / job), str(model), output]
        done = subprocess.run(
            command, env=environment, cwd=output, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found: dict[str, Any] = {
            "job": job,
            "library": library,
            "lines": lines_of(script),
            "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
            "seconds": round(time.perf_counter() - began, 1),
        }
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["?"]
            return {**found, "failed": next((line for line in said[::-1] if _ERROR.match(line)), said[-1])[:300]}
        predictions = json.loads((Path(output) / "predictions.json").read_text(encoding="utf-8"))
    return {**found, **score(job, data / job, predictions)}


def versions(python: str, library: str) -> dict[str, str]:
    """The versions in a peer's environment."""
    names = {"sklearn": ["scikit-learn"], "distiltune": ["torch"]}.get(library, [library, "transformers", "torch"])
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names!r}}}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Every job by every library that has a script for it and a Python."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--python", nargs="*", default=[], metavar="LIBRARY=PYTHON")
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--jobs", nargs="*", default=list(JOBS), choices=JOBS)
    options = parser.parse_args()
    pythons = {"distiltune": sys.executable, **dict(each.split("=", 1) for each in options.python)}
    sizes = {"classify": options.texts, "mark": options.sentences, "answer": options.questions}
    is_there = options.output.exists()
    lines = options.output.read_text(encoding="utf-8").splitlines() if is_there else []
    done = {(each["job"], each["library"]) for each in map(json.loads, lines)}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_data(options.shared, data, sizes)
        model = write_float32(options.shared / "models" / "minilm-l6-distilbert", Path(folder) / "minilm-l6-distilbert")
        for job in options.jobs:
            for library in (name for name in LIBRARIES if name in pythons and (job, name) not in done):
                if not (PEERS / f"{job}_{library}.py").is_file():
                    continue
                found = {**turn(job, library, pythons[library], data, model), "size": sizes[job]}
                found["versions"] = versions(pythons[library], library)
                print(json.dumps(found), flush=True)
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
