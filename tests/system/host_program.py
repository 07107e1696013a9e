"""A program that uses all of the library, and says after each use what of its own process is not as it was.

    python -m tests.system.host_program FOLDER

It is a program because a process has one number of threads, and the test's own is not to be changed. Its last line is
JSON: what was used → what it changed, each with the value before and after.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

HOST_THREADS = 3
SMALL: dict[str, Any] = {"epochs": 1, "max_length": 32, "stride": 8, "learning_rate": 1e-3, "threads": 1}

BLAS = ThreadpoolController().select(user_api="blas").lib_controllers


def digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def state() -> dict[str, object]:
    """All that a library may change behind the back of who calls it."""
    optuna = sys.modules.get("optuna")
    return {
        "torch's threads": torch.get_num_threads(),
        "torch's threads in a new thread": threads_of_a_new_thread(),
        "threads between operations": torch.get_num_interop_threads(),
        "threads of BLAS": [each.num_threads for each in BLAS],
        "random": digest(random.getstate()),
        "numpy's random": digest(np.random.get_state()),
        "torch's random": digest(torch.get_rng_state().tolist()),
        "precision of products": torch.get_float32_matmul_precision(),
        "by backend": torch.backends.cuda.matmul.fp32_precision,
        "default type": str(torch.get_default_dtype()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark),
        "warnings": digest(warnings.filters),
        "signals": [str(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
        **{f"environment: {name}": os.environ.get(name) for name in os.environ},
        "folder": str(Path.cwd()),
        "cells of CSV": csv.field_size_limit(),
        "depth": sys.getrecursionlimit(),
        "hooks": (str(sys.excepthook), str(threading.excepthook)),
        "optuna's log": optuna.logging.get_verbosity() if optuna is not None else 20,
    }


Use = tuple[str, Callable[[], object]]


def uses(folder: Path) -> Iterator[Use]:
    """Every public entry, and those that the commands are made of."""
    from distiltune import Answerer, EntityMarker, TextClassifier, evaluate, fine_tune, pipeline, predict, resume
    from distiltune.errors import DistiltuneError

    data = files(folder)
    qa, text, token = (folder / name for name in ("qa", "text", "token"))
    yield (
        "fine_tune",
        lambda: fine_tune(train=data["qa"], validation=data["qa"], output=qa, model=data["base"], **SMALL),
    )
    yield "fine_tune, text", lambda: fine_tune(train=data["text"], output=text, model=data["base"], **SMALL)
    yield "fine_tune, token", lambda: fine_tune(train=data["token"], output=token, model=data["base"], **SMALL)
    yield "fine_tune, CSV", lambda: fine_tune(train=data["csv"], output=folder / "csv", model=data["base"], **SMALL)
    yield (
        "fine_tune, from a teacher",
        lambda: fine_tune(train=data["text"], output=folder / "taught", model=data["base"], teacher=text, **SMALL),
    )
    yield "resume", lambda: resume(qa, threads=2)

    def refused() -> None:
        try:
            fine_tune(
                train=data["qa"], output=folder / "refused", model=data["base"], **{**SMALL, "max_length": 90_000}
            )
        except DistiltuneError:
            return
        raise AssertionError

    yield "fine_tune, refused", refused
    yield "evaluate", lambda: evaluate(qa, data["qa"], threads=2)
    yield "predict", lambda: predict(text, data["text"], folder / "out", threads=1)
    question = ("what eats ada", "ada eats plums .")
    for threads in (0, 1, 2):
        made: list[Any] = []
        yield f"Answerer, {threads}", lambda n=threads, m=made: m.append(Answerer(qa, threads=n))  # type: ignore[misc]
        yield f"Answerer, {threads}, asked", lambda m=made: m[0](*question)  # type: ignore[misc]
        yield f"Answerer, {threads}, at length", lambda m=made: m[0].ask([question[0]] * 70, question[1] * 90)  # type: ignore[misc]
    made = []
    yield "pipeline", lambda: made.append(pipeline("question-answering", model=qa, threads=1))
    yield "pipeline, asked", lambda: made[-1](question=question[0], context=question[1])
    yield "TextClassifier", lambda: made.append(TextClassifier(text, threads=2))
    yield "TextClassifier, asked", lambda: made[-1](["a b c"] * 600)
    yield "TextClassifier, auto", lambda: made.append(TextClassifier(text, threads=2, precision="auto"))
    yield "EntityMarker", lambda: made.append(EntityMarker(token, threads=1))
    yield "EntityMarker, asked", lambda: made[-1](["ada was here"] * 600)
    yield from commands(folder, data)


def commands(folder: Path, data: dict[str, Path]) -> Iterator[Use]:
    from distiltune.export.onnx import export_onnx
    from distiltune.model.convert import convert
    from distiltune.recipe.recipe import Recipe
    from distiltune.settings.engine import EngineSettings
    from distiltune.studies.compare import compare_runs
    from distiltune.studies.find_rate import find_learning_rate
    from distiltune.studies.search_space import parse_space
    from distiltune.studies.tune import tune
    from distiltune.tasks.table import TASKS

    recipe = Recipe.build({"train": data["qa"], "model": data["base"], **SMALL})
    yield "find_learning_rate", lambda: find_learning_rate(recipe, n_steps=30)
    space = parse_space(["learning_rate=0.001,0.002"], recipe)
    yield "tune", lambda: tune(recipe, space, folder / "tuned", n_trials=2)
    yield "compare_runs", lambda: compare_runs([folder / "qa", folder / "csv"])
    yield "convert", lambda: convert(folder / "qa", folder / "converted")
    yield "export_onnx", lambda: export_onnx(folder / "qa", folder / "onnx", data=data["qa"], threads=1)
    for task, name in (
        ("question-answering", "qa"),
        ("text-classification", "text"),
        ("token-classification", "token"),
    ):
        settings: EngineSettings = Recipe.build({"task": task, "model": data["base"], **SMALL})
        check: Any = TASKS[task].needed(TASKS[task].checker)
        yield f"check, {task}", lambda c=check, n=name, s=settings: c([str(data[n])], [], s, None)  # type: ignore[misc]
    yield "serve", lambda: served(folder)


def served(folder: Path) -> None:
    from distiltune.data.feature_set import FeatureSet
    from distiltune.serving.asking import load_apart
    from distiltune.serving.batching import DynamicBatcher
    from distiltune.tasks.question_answering.answerer import Answerer

    answerer = load_apart(lambda: Answerer(folder / "qa", threads=2))
    batcher = DynamicBatcher(answerer.loaded.model, n_threads=answerer.n_threads)
    features: FeatureSet = answerer.prepare(["what eats ada"], []).features.features
    batcher.submit(features).future.result(timeout=60)
    batcher.close()


def files(folder: Path) -> dict[str, Path]:
    from tests.helpers import TINY, people, write_squad, write_tiny_model

    known = people()
    rows = [{"text": each.context, "label": each.id.split("-")[1]} for each in known.examples]
    text, token, table = folder / "text.jsonl", folder / "token.conll", folder / "rows.csv"
    text.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sentences = [each.context.split()[:3] for each in known.examples[::4]]
    token.write_text("".join(f"{who}\tB-person\n{does}\tO\n{what}\tB-thing\n\n" for who, does, what in sentences))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "context", "answer_text"])
        writer.writerows([each.question, each.context, each.answers[0].text] for each in known.examples)
    shape = replace(TINY, vocab_size=known.tokenizer.get_vocab_size())
    return {
        "qa": write_squad(folder / "qa.json", known.examples),
        "base": write_tiny_model(folder / "base", known.tokenizer, shape),
        "text": text,
        "token": token,
        "csv": table,
    }


def main(folder: Path) -> None:
    torch.set_num_threads(HOST_THREADS)
    threadpool_limits(2, user_api="blas")
    random.seed(1)
    np.random.seed(2)
    changed: dict[str, dict[str, list[object]]] = {}
    for name, use in uses(folder):
        torch.manual_seed(3)
        before = state()
        use()
        after = state()
        known = dict.fromkeys((*before, *after))
        changed[name] = {
            each: [before.get(each), after.get(each)] for each in known if before.get(each) != after.get(each)
        }
    print(json.dumps(changed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
