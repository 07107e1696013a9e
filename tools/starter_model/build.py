"""Make the starter models again: `starter`, a distilled encoder, and `starter-qa`, which answers questions.

    python -m tools.starter_model.build --shared ../shared --work runs/starter

Each step is one `distiltune` command, printed before it runs. After a stop, however it happened, the same command goes
on: a run that is finished is passed over, one that is not is resumed from its last checkpoint, and what the teachers
said is kept chunk by chunk. docs/starter.md says how long it takes. With ``--install`` the two models are written into
the package in float16, with their cards.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGED = HERE.parents[1] / "src" / "distiltune" / "starter"
LOGS = HERE.parents[1] / "docs" / "starter-logs"

SHAPE = ("--student-layers", "6", "--student-width", "160", "--student-heads", "5")
ASKED = "encoder-asked"
"""The run of the second stage."""

MADE_BY = ("teacher", "encoder", ASKED, "teacher-declining", "qa")
"""The runs that the two models come from."""

LARGER_BATCHES = ("--batch-size", "32", "--warmup-share", "0.05", "--max-gradient-norm", "1")

FINE_TUNING = (
    *LARGER_BATCHES,
    *("--dropout", "0", "--attention-dropout", "0", "--head-dropout", "0"),
    *("--validation-questions", "3000", "--monitor", "f1"),
)
"""The settings of every fine-tuning of the starter, beside its learning rate and its epochs."""

EPOCHS = 4
PILOT_RATES = ("1.5e-4", "3e-4", "6e-4", "1.2e-3")
PILOT = ("--train-questions", "16000", "--epochs", "2")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie, and how they are made.

    Attributes:
        shared: holds data/squad-v1.1 and models/minilm-l6-distilbert.
        work: where the runs are made.
        more: flags of every training, such as the precision.
        device: of trainings and measurements.
        tiny: a trial of the whole chain in minutes, whose figures say nothing.

    """

    shared: Path
    work: Path
    more: tuple[str, ...] = ()
    device: str = "auto"
    tiny: bool = False

    @property
    def large(self) -> Path:
        """The encoder that all is distilled from."""
        return self.shared / "models" / "minilm-l6-distilbert"

    @property
    def squad(self) -> Path:
        """SQuAD's folder."""
        return self.shared / "data" / "squad-v1.1"

    @property
    def data(self) -> tuple[str | Path, ...]:
        """The flags that name the questions, with and without an answer, and those of articles held out."""
        directory = drawn(self, "declining", "tools.starter_model.declining")
        return "--train", directory / "train.json", "--validation", directory / "held.json"


def distiltune(*arguments: str | Path) -> None:
    """Run a command of distiltune and stop where it fails."""
    command = [sys.executable, "-m", "distiltune", *map(str, arguments)]
    print("$", shlex.join(["distiltune", *command[3:]]), flush=True)
    subprocess.run(command, check=True)


def is_finished(run: Path) -> bool:
    """Whether a run has come to its end; one that was interrupted has a model too."""
    try:
        last = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        end: dict[str, Any] = json.loads(last)
    except (OSError, IndexError, ValueError):
        return False
    return end.get("kind") == "end" and end.get("outcome") == "done"


def train(run: Path, command: Sequence[str | Path], places: Places) -> Path:
    """A training's model: it is passed over if it is finished, resumed if it was begun, and made if not."""
    if not is_finished(run):
        if (run / "recipe.toml").is_file():
            distiltune("train", "--resume", run)
        else:
            less = () if "--encoder" in command else ("--train-questions", "60", "--validation-questions", "40")
            trial = ("--epochs", "1", *less) if places.tiny else ()
            distiltune(*command, *places.more, *trial, "--output", run)
    return run / "model"


def make_starter(places: Places, teacher: Path) -> Path:
    """`starter`: an encoder distilled on plain text, from the larger model and then from that one fine-tuned.

    The first teaches it words, the second what a question has to do with a passage, of which the first knows nothing.
    """
    how = ("--log-every", "20")
    first = ("distill", "--encoder", "--teacher", places.large, "--train", texts(places, "texts", "1", "0"))
    long = ("--epochs", "10", "--learning-rate", "1.4e-3", *LARGER_BATCHES)
    encoder = train(places.work / "encoder", (*first, *SHAPE, *long, *how), places)
    then = ("distill", "--encoder", "--teacher", teacher, "--train", texts(places, "texts-asked", "3", "1"))
    asked = (*then, "--model", encoder, "--epochs", "4", "--learning-rate", "7e-4", *LARGER_BATCHES, *how)
    return halved(train(places.work / ASKED, asked, places), places.work / "starter", HERE / "card_starter.md")


def texts(places: Places, name: str, each: str, seed: str) -> Path:
    """The texts of one stage: every passage behind so many of its questions."""
    directory = drawn(places, name, "tools.starter_model.texts", "--each", each, "--seed", seed)
    return directory / "starter.txt" if places.tiny else directory


def drawn(places: Places, name: str, module: str, *flags: str) -> Path:
    """A folder of what one of the scripts beside this one draws from SQuAD; made once."""
    directory = places.work / name
    if not directory.is_dir():
        beside = directory.with_name(f".{name}")
        subprocess.run([sys.executable, "-m", module, places.shared / "data", beside, *flags], check=True)
        beside.rename(directory)
    return directory


def make_teacher(places: Places) -> Path:
    """The teacher of the second stage: the larger model on all of SQuAD by the default recipe."""
    how = ("--train", places.squad / "train.json.gz", "--validation-share", "0")
    return train(places.work / "teacher", ("train", "--model", places.large, *how), places)


def make_declining_teacher(places: Places, teacher: Path) -> Path:
    """The teacher of `starter-qa`: that one, taught to decline."""
    how = ("--epochs", "2", "--learning-rate", "8e-5", *LARGER_BATCHES, "--validation-questions", "3000")
    command = ("train", "--model", teacher, *places.data, *how, "--monitor", "f1")
    return train(places.work / "teacher-declining", command, places)


def find_learning_rate(places: Places, starter: Path) -> str:
    """The best of a few learning rates, by the F1 of short trainings."""
    scores = {}
    for rate in PILOT_RATES:
        run = places.work / f"pilot-{rate}"
        train(run, ("train", "--model", starter, *places.data, *FINE_TUNING, "--learning-rate", rate, *PILOT), places)
        scores[rate] = max(float(epoch["validation"]["f1"]) for epoch in epochs_of(run))
        print(f"learning rate {rate}: F1 {scores[rate]:.2f}", flush=True)
    return max(scores, key=lambda rate: scores[rate])


def make_answering(places: Places, starter: Path, teacher: Path, rate: str) -> Path:
    """`starter-qa`: the starter fine-tuned with the teacher's answers beside the labels."""
    how = ("--epochs", str(EPOCHS), "--learning-rate", rate)
    command = ("distill", "--teacher", teacher, "--model", starter, *places.data, *FINE_TUNING, *how)
    return halved(train(places.work / "qa", command, places), places.work / "starter-qa", HERE / "card_starter_qa.md")


def epochs_of(run: Path) -> list[dict[str, Any]]:
    """What the log says of each epoch."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["kind"] == "epoch"]


def halved(model: Path, directory: Path, card: Path) -> Path:
    """A model as it ships: float16, with its card, and nothing of the run that made it."""
    from distiltune.model.save import ModelToWrite, write_model_directory
    from distiltune.model.source import load_source, load_tokenizer
    from distiltune.tasks.question_answering.task import HEAD_RULES

    if (directory / "config.json").is_file():
        return directory
    source = load_source(str(model), HEAD_RULES)
    answers = not source.missing
    told = ("distiltune", "null_threshold")  # windows and temperature; above what "no answer" is given
    kept = {name: source.config_hf[name] for name in told if answers and name in source.config_hf}
    write_model_directory(
        directory,
        ModelToWrite(
            source.config,
            source.tensors,
            load_tokenizer(source.directory),
            HEAD_RULES,
            ("DistilBertForQuestionAnswering" if answers else "DistilBertModel",),
            {"qa_dropout": 0.0, **kept},
        ),
        extra_files={"README.md": card.read_bytes()},
        dtype="float16",
    )
    size = sum(file.stat().st_size for file in directory.iterdir())
    print(f"{directory}: {size / 1e6:.1f} MB", flush=True)
    return directory


def install(starter: Path, answering: Path, places: Places) -> None:
    """Put the two models into the package, and the logs of the runs that made them into the documentation."""
    for model, name in ((starter, "model"), (answering, "model-qa")):
        shutil.rmtree(PACKAGED / name, ignore_errors=True)
        shutil.copytree(model, PACKAGED / name)
    LOGS.mkdir(exist_ok=True)
    for run in MADE_BY:
        log = (places.work / run / "log.jsonl").read_text(encoding="utf-8")
        (LOGS / f"{run}.jsonl").write_text(public_log(log, places), encoding="utf-8")


def public_log(log: str, places: Places) -> str:
    """A run's recipe, versions, steps and epochs; places are named as in docs/starter.md, not as on this machine."""
    kept = [line for line in log.splitlines() if json.loads(line)["kind"] in ("start", "step", "epoch", "end")]
    text = "".join(f"{line}\n" for line in kept)
    named = [(places.work, "runs/starter"), (places.shared, "../shared")]
    for place, name in named:
        for spelling in (str(place.resolve()), str(place)):
            text = text.replace(spelling, name)
    return text


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The flags that say where things lie."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds data/ and models/")
    parser.add_argument("--work", type=Path, default=Path("runs/starter"), help="where the runs are made")
    parser.add_argument("--learning-rate", help="of the fine-tunings; found by short trainings if left out")
    parser.add_argument("--precision", default="auto", help="of the trainings that are begun")
    parser.add_argument("--device", default="auto", help="of the trainings that are begun")
    parser.add_argument("--tiny", action="store_true", help="a trial of the whole chain; its figures say nothing")
    parser.add_argument("--install", action="store_true", help="write the two models into the package")
    return parser


def places_of(arguments: argparse.Namespace) -> Places:
    """What the flags say; makes the work directory."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    more = ("--precision", arguments.precision, "--device", arguments.device)
    return Places(arguments.shared, arguments.work, more, arguments.device, arguments.tiny)


def main() -> None:
    """Run every step that is not done."""
    arguments = parser_of(__doc__).parse_args()
    places = places_of(arguments)
    teacher = make_teacher(places)
    starter = make_starter(places, teacher)
    rate = arguments.learning_rate or find_learning_rate(places, starter)
    answering = make_answering(places, starter, make_declining_teacher(places, teacher), rate)
    if arguments.install:
        install(starter, answering, places)


if __name__ == "__main__":
    main()
