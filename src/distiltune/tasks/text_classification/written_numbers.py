"""Numbers as people write them, 3,5 or $1.50 or 2.5 % or 1,100.5, told from a whole column of them."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

_PLAIN: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CURRENCIES: Final = "".join(chr(i) for i in range(0x24, 0x20D0) if unicodedata.category(chr(i)) == "Sc")
_UNIT: Final = rf"[{re.escape(_CURRENCIES)}%‰]|USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR"
_BODY: Final = r"\d+(?:[.,' ]\d+)*|[.,]\d+"
_WRITTEN: Final = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_UNIT})?\s*(?P<second>[+-]?)(?P<body>{_BODY})\s*(?P<after>{_UNIT})?"
)
_MEASURE: Final = re.compile(r"\W{0,3}\d.{0,30}", re.DOTALL)
_SAME: Final = str.maketrans({"−": "-", "’": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
"""Signs that stand for one: of minus, and of what stands between thousands."""
_SHOWN: Final = 3
_MOST_SECTIONS: Final = 50
"""More different labels with points are taken for a measure, written in whatever way."""
_THOUSANDS: Final = {sign: re.compile(rf"[1-9]\d{{0,2}}{re.escape(sign)}\d{{3}}") for sign in ".,"}

FEW_NUMBERS: Final = 0.2
"""A share of labels that are numbers up to which they are names like others."""
MOST_NUMBERS: Final = 0.8
"""A share from which on all are meant to be numbers."""
MANY_CLASSES: Final = 10
"""Labels that are as many, and more than half as many as there are rows, need not be names of classes."""


def is_plain_number(text: str) -> bool:
    """Whether a text is a finite number with a decimal point or none, and nothing else."""
    return _PLAIN.fullmatch(text) is not None and math.isfinite(float(text))


@dataclass(frozen=True, slots=True)
class NumberForm:
    """How the numbers of a column are written.

    Attributes:
        decimal: what stands before the fraction.
        between: what stands between thousands; empty: nothing.
        unit: what stands beside each number; empty: nothing.

    """

    decimal: str
    between: str
    unit: str

    def plain(self, text: str) -> str | None:
        """The same number with a decimal point and nothing else; None if it is not written so."""
        found = _parts(text)
        if found is None or found.unit != self.unit:
            return None
        whole, _, fraction = found.body.partition(self.decimal)
        if self.between and self.between in whole:
            first, *others = whole.split(self.between)
            if not 0 < len(first) < 4 or any(len(each) != 3 for each in others):
                return None
            whole = "".join((first, *others))
        if not all(part.isdecimal() or not part for part in (whole, fraction)) or not whole + fraction:
            return None
        return f"{found.sign}{whole or '0'}{fraction and f'.{fraction}'}"

    def sentence(self, texts: Sequence[str]) -> str:
        """What was decided, shown by one of these labels."""
        example = next((text for text in texts if self.between and self.between in text), texts[0])
        said = [f"{self.decimal!r} before the fraction"] if self.decimal != "." else []
        if not (said or self.between or self.unit):
            said = ["'.' before the fraction, and nothing between thousands"]
        said += [f"{self.between!r} between thousands"] if self.between else []
        said += [f"{self.unit!r} beside them, which is left out"] if self.unit else []
        return f"The labels are read as numbers with {', '.join(said)}: {example} as {self.plain(example)}."


@dataclass(frozen=True, slots=True)
class Doubt:
    """Labels that seem to be numbers and can be read in two ways.

    Attributes:
        what: a sentence that shows some.
        fix: how they would be certain.
        examples: some of them.
        may_be_several: whether what may be a number's sign may also part several labels.

    """

    what: str
    fix: str
    examples: Sequence[str]
    may_be_several: bool = False


_WRITE_PLAINLY: Final = "write the numbers alone, with a decimal point and nothing between thousands"


def number_form(labels: Sequence[str] | Mapping[str, int], *, are_numbers: bool) -> NumberForm | Doubt | None:
    """How a column's numbers are written; None if they are plain or no numbers.

    Args:
        labels: one of each row, or each with the number of its rows, in order of first appearance.
        are_numbers: whether somebody said so; else what could be several labels in a cell, as 3,5, is doubtful.

    """
    counts = Counter(labels)
    numbers = {text: found for text in counts if (found := _parts(text)) is not None}
    odd = [text for text in numbers if not is_plain_number(text)]
    n_rows, n_labels = sum(counts[text] for text in numbers), counts.total()
    bare = _without_units(list(numbers), odd, are_numbers=are_numbers) if n_rows > MOST_NUMBERS * n_labels else None
    if bare is not None:
        return bare
    if not odd or n_rows <= FEW_NUMBERS * n_labels:
        return None if are_numbers else _measure(counts)
    units = {found.unit: text for text, found in reversed(numbers.items())}
    if len(units) > 1:
        shown = _listed(list(units.values()))
        what = f"The labels are numbers with different things, or with nothing, beside them: {shown}."
        return Doubt(what, f"{_WRITE_PLAINLY}, all in one unit", list(units.values()))
    unit = next(iter(units))
    forms = [NumberForm(*signs, unit) for signs in product(".,", ("", ",", ".", "'", " ")) if signs[0] != signs[1]]
    fitting = [form for form in forms if all(form.plain(text) is not None for text in numbers)]
    if not fitting:
        ways = sorted(_unlike(numbers), key=is_plain_number)
        what = f"The labels are numbers written in several ways, or several in one cell: {_listed(ways)}."
        return Doubt(what, f"otherwise {_WRITE_PLAINLY}", ways, may_be_several=not unit)
    values = {tuple(float(form.plain(text) or "nan") for text in numbers) for form in fitting}
    if len(values) > 1:
        either = [text for text in odd if len({float(form.plain(text) or "nan") for form in fitting}) > 1]
        what = f"Whether labels such as {_listed(either)} have thousands or a fraction cannot be told."
        return Doubt(what, f"otherwise {_WRITE_PLAINLY}", either, may_be_several=not unit)
    form = fitting[0]
    if not are_numbers and _may_be_several(odd, form):
        return Doubt(
            f"Labels such as {_listed(odd)} look like several labels in one cell, or like numbers.",
            "if each is a number: --problem regression; if each is one label: --problem single-label",
            odd,
            may_be_several=True,
        )
    is_measure = any(not float(form.plain(text) or 0).is_integer() for text in numbers)
    are_many = len(numbers) > max(MANY_CLASSES, n_rows // 2) and n_rows >= MOST_NUMBERS * counts.total()
    return form if are_numbers or is_measure or are_many else None


def _without_units(labels: Sequence[str], odd: Sequence[str], *, are_numbers: bool) -> NumberForm | Doubt | None:
    """What bare numbers show by points and commas in them alone; None if these say no more than elsewhere."""
    if sign := _between_thousands(labels):
        if are_numbers:
            return NumberForm("." if sign == "," else ",", sign, "")
        parted = [text for text in labels if sign in text]
        return Doubt(
            f"Labels such as {_listed(parted)} are whole numbers with {sign!r} between thousands.",
            f"if they are a measure: --problem regression, which reads {parted[0]} as {parted[0].replace(sign, '')}; "
            "if each is a class by itself: --problem single-label",
            parted,
        )
    if odd:
        return None
    if not are_numbers and (pair := _ordered_by_parts(labels)):
        return Doubt(
            f"Labels such as {_listed(pair)} would be equal or in another order as numbers: sections or versions, or "
            "numbers written in several ways.",
            "if they are names: --problem single-label; if they are numbers: --problem regression",
            pair,
        )
    return NumberForm(".", "", "") if _may_have_thousands(labels) else None


def _may_have_thousands(numbers: Iterable[str]) -> bool:
    """Whether numbers with a decimal point could all be whole ones with points between thousands: 1.250, 12.500."""
    values = list(numbers)
    return all(map(_THOUSANDS["."].fullmatch, values)) and any(not float(text).is_integer() for text in values)


def _between_thousands(numbers: Iterable[str]) -> str:
    """The sign that can only stand between thousands, as in 950, 2.500 and 12.000; empty if there is none.

    A fraction of three digits is written out to its zero (2.500) only where all have three: then 950 would be 950.000.
    """
    values = list(numbers)
    for sign in ".,":
        parted = [each for each in values if sign in each]
        whole = [each for each in values if each.isdecimal() and len(each) <= 3]
        are_thousands = all(map(_THOUSANDS[sign].fullmatch, parted))
        if parted and whole and len(parted) + len(whole) == len(values) and are_thousands:
            return sign if any(each.endswith("0") for each in parted) else ""
    return ""


def _ordered_by_parts(labels: Sequence[str]) -> list[str]:
    """Two labels such as 3.10 and 3.1, or 1.10 and 1.9, if there are; none of what are many different ones.

    Numbers are written with as many digits after the point, or without zeros at their ends.
    """
    if len(labels) > _MOST_SECTIONS:
        return []
    fractions = {text: text.partition(".")[2] for text in labels if re.fullmatch(r"\d+\.\d+", text)}
    shortest = min(fractions, key=lambda text: len(fractions[text]), default="")
    n_shortest = len(fractions.get(shortest, ""))
    first = next((text for text, digits in fractions.items() if digits[-1] == "0" and len(digits) > n_shortest), "")
    if not first:
        return []
    others = [text for text in fractions if text != first]
    equal = [text for text in others if float(text) == float(first)]
    beside = [text for text in others if text.partition(".")[0] == first.partition(".")[0]]
    return [(equal or beside or [shortest])[0], first]


@dataclass(frozen=True, slots=True)
class _Parts:
    """A number that is written in whatever way: its sign, its digits with what is between them, and the unit."""

    sign: str
    body: str
    unit: str


def _parts(text: str) -> _Parts | None:
    text = text.translate(_SAME).strip()
    if is_plain_number(text) and not text.lstrip("+-").replace(".", "", 1).isdecimal():  # with an exponent
        return None
    found = _WRITTEN.fullmatch(text)
    if found is None or (found["before"] and found["after"]) or (found["sign"] and found["second"]):
        return None
    sign = (found["sign"] + found["second"]).replace("+", "")
    return _Parts(sign, found["body"], found["before"] or found["after"] or "")


def _may_be_several(odd: Sequence[str], form: NumberForm) -> bool:
    """Whether these could also be lists of numbered labels, parted by what would be the numbers' own sign.

    Not with a unit, with both signs, or with a part such as 05, which numbers nothing.
    """
    if form.unit or any(text[0] in "+-−.," for text in odd):
        return False
    signs = {sign for text in odd for sign in text.translate(_SAME) if not sign.isdecimal()}
    if len(signs) > 1 or signs <= {"'"}:
        return False
    parts = [part for text in odd for part in re.split(r"\D+", text)]
    return not any(len(part) > 1 and part.startswith("0") for part in parts)


def _unlike(numbers: Iterable[str]) -> list[str]:
    """One label of each way to write, told by the signs in it."""
    shapes: dict[str, str] = {}
    for text in numbers:
        shapes.setdefault(re.sub(r"\d+", "0", text), text)
    return list(shapes.values())


def _measure(counts: Counter[str]) -> Doubt | None:
    """Labels that are nearly as many as the rows and begin with a digit, as 3 kg and 4.5/5 do: hardly classes."""
    odd = [text for text in counts if _MEASURE.fullmatch(text) and not is_plain_number(text)]
    n_rows, n_all = sum(n for text, n in counts.items() if _MEASURE.fullmatch(text) is not None), counts.total()
    if len(odd) <= max(MANY_CLASSES, n_all // 2) or n_rows < MOST_NUMBERS * n_all:
        return None
    return Doubt(
        f"The labels are {len(odd):,} different ones in {n_all:,} rows, such as {_listed(odd)}: as many classes, "
        "or a measure.",
        "of a measure, write the number alone; if they are classes: --problem single-label",
        odd,
    )


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:_SHOWN]))
