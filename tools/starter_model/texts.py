"""Write the plain text that the starter model is distilled on: one text a line.

From SQuAD's training articles every passage behind one of its questions, or some, as `question [SEP] passage`, which is
how a question-answering model reads them; no answers. From the starter data the training passages likewise. Nothing of
either validation part is read.

    python -m tools.starter_model.texts ../shared/data OUTPUT --each 1 --seed 0
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

STARTER_TRAIN = Path(__file__).parents[2] / "src" / "distiltune" / "starter" / "data" / "train.json"


def pairs(squad: Path, seed: int, each: int = 1) -> list[str]:
    """Each distinct passage of a SQuAD file behind ``each`` of its questions, or all it has, drawn by ``seed``."""
    content = squad.read_bytes()
    articles = json.loads(gzip.decompress(content) if squad.suffix == ".gz" else content)["data"]
    questions: dict[str, list[str]] = {}
    for article in articles:
        for paragraph in article["paragraphs"]:
            of_passage = questions.setdefault(one_line(paragraph["context"]), [])
            of_passage += [one_line(question["question"]) for question in paragraph["qas"]]
    rng = random.Random(seed)
    drawn = ((passage, rng.sample(asked, min(each, len(asked)))) for passage, asked in questions.items())
    return [
        f"{question} [SEP] {passage}" if question else passage for passage, some in drawn for question in some or [""]
    ]


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def main() -> None:
    """Write ``squad.txt`` and ``starter.txt``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds squad-v1.1")
    parser.add_argument("output", type=Path)
    parser.add_argument("--each", type=int, default=1, help="questions of a passage")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, texts in (
        ("squad", pairs(arguments.data / "squad-v1.1" / "train.json.gz", arguments.seed, arguments.each)),
        ("starter", pairs(STARTER_TRAIN, arguments.seed, arguments.each)),
    ):
        kept = [text for text in texts if text.strip()]
        (arguments.output / f"{name}.txt").write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
        print(f"{name}: {len(kept):,} texts, {sum(map(len, kept)):,} characters")


if __name__ == "__main__":
    main()
