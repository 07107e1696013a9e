"""Questions about a folder of 1,000 passages: found by words, by vectors, by both; what is answered; what it takes.

    python -m benchmarks.folder_search --shared ../shared

The passages are contexts of SQuAD v1.1's validation set, drawn by seed and mixed, a file each; the questions are theirs
as they stand. For each ranking: how often the question's own passage is the first and among the first 5 and 10, exact
match and F1 of `starter-qa` reading the first 5 for the first --read questions, and the seconds that finding and
reading take a question. Beside it: the same with the right passage given, and what the index is worth: its size, the
seconds to make it, to look for changes where there are none, and to take up one changed file. Each row is in --output
as soon as it is measured, and is not measured again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from distiltune import Answerer, Folder
from distiltune.runs.provenance import versions
from distiltune.system.device import describe_machine
from distiltune.tasks.question_answering.metrics import score_answer

PASSAGES: Final = 5
READER: Final = "starter-qa"
ENCODERS: Final = {"starter-qa": "starter-qa", "minilm-l6-distilbert": "models/minilm-l6-distilbert"}
RANKINGS: Final = ("words", *(f"{way} {name}" for name in ENCODERS for way in ("vectors", "both")))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, its gold answers, and the number of the passage that it was asked about."""

    question: str
    answers: tuple[str, ...]
    passage: int


def passages_and_questions(shared: Path, n_passages: int, n_questions: int) -> tuple[list[str], list[Asked]]:
    """Contexts of the validation set, and questions on them, both drawn by seed 0."""
    with gzip.open(shared / "data" / "squad-v1.1" / "dev.json.gz", "rt", encoding="utf-8") as file:
        paragraphs = [each for article in json.load(file)["data"] for each in article["paragraphs"]]
    draw = random.Random(0)
    draw.shuffle(paragraphs)
    chosen = paragraphs[:n_passages]
    asked = [
        Asked(each["question"], tuple(answer["text"] for answer in each["answers"]), number)
        for number, paragraph in enumerate(chosen)
        for each in paragraph["qas"]
    ]
    draw.shuffle(asked)
    return [each["context"] for each in chosen], asked[:n_questions]


def write_folder(folder: Path, contexts: Sequence[str]) -> None:
    """A file for each passage."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, context in enumerate(contexts):
        path = folder / f"{number:04}.txt"
        if not path.is_file() or path.read_text(encoding="utf-8") != context:
            path.write_text(context, encoding="utf-8")


def open_ranking(ranking: str, folder: Path, shared: Path, threads: int) -> tuple[Folder, float]:
    """The folder searched that way, its index new; → with the seconds that it took to make."""
    way, _, name = ranking.partition(" ")
    index = folder.with_name(f"{name or way}.sqlite")
    if way != "both":  # which finds the vectors of the row before
        index.unlink(missing_ok=True)
    encoder = None if not name else ENCODERS[name] if name == READER else shared / ENCODERS[name]
    began = time.perf_counter()
    made = Folder(folder, search=way, encoder=encoder, index=index, threads=threads)  # type: ignore[arg-type]
    return made, time.perf_counter() - began


def found(folder: Folder, asked: Sequence[Asked]) -> dict[str, float]:
    """How often a question's own passage is among the first documents, and the seconds of finding them."""
    began = time.perf_counter()
    ranked = folder.ranked([each.question for each in asked], 10)
    seconds = time.perf_counter() - began
    names = {number: folder.document_of(number) for numbers in ranked for number in numbers}
    ranks = [
        next((i for i, number in enumerate(numbers) if Path(names[number]).stem == f"{each.passage:04}"), 10)
        for numbers, each in zip(ranked, asked, strict=True)
    ]
    shares = {f"found_in_{n}": float(np.mean([rank < n for rank in ranks])) for n in (1, 5, 10)}
    return {**shares, "seconds_to_find": seconds / len(asked)}


def answered(answerer: Answerer, documents: Any, asked: Sequence[Asked], passages: int) -> dict[str, float]:
    """Exact match and F1 of what is answered, and the seconds a question."""
    began = time.perf_counter()
    if isinstance(documents, Folder):
        replies = answerer.ask([each.question for each in asked], documents, n_best=1, passages=passages)
    else:
        replies = [answerer(each.question, documents[each.passage], n_best=1) for each in asked]
    seconds = time.perf_counter() - began
    scores = [score_answer(reply.text, each.answers) for reply, each in zip(replies, asked, strict=True)]
    exact, f1 = (100 * float(np.mean([getattr(score, name) for score in scores])) for name in ("exact", "f1"))
    return {"exact_match": exact, "f1": f1, "seconds_a_question": seconds / len(asked)}


def measure_ranking(
    ranking: str, options: argparse.Namespace, contexts: list[str], asked: list[Asked]
) -> dict[str, Any]:
    """One row: the index, what is found, what is answered."""
    folder, seconds = open_ranking(ranking, options.work / "passages", options.shared, options.threads)
    assert folder.place is not None, "the index is in a file"
    row: dict[str, Any] = {
        "index_seconds": seconds,
        "index_bytes": folder.place.stat().st_size,
        "text_bytes": sum(len(context.encode()) for context in contexts),
        "passages": folder.n_passages,
        **found(folder, asked),
    }
    answerer = Answerer(READER, threads=options.threads)
    row |= answered(answerer, folder, asked[: options.read], PASSAGES)
    if ranking == "words":
        row |= changes(folder, options.work / "passages", contexts)
    folder.close()
    return row


def changes(folder: Folder, files: Path, contexts: Sequence[str]) -> dict[str, Any]:
    """What a look without changes takes, and what is indexed anew when one file of all is another."""
    time.sleep(2.5)  # a file that was written a moment ago is looked into
    folder.refresh()
    began = time.perf_counter()
    nothing = folder.refresh()
    idle = time.perf_counter() - began
    (files / "0007.txt").write_text(contexts[8], encoding="utf-8")
    began = time.perf_counter()
    one = folder.refresh()
    seconds = time.perf_counter() - began
    (files / "0007.txt").write_text(contexts[7], encoding="utf-8")
    return {
        "seconds_without_change": idle,
        "indexed_without_change": nothing.n_new + nothing.n_changed + nothing.n_gone,
        "seconds_with_one_changed": seconds,
        "one_changed": {"new": one.n_new, "changed": one.n_changed, "gone": one.n_gone, "kept": one.n_kept},
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All rows that are not in the output yet; each is written as soon as it is measured."""
    torch.set_num_threads(options.threads)
    contexts, asked = passages_and_questions(options.shared, options.passages, options.questions)
    write_folder(options.work / "passages", contexts)
    setting = {
        "documents": options.passages,
        "questions": len(asked),
        "read": options.read,
        "passages_read": PASSAGES,
        "reader": READER,
        "threads": options.threads,
    }
    result: dict[str, Any] = json.loads(options.output.read_text()) if options.output.is_file() else {}
    if result.get("setting") != setting:
        result = {"setting": setting, "rows": {}}

    def right_passage() -> dict[str, Any]:
        return answered(Answerer(READER, threads=options.threads), contexts, asked[: options.read], 0)

    rows: dict[str, Callable[[], dict[str, Any]]] = {"right passage": right_passage}
    for ranking in RANKINGS:
        rows[ranking] = lambda ranking=ranking: measure_ranking(ranking, options, contexts, asked)  # type: ignore[misc]
    for name in options.only or rows:
        if name in result["rows"]:
            continue
        result["rows"][name] = rows[name]()
        result |= {"machine": asdict(describe_machine(torch.device("cpu"))), "versions": versions()}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(name, json.dumps(result["rows"][name]), flush=True)
    return result


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "folder-search")
    parser.add_argument("--passages", type=int, default=1_000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--read", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=("right passage", *RANKINGS))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/folder_search.json"))
    run(parser.parse_args())


if __name__ == "__main__":
    main()
