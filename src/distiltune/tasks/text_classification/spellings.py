"""Labels that are one in several spellings: 1 and 1.0, True and true, PER and Per."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from distiltune.data.example_set import ExampleSet
from distiltune.data.files import format_suffix
from distiltune.data.marks import in_form, without_unseen
from distiltune.data.row_findings import RowFinding
from distiltune.data.stored import changed
from distiltune.tasks.prediction_rows import place_of
from distiltune.tasks.text_classification.examples import TextExample, text_kinds

_WHOLE: Final = re.compile(r"([+-]?\d+)\.0+")
_FEWEST_ROWS: Final = 20
_LIKE_NONE: Final = frozenset({"n/a", "na", "nan", "none", "null", "nil", "-", "?", "unknown", "tbd", "todo", "#n/a"})


def spelling_key(label: str) -> str:
    """What is the same for all spellings of a label: without case, white space, unseen signs, Unicode form, ``.0``."""
    folded = " ".join(in_form("NFKC", without_unseen(label)).casefold().split())
    whole = _WHOLE.fullmatch(folded)
    return whole[1] if whole else folded


def one_spelling(read: ExampleSet[TextExample]) -> ExampleSet[TextExample]:
    """The set with the labels of all files spelled as in the first, and findings on what is spelled variously.

    Two spellings in one file stay two labels: whether they are meant so nobody but a person can tell.
    """
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    first_at: dict[str, str] = {}
    kinds = text_kinds(read.examples)
    for first, n in zip(kinds.firsts, kinds.counts.tolist(), strict=True):
        counted = by_file[place_of(first.where)[0]]
        for label in first.gold or ():
            counted[label] += n
            first_at.setdefault(label, first.where)
    findings = replace(read.findings, items=list(read.findings.items))
    mixed: set[str] = set()
    spelled: dict[str, dict[str, None]] = defaultdict(dict)
    for file, counts in by_file.items():

        def listed(names: Iterable[str], counts: Counter[str] = counts) -> str:
            return ", ".join(f"{name!r} ({counts[name]:,} times, first {first_at[name]})" for name in names)

        for key, names in _by_key(counts).items():
            spelled[key].update(dict.fromkeys(names))
            if len(names) > 1:
                mixed.add(key)
                same = len({in_form("NFC", name) for name in names}) < len(names)
                form = " Some look the same and differ in Unicode form (NFC, NFD): write all in one." if same else ""
                message = f"Labels that differ in spelling only are different labels: {listed(names)}.{form}"
                findings.add(RowFinding("noted", "label_spelled_differently", file, "", message))
        if odd := [name for name in counts if spelling_key(name) in _LIKE_NONE]:
            message = f"{listed(odd)}: taken as a label; if it means that there is none, leave these cells empty."
            findings.add(RowFinding("noted", "label_like_none", file, "", message))
        if odd := [name for name in counts if spelling_key(name) == "-1"] if _are_class_numbers(counts) else []:
            message = (
                f"{listed(odd)} beside class numbers from 0: it usually means that there is no label, and is taken as "
                "one; if so, leave these rows out or these cells empty."
            )
            findings.add(RowFinding("noted", "label_like_none", file, "", message))
        if {spelling_key(name) for name in counts} == {"-1", "0", "1"}:
            message = (
                "-1, 0 and 1 are taken as three classes. If -1 means that there is no label, leave these rows out or "
                "these cells empty."
            )
            findings.add(RowFinding("decided", "minus_one_is_a_class", file, "", message))
        if message := _like_header(file, counts, first_at):
            findings.add(RowFinding("noted", "row_like_header", file, "", message))
    meant_by = {name: next(iter(names)) for key, names in spelled.items() if key not in mixed for name in names}
    others = {name: meant for name, meant in meant_by.items() if name != meant}
    for name, meant in others.items():
        message = f"The label {name!r} is read as {meant!r}, as an earlier file spells it."
        findings.add(RowFinding("decided", "label_respelled", first_at[name], "", message))
    return replace(read, examples=_renamed(read.examples, others), findings=findings)


def _like_header(file: str, counts: Counter[str], first_at: Mapping[str, str]) -> str:
    """What to say of a table's first row that alone has its label, where all others stand in several; else empty.

    Many tools write a second line below the names: of kinds of values, of units, of the questions' wording.
    """
    alone = [name for name, count in counts.items() if count == 1]
    if format_suffix(file) not in (".csv", ".tsv") or counts.total() < _FEWEST_ROWS or len(alone) != 1:
        return ""
    if first_at[alone[0]] != f"{file}:2" or len(counts) > counts.total() / 5:
        return ""
    return (
        f"Line 2 alone has the label {alone[0]!r}: if it says more of the columns, as a second line of names, of kinds "
        "of values or of units does, it is no example."
    )


def _are_class_numbers(names: Iterable[str]) -> bool:
    """Whether these are -1 and whole numbers from 0 up, 0 and 1 among them; -1, 0 and 1 alone are three in order."""
    keys = {spelling_key(name) for name in names}
    return {"0", "1"} <= keys and keys != {"-1", "0", "1"} and all(key == "-1" or key.isdecimal() for key in keys)


def as_spelled(read: ExampleSet[TextExample], labels: Sequence[str]) -> ExampleSet[TextExample]:
    """The set with labels spelled as the model's are, where exactly one of these is meant; each spelling is noted."""
    known = {key: names for key, names in _by_key(labels).items() if len(names) == 1}
    names_of: dict[str, str] = {}
    findings = replace(read.findings, items=list(read.findings.items))
    for example in text_kinds(read.examples).firsts:
        for name in example.gold or ():
            meant = known.get(spelling_key(name))
            if name not in labels and name not in names_of and meant:
                names_of[name] = meant[0]
                message = f"The label {name!r} is read as {meant[0]!r}, as the model has it."
                findings.add(RowFinding("decided", "label_respelled", example.where, example.id, message))
    return replace(read, examples=_renamed(read.examples, names_of), findings=findings) if names_of else read


def _by_key(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[spelling_key(name)].append(name)
    return found


def _renamed(examples: Sequence[TextExample], names: Mapping[str, str]) -> Sequence[TextExample]:
    if not names:
        return examples

    def renamed(example: TextExample) -> TextExample:
        if example.gold is None or not any(name in names for name in example.gold):
            return example
        return replace(example, gold=tuple(sorted({names.get(name, name) for name in example.gold})))

    return changed(examples, renamed)
