"""Train on purpose what goes wrong, and what goes well, and see what the coach says first.

    python tools/sick_runs.py ../shared/data/squad-v1.1 ../shared/models/minilm-l6-distilbert --seeds 3

Every training is small (200 SQuAD questions on short passages, some steps of a 6-layer model) so that it takes under a
minute on one core. A sick run counts as told if the first advice names one of the sicknesses that it was given; a
healthy one as accused if there is any advice above a note. One JSON line a run goes to --output, and the table of all
lines there, as docs/coach.md has it, to standard output; runs that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from distiltune.coach.advice import advise
from distiltune.coach.evidence import Evidence
from distiltune.coach.watching import Coach
from distiltune.model.build import LoadedModel
from distiltune.recipe.recipe import Recipe
from distiltune.runs import fine_tune as fine_tuning
from distiltune.runs import results
from distiltune.runs.coaching import CoachFindings
from distiltune.tasks.question_answering import task
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.read import read_examples

MAX_WORDS = 60
PARTS = ("tuning", "reported")
Data = tuple[list[Example], list[Example]]


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        name: in the table.
        expected: the sicknesses, any of which is right; none for a healthy run.
        settings: of the recipe, over the usual ones.
        spoil: changes the training and the validation questions.
        n_train: how many training questions are drawn.
        n_validation: how many validation questions are.
        freeze: whether the encoder is kept from learning.

    """

    name: str
    expected: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[Data, random.Random], Data] = lambda data, rng: data
    n_train: int = 200
    n_validation: int = 100
    freeze: bool = False
    only_first: bool = False


USUAL: dict[str, Any] = {
    "learning_rate": 2e-4,
    "epochs": 3,
    "max_length": 128,
    "stride": 32,
    "log_every": 2,
    "max_rejected_share": 0.3,
}


def with_answer(example: Example, start: int, end: int) -> Example:
    """The question with another part of its text as its answer."""
    return Example(example.id, example.question, example.context, (Answer(example.context[start:end], start),))


def shuffled(data: Data, rng: random.Random) -> Data:
    """Every answer, in both sets, is a word of the passage drawn by lot."""

    def draw(example: Example) -> Example:
        words = example.context.split(" ")
        which = rng.randrange(len(words))
        start = sum(len(word) + 1 for word in words[:which])
        return with_answer(example, start, start + max(1, len(words[which])))

    return [draw(each) for each in data[0]], [draw(each) for each in data[1]]


def shifted(data: Data, rng: random.Random) -> Data:
    """All training answers are cut one character too far right."""
    return [with_answer(e, e.answers[0].start + 1, e.answers[0].end + 1) for e in data[0]], data[1]


def some_swapped(data: Data, rng: random.Random) -> Data:
    """The answers of 5 % of the training questions are those of other questions."""
    train = list(data[0])
    for index in rng.sample(range(len(train)), len(train) // 20):
        other = next(e for e in rng.sample(train, len(train)) if e.answers[0].text not in train[index].context)
        example = train[index]
        train[index] = Example(example.id, example.question, example.context, other.answers)
    return train, data[1]


def unanswerable(data: Data, rng: random.Random) -> Data:
    """No training question has an answer."""
    return [Example(e.id, e.question, e.context, ()) for e in data[0]], data[1]


def leaked(data: Data, rng: random.Random) -> Data:
    """Half of the validation questions are training questions."""
    half = len(data[1]) // 2
    return data[0], [*data[1][:half], *data[0][:half]]


SICK = (
    Case("learning rate 100 x too high", ("learning_rate_too_high",), {"learning_rate": 2e-2}),
    Case("learning rate 1,000 x too low", ("learning_rate_too_low",), {"learning_rate": 2e-7}),
    Case("labels shuffled", ("wrong_labels",), spoil=shuffled),
    Case("offsets shifted by one", ("answer_cut_into_word",), spoil=shifted),
    Case("5 % of answers wrong", ("answer_not_found",), spoil=some_swapped),
    Case("40 questions, 30 epochs", ("overfitting", "few_questions"), {"epochs": 30}, n_train=40),
    Case(
        "dropout 0.9",
        ("dropout_too_high",),
        {"dropout": 0.9, "attention_dropout": 0.9, "head_dropout": 0.9},
    ),
    Case("leaked validation set", ("question_leaked",), spoil=leaked),
    Case("one constant answer position", ("position_bias",), n_train=110, only_first=True),
    Case("all unanswerable", ("nothing_answerable",), spoil=unanswerable),
    Case("frozen encoder", ("frozen",), freeze=True),
    Case(
        "windows that cut",
        ("answer_in_no_window", "question_truncated"),
        {"max_length": 32, "stride": 0},
    ),
    Case("broken off early", ("underfitting", "not_learning"), {"learning_rate": 3e-5, "epochs": 2}),
    Case("validation of 15 questions", ("validation_too_small",), n_validation=15),
)
HEALTHY = (
    Case("usual"),
    Case("gentler, more questions", settings={"learning_rate": 1e-4}, n_train=300),
    Case("stronger, two epochs", settings={"learning_rate": 3e-4, "epochs": 2}),
    Case("small batches", settings={"learning_rate": 1e-4, "batch_size": 8}),
    Case("warm-up and clipping", settings={"warmup_share": 0.1, "max_gradient_norm": 1.0}),
    Case("no dropout, weight decay", settings={"dropout": 0.0, "attention_dropout": 0.0, "weight_decay": 0.01}),
)


def draw_data(case: Case, pool: Sequence[Example], held_out: Sequence[Example], seed: int) -> Data:
    """The questions of one run."""
    rng = random.Random(seed)
    train = [e for e in pool if not case.only_first or (e.answers[0].start == 0 and len(e.context) >= 200)]
    data = rng.sample(train, case.n_train), rng.sample(list(held_out), case.n_validation)
    return case.spoil(data, rng)


def write(path: Path, examples: Sequence[Example]) -> str:
    """Questions as JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for each in examples:
            answers = [{"text": answer.text, "answer_start": answer.start} for answer in each.answers]
            row = {"id": each.id, "question": each.question, "context": each.context, "answers": answers}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return str(path)


def run(
    case: Case, pool: Sequence[Example], held_out: Sequence[Example], model: str, seed: int
) -> tuple[dict[str, Any], Evidence]:
    """One training, what the coach says about it, and what it goes by."""
    began = time.perf_counter()
    train, validation = draw_data(case, pool, held_out, seed)
    load = task.load_model  # type: ignore[attr-defined]

    def load_frozen(*arguments: Any) -> LoadedModel:
        loaded: LoadedModel = load(*arguments)
        for parameter in loaded.model.encoder.parameters():  # type: ignore[union-attr]
            parameter.requires_grad_(not case.freeze)
        return loaded

    sum_up = results.sum_up_run  # type: ignore[attr-defined]
    known: list[Evidence] = []

    def sum_up_and_keep(run: Any, of: Any, data: Any, coached: Coach, probe: Any) -> CoachFindings:
        findings = sum_up(run, of, data, coached, probe)
        known.append(coached.evidence)
        return findings

    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.build(
            {
                **USUAL,
                "model": model,
                "train": (write(Path(folder) / "train.jsonl", train),),
                "validation": (write(Path(folder) / "validation.jsonl", validation),),
                "seed": seed,
                "threads": 1,
                **case.settings,
            }
        )
        task.load_model = load_frozen  # type: ignore[attr-defined, assignment]
        results.sum_up_run = sum_up_and_keep  # type: ignore[attr-defined, assignment]
        try:
            done = fine_tuning.fine_tune(recipe, output=Path(folder) / "run")
        finally:
            task.load_model = load  # type: ignore[attr-defined]
            results.sum_up_run = sum_up  # type: ignore[attr-defined]
    line = judge(case, seed, known[-1])
    line["f1"] = round(done.best.validation["f1"], 2)
    line["seconds"] = round(time.perf_counter() - began, 1)
    return line, known[-1]


def judge(case: Case, seed: int, evidence: Evidence) -> dict[str, Any]:
    """What the coach says about a run, and whether that is right."""
    advice = [each.as_json() for each in advise(evidence)]
    severe = [each for each in advice if each["severity"] != "note"]
    first = severe[0]["sickness"] if severe else "none"
    return {
        "case": case.name,
        "seed": seed,
        "expected": list(case.expected),
        "first": first,
        "right": first in case.expected if case.expected else first == "none",
        "all": [f"{each['severity']} {each['sickness']}" for each in advice],
        "evidence": severe[0]["evidence"] if severe else "",
        "train_losses": [round(epoch.train["loss"], 4) for epoch in evidence.epochs],
        "validation_losses": [round(epoch.validation["loss"], 4) for epoch in evidence.epochs],
    }


def again(line: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A run judged by today's rules, from what was recorded of it."""
    case = next(each for each in (*SICK, *HEALTHY) if each.name == line["case"])
    path = folder / f"{case.name.replace(' ', '_')}-{line['seed']}.pickle"
    return {**line, **judge(case, line["seed"], pickle.loads(path.read_bytes()))} if path.exists() else line


def table(lines: Sequence[dict[str, Any]]) -> str:
    """The runs by case."""
    rows = ["| training | runs | told | said first |", "|---|---:|---:|---|"]
    for title, cases in (("sick", SICK), ("healthy", HEALTHY)):
        n_right = n_runs = 0
        for case in cases:
            runs = [line for line in lines if line["case"] == case.name]
            right = sum(line["right"] for line in runs)
            said = ", ".join(dict.fromkeys(line["first"] for line in runs))
            rows.append(f"| {case.name} | {len(runs)} | {right} | {said} |")
            n_right, n_runs = n_right + right, n_runs + len(runs)
        share = f"{n_right / n_runs:.0%}" if n_runs else "-"
        rows.append(f"| **all {title}** | {n_runs} | {n_right} ({share}) | |")
    return "\n".join(rows)


def main() -> None:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of SQuAD 1.1 with train.json.gz and dev.json.gz")
    parser.add_argument("model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--part",
        choices=PARTS,
        default="reported",
        help="the rules were written looking at one half of the passages only, and the table is of the other half",
    )
    parser.add_argument("--only", action="append", default=[], help="a case's name, or part of it")
    parser.add_argument("--again", action="store_true", help="judge the recorded evidence again, by today's rules")
    parser.add_argument("--output", type=Path, default=Path("sick_runs.jsonl"))
    arguments = parser.parse_args()
    done = [json.loads(line) for line in arguments.output.read_text().splitlines()] if arguments.output.exists() else []
    folder = arguments.output.with_suffix(".evidence")
    if arguments.again:
        done = [again(line, folder) for line in done]
    known = {(line["case"], line["seed"]) for line in done}

    def short(file: str, split: Any) -> list[Example]:
        examples = read_examples([arguments.data / file], split=split).examples
        mine = [example for example in examples if crc32(example.context.encode()) % 2 == PARTS.index(arguments.part)]
        return [example for example in mine if len(example.context.split()) <= MAX_WORDS]

    pool, held_out = short("train.json.gz", "train"), short("dev.json.gz", "validation")
    print(f"{len(pool)} training and {len(held_out)} validation questions on passages of at most {MAX_WORDS} words")
    for seed in range(arguments.seeds):
        for case in (*SICK, *HEALTHY):
            wanted = not arguments.only or any(part in case.name for part in arguments.only)
            if not wanted or (case.name, seed) in known:
                continue
            line, evidence = run(case, pool, held_out, arguments.model, seed)
            done.append(line)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{case.name.replace(' ', '_')}-{seed}.pickle").write_bytes(pickle.dumps(evidence))
            with arguments.output.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    print(table(done))


if __name__ == "__main__":
    main()
