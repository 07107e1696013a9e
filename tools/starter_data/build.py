"""Build the packaged starter data: passages_*.txt beside this file become train.json and validation.json.

Blocks of a passage file look like this (lines that start with # are comments, empty lines mean nothing):

    == Title, used once | train                (or validation)
    The passage. Its lines are joined by one space.
    Q: A question?
    A: exact span of the passage               (more A lines: further gold answers)
    A: 1962 @2                                 (the second place where the passage has "1962")
    Q: A question that the passage does not answer?
    N
"""

import json
import re
import sys
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "src" / "distiltune" / "starter" / "data"
QUESTION_WORD = re.compile(r"(?i)\b(how (many|much|long|old)|how|who(m|se)?|when|where|why|which|what)\b")


@dataclass(frozen=True)
class Line:
    """A stripped line of a passage file; `where` is file:number."""

    where: str
    text: str


@dataclass(frozen=True)
class Answer:
    """A gold answer, named as in SQuAD; `answer_start` counts Unicode code points."""

    text: str
    answer_start: int


@dataclass(frozen=True)
class Question:
    """A question with its gold answers, none if the passage does not answer it."""

    line: Line
    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Passage:
    """A passage with its questions; `split` is train or validation."""

    line: Line
    title: str
    split: str
    context: str
    questions: tuple[Question, ...]


def read_lines(path: Path) -> list[Line]:
    """The lines of a file without comments and empty lines."""
    numbered = enumerate(unicodedata.normalize("NFC", path.read_text("utf-8")).split("\n"), 1)
    lines = [Line(f"{path.name}:{number}", text.strip()) for number, text in numbered]
    return [line for line in lines if line.text and not line.text.startswith("#")]


def group(lines: list[Line], prefix: str) -> list[list[Line]]:
    """Cut before every line that starts with `prefix`; lines before the first such line are a group too."""
    cuts = [i for i, line in enumerate(lines) if i == 0 or line.text.startswith(prefix)]
    return [lines[start:end] for start, end in zip(cuts, [*cuts[1:], len(lines)], strict=False)]


def parse_answer(line: Line, context: str) -> Answer:
    """Locate the answer of an `A:` line in its passage."""
    match = re.fullmatch(r"A:\s*(\S.*?)(?:\s+@([1-9]\d*))?", line.text)
    if match is None:
        raise ValueError(f"{line.where}: expected 'A: exact span', 'A: exact span @2' or a single 'N'")
    text, nth = match[1], int(match[2] or 0)
    starts = [found.start() for found in re.finditer(f"(?={re.escape(text)})", context)]
    if not starts or nth > len(starts) or (nth == 0 and len(starts) > 1):
        raise ValueError(f"{line.where}: {text!r} is {len(starts)} times in the passage (say which: @1, @2)")
    start = starts[max(nth, 1) - 1]
    end, padded = start + len(text), f" {context} "
    if any(re.fullmatch(r"\w\w", edge) for edge in (padded[start : start + 2], padded[end : end + 2])):
        raise ValueError(f"{line.where}: {text!r} begins or ends inside a word of the passage")
    return Answer(text, start)


def parse_question(lines: list[Line], context: str) -> Question:
    """Read a `Q:` line and the `A:` lines or the `N` that follow it."""
    head, *rest = lines
    text = head.text.removeprefix("Q:").strip()
    if not text or not rest:
        raise ValueError(f"{head.where}: the question is empty or has neither 'A:' nor 'N'")
    given = rest if [line.text for line in rest] != ["N"] else []
    return Question(head, text, tuple(parse_answer(line, context) for line in given))


def parse_passage(lines: list[Line]) -> Passage:
    """Read one block, from its `==` line on."""
    head, groups = lines[0], group(lines[1:], "Q:")
    match = re.fullmatch(r"==\s*(.+?)\s*\|\s*(train|validation)", head.text)
    if match is None or len(groups) < 2 or groups[0][0].text.startswith("Q:"):
        raise ValueError(f"{head.where}: expected '== title | train' or '| validation', a passage, questions")
    context = " ".join(line.text for line in groups[0])
    questions = tuple(parse_question(question, context) for question in groups[1:])
    return Passage(head, match[1], match[2], context, questions)


def slug(title: str) -> str:
    """A title as lower-case ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", title.replace("'", "")).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


def check_unique(passages: list[Passage]) -> None:
    """Raise if a title, a passage (in one split or in both) or a question is used twice."""
    keys = [("title", slug(passage.title), passage.line) for passage in passages]
    keys += [("passage", passage.context, passage.line) for passage in passages]
    keys += [("question", question.text, question.line) for p in passages for question in p.questions]
    seen: dict[tuple[str, str], Line] = {}
    for kind, text, line in keys:
        if (first := seen.setdefault((kind, text.casefold()), line)) is not line:
            raise ValueError(f"{line.where}: this {kind} is already at {first.where}")


def to_squad(passages: list[Passage]) -> dict[str, Any]:
    """The passages in SQuAD 2.0 form."""
    data = []
    for passage in passages:
        qas: list[dict[str, Any]] = []
        for number, question in enumerate(passage.questions, 1):
            qa = {"id": f"{slug(passage.title)}-{number}", "question": question.text}
            answers = [asdict(answer) for answer in question.answers]
            qas.append({**qa, "is_impossible": not answers, "answers": answers})
        data.append({"title": passage.title, "paragraphs": [{"context": passage.context, "qas": qas}]})
    return {"version": "distiltune-starter-1", "data": data}


def describe(name: str, passages: list[Passage]) -> str:
    """The counts of a split in one line."""
    questions = [question for passage in passages for question in passage.questions]
    impossible = sum(not question.answers for question in questions)
    found = [QUESTION_WORD.search(question.text) for question in questions]
    words = Counter(match[0].lower() if match else "other" for match in found).most_common()
    total = f"{len(passages)} passages, {len(questions)} questions, {impossible} unanswerable"
    return f"{name}: {total} ({', '.join(f'{word} {count}' for word, count in words)})"


def build(source: Path, output: Path) -> None:
    """Turn every passages_*.txt of `source` into both splits in `output` and print the counts."""
    files = [read_lines(path) for path in sorted(source.glob("passages_*.txt"))]
    passages = [parse_passage(block) for lines in files for block in group(lines, "==")]
    check_unique(passages)
    output.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation"):
        chosen = [passage for passage in passages if passage.split == split]
        text = json.dumps(to_squad(chosen), ensure_ascii=False, indent=1) + "\n"
        (output / f"{split}.json").write_text(text, encoding="utf-8", newline="\n")
        print(describe(split, chosen))
    print(describe("both", passages))


if __name__ == "__main__":
    try:
        build(HERE, OUTPUT)
    except ValueError as error:
        sys.exit(f"error: {error}")
