"""What choosing by doubt saves: an annotator who is always right, by doubt beside random, seed by seed.

    python -m benchmarks.labelling emotion --pool emotion/train.parquet --test emotion/test.parquet --model MODEL
    python -m benchmarks.labelling wnut --pool wnut17/train.conll.gz --test wnut17/test.conll.gz --model MODEL
    python -m benchmarks.labelling squad --pool squad/train.json --test squad/dev.json --model MODEL
    python -m benchmarks.labelling papers --orders random --counts 0 50 100 200 --seeds 1 --test-examples 0

The desk is that of `distiltune label`: what is typical first, then what the newest model doubts, a fifth kept for
validation; the annotator gives the answers that the pool has. After so many labels (--counts) a model is trained on
those that are not of the fifth, as `label` does it, and scored on the test data. Every training is one line in --output
as soon as it ends; what is there already is not repeated, so that a benchmark that was stopped goes on where it was.
`papers` takes the thirty documents of docs/tutorial.md with the questions that the starter data has of them.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distiltune import Labelling, evaluate, fine_tune
from distiltune.labelling.desk import Said
from distiltune.labelling.offered import LabelTask, ReadTexts
from distiltune.labelling.service import Room
from distiltune.python.label import furnished
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS

KINDS: Mapping[str, tuple[str, str]] = {
    "emotion": ("text-classification", "accuracy"),
    "wnut": ("token-classification", "f1"),
    "squad": ("question-answering", "f1"),
    "papers": ("question-answering", "f1"),
}
"""Kind → its task, and the score that is taken."""
PAPERS = Path(__file__).parents[1] / "docs" / "examples" / "papers"
STARTER = Path(__file__).parents[1] / "src" / "distiltune" / "starter" / "data"


def main() -> None:
    """Run what is not done yet, then print the means."""
    options = _options()
    done = [json.loads(line) for line in options.output.read_text().splitlines()] if options.output.exists() else []
    for seed in range(options.seeds):
        for order in options.orders:
            for line in simulate(options, order, seed, done):
                with options.output.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                done.append(line)
                print(json.dumps(line), flush=True)
    print("\n".join(table(done, options)))


def simulate(
    options: argparse.Namespace, order: str, seed: int, done: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Label, train and score, as far as that is not done."""
    name, score = KINDS[options.kind]
    model = options.model or ("starter-qa" if name == "question-answering" else "starter")
    about = {"kind": options.kind, "order": order, "seed": seed, "model": model, "pool": options.pool_examples}
    if not (left := [n for n in options.counts if not _is_done(done, {**about, "labels": n})]):
        return
    settings = {"task": name, "model": model, "threads": options.threads, "sample_seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        room = _room(options, order, settings, Path(folder))
        if order == "doubt":
            room.thinking.find_typical()
        for n in options.counts:
            _label_up_to(room, n)
            if n not in left and order == "random":  # of nothing that comes later
                continue
            began = time.perf_counter()
            value, now = _trained(room, n, options, settings, Path(folder), score)
            if value is not None and n in left:
                yield {**about, "labels": n, score: value, "seconds": round(time.perf_counter() - began, 1)}
            if order == "doubt" and now is not None:
                room.thinking.take(now, "", n)


def _trained(
    room: Room, n: int, options: argparse.Namespace, settings: Mapping[str, Any], folder: Path, score: str
) -> tuple[float | None, str | None]:
    """The score after so many labels, and the model that has it; none of a model that does not know the task yet."""
    test = str(STARTER / "validation.json") if options.kind == "papers" else options.test
    measuring: dict[str, Any] = {"validation_examples": options.test_examples, "threads": options.threads}
    measuring |= {"max_rejected_share": 1.0}  # where nobody chose a text of some label
    if n == 0:
        if settings["model"] != "starter-qa":
            return None, None
        return evaluate(settings["model"], test, **measuring).metrics[score], settings["model"]
    files: dict[str, Any] = {}
    for name, for_validation in (("train", False), ("validation", True)):
        if not (rows := room.desk.rows(for_validation=for_validation)):
            continue  # of the few first ones none may be measured on; `train` keeps some of the others then
        path = folder / f"{name}-{n}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        files[name] = str(path)
    given: dict[str, Any] = {key: value for key, value in settings.items() if key != "sample_seed"}
    given |= {"seed": settings["sample_seed"], **room.desk.task.training}
    given |= {"epochs": options.epochs} if options.epochs else {}
    run = fine_tune(output=folder / f"run-{n}", **files, **given)
    metrics = evaluate(run.model, test, **measuring).metrics
    # Texts with a label that no chosen text had are left out when it is measured; here they count as wrong.
    share = metrics["n"] / options.test_examples if score == "accuracy" else 1.0
    return metrics[score] * share, str(run.model)


def _label_up_to(room: Room, n: int) -> None:
    while room.desk.counts().labelled < n and (key := room.desk.next("annotator")) is not None:
        room.desk.save(key, "0", Said(room.desk.item(key).given))


def _room(options: argparse.Namespace, order: str, settings: Mapping[str, Any], folder: Path) -> Room:
    recipe = Recipe.build(settings)
    task = _task(options, recipe)
    return furnished(task, folder / "mine.jsonl", folder, Labelling((), order, options.first, 0), recipe)


def _task(options: argparse.Namespace, recipe: Recipe) -> LabelTask:
    """The pool: so many texts of it that have an answer, drawn by the seed."""
    entry = TASKS[recipe.task]
    pool = str(STARTER / "train.json") if options.kind == "papers" else options.pool
    task = entry.needed(entry.labeller)([pool], recipe, ())
    texts = [each for each in task.texts.texts if each.answer is not None]
    if options.kind == "papers":
        papers = {path.read_text(encoding="utf-8").strip() for path in PAPERS.glob("*.txt")}
        texts = [each for each in texts if each.text.strip() in papers]
    random.Random(recipe.sample_seed).shuffle(texts)
    return replace(task, texts=ReadTexts(tuple(texts[: options.pool_examples or None])))


def _is_done(done: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> bool:
    return any(all(line.get(key) == value for key, value in wanted.items()) for line in done)


def table(done: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> Iterator[str]:
    """The means over the seeds, and how often doubt was better."""
    _, score = KINDS[options.kind]
    found = {
        (line["order"], line["labels"], line["seed"]): line[score] for line in done if line["kind"] == options.kind
    }
    for n in options.counts:
        parts = []
        for order in options.orders:
            values = [value for (of, labels, _), value in found.items() if (of, labels) == (order, n)]
            if values:
                parts.append(f"{order} {statistics.mean(values):.4g} ({len(values)} seeds)")
        both = [seed for of, labels, seed in found if (of, labels) == ("doubt", n) and ("random", n, seed) in found]
        if both:
            better = sum(found["doubt", n, seed] > found["random", n, seed] for seed in both)
            parts.append(f"doubt better in {better} of {len(both)}")
        yield f"{options.kind} {n} labels, {score}: {', '.join(parts) or 'nothing yet'}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(KINDS))
    parser.add_argument("--pool", default="")
    parser.add_argument("--test", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--orders", nargs="+", default=["doubt", "random"], choices=["doubt", "random"])
    parser.add_argument("--counts", nargs="+", type=int, default=[25, 50, 100, 200])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=0, help="0: by the rule of `auto`, as `label` has it")
    parser.add_argument("--pool-examples", type=int, default=2_000)
    parser.add_argument("--test-examples", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/labelling.jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
