"""The packaged data holds what its datasheet (docs/starter-data.md) says of it."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from distiltune.tasks.question_answering.examples import Example
from distiltune.tasks.question_answering.metrics import normalise_answer
from distiltune.tasks.question_answering.read import read_examples

ROOT = Path(__file__).parents[2]
SPLITS = {split: read_examples(["starter"], split=split).examples for split in ("train", "validation")}
ALL = [example for examples in SPLITS.values() for example in examples]
CLASS = re.compile(r"(?i)\b(how (?:many|much|long|old|often|far|high)|how|whose|who|whom|when|where|why|which|what)\b")
SMALL_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the of in on at to for from by with as is are was were be been has have had did do does it its their his
        her and or but that this than not no can may must one there they he she we i you who what when where why which
        how many much long often into out up off after before so if""",
    )
)


def class_of(example: Example) -> str:
    found = CLASS.search(example.question)
    return found[0].lower() if found else "other"


def content_words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-zà-ž0-9]+", text.lower()) if word not in SMALL_WORDS}


def test_every_answer_is_an_exact_span_of_whole_words() -> None:
    for example, answer in ((each, answer) for each in ALL for answer in each.answers):
        assert example.context[answer.start : answer.end] == answer.text, example.id
        assert answer.text == answer.text.strip(), example.id
        padded = f" {example.context} "
        before, after = padded[answer.start], padded[answer.end + 1]
        assert not (before.isalnum() and answer.text[0].isalnum()), example.id
        assert not (after.isalnum() and answer.text[-1].isalnum()), example.id
        assert len(answer.text.split()) <= 14, example.id


def test_no_passage_and_no_question_is_in_both_parts() -> None:
    for part in (lambda e: e.context, lambda e: normalise_answer(e.question), lambda e: e.id):
        train, validation = ({part(e) for e in SPLITS[split]} for split in ("train", "validation"))
        assert not train & validation
    # Nor a long stretch of one: twelve words in a row.
    stretches: dict[str, set[str]] = {}
    for split, examples in SPLITS.items():
        words = [context.split() for context in {e.context for e in examples}]
        stretches[split] = {" ".join(w[i : i + 12]) for w in words for i in range(len(w) - 11)}
    assert not stretches["train"] & stretches["validation"]


@pytest.mark.parametrize("split", SPLITS)
def test_questions_are_of_many_classes(split: str) -> None:
    counts = Counter(map(class_of, SPLITS[split]))
    n = len(SPLITS[split])
    for name, least in {"who": 0.06, "when": 0.03, "where": 0.05, "why": 0.06, "how many": 0.06, "which": 0.06}.items():
        assert counts[name] / n >= least, counts
    assert counts["what"] / n <= 0.35, counts
    assert sum(n for name, n in counts.items() if name.startswith("how")) / n >= 0.15
    assert counts["other"] / n <= 0.02


def test_questions_say_it_in_words_of_their_own() -> None:
    """Half of a question's content words at most are the passage's: a model cannot just match words."""
    shares = [len(content_words(e.question) & content_words(e.context)) / len(content_words(e.question)) for e in ALL]
    assert sum(shares) / len(shares) < 0.5


def test_the_sentence_with_the_answer_is_not_given_away_by_the_words_alone() -> None:
    """How often the sentence that shares most words with the question holds the answer; chance is 1 in 8."""
    right = n = 0
    for example in ALL:
        if not example.answers:
            continue
        bounds = [0, *(found.end() for found in re.finditer(r"[.;:!?]\s", example.context)), len(example.context)]
        pieces = [(a, b) for a, b in itertools.pairwise(bounds) if b > a]
        asked = content_words(example.question)
        best = max(pieces, key=lambda piece: len(asked & content_words(example.context[piece[0] : piece[1]])))
        right += best[0] <= example.answers[0].start < best[1]
        n += 1
    assert right / n < 0.7


def test_passages_hold_distractors() -> None:
    """Several numbers and several names in nearly every passage, so that the kind of answer alone does not decide."""
    contexts = list(dict.fromkeys(example.context for example in ALL))
    numbers = [len(set(re.findall(r"\d[\d.,]*", context))) for context in contexts]
    names = [len(set(re.findall(r"(?<![.!?] )\b[A-ZÀ-Ž][a-zà-ž]+", context))) for context in contexts]
    assert sum(n >= 2 for n in numbers) / len(contexts) >= 0.9
    assert sum(n >= 4 for n in names) / len(contexts) >= 0.9


def test_the_datasheet_has_the_counts_right() -> None:
    page = (ROOT / "docs" / "starter-data.md").read_text(encoding="utf-8")
    for split, examples in SPLITS.items():
        answerable = sum(bool(example.answers) for example in examples)
        passages = len({example.context for example in examples})
        row = f"| {split} | {passages} | {len(examples)} | {answerable} | {len(examples) - answerable} |"
        assert row in page


def test_the_datasheet_has_the_counts_of_messages_and_notices_right() -> None:
    page = (ROOT / "docs" / "starter-data.md").read_text(encoding="utf-8")
    for task in ("text_classification", "token_classification"):
        counts, texts = [], []
        for split in ("train", "validation"):
            lines = (files("distiltune.starter") / "data" / task / f"{split}.jsonl").read_text("utf-8").splitlines()
            counts.append(len(lines))
            texts += [json.loads(line)["text"] for line in lines]
        assert len(set(texts)) == sum(counts), "a text stands twice"
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `--task {task.replace('_', '-')}`")]
        assert f"| {counts[0]} | {counts[1]} |" in row


def test_the_data_is_small_enough_to_ship() -> None:
    sizes = [Path(str(each)).stat().st_size for each in (files("distiltune.starter") / "data").iterdir()]
    assert sum(sizes) < 300_000
