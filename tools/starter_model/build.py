"""Make the starter models again: `starter`, a distilled encoder, and `starter-qa`, which answers questions.

    python -m tools.starter_model.build --shared ../shared --work runs/starter

Each step is one `distiltune` command, printed before it runs, and is passed over where its result is there already:
after a stop, the same command goes on. On two cores all of it takes about four hours. With ``--install`` the two
models are written into the package in float16, with their cards.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGED = HERE.parents[1] / "src" / "distiltune" / "starter"

QUESTIONS = 40_000
"""Of SQuAD's 87,599 that `starter-qa` is fine-tuned on; more help, and cost two seconds of two cores for 30."""

FINE_TUNING = (
    *("--epochs", "3", "--warmup-share", "0.05", "--max-gradient-norm", "1"),
    *("--dropout", "0", "--attention-dropout", "0", "--head-dropout", "0"),
    *("--validation-questions", "1000", "--monitor", "f1"),
)
"""The settings of every fine-tuning of the starter that is measured, beside its learning rate."""

LEARNING_RATE = "5e-4"


def distiltune(*arguments: str | Path) -> None:
    """Run a command of distiltune and stop where it fails."""
    command = [sys.executable, "-m", "distiltune", *map(str, arguments)]
    print("$", shlex.join(["distiltune", *command[3:]]), flush=True)
    subprocess.run(command, check=True)


def train(run: Path, *command: str | Path) -> Path:
    """A run by ``distiltune train`` or ``distill``, made unless it is there; its model directory."""
    if not (run / "model" / "config.json").is_file():
        distiltune(*command, "--output", run, "--overwrite")
    return run / "model"


def make_starter(work: Path, teacher: Path) -> Path:
    """`starter`, an encoder distilled on plain text."""
    model = train(
        work / "encoder",
        *("distill", "--encoder", "--teacher", teacher, "--train", work / "texts"),
        *("--student-layers", "6", "--student-width", "160", "--student-heads", "5", "--log-every", "20"),
    )
    return halved(model, work / "starter", HERE / "card_starter.md")


def make_teacher(work: Path, model: Path, squad: Path) -> Path:
    """The teacher of `starter-qa`: the larger model, fine-tuned on 20,000 questions (docs/results.md, the long run)."""
    return train(
        work / "teacher",
        *("train", "--model", model, *data(squad)),
        *("--train-questions", "20000", "--epochs", "2"),
    )


def make_answering(work: Path, starter: Path, teacher: Path, squad: Path, learning_rate: str) -> Path:
    """`starter-qa`: the starter fine-tuned on SQuAD with the teacher's answers beside the labels."""
    model = train(
        work / "qa",
        *("distill", "--teacher", teacher, "--model", starter, *data(squad)),
        *("--train-questions", str(QUESTIONS), "--learning-rate", learning_rate, *FINE_TUNING),
    )
    return halved(model, work / "starter-qa", HERE / "card_starter_qa.md")


def data(squad: Path) -> tuple[str | Path, ...]:
    """The flags that name SQuAD's two parts."""
    return "--train", squad / "train.json.gz", "--validation", squad / "dev.json.gz"


def halved(model: Path, directory: Path, card: Path) -> Path:
    """A model as it ships: float16, with its card, and nothing of the run that made it."""
    from distiltune.model.save import write_model_directory
    from distiltune.model.source import load_source, load_tokenizer
    from distiltune.tasks.question_answering.task import HEAD_RULES

    if (directory / "config.json").is_file():
        return directory
    source = load_source(str(model), HEAD_RULES)
    answers = not source.missing
    write_model_directory(
        directory,
        config=source.config,
        tensors=source.tensors,
        tokenizer=load_tokenizer(source.directory),
        head_rules=HEAD_RULES,
        architectures=("DistilBertForQuestionAnswering" if answers else "DistilBertModel",),
        extra_config={"qa_dropout": 0.0},
        extra_files={"README.md": card.read_bytes()},
        dtype="float16",
    )
    size = sum(file.stat().st_size for file in directory.iterdir())
    print(f"{directory}: {size / 1e6:.1f} MB")
    return directory


def main() -> None:
    """Run every step that is not done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds data/ and models/")
    parser.add_argument("--work", type=Path, default=Path("runs/starter"), help="where the runs are made")
    parser.add_argument("--install", action="store_true", help="write the two models into the package")
    arguments = parser.parse_args()
    work, squad = arguments.work, arguments.shared / "data" / "squad-v1.1"
    large = arguments.shared / "models" / "minilm-l6-distilbert"

    if not (work / "texts").is_dir():
        subprocess.run([sys.executable, HERE / "texts.py", arguments.shared / "data", work / "texts"], check=True)
    starter = make_starter(work, large)
    answering = make_answering(work, starter, make_teacher(work, large, squad), squad, LEARNING_RATE)
    if arguments.install:
        for model, name in ((starter, "model"), (answering, "model-qa")):
            shutil.rmtree(PACKAGED / name, ignore_errors=True)
            shutil.copytree(model, PACKAGED / name)


if __name__ == "__main__":
    main()
