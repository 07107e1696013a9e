"""Tags as files have them → ``O``, ``B-person``, or bare labels: what is certain is put right and said, the rest named.

A tag by itself tells little: ``B_cell`` may be a label, ``0`` a number, ``M-x`` a part of a word. What it means is
decided from all tags of a file together, and only where they leave one meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from distiltune.data.marks import without_unseen

OUTSIDE = "O"
TAG_COLUMNS: Final = ("tag", "tags", "ner_tag", "ner_tags", "ner", "label", "labels", "iob", "bio")
"""What a column of tags is usually called."""
SENTENCE_COLUMNS: Final = ("sentence #", "sentence", "sentence_id", "sent_id", "sentence id", "sentence_idx", "sent")
"""What a column is usually called that says where a sentence begins."""
NO_TYPE = "entity"
"""The label of what is marked by B and I alone."""

_STRICT = re.compile(r"[BIESLU]-.+", re.DOTALL)
_PREFIX = re.compile(r"([BIESLUMWbieslumw])([-_:/|])(.+)", re.DOTALL)
_SUFFIX = re.compile(r"(.+)([-_:/|])([BIESLUMWbieslumw])", re.DOTALL)
_NUMBER = re.compile(r"-?\d+")
_BARE_PREFIX = re.compile(r"([BIESLUMW])[-_:/|]?")
_SECOND = re.compile(r".+(?:[|,;+ ][BIESLU]-.+|[|,; ]O)|\w+[=:](?:[BIESLU]-.+|O)", re.DOTALL)
"""Two tags of one word, or a tag behind its name."""
_TAIL = re.compile(r"(?:O|[BIESLU]-.+?)(?:\[\d[^]]*\]|\(\d[^)]*\)|_Q\d{2,}|[:|@#=/]\d*\.\d+)", re.DOTALL)
"""A tag with a number behind it: a score, an entity's number or its entry in Wikidata."""
_NEVER_A_LABEL = frozenset({"0", "o", "_", "-"})
_MAYBE_OUTSIDE = _NEVER_A_LABEL | {"OTHER", "Other", "other", "NONE", "None", "none", "OUT", "Out", "out"}
_FIX_JOINED = "keep one tag a word, as B-LABEL, I-LABEL or O, and nothing joined to it"
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the tags of a file are read.

    Attributes:
        meaning: each tag that is understood → ``O``, a prefix out of B, I, E, S, L, U with a label, or a bare label.
        unknown: the tags that are not, sorted.
        told: what was decided beyond the usual schemes, in a sentence; empty if nothing.
        fix: what to do about the unknown ones; empty if there are none.

    """

    meaning: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    told: str = ""
    fix: str = ""

    @property
    def has_prefixes(self) -> bool:
        """Whether a tag says where an entity begins, or that it goes on."""
        return any(map(_STRICT.fullmatch, self.meaning.values()))


def read_scheme(counts: Mapping[str, int]) -> Scheme:
    """How a file's tags are read.

    Args:
        counts: every tag of the file and how often it occurs.

    """
    joined = set(filter(_is_joined, counts))
    if joined:
        scheme = read_scheme({tag: n for tag, n in counts.items() if tag not in joined})
        return replace(scheme, unknown=tuple(sorted({*scheme.unknown, *joined})), fix=_FIX_JOINED)
    tags = set(counts)
    strict = {tag for tag in tags if _STRICT.fullmatch(tag)}
    rest = tags - strict - {OUTSIDE}
    usual = {tag: tag for tag in tags - rest}
    if not rest:
        return Scheme(usual)
    if all(_NUMBER.fullmatch(tag) for tag in tags) and (len(tags) > 1 or any(tag.startswith("-") for tag in tags)):
        numbers = sorted(tags, key=int)
        return Scheme(
            {},
            tuple(numbers),
            fix=f"the tags are numbers; name them in the order of the numbers, from 0 to {numbers[-1]}: "
            "--tag-names O,B-person,I-person,...",
        )
    outside = _outside(rest, counts, has_o=OUTSIDE in tags)
    marks = rest - outside
    written = dict.fromkeys(outside, OUTSIDE) | (_like_strict(marks, strict) if strict else _all_alike(marks))
    unknown = marks - written.keys()
    if unknown and not strict and len(written) == len(outside):  # no prefixes in any form
        outside = {tag for tag in outside if OUTSIDE not in tags or tag in _NEVER_A_LABEL}
        return _bare(marks, outside, OUTSIDE in tags)
    fix = "write them as B-LABEL and I-LABEL, or O outside" if unknown else ""
    changed = {tag: meaning for tag, meaning in written.items() if tag != meaning}
    return Scheme(usual | written, tuple(sorted(unknown)), _told(changed), fix)


def has_prefix(tag: str) -> bool:
    """Whether it is a usual prefix and a label, as ``B-person``."""
    return _STRICT.fullmatch(tag) is not None


def looks_like_tags(counts: Mapping[str, int]) -> bool:
    """Whether a column with these values is one of tags: nine tenths are O, or a prefix and a label, in some form.

    A column of O alone is one; one of ``_`` or ``0`` alone is not. Tags with something joined to them count too: they
    cannot be read, and are no words either.
    """
    joined = {tag for tag in counts if _is_joined(tag)}
    if joined:
        n_joined = sum(counts[tag] for tag in joined)
        n_plain = sum(
            n for tag, n in counts.items() if tag == OUTSIDE or (_STRICT.fullmatch(tag) and tag not in joined)
        )
        if n_joined + n_plain >= 0.9 * sum(counts.values()):
            return True
    prefixed = sum(n for tag, n in counts.items() if _PREFIX.fullmatch(tag) or _STRICT.fullmatch(tag))
    prefixed += sum(n for tag, n in counts.items() if _SUFFIX.fullmatch(tag) and not _PREFIX.fullmatch(tag))
    n_outside = sum(n for tag, n in counts.items() if tag == OUTSIDE or tag in _MAYBE_OUTSIDE)
    n_typeless = sum(n for tag, n in counts.items() if _BARE_PREFIX.fullmatch(tag))
    if not prefixed and set(counts) - {OUTSIDE}:
        return bool(_typeless(set(counts) - {OUTSIDE} - _MAYBE_OUTSIDE)) and n_outside > 0
    return prefixed + n_outside + n_typeless >= 0.9 * sum(counts.values())


def _is_joined(tag: str) -> bool:
    """Whether a tag has something joined to it, another tag or a number, so that it is no label."""
    return bool(_SECOND.fullmatch(tag) or _TAIL.fullmatch(tag))


def spellings(labels: Iterable[str]) -> list[tuple[str, ...]]:
    """The labels that differ in case or signs that are not seen alone, in groups, sorted."""
    groups: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        groups.setdefault(without_unseen(label).casefold(), []).append(label)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _outside(rest: set[str], counts: Mapping[str, int], *, has_o: bool) -> set[str]:
    """The tags that can only mean O."""
    signs = rest & _NEVER_A_LABEL
    if has_o:
        return signs
    words = {tag for tag in rest & _MAYBE_OUTSIDE if counts[tag] >= max(counts.values())}
    return signs | (words if len(words) == 1 and not signs else set())


def _like_strict(marks: set[str], strict: set[str]) -> dict[str, str]:
    """Of tags beside usual ones, those that are these in another form: their label is one of theirs, or only their
    prefix is unusual."""
    labels = {tag[2:] for tag in strict}
    prefixes = {tag[0] for tag in strict}
    found = {}
    for tag in marks:
        for prefix, label in _parts(tag):
            is_plain = tag == f"{prefix}-{label}"
            if (label in labels or is_plain) and (as_usual := _usual_prefix(prefix, prefixes | {prefix})):
                found[tag] = f"{as_usual}-{label}"
                break
    return found


def _all_alike(marks: set[str]) -> dict[str, str]:
    """All tags in one other form: one sign between a prefix and a label, in one order; empty if that is not certain.

    It is where there are two prefixes or two labels: ``B_cell`` alone may as well be a label.
    """
    if found := _typeless(marks):
        return found
    for form in (_prefixed, _suffixed):
        for sign in "-_:/|":
            parts = {tag: form(tag, sign) for tag in marks}
            pairs = [pair for pair in parts.values() if pair is not None]
            prefixes, labels = {prefix for prefix, _ in pairs}, {label for _, label in pairs}
            # a tag that lacks its label, as `B-`, or has a foreign prefix must not hide what all others are
            if len(pairs) < max(1, 0.5 * len(marks)) or "B" not in prefixes:
                continue
            if len(prefixes) + len(labels) < 3:
                continue
            return {
                tag: f"{usual}-{pair[1]}"
                for tag, pair in parts.items()
                if pair is not None and (usual := _usual_prefix(pair[0], prefixes))
            }
    return {}


def _typeless(marks: set[str]) -> dict[str, str]:
    """B and I (and E, S, ...) without labels."""
    found = {tag: match[1] for tag in marks if (match := _BARE_PREFIX.fullmatch(tag))}
    prefixes = set(found.values())
    if len(found) < len(marks) or not ({"B", "I"} <= prefixes or {"B", "E"} <= prefixes or prefixes == {"I"}):
        return {}
    return {tag: f"{usual}-{NO_TYPE}" for tag, prefix in found.items() if (usual := _usual_prefix(prefix, prefixes))}


def _usual_prefix(prefix: str, prefixes: set[str]) -> str:
    """The prefix among BIESLU that this one means beside these; empty if that is not certain."""
    if prefix == "M":  # of BMES, the middle
        return "I" if {"B", "E"} <= prefixes else ""
    if prefix == "W":  # of BMEW, the whole
        return "S" if prefixes & {"M", "E"} else ""
    return prefix


def _parts(tag: str) -> Iterator[tuple[str, str]]:
    """Every way to take a tag as a prefix with a label."""
    for form in (_prefixed, _suffixed):
        for sign in "-_:/|":
            if pair := form(tag, sign):
                yield pair


def _prefixed(tag: str, sign: str) -> tuple[str, str] | None:
    match = _PREFIX.fullmatch(tag)
    return (match[1].upper(), match[3]) if match and match[2] == sign else None


def _suffixed(tag: str, sign: str) -> tuple[str, str] | None:
    match = _SUFFIX.fullmatch(tag)
    return (match[3].upper(), match[1]) if match and match[2] == sign else None


def _bare(marks: set[str], outside: set[str], has_o: bool) -> Scheme:
    """Labels without prefixes; those that look like a lonely prefix are none."""
    one_in_parts = {tag for tag in marks if len(marks) == 1 and any(_parts(tag))}
    unknown = tuple(sorted(one_in_parts | set(filter(_BARE_PREFIX.fullmatch, marks))))
    meaning = {tag: tag for tag in marks if tag not in unknown} | dict.fromkeys(outside, OUTSIDE)
    if has_o:
        meaning[OUTSIDE] = OUTSIDE
    told = [_told(dict.fromkeys(outside, OUTSIDE))] if outside else []
    if len(meaning) > len(outside) + has_o:
        told.append("The tags have no prefixes (B-, I-): neighbouring words of one label are one entity.")
    if not has_o and not outside:
        told.append("No tag says that a word is outside (O): every word has a label.")
    fix = "write B-LABEL and I-LABEL, or O outside; or give labels of more than a letter" if unknown else ""
    return Scheme(meaning, unknown, " ".join(told), fix)


def _told(changed: Mapping[str, str]) -> str:
    if not changed:
        return ""
    listed = ", ".join(f"{tag!r} as {meaning}" for tag, meaning in sorted(changed.items())[:_SHOWN])
    more = f" and {len(changed) - _SHOWN} others" if len(changed) > _SHOWN else ""
    return f"Of the tags these are read as usual ones: {listed}{more}."
