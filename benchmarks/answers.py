"""Whether the answers hold what they promise: ``python -m benchmarks.answers --model DIR --data dev-v1.1.json``.

1. On so many questions, each asked on its own passage, `Answerer` answers as `distiltune evaluate` does.
2. On documents of several windows, the candidates and their order are those of a search that looks at every span of
   the whole text, one by one.
3. On documents of 20 passages joined, how much F1 falls, and how much of that the other passages explain: the same
   replies with only the candidates from the right passage counted. Also with a first pass over passages.
4. Seconds a question on 5 MB of text, with a first pass over passages.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distiltune.data.parts import draw
from distiltune.runs.evaluate import evaluate
from distiltune.system.device import describe_machine
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.decode import WindowLogits, decode
from distiltune.tasks.question_answering.documents import as_documents
from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.inference import read_windows
from distiltune.tasks.question_answering.metrics import score_answer
from distiltune.tasks.question_answering.question_data import load_examples

RESULTS = Path("benchmarks/results")
PACKAGES = ("distiltune", "torch", "tokenizers", "bm25s")
PASSAGES_IN_A_DOCUMENT = 20
N_BEST = 20
SEPARATOR = "\n\n"


def as_evaluate(answerer: Answerer, model: str, data: Sequence[str], examples: Sequence[Example]) -> dict[str, Any]:
    """Question by question: `Answerer` beside the predictions of `evaluate`."""
    with tempfile.TemporaryDirectory() as folder:
        evaluate(model, list(data), predictions=folder, validation_questions=len(examples))
        predicted = json.loads((Path(folder) / "predictions.json").read_text(encoding="utf-8"))
    differing = [
        {"id": example.id, "evaluate": predicted[example.id], "answerer": text}
        for example in examples
        if (text := answerer(example.question, example.context, n_best=1).text) != predicted[example.id]
    ]
    return {"questions": len(examples), "equal": len(examples) - len(differing), "differing": differing}


def every_span(windows: Sequence[WindowLogits], text: str, most_tokens: int) -> list[tuple[int, int]]:
    """The `N_BEST` likeliest stretches of the whole text, found by looking at every one."""
    best: dict[tuple[int, int], float] = {}
    for window in windows:
        first = window.first_context_token
        starts, ends = (
            logits[first:].astype(np.float64) - logits[0] for logits in (window.start_logits, window.end_logits)
        )
        n = len(window.char_starts)
        for start in range(n):
            for end in range(start, min(n, start + most_tokens)):
                place = int(window.char_starts[start]), int(window.char_ends[end])
                score = float(starts[start] + ends[end])
                if score > best.get(place, -np.inf) and text[slice(*place)].strip():
                    best[place] = score
    return sorted(best, key=lambda place: (-best[place], *place))[:N_BEST]


def whole_text_order(answerer: Answerer, documents: Sequence[Document], n: int) -> dict[str, int]:
    """Documents of several windows: the decoder's order beside that of `every_span`."""
    same = n_windows = 0
    for document in documents[:n]:
        prepared = answerer.prepare([document.examples[0].question], as_documents(document.text))
        for example, windows in read_windows(answerer.loaded.model, prepared.examples, prepared.features, 4_096):
            found = decode(
                example.context, windows, max_answer_tokens=answerer.max_answer_tokens, n_best=N_BEST
            ).candidates
            places = [(each.start, each.end) for each in found]
            same += places == every_span(windows, example.context, answerer.max_answer_tokens)
            n_windows += len(windows)
    return {"documents": len(documents[:n]), "windows": n_windows, "same_order": same}


@dataclass(frozen=True, slots=True)
class Document:
    """Passages joined, one question on each, and where each begins."""

    text: str
    examples: tuple[Example, ...]
    starts: tuple[int, ...]


def join(examples: Sequence[Example], seed: int = 0) -> list[Document]:
    """Documents of 20 passages drawn from everywhere, with one question each."""
    order = random.Random(seed)
    by_context: dict[str, list[Example]] = {}
    for example in examples:
        by_context.setdefault(example.context, []).append(example)
    chosen = [order.choice(asked) for asked in by_context.values()]
    order.shuffle(chosen)
    documents = []
    for first in range(0, len(chosen) - PASSAGES_IN_A_DOCUMENT + 1, PASSAGES_IN_A_DOCUMENT):
        some = chosen[first : first + PASSAGES_IN_A_DOCUMENT]
        starts, at = [], 0
        for example in some:
            starts.append(at)
            at += len(example.context) + len(SEPARATOR)
        documents.append(Document(SEPARATOR.join(each.context for each in some), tuple(some), tuple(starts)))
    return documents


def joined(answerer: Answerer, documents: Sequence[Document], passages: int) -> dict[str, float]:
    """F1 on the passages alone, on the documents, and on these with only the right passage's candidates counted."""
    alone, whole, right_passage, elsewhere, n = [], [], [], 0, 0
    began = time.perf_counter()
    replies = [
        answerer.ask([each.question for each in document.examples], document.text, n_best=N_BEST, passages=passages)
        for document in documents
    ]
    seconds = time.perf_counter() - began
    for document, some in zip(documents, replies, strict=True):
        for example, start, reply in zip(document.examples, document.starts, some, strict=True):
            golds = [answer.text for answer in example.answers]
            end = start + len(example.context)
            own = [each for each in reply.candidates if start <= each.start and each.end <= end]
            n += 1
            elsewhere += reply.answer is not None and not (start <= reply.answer.start < end)
            whole.append(score_answer(reply.text, golds).f1)
            right_passage.append(score_answer(own[0].text if own else "", golds).f1)
            alone.append(score_answer(answerer(example.question, example.context, n_best=1).text, golds).f1)
    return {
        "questions": n,
        "passages_read": passages,
        "f1_on_the_passage_alone": 100 * float(np.mean(alone)),
        "f1_on_the_document": 100 * float(np.mean(whole)),
        "f1_if_the_passage_were_known": 100 * float(np.mean(right_passage)),
        "share_answered_from_another_passage": elsewhere / n,
        "seconds_a_question": seconds / n,
    }


def five_megabytes(answerer: Answerer, examples: Sequence[Example], n: int) -> dict[str, float]:
    """Seconds a question, for one alone and for several together, on 5 MB of passages."""
    contexts = list(dict.fromkeys(example.context for example in examples))
    text, copy = "", 0
    while len(text.encode()) < 5_000_000:
        text += SEPARATOR.join(f"({copy}) {context}" for context in contexts) + SEPARATOR
        copy += 1
    text = text.encode()[:5_000_000].decode(errors="ignore")
    questions = [example.question for example in examples[:n]]
    began = time.perf_counter()
    answerer(questions[0], text, passages=32)
    one = time.perf_counter() - began
    began = time.perf_counter()
    answerer.ask(questions, text, passages=32)
    several = time.perf_counter() - began
    return {
        "bytes": len(text.encode()),
        "seconds_for_one": one,
        "questions_together": len(questions),
        "seconds_each_together": several / len(questions),
    }


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter", help="a fine-tuned model directory")
    parser.add_argument("--data", nargs="+", default=["starter"])
    parser.add_argument("--questions", type=int, default=1_000)
    parser.add_argument("--documents", type=int, default=50, help="of 20 passages, a question on each")
    arguments = parser.parse_args()
    answerer = Answerer(arguments.model)
    read = load_examples(arguments.data, "validation", "", 0.05)
    examples, drawn = read.examples, draw(read, arguments.questions, 0).examples  # as `validation_questions` draws them
    documents = join(examples)[: arguments.documents]
    results: dict[str, Any] = {
        "machine": describe_machine(torch.device("cpu")).as_json(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "model": Path(arguments.model).name,
    }
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "as_evaluate": lambda: as_evaluate(answerer, arguments.model, arguments.data, drawn),
        "whole_text_order": lambda: whole_text_order(answerer, documents, 20),
        "joined": lambda: joined(answerer, documents, 0),
        "joined_first_pass": lambda: joined(answerer, documents, 5),
        "five_megabytes": lambda: five_megabytes(answerer, examples, 20),
    }
    for name, step in steps.items():
        results[name] = step()
        print(name, json.dumps(results[name], indent=1), flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "answers.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {path}")
    assert results["as_evaluate"]["equal"] == results["as_evaluate"]["questions"]
    assert results["whole_text_order"]["same_order"] == results["whole_text_order"]["documents"]


if __name__ == "__main__":
    main()
