"""Spans of characters → words and entities: where each span is, which of overlapping ones counts, what words it has."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from distiltune.data.annotation_forms import SPAN_LABELS
from distiltune.data.offsets import TOLD, Located, locate, other_units
from distiltune.data.plain_rows import label_first_of, spans_of_triples, triples_of, whole_number
from distiltune.data.row_findings import Outcome
from distiltune.data.values import Problem, shown, text_problem
from distiltune.data.words import Spans, edges, markable_spans
from distiltune.tasks.token_classification.examples import Entity
from distiltune.tasks.token_classification.settings import Overlapping

_OWN_TEXT = ("word", "surface", "mention", "value", "name", "entity")
_WRITTEN_OFFSETS = "Offsets that are written as text or with a decimal point are read as whole numbers."

Notes = tuple[tuple[Outcome, str, str], ...]
"""What there is to say of a row: outcome, kind, message of each finding."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A span in code points of the text, its end one past its last, its label, and its offsets as they were given."""

    start: int
    end: int
    label: str
    given: tuple[int, int] = field(default=(0, 0), compare=False)

    def holds(self, other: Mark) -> bool:
        """Whether the other is inside this one and shorter."""
        return self.start <= other.start and other.end <= self.end and self.length > other.length

    def meets(self, other: Mark) -> bool:
        """Whether the two have a character in common."""
        return self.start < other.end and other.start < self.end

    @property
    def length(self) -> int:
        """In code points."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class MarkedText:
    """The words of a text and the entities in it."""

    words: Spans
    entities: tuple[Entity, ...]
    notes: Notes = ()


def mark_text(text: str, spans: Sequence[object], overlapping: Overlapping) -> MarkedText | Problem:
    """The words of a text, and its spans as entities of these.

    Args:
        text: the text.
        spans: each ``{"start", "end", "label"}`` and, if known, ``"text"``, which is compared with the offsets.
        overlapping: which counts of spans that overlap.

    """
    notes: list[tuple[Outcome, str, str]] = []
    marks: dict[Mark, None] = {}
    for span in spans:
        mark = _mark(text, span, notes)
        if isinstance(mark, Problem):
            return mark
        if mark in marks:
            notes.append(("noted", "span_repeated", f"{_shown(text, mark)} is marked twice as {mark.label!r}."))
        marks[mark] = None
    kept = _choose(text, list(marks), overlapping, notes)
    if isinstance(kept, Problem):
        return kept
    words = _split_words(text, markable_spans(text), kept, notes)
    entities = []
    for mark in kept:
        entity = _entity(words, mark)
        if entity is None:
            return Problem("span_without_words", f"The span {_shown(text, mark)} holds no word.")
        whole = text[words[entity.start][0] : words[entity.end - 1][1]]
        if whole != text[mark.start : mark.end]:
            now = f"A span began or ended inside a word and now is {shown(whole)}.{_hint(text, words, mark)}"
            notes.append(("repaired", "span_widened", now))
        entities.append(entity)
    return MarkedText(words, tuple(sorted(entities)), tuple(notes))


_UNITS = {"offset_in_utf16": "UTF-16 units", "offset_in_bytes": "UTF-8 bytes"}


def _hint(text: str, words: Spans, mark: Mark) -> str:
    """In which other units the offsets of a span would fit whole words; empty if in none."""
    edges_of_words = {place for word in words for place in word}
    fitting = [
        f"in {_UNITS[each.repair]} it is {shown(text[each.start : each.end])}"
        for each in other_units(text, *mark.given)
        if each.repair in _UNITS and {each.start, each.end} <= edges_of_words and each.start < each.end
    ]
    if not fitting:
        return ""
    return f" Counted {', '.join(fitting)}: if that is meant, give each span its `text`, and offsets are put right."


def _mark(text: str, span: object, notes: list[tuple[Outcome, str, str]]) -> Mark | Problem:
    """A span as the file has it → its place in the text, without white space at its ends."""
    if isinstance(span, list) and (triples := triples_of([span]) or label_first_of([span])):
        order = "[start, end, label]" if triples[0] is span else "[label, start, end]"
        notes.append(("decided", "form_read", f"Spans are lists, {order}."))
        (span,) = spans_of_triples(triples)
    if not isinstance(span, dict):
        return Problem("span_malformed", f"The span {shown(span)} has no start, end and label.")
    given, named = (span.get("start"), span.get("end")), next((name for name in SPAN_LABELS if name in span), "label")
    label = span.get(named)
    if isinstance(label, list) and len(label) == 1:
        (label,) = label
    if isinstance(label, list) and label:
        there = shown(text[slice(*map(whole_number, given))])
        message = f"The span {there} has {len(label)} labels, {shown(label)}; keep one of them."
        return Problem("span_of_several_labels", message)
    if type(label) is int:
        message = f"A span's label is the number {label}; what that stands for is not said here."
        if ("noted", "labels_by_number", message) not in notes:
            notes.append(("noted", "labels_by_number", message))
        label = str(label)
    start, end = map(whole_number, given)
    if start is None or end is None or text_problem(label, "label") is not None:
        in_page = any(isinstance(each, str) and each.startswith("/") for each in given)
        lacks = [name for name, value in (("start", start), ("end", end)) if value is None]
        lacks += ["label"] if text_problem(label, "label") is not None else []
        what = "a place in a page: export it with `globalOffsets`" if in_page else f"no {' and no '.join(lacks)}"
        return Problem("span_malformed", f"The span {shown(span)} has {what}.")
    if named == "entity" and "index" in span:
        what = "is of a word piece: have the pipeline put them together, with aggregation_strategy='simple'"
        return Problem("span_malformed", f"The span {shown(span)} {what}.")
    if named != "label":
        notes.append(("decided", "form_read", f"The label of a span is its `{named}`."))
    if any(type(each) is not int for each in given):
        notes.append(("decided", "form_read", _WRITTEN_OFFSETS))
    wanted = span.get("text")
    if isinstance(wanted, str) and wanted.strip():
        found = locate(text, wanted, start, end)
        if found is None:
            there = shown(text[max(start, 0) : max(end, 0)])
            return Problem("span_text_differs", f"The span says {shown(wanted)}; at {start} to {end} stands {there}.")
        if found.repair:
            where = f"is at {found.start} to {found.end} in characters"
            notes.append(("repaired", found.repair, f"The span {shown(wanted)} {where}: {TOLD[found.repair]}."))
        start, end = found.start, found.end
    elif elsewhere := _by_another_name(text, span, named, start, end):
        name, place = elsewhere
        message = f"The span's `{name}`, {shown(span[name])}, is at {place.start} to {place.end}: {TOLD[place.repair]}."
        notes.append(("repaired", place.repair, message))
        start, end = place.start, place.end
    if not 0 <= start < end <= len(text):
        return Problem("span_outside", f"The span {shown(span)} is not inside the text of {len(text)} characters.")
    if n_parts := span.get("n_parts"):
        message = f"A mark of {n_parts} parts now runs over what stands between them: {shown(text[start:end])}."
        notes.append(("repaired", "span_of_parts", message))
    inner, offsets = text[start:end], (start, end)
    start, end = end - len(inner.lstrip()), start + len(inner.rstrip())
    if start >= end:
        return Problem("span_without_words", f"The span {shown(span)} holds no word.")
    return Mark(start, end, str(label).strip(), offsets)


def _by_another_name(
    text: str, span: Mapping[str, object], label_name: str, start: int, end: int
) -> tuple[str, Located] | None:
    """The name of the span's own text and where it stands, if that is elsewhere than the offsets say.

    Only ``text`` is sure to be one. Others may be in another spelling, such as lower case, or a normal form, and then
    stand nowhere in the text: these say nothing of the offsets.
    """
    for name in _OWN_TEXT:
        wanted = span.get(name)
        if name != label_name and isinstance(wanted, str) and (found := locate(text, wanted, start, end)):
            return (name, found) if found.repair else None
    return None


def _choose(
    text: str, marks: Sequence[Mark], overlapping: Overlapping, notes: list[tuple[Outcome, str, str]]
) -> list[Mark] | Problem:
    """The marks that have no character in common, in order; the others are noted."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda each: (-each.length, each.start)):
        other = next((each for each in kept if each.meets(mark)), None)
        if other is None:
            kept.append(mark)
            continue
        both = f"{_shown(text, other)} as {other.label!r} and {_shown(text, mark)} as {mark.label!r}"
        if (mark.start, mark.end) == (other.start, other.end):
            return Problem("spans_overlap", f"One span has two labels: {both}.")
        if overlapping == "reject" or (overlapping == "outermost" and not other.holds(mark)):
            others = "longest" if overlapping == "outermost" else "outermost"
            return Problem("spans_overlap", f"The spans {both} overlap (to keep one: --overlapping {others}).")
        message = f"Of {both} the {'outer' if other.holds(mark) else 'longer'} is learnt (--overlapping {overlapping})."
        notes.append(("noted", "span_passed_over", message))
    return sorted(kept, key=lambda each: each.start)


def _split_words(text: str, words: Spans, marks: Sequence[Mark], notes: list[tuple[Outcome, str, str]]) -> Spans:
    """The words, cut where a mark begins or ends inside one that two marks share."""
    marks_of: dict[int, list[Mark]] = {}
    for mark in marks:
        entity = _entity(words, mark)
        for place in {entity.start, entity.end - 1} if entity is not None else ():
            marks_of.setdefault(place, []).append(mark)
    cuts = {place: _cuts(text, words[place], each) for place, each in marks_of.items() if len(each) > 1}
    cuts = {place: pieces for place, pieces in cuts.items() if len(pieces) > 1}
    if not cuts:
        return words
    for place in sorted(cuts):
        word = shown(text[slice(*words[place])])
        message = (
            f"The word {word} holds parts of two marks and is cut in training; a model gives such a word one label."
        )
        notes.append(("noted", "word_split", message))
    return tuple(piece for place, word in enumerate(words) for piece in cuts.get(place, [word]))


def _cuts(text: str, word: tuple[int, int], marks: Sequence[Mark]) -> list[tuple[int, int]]:
    """The pieces of a word that several marks have parts of."""
    inside = {place for mark in marks for place in edges(text, mark.start, mark.end) if word[0] < place < word[1]}
    places = sorted({*word, *inside})
    return list(pairwise(places))


def _entity(words: Spans, mark: Mark) -> Entity | None:
    """The words that have a character in the mark; None if there are none."""
    first = bisect.bisect_right(words, mark.start, key=lambda word: word[1])
    end = bisect.bisect_left(words, mark.end, key=lambda word: word[0])
    return Entity(first, end, mark.label) if first < end else None


def _shown(text: str, mark: Mark) -> str:
    return shown(text[mark.start : mark.end])
