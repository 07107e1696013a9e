"""Make the questions that a passage does not answer, which `starter-qa` learns to decline.

    python -m tools.starter_model.declining ../shared/data OUTPUT

From SQuAD's training part alone. `train.json` has all questions of most articles and, beside them, questions without
an answer; `held.json` the same of articles held out, to choose rate and threshold on. Five kinds, each with its name
in the row's id, so that what became of a kind can be looked at:

- ``passage``: the question put to the passage of its article that shares most words with it and not its answer;
- ``article``: likewise, to a passage of another article;
- ``removed``: to its own passage without the sentences in which the answer stands;
- ``exchanged``: a name or number of the question exchanged for another of the same form from the article;
- ``turned``: a word turned into its opposite (first, last; before, after; is, is not).

The last two are how the writers of SQuAD 2.0's unanswerable questions worked most often (Rajpurkar et al. 2018, table
2: entity swap, antonym, negation); nothing of that set is used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

HELD_ARTICLES: Final = 24
SHARES: Final[Mapping[str, float]] = {
    "passage": 0.12,
    "article": 0.08,
    "removed": 0.14,
    "exchanged": 0.28,
    "turned": 0.14,
}
"""Of the questions, how many are tried to be made one of a kind; some cannot."""

_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z0-9])")
_NAME = re.compile(r"(?:[A-Z][\w'-]*)(?:\s(?:of\s|the\s)?[A-Z][\w'-]*)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_ASKED_WITH: Final = (
    "What Who Which When Where Why How Whose Whom In On At The A An Of For To From By With Is Was Are Were Did Does Do "
    "Name According During After Before Since As I If"
)
_LEFT_ALONE: Final = frozenset(_ASKED_WITH.split())
_OPPOSITES: Final = (
    "first last; before after; most least; more less; largest smallest; highest lowest; biggest smallest; early late; "
    "earliest latest; oldest newest; older younger; old new; north south; east west; northern southern; "
    "eastern western; above below; upper lower; inside outside; internal external; increase decrease; "
    "increased decreased; rise fall; rose fell; begin end; began ended; start finish; started finished; win lose; "
    "won lost; large small; high low; long short; longest shortest; major minor; public private; positive negative; "
    "support oppose; supported opposed; accept reject; accepted rejected; allow forbid; allowed forbidden; "
    "same different; good bad; best worst; male female; men women; import export; always never; maximum minimum; "
    "fewer more; majority minority; rich poor; strong weak; hot cold; winter summer; modern ancient; "
    "common rare; usually rarely; join leave; joined left; create destroy; created destroyed; include exclude"
)
_NOT: Final = {
    "is": "isn't", "was": "wasn't", "are": "aren't", "were": "weren't", "did": "didn't", "does": "doesn't",
    "do": "don't", "can": "can't", "could": "couldn't", "would": "wouldn't", "has": "hasn't", "had": "hadn't",
}  # fmt: skip
_NEGATED_SHARE: Final = 0.2
"""Of the turned questions that have no word with an opposite; more would teach that "not" is never answered."""


@dataclass(frozen=True)
class Passage:
    """A passage, its words, and the questions asked about it as SQuAD has them."""

    text: str
    questions: tuple[dict[str, Any], ...]

    @cached_property
    def words(self) -> frozenset[str]:
        """Its words in small letters."""
        return frozenset(_WORD.findall(self.text.lower()))


@dataclass(frozen=True)
class Article:
    """Passages under a title."""

    title: str
    passages: tuple[Passage, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names in it that are no first words of a sentence only, as often as they stand there."""
        found = [name for passage in self.passages for name in _NAME.findall(passage.text)]
        return tuple(name for name in found if name not in _LEFT_ALONE and len(name) > 2)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numbers in it."""
        return tuple(number for passage in self.passages for number in _NUMBER.findall(passage.text))


def opposites() -> dict[str, str]:
    """Word → its opposite, both ways."""
    pairs = [pair.split() for pair in _OPPOSITES.split("; ")]
    return {one: other for left, right in pairs for one, other in ((right, left), (left, right))}


def read_articles(squad: Path) -> list[Article]:
    """The articles of a SQuAD file."""
    content = gzip.decompress(squad.read_bytes()) if squad.suffix == ".gz" else squad.read_bytes()
    return [
        Article(
            article["title"],
            tuple(Passage(paragraph["context"], tuple(paragraph["qas"])) for paragraph in article["paragraphs"]),
        )
        for article in json.loads(content)["data"]
    ]


@dataclass(frozen=True)
class Maker:
    """Makes unanswerable questions of one article; ``others`` are passages of other articles to draw from."""

    article: Article
    others: Sequence[Passage]
    rng: random.Random

    def make(self, kind: str, passage: Passage, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """→ passage and question, None if there is none of the kind."""
        asked, answers = question["question"], [answer["text"] for answer in question["answers"]]
        if kind == "removed":
            left = without(passage.text, answers)
            return (left, asked) if left else None
        if kind in ("passage", "article"):
            several = self.article.passages if kind == "passage" else self.rng.sample(self.others, 60)
            words = frozenset(_WORD.findall(asked.lower()))
            fits = [each for each in several if each is not passage and not holds_any(each.text, answers)]
            if not fits:
                return None
            nearest = max(fits, key=lambda each: sum(len(word) for word in words & each.words))
            return nearest.text, asked
        changed = self.exchange(passage, asked, answers) if kind == "exchanged" else turn(asked, self.rng)
        return (passage.text, changed) if changed else None

    def exchange(self, passage: Passage, asked: str, answers: Sequence[str]) -> str | None:
        """The question with a name or number of it exchanged for one that its own passage, or else the article, has."""
        first = len(_WORD.match(asked.strip()).group(0)) if _WORD.match(asked.strip()) else 0  # type: ignore[union-attr]
        inside = [match for match in _NAME.finditer(asked) if match.start() >= first]
        spots = [(match.span(), self.article.names, _NAME) for match in inside if match.group(0) not in _LEFT_ALONE]
        spots += [(match.span(), self.article.numbers, _NUMBER) for match in _NUMBER.finditer(asked)]
        self.rng.shuffle(spots)
        for (start, end), pool, form in spots:
            here = [each for each in form.findall(passage.text) if each not in _LEFT_ALONE and len(each) > 1]
            for candidates in (here, pool):
                fit = [each for each in candidates if each not in asked and not holds_any(each, answers, both=True)]
                if fit:
                    return asked[:start] + self.rng.choice(fit) + asked[end:]
        return None


def turn(asked: str, rng: random.Random) -> str | None:
    """The question with one word turned into its opposite; with "not" in it for some that have no such word."""
    table = opposites()
    spots = [match for match in _WORD.finditer(asked) if match.group(0).lower() in table]
    if spots:
        spot = rng.choice(spots)
        other = table[spot.group(0).lower()]
        return (
            asked[: spot.start()] + (other.capitalize() if spot.group(0)[0].isupper() else other) + asked[spot.end() :]
        )
    verbs = [match for match in _WORD.finditer(asked) if match.group(0).lower() in _NOT and match.start() > 0]
    if verbs and rng.random() < _NEGATED_SHARE:
        verb = verbs[0]
        return asked[: verb.start()] + _NOT[verb.group(0).lower()] + asked[verb.end() :]
    return None


def without(text: str, answers: Sequence[str]) -> str:
    """The text without its sentences that hold an answer; "" if that leaves less than two sentences."""
    kept = [sentence for sentence in _SENTENCE_END.split(text) if not holds_any(sentence, answers)]
    left = " ".join(kept)
    return left if len(kept) > 1 and not holds_any(left, answers) else ""


def holds_any(text: str, answers: Sequence[str], both: bool = False) -> bool:
    """Whether an answer stands in the text, whatever the case; with ``both`` also the text in an answer."""
    low = text.lower()
    return any(answer.lower() in low or (both and low in answer.lower()) for answer in answers)


def with_unanswerable(articles: Sequence[Article], seed: int) -> Iterator[dict[str, Any]]:
    """SQuAD's articles with the unanswerable questions beside the others."""
    rng = random.Random(seed)
    everything = [passage for article in articles for passage in article.passages]
    kinds, weights = list(SHARES), list(SHARES.values())
    for article in articles:
        mine = {id(passage) for passage in article.passages}
        maker = Maker(article, [passage for passage in everything if id(passage) not in mine], rng)
        paragraphs: dict[str, list[dict[str, Any]]] = {}
        for passage in article.passages:
            paragraphs.setdefault(passage.text, []).extend(passage.questions)
            for question in passage.questions:
                if rng.random() >= sum(weights):
                    continue
                kind = rng.choices(kinds, weights)[0]
                made = maker.make(kind, passage, question)
                if made is not None:
                    row = {"id": f"{question['id']}-{kind}", "question": made[1], "answers": []}
                    paragraphs.setdefault(made[0], []).append(row)
        yield {
            "title": article.title,
            "paragraphs": [{"context": text, "qas": questions} for text, questions in paragraphs.items()],
        }


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds squad-v1.1")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    articles = read_articles(arguments.data / "squad-v1.1" / "train.json.gz")
    random.Random(arguments.seed).shuffle(articles)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, part in (("held", articles[:HELD_ARTICLES]), ("train", articles[HELD_ARTICLES:])):
        made = list(with_unanswerable(part, arguments.seed))
        ids = [row["id"] for article in made for each in article["paragraphs"] for row in each["qas"]]
        kinds = Counter(id_.rpartition("-")[2] if "-" in id_ else "answerable" for id_ in ids)
        (arguments.output / f"{name}.json").write_text(json.dumps({"data": made}), encoding="utf-8")
        print(f"{name}: {len(part)} articles, {dict(sorted(kinds.items()))}")


if __name__ == "__main__":
    main()
