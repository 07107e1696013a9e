"""Labels that may be several in one cell, parted otherwise than was said: told from all labels of a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from distiltune.errors import DataError

OTHER_SEPARATORS: Final = (",", ";", "#", "|")
"""What stands in hardly any name of a class: where parts come back in other cells, they are labels."""
_JOINING: Final = (
    "\n",
    "\t",
    "/",
    "\\",
    "+",
    "&",
    "·",
    "•",
    "、",
    "，",
    "；",
    " - ",
    " and ",
    " or ",
    " und ",
    " oder ",
)
"""What stands in names too, as in ``input/output`` and R&D: only where each part is a label by itself."""
_BITS_AS_TEXT: Final = re.compile(r"[01]{3,}")
_MOST_SHOWN: Final = 3
_ESCAPED: Final = {"\n": "\\n", "\t": "\\t"}
Told = list[tuple[str, str]]


def separator_of(text: str) -> str:
    """What parts labels, as a person can type it: ``\\n`` for a line's end and ``\\t`` for a tab."""
    return next((sign for sign, typed in _ESCAPED.items() if typed == text), text)


def as_typed(separator: str) -> str:
    """The separator in quotation marks for a command line; `separator_of` reads it."""
    return f"'{_ESCAPED.get(separator, separator)}'"


def look_for_several(texts: Mapping[str, str], listed: Collection[str]) -> Told:
    """What to say of labels that look like several in one cell, kind and sentence.

    A sign between them that hardly stands in a name counts where its parts come back in other cells; one that does,
    such as ``/`` or a blank, where each part is a label by itself.

    Args:
        texts: each label that stands alone in a cell, and where it first does.
        listed: labels of cells with several.

    Raises:
        DataError: if at least half of those that hold such a sign plainly are several.

    """
    told: Told = []
    alone = {text.casefold() for text in (*texts, *listed)}
    for separator in OTHER_SEPARATORS:
        around = f"{separator} " if separator != "#" else " "  # of #late #rude each has its own
        parted = {text: [part.strip() for part in text.strip(around).split(separator)] for text in texts}
        counts = Counter(part for parts in parted.values() for part in set(parts))
        several = {text: parts for text, parts in parted.items() if len(parts) > 1 and all(parts)}
        sure = [
            text
            for text, parts in several.items()
            if all(counts[part] > 1 or part.isdecimal() or part.casefold() in alone for part in parts)
        ]
        _refuse(separator, sure, several, texts)
        told += _taken_whole(separator, sure or list(several))
    for separator in _JOINING:
        several, sure = _of_labels(texts, separator, alone)
        _refuse(separator, sure, several, texts)
        told += _taken_whole(separator, sure)
    several, sure = _of_labels(texts, " ", alone)
    if len(sure) > 1 or len(several) == 1:  # beside machine learning, data science may well be a name
        _refuse(" ", sure, several, texts)
    return told + _taken_whole(" ", sure) + _digits(list(texts))


def _of_labels(
    texts: Mapping[str, str], separator: str, alone: Collection[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """The labels with this sign between their parts, and those of them whose parts are all labels by themselves."""
    parted = {text: [part.strip() for part in text.split(separator)] for text in texts if separator in text}
    if separator == " ":
        parted = {text: text.split() for text in parted}
    several = {text: parts for text, parts in parted.items() if len(parts) > 1 and all(parts)}
    return several, [text for text, parts in several.items() if all(part.casefold() in alone for part in parts)]


def _refuse(separator: str, sure: Sequence[str], several: Mapping[str, list[str]], texts: Mapping[str, str]) -> None:
    if not sure or 2 * len(sure) < len(several):
        return
    by = {" ": "blanks: each part is a label by itself", "\n": "line ends"}.get(separator, repr(separator))
    raise DataError(
        f"Labels such as {_shown(sure)} look like several labels in one cell, parted by {by}.",
        where=texts[sure[0]],
        fix=f"part them: --label-separator {as_typed(separator)}; or, if each is one label: "
        f"--label-separator {as_typed('|' if separator != '|' else ',')}",
    )


def _taken_whole(separator: str, texts: Sequence[str]) -> Told:
    if not texts:
        return []
    message = f"Labels such as {_shown(texts)} are taken as one label each; if they are several: --label-separator "
    return [("label_not_parted", f"{message}{as_typed(separator)}.")]


def _digits(texts: Sequence[str]) -> Told:
    if len(texts) < 3 or len({len(text) for text in texts}) > 1 or not all(map(_BITS_AS_TEXT.fullmatch, texts)):
        return []
    message = f"Labels such as {texts[0]!r} are taken as one label each; if each digit is a label of its own"
    return [("label_not_parted", f"{message}, part them, as in {' '.join(texts[0])!r}.")]


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:_MOST_SHOWN]))
