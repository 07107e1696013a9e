"""Make the starters and measure what they are worth: what they answer, what they decline, and what a teacher adds.

    python -m tools.starter_model.measure --shared ../shared --work runs/starter

One command for all of it, ``build.py``'s steps too; started again after a stop, it goes on where it was. The results
are written after each figure. All of SQuAD's validation part is asked, 10,570 questions, with an answer and once more
put to a passage of another article; of SQuAD 2.0's there are 6,078, half of them without an answer. Neither is trained
or tuned on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tools.starter_model.build import (
    ASKED,
    EPOCHS,
    FINE_TUNING,
    Places,
    epochs_of,
    find_learning_rate,
    install,
    make_answering,
    make_declining_teacher,
    make_starter,
    make_teacher,
    parser_of,
    places_of,
    train,
)
from tools.starter_model.declining import holds_any, read_articles

from distiltune import Recipe, evaluate

SEEDS = (0, 1, 2)
QUICKSTART = ("train", "--train", "starter")
"""As the Makefile has it, beside the seed; a test holds the two together."""

ALWAYS = 1e9
"""A threshold that no score reaches: every question is answered."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured, in one file."""

    file: Path

    def note(self, name: str, metrics: Mapping[str, Any], run: Path | None = None) -> None:
        """Add a run's figures, or replace them."""
        results = json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}
        epochs = epochs_of(run) if run is not None else []
        seconds = round(sum(epoch["train_seconds"] for epoch in epochs), 1)
        results[name] = {**metrics, **({"train_seconds": seconds, "epochs": len(epochs)} if epochs else {})}
        beside = self.file.with_name(f".{self.file.name}.new")
        beside.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.file)
        print(f"{name}: {json.dumps(metrics)}", flush=True)


def random_model(starter: Path, directory: Path) -> Path:
    """The starter's shape and tokenizer without its weights."""
    from distiltune.model.source import UNTRAINED

    directory.mkdir(parents=True, exist_ok=True)
    config = json.loads((starter / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps({**config, UNTRAINED: True}), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (directory / name).write_bytes((starter / name).read_bytes())
    return directory


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a set of questions.

    Attributes:
        metrics: of `distiltune evaluate`.
        answerable: by how much the best answer is better than "no answer", by question.

    """

    metrics: dict[str, float]
    answerable: dict[str, float]


def ask(model: Path, data: Path, kept: Path, places: Places, null_threshold: float | None = None) -> Asked:
    """Put all questions of a file to a model; what comes out is kept in a folder."""
    if not (kept / "metrics.json").is_file():
        recipe = Recipe(null_threshold=null_threshold, validation_questions=50 if places.tiny else 0)
        found = evaluate(model, data, recipe=recipe, predictions=kept, device=places.device)
        (kept / ".metrics.json").write_text(json.dumps(found.metrics), encoding="utf-8")
        (kept / ".metrics.json").rename(kept / "metrics.json")
    lines = (json.loads(line) for line in (kept / "nbest.jsonl").read_text(encoding="utf-8").splitlines())
    metrics: dict[str, float] = json.loads((kept / "metrics.json").read_text(encoding="utf-8"))
    return Asked(metrics, {line["id"]: -float(line["null_score_difference"]) for line in lines})


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that one of the positive is above one of the negative, by ranks (Mann and Whitney); ties are half."""
    values = np.concatenate([np.asarray(positive), np.asarray(negative)])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n, m = len(positive), len(negative)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def elsewhere(squad: Path, output: Path) -> Path:
    """SQuAD's validation questions put to a passage of another article that does not hold their answer."""
    if output.is_file():
        return output
    rng = random.Random(0)
    articles = read_articles(squad)
    made = []
    for article in articles:
        others = [passage.text for other in articles if other is not article for passage in other.passages]
        for passage in article.passages:
            for question in passage.questions:
                answers = [answer["text"] for answer in question["answers"]]
                drawn = rng.sample(others, 50)
                text = next((each for each in drawn if not holds_any(each, answers)), None)
                row = {"id": question["id"], "question": question["question"], "answers": []}
                made += [{"context": text, "qas": [row]}] if text else []
    output.write_text(json.dumps({"data": [{"title": "elsewhere", "paragraphs": made}]}), encoding="utf-8")
    return output


def worth(model: Path, name: str, places: Places) -> dict[str, float]:
    """Everything about an answering model: percent, and areas under the curve."""

    def asked(data: Path, kind: str, null_threshold: float | None = None) -> Asked:
        return ask(model, data, places.work / f"asked-{name}-{kind}", places, null_threshold)

    squad = places.squad / "dev.json.gz"
    half = places.shared / "data" / "squad-v2-half" / "dev.json.gz"
    always, own = asked(squad, "squad-always", ALWAYS), asked(squad, "squad")
    other = asked(elsewhere(squad, places.work / "elsewhere.json"), "elsewhere")
    found, found_always = asked(half, "half"), asked(half, "half-always", ALWAYS)
    has_answer = {
        question["id"]: bool(question["answers"])
        for article in read_articles(half)
        for passage in article.passages
        for question in passage.questions
    }
    by = {kind: [score for id_, score in found.answerable.items() if has_answer[id_] is kind] for kind in (True, False)}
    figures = {
        "exact_match": always.metrics["exact_match"],
        "f1": always.metrics["f1"],
        "exact_match_at_its_threshold": own.metrics["exact_match"],
        "f1_at_its_threshold": own.metrics["f1"],
        "half_area": area_under_curve(by[True], by[False]),
        "half_f1_at_its_threshold": found.metrics["f1"],
        "half_f1_always_answers": found_always.metrics["f1"],
        "half_f1_never_answers": 100 * len(by[False]) / max(1, len(found.answerable)),
        "elsewhere_area": area_under_curve(list(own.answerable.values()), list(other.answerable.values())),
        "elsewhere_declined": other.metrics["f1"],
    }
    return {key: round(value, 4) for key, value in figures.items()}


def quickstarts(places: Places, results: Results, starter: Path) -> None:
    """The starter data: three seeds, and from random weights."""
    shape = random_model(starter, places.work / "shape")
    cases = [(f"quickstart-seed{seed}", starter, seed) for seed in SEEDS] + [("quickstart-random", shape, 0)]
    for name, model, seed in cases:
        run = places.work / name
        train(run, (*QUICKSTART, "--model", model, "--seed", str(seed)), places)
        epochs = epochs_of(run)
        best = max(epochs, key=lambda epoch: float(epoch["validation"]["f1"]))
        results.note(name, {**best["validation"], "epoch_0_f1": epochs[0]["validation"]["f1"]}, run)


def without_teacher(places: Places, results: Results, starter: Path, rate: str) -> None:
    """The same questions as `starter-qa` was taught with, without a teacher, and from random weights."""
    for name, model in (("plain", starter), ("random", random_model(starter, places.work / "shape"))):
        how = ("--epochs", str(EPOCHS), "--learning-rate", rate)
        trained = train(places.work / name, ("train", "--model", model, *places.data, *FINE_TUNING, *how), places)
        results.note(name, worth(trained, name, places), places.work / name)


def main() -> None:
    """Make every run that is not done and write the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/starter.json"))
    arguments = parser.parse_args()
    places, results = places_of(arguments), Results(arguments.results)
    teacher = make_teacher(places)
    starter = make_starter(places, teacher)
    for stage in ("encoder", ASKED):
        run = places.work / stage
        results.note(stage, epochs_of(run)[-1]["validation"], run)
    rate = arguments.learning_rate or find_learning_rate(places, starter)
    results.note("pilot", {"learning_rate": float(rate)})
    declining = make_declining_teacher(places, teacher)
    answering = make_answering(places, starter, declining, rate)
    made = {"starter-qa": answering, "teacher": teacher, "teacher-declining": declining}
    for name, model in made.items():
        run = places.work / ("qa" if name == "starter-qa" else name)
        results.note(name, worth(model, name, places), run if (run / "log.jsonl").is_file() else None)
    if arguments.install:
        install(starter, answering, places)
    quickstarts(places, results, starter)
    without_teacher(places, results, starter, rate)


if __name__ == "__main__":
    main()
