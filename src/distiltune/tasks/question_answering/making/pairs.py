"""A span that recurs → which passage is to answer, and which sentence of another passage asks.

The sentence that asks is not the one that answers (Fabbri et al. 2020, arXiv:2004.11892, who find such by retrieval):
a model that only looks for the same words in the passage learns little. But the two must share something beside the
span, or nobody could tell that the passage answers it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from distiltune.tasks.question_answering.making.sentences import PassageSentence, content_words
from distiltune.tasks.question_answering.making.spans import Mention

_COPIED: Final = 0.7
"""Sentences that share this much of their words, 0 to 1, say the same: such a question is copied from its answer."""
_FEWEST_WORDS: Final = 5
_ENOUGH_SHARED: Final = 2
_ENOUGH_OF_DATE: Final = 3
"""Words that a question and the passage that answers it share beside the span; more things happen in a year."""
_LOOKED_UP: Final = 6
"""Rarest words by which another passage is looked for."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One question in the making.

    Attributes:
        key: of the span.
        answer: the mention that answers; None: the passage does not have the span, and nothing answers.
        asking: the mention whose sentence asks.
        passage: the number of the passage that is asked.
        shared: what that sentence and the passage share beside the span, the rarest first.
        score: of what they share, the sum of how rare it is, in nats.

    """

    key: str
    answer: Mention | None
    asking: Mention
    passage: int
    shared: tuple[str, ...]
    score: float


class WordIndex:
    """Which passage has which content words, and how rare each word is."""

    def __init__(self, sentences: Iterable[PassageSentence], n_passages: int) -> None:
        words: list[set[str]] = [set() for _ in range(n_passages)]
        for each in sentences:
            words[each.passage] |= each.words
        self.words = words
        self.passages_of: dict[str, list[int]] = defaultdict(list)
        for number, found in enumerate(words):
            for word in sorted(found):
                self.passages_of[word].append(number)
        self._n = n_passages

    def rarity(self, word: str) -> float:
        """How much a word says: the logarithm of how few passages have it, as BM25 weighs it."""
        n = len(self.passages_of.get(word, ()))
        return math.log(1 + (self._n - n + 0.5) / (n + 0.5))

    def shared(self, words: frozenset[str], passage: int) -> tuple[tuple[str, ...], float]:
        """Which of the words the passage has, the rarest first, and the sum of their rarities."""
        found = sorted(words & self.words[passage], key=lambda word: (-self.rarity(word), word))
        return tuple(found), sum(map(self.rarity, found))

    def like(self, words: frozenset[str], without: frozenset[str]) -> list[int]:
        """Passages with some of the rarest of these words and none of ``without``, the likest first."""
        rarest = sorted(words, key=lambda word: (-self.rarity(word), word))
        scores: Counter[int] = Counter()
        for word in [each for each in rarest if len(self.passages_of[each]) > 1][:_LOOKED_UP]:
            for number in self.passages_of[word]:
                scores[number] += self.rarity(word)  # type: ignore[assignment]
        fitting = (number for number in scores if not without <= self.words[number])
        return sorted(fitting, key=lambda number: (-scores[number], number))


def answerable(mentions: Mapping[str, Sequence[Mention]], index: WordIndex) -> Iterator[list[Pair]]:
    """For each span its questions, those first that share most with the passage that they are put to."""
    for key, found in mentions.items():
        own = content_words(key)
        passages = dict.fromkeys(each.sentence.passage for each in found)
        pairs = [_pair(key, own, passage, found, asking, index) for passage in passages for asking in found]
        # sorted is stable: of equal ones the first read comes first
        yield sorted(filter(None, pairs), key=lambda pair: -pair.score)


def is_doubtful(pair: Pair) -> bool:
    """Whether question and passage share so little that they may be about two things."""
    enough = _ENOUGH_SHARED if pair.asking.span.form in ("name", "phrase") else _ENOUGH_OF_DATE
    return len(pair.shared) < enough


def _pair(
    key: str, own: frozenset[str], passage: int, found: Sequence[Mention], asking: Mention, index: WordIndex
) -> Pair | None:
    """The question that one mention asks of a passage; None if it is of that one, or they have nothing in common."""
    words = asking.sentence.words - own
    if asking.sentence.passage == passage or len(words) < _FEWEST_WORDS:
        return None
    shared, score = index.shared(words, passage)
    if not shared:
        return None
    inside = [each for each in found if each.sentence.passage == passage]
    answer = max(inside, key=lambda each: (len(each.sentence.words & words), -each.sentence.start))
    either = answer.sentence.words | asking.sentence.words
    if len(answer.sentence.words & asking.sentence.words) > _COPIED * len(either):
        return None
    return Pair(key, answer, asking, passage, shared, score)


def unanswerable(pair: Pair, index: WordIndex) -> Pair | None:
    """The same question put to another passage, the likest that does not have the span; None if there is none."""
    own = content_words(pair.key)
    words = pair.asking.sentence.words - own
    without = own or frozenset((pair.key,))
    for passage in index.like(words, without):
        if passage not in (pair.passage, pair.asking.sentence.passage):
            return Pair(pair.key, None, pair.asking, passage, *index.shared(words, passage))
    return None
