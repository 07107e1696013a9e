"""Write the plain text that the starter model is distilled on: one text a line.

From SQuAD's training articles every passage behind one of its questions, as `question [SEP] passage`, which is how a
question-answering model reads them; its other questions are not used. From the starter data the training passages
likewise. Nothing of either validation part is read.

    python -m tools.starter_model.texts ../shared/data OUTPUT
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path

STARTER_TRAIN = Path(__file__).parents[2] / "src" / "distiltune" / "starter" / "data" / "train.json"
SEED = 0


def pairs(squad: Path, seed: int) -> list[str]:
    """Each distinct passage of a SQuAD file behind one of its questions, drawn by ``seed``."""
    content = squad.read_bytes()
    articles = json.loads(gzip.decompress(content) if squad.suffix == ".gz" else content)["data"]
    questions: dict[str, list[str]] = {}
    for article in articles:
        for paragraph in article["paragraphs"]:
            of_passage = questions.setdefault(one_line(paragraph["context"]), [])
            of_passage += [one_line(question["question"]) for question in paragraph["qas"]]
    rng = random.Random(seed)
    return [f"{rng.choice(asked)} [SEP] {passage}" if asked else passage for passage, asked in questions.items()]


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def main() -> None:
    """Write ``squad.txt`` and ``starter.txt``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds squad-v1.1")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, texts in (
        ("squad", pairs(arguments.data / "squad-v1.1" / "train.json.gz", SEED)),
        ("starter", pairs(STARTER_TRAIN, SEED)),
    ):
        kept = [text for text in texts if text.strip()]
        (arguments.output / f"{name}.txt").write_text("".join(f"{text}\n" for text in kept), encoding="utf-8")
        print(f"{name}: {len(kept):,} texts, {sum(map(len, kept)):,} characters")


if __name__ == "__main__":
    main()
