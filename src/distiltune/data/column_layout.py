"""Which column of a file of words and tags holds what, decided from all of its lines.

A column that is O, or a prefix and a label, throughout is one of tags; 1, 2, 3, ... numbers the words. Where two
columns fit nothing is decided: the layout says what to ask for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distiltune.data.tag_schemes import OUTSIDE, looks_like_tags, read_scheme

_CHUNKS = frozenset({"NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"})
"""The labels of CoNLL-2000's chunks, which CoNLL-2003 has beside names."""
_PART_OF_WORD = re.compile(r"\d+[-.]\d+")
"""How CoNLL-U numbers what is no word: several words written as one (``1-2``), or one that is not there (``8.1``)."""
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")
_LINES_AT_ONCE = 10_000
_CONLLU_WIDTH = 10
_KNOWN_WORDS = 0.3
"""The share of a column's values that are words, beyond which it is one of lemmas: a few tags may be words too."""
_MANY_VALUES = 100
CONLL_2012_TAGS = 11
"""The column of names in CoNLL-2012, counted from 1; what comes after differs from sentence to sentence."""

Fields = Sequence[str]


@dataclass(slots=True)
class ColumnFacts:
    """What one column holds in all lines: its values with their numbers, and whether these count the words."""

    values: Counter[str] = field(default_factory=Counter)
    counts_words: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether all lines have the same there."""
        return len(self.values) == 1

    @property
    def is_numeric(self) -> bool:
        """Whether all lines have a number there."""
        return all(map(_NUMBER.fullmatch, self.values))


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column holds what; columns are counted from 1, as people do.

    Attributes:
        width: how many columns a line has; of CoNLL-2012, at least.
        tokens: the column of the words; 0 if two fit.
        tags: the column of the tags; 0 if there is none, or two fit.
        counter: the column that numbers the words; 0 if there is none.
        brackets: whether the tags are CoNLL-2012's brackets.
        at_least: whether lines may have more columns.
        told: what was decided, in a sentence; empty where only one reading was ever possible.
        problem: what could not be decided, in a sentence; empty if all was.
        fix: the flag that decides it.
        tag_values: the tags that occur.

    """

    width: int
    tokens: int = 1
    tags: int = 0
    counter: int = 0
    brackets: bool = False
    at_least: bool = False
    told: str = ""
    problem: str = ""
    fix: str = ""
    tag_values: frozenset[str] = frozenset()

    def fits(self, fields: Fields) -> bool:
        """Whether a line has as many columns as it should."""
        return len(fields) == self.width or (self.at_least and len(fields) > self.width)

    def is_part_of_word(self, fields: Fields) -> bool:
        """Whether a line is CoNLL-U's for several words written as one, or for one that is not there."""
        return bool(self.counter and _PART_OF_WORD.fullmatch(fields[self.counter - 1]))


def facts_of(sentences: Iterable[Sequence[Fields]]) -> dict[int, list[ColumnFacts]]:
    """What the columns hold, for each number of columns that a line has; CoNLL-U's lines of no word are passed over."""
    found: dict[int, list[ColumnFacts]] = {}
    waiting: dict[int, list[Fields]] = {}  # counted many at a time, which is several times quicker than a few
    for sentence in sentences:
        for width in set(map(len, sentence)):
            lines = [each for each in sentence if len(each) == width and not _is_part_of_word(each[0])]
            if not lines:
                continue
            columns = found.setdefault(width, [ColumnFacts() for _ in range(width)])
            for place, column in enumerate(columns):
                if column.counts_words:
                    column.counts_words = _counts([fields[place] for fields in lines])
            together = waiting.setdefault(width, [])
            together += lines
            if len(together) > _LINES_AT_ONCE:
                _count(together, columns)
                together.clear()
    for width, together in waiting.items():
        _count(together, found[width])
    return found


def _is_part_of_word(first: str) -> bool:
    return first[:1].isdecimal() and _PART_OF_WORD.fullmatch(first) is not None


def _count(lines: Sequence[Fields], columns: Sequence[ColumnFacts]) -> None:
    for column, values in zip(columns, zip(*lines, strict=True), strict=False):
        column.values.update(values)


def _counts(values: Sequence[str]) -> bool:
    """Whether the values of a sentence are 1, 2, 3, ..., or the same from 0."""
    return values[0] in ("0", "1") and list(values) == [str(int(values[0]) + i) for i in range(len(values))]


def lay_out_2012(facts: Mapping[int, Sequence[ColumnFacts]]) -> Layout | None:
    """CoNLL-2012's columns, which are fixed: 4 is the word, 11 the name in brackets; None if it is another file."""
    if not facts or min(facts) < CONLL_2012_TAGS:
        return None
    told = "CoNLL-2012: column 4 is taken for the words, column 11 for the tags, whose brackets are read as B- and I-."
    return Layout(CONLL_2012_TAGS, 4, CONLL_2012_TAGS, 3, brackets=True, at_least=True, told=told)


def lay_out(facts: Mapping[int, Sequence[ColumnFacts]], sentences: Iterable[Sequence[Fields]]) -> Layout:
    """Which column holds what.

    Args:
        facts: what `facts_of` found.
        sentences: the same lines again, which are looked at where two columns hold tags.

    """
    if not facts:
        return Layout(1)
    width = max(facts, key=lambda n: (facts[n][0].values.total(), n))
    columns = facts[width]
    if width == 1:
        return Layout(1)
    counter = next((i for i, column in enumerate(columns, 1) if _numbers_words(column)), 0)
    candidates = [i for i, column in enumerate(columns, 1) if looks_like_tags(column.values)]
    tags, told, problem = _choose_tags(candidates, columns, sentences)
    may_be_words = _may_be_words([i for i in range(1, width + 1) if i not in (*candidates, counter)], columns)
    tokens = may_be_words[0] if len(may_be_words) == 1 else 0
    may_be_tags = [i for i in candidates if not _is_chunks(columns[i - 1])] or candidates
    if not candidates and tokens:
        may_be_tags = _labels_left(tokens, counter, columns)
        tags, told, problem = _without_scheme(may_be_tags, is_conllu=_is_conllu(columns))
        if tags and _repeats_words(columns[tags - 1], columns[tokens - 1]):
            what = f"Column {tags} has the words again or forms of them, as lemmas are, not tags"
            tags, told, problem = 0, "", f"{what}, and there is no other."
    layout = Layout(width, tokens, tags, counter)
    if not tokens or problem:
        problem = problem or _asks_for_words(may_be_words, layout)
        return replace(
            layout, problem=f"{problem} {_held(columns)}", fix=_way(layout, may_be_words, may_be_tags, columns)
        )
    if not tags:
        return replace(layout, told=f"Of {width} columns, column {tokens} is taken for the words; none holds tags.")
    is_plain = (width, tokens, tags) == (2, 1, 2) and not told
    values = frozenset(columns[tags - 1].values)
    return replace(layout, told="" if is_plain else _told(layout, columns, told), tag_values=values)


def _numbers_words(column: ColumnFacts) -> bool:
    return column.counts_words and not column.is_constant


def _choose_tags(
    candidates: Sequence[int], columns: Sequence[ColumnFacts], sentences: Iterable[Sequence[Fields]]
) -> tuple[int, str, str]:
    """The column of the tags, what was decided beyond that, and what could not be: of chunks and names, the names; of
    nested tags, the outer."""
    if len(candidates) < 2:
        return (candidates[0] if candidates else 0), "", ""
    names = [i for i in candidates if not _is_chunks(columns[i - 1])]
    if len(names) == 1:
        chunks = _listed(i for i in candidates if i not in names)
        return names[0], f"column {chunks} holds chunks, which are not used", ""
    outer = _outer(names or candidates, sentences)
    listed = _listed(names or candidates)
    if not outer:
        return 0, "", f"Columns {listed} all hold tags, and none of them is the others' outer one."
    others = _listed(i for i in candidates if i != outer)
    return outer, f"column {others} holds tags too, none of them outside those of column {outer}, and is not used", ""


def _is_chunks(column: ColumnFacts) -> bool:
    labels = {value.partition("-")[2] for value in column.values if "-" in value}
    return bool(labels) and labels <= _CHUNKS


def _outer(candidates: Sequence[int], sentences: Iterable[Sequence[Fields]]) -> int:
    """The one column in whose entities those of all others are; 0 if there is none.

    An entity that another column repeats exactly is no nested one: that looks like the same text tagged twice.
    """
    can_be = set(candidates)
    equal = True
    for sentence in sentences:
        spans = {i: _stretches([fields[i - 1] for fields in sentence if len(fields) >= i]) for i in candidates}
        equal = equal and len({frozenset(each) for each in spans.values()}) == 1
        for i in tuple(can_be):
            inner = [span for j in candidates if j != i for span in spans[j]]
            if any(not _inside(span, spans[i]) for span in inner):
                can_be.discard(i)
    if equal:
        return candidates[0]
    return next(iter(can_be)) if len(can_be) == 1 else 0


def _stretches(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """First word, one past the last, and label of what the tags mark, whatever their scheme's form."""
    found: list[tuple[int, int, str]] = []
    meaning = read_scheme(Counter(tags)).meaning
    for place, tag in enumerate(tags):
        prefix, _, label = meaning.get(tag, "O").partition("-")
        if prefix == "O":
            continue
        if prefix in "IEL" and found and found[-1][1:] == (place, label):
            found[-1] = (found[-1][0], place + 1, label)
        else:
            found.append((place, place + 1, label))
    return found


def _inside(span: tuple[int, int, str], outer: Sequence[tuple[int, int, str]]) -> bool:
    return span not in outer and any(first <= span[0] and span[1] <= last for first, last, _ in outer)


def _may_be_words(places: Sequence[int], columns: Sequence[ColumnFacts]) -> list[int]:
    """The column of the words: the first that differs and is no number, if no other has far more different values.

    Two if both fit, the likelier first: a column of few values before one of many may be a document's name, or a word's
    class. None if there is no column for them.
    """
    useful = [i for i in places if not columns[i - 1].is_constant] or list(places)
    useful = [i for i in useful if not columns[i - 1].is_numeric] or useful
    if not useful:
        return []
    n_values = {i: len(columns[i - 1].values) for i in useful}
    first, most = useful[0], max(useful, key=lambda i: (n_values[i], -i))
    if n_values[most] <= n_values[first]:
        return [first]
    return [most] if n_values[most] >= 2 * n_values[first] else [most, first]


def _labels_left(tokens: int, counter: int, columns: Sequence[ColumnFacts]) -> list[int]:
    """The columns that may hold labels where none has prefixes."""
    left = [i for i in range(1, len(columns) + 1) if i not in (tokens, counter)]
    left = [i for i in left if columns[i - 1].values.keys() != {""}]
    return [i for i in left if not columns[i - 1].is_constant] or left


def _is_conllu(columns: Sequence[ColumnFacts]) -> bool:
    return len(columns) == _CONLLU_WIDTH and columns[0].counts_words


def _without_scheme(left: Sequence[int], *, is_conllu: bool) -> tuple[int, str, str]:
    """The column of labels where none has prefixes: the only one that is left.

    In CoNLL-U none is: what differs there may as well be the lemma.
    """
    if not left:
        return 0, "", ""
    if len(left) == 1 and not is_conllu:
        return left[0], "no column has prefixes (B-, I-)", ""
    meant = f"any of {_listed(left)} may be meant" if len(left) > 1 else "CoNLL-U has none of its own for tags"
    return 0, "", f"No column is O or a prefix and a label (B-...) throughout, and {meant}."


def _repeats_words(column: ColumnFacts, words: ColumnFacts) -> bool:
    """Whether a column holds the words again or their lemmas: many values are words, or there are nearly as many.

    One that has O anywhere is none.
    """
    if OUTSIDE in column.values:
        return False
    known = {form for word in words.values for form in (word, word.casefold())}
    values = column.values.keys() - {""}
    n_values, n_known = len(values), len(values & known)
    return n_known > _KNOWN_WORDS * n_values or (n_values > _MANY_VALUES and 2 * n_values > len(words.values))


def _asks_for_words(may_be_words: Sequence[int], layout: Layout) -> str:
    """What could not be decided about the words."""
    if not may_be_words:
        return "No column is left for the words."
    tags = f" (column {layout.tags} is taken for the tags)" if layout.tags else ""
    return f"Any of columns {_listed(sorted(may_be_words))} may hold the words{tags}."


def _held(columns: Sequence[ColumnFacts]) -> str:
    """What stands in each column, in a sentence."""
    return f"The columns hold {'; '.join(f'{i}: {_values(column)}' for i, column in enumerate(columns, 1))}."


def _way(
    layout: Layout, may_be_words: Sequence[int], may_be_tags: Sequence[int], columns: Sequence[ColumnFacts]
) -> str:
    """The flag that decides it, for the likeliest of the columns."""
    tokens = layout.tokens or next(iter(may_be_words), 1)
    others = [i for i in (*reversed(may_be_tags), *range(len(columns), 0, -1)) if i not in (tokens, layout.counter)]
    if layout.tags or not others:
        tags = layout.tags or tokens
    else:  # CoNLL-U has a word's class in its fourth column
        tags = 4 if _is_conllu(columns) else others[0]
        if _is_conllu(columns) and columns[tags - 1].is_constant:
            return f"if a column holds tags, say which, as --columns tokens={tokens},tags=COLUMN"
        if _repeats_words(columns[tags - 1], columns[tokens - 1]):
            return f"give a file with tags; to take that column all the same: --columns tokens={tokens},tags={tags}"
    return f"say which, as --columns tokens={tokens},tags={tags}"


def _told(layout: Layout, columns: Sequence[ColumnFacts], more: str) -> str:
    said = [f"column {layout.tokens} is taken for the words and column {layout.tags} for the tags"]
    said += [more] if more else []
    said += [f"column {layout.counter} numbers the words"] if layout.counter else []
    rest = {
        i: f"column {i} always holds {next(iter(column.values))!r}"
        for i, column in enumerate(columns, 1)
        if column.is_constant and i not in (layout.tokens, layout.tags, layout.counter)
    }
    return f"Of {layout.width} columns, {'; '.join((*said, *rest.values()))}. Otherwise: --columns tokens=...,tags=..."


def _values(column: ColumnFacts) -> str:
    shown = ", ".join(repr(value) for value, _ in column.values.most_common(3))
    return f"{shown}, ..." if len(column.values) > 3 else shown


def _listed(places: Iterable[int]) -> str:
    return ", ".join(map(str, places))
