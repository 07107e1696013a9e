"""How a file holds labels: one a row, lists, rows of 0 and 1, several in one cell. Decided over the whole file."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from distiltune.data.literals import literal
from distiltune.data.values import Problem, shown, text_problem
from distiltune.errors import DataError, RecipeError
from distiltune.tasks.text_classification.bit_columns import bit_of
from distiltune.tasks.text_classification.several_in_cell import OTHER_SEPARATORS, look_for_several, separator_of
from distiltune.tasks.text_classification.written_numbers import Doubt, NumberForm, number_form

LABELS_APART: Final = "|"
"""What parts several labels in one cell of a table, unless the recipe says otherwise."""

_BETWEEN_NUMBERS: Final = re.compile(r"\s*[,;|]\s*|\s+")
_MANY_BLANK: Final = 0.2
_IN_BRACKETS: Final = re.compile(r"\[[^\[\]]*\]|\{[^{}:]*\}")
"""A list whose elements stand in no quotation marks, as people and some databases write it."""


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """What the recipe says of labels.

    Attributes:
        names: of the columns of rows of 0 and 1, or of the classes 0, 1, ...; empty: as the file has them.
        separator: what parts labels in one cell; empty: `LABELS_APART`, and that only in the column ``labels``.
        names_of_places: of rows of 0 and 1 alone, where a model is to be used on them: its labels.
        problem: as the recipe has it, or the model's where one is to be used.

    """

    names: tuple[str, ...] = ()
    separator: str = ""
    names_of_places: tuple[str, ...] = ()
    problem: str = "auto"


@dataclass(frozen=True, slots=True)
class Cell:
    """The labels of one row as the file has them.

    Attributes:
        values: the label, or the elements of the list.
        form: one value, a list, one value of each of several columns, nothing in a column of any number of labels, or
            an empty list in the column of one.
        spelled: whether the list was written into a text.
        where: the row's place.
        n_rows: in how many rows there is the same, where one stands for all of them.

    """

    values: tuple[object, ...]
    form: Literal["one", "list", "columns", "blank", "empty"]
    spelled: bool
    where: str
    n_rows: int = 1


@dataclass(frozen=True, slots=True)
class LabelForm:
    """How the cells of a file are to be understood.

    Attributes:
        hot: whether they are rows of 0 and 1, one place for each label.
        names: of the places, or of the classes 0, 1, ...
        decisions: kind and sentence for each thing that could be meant otherwise.
        scored: whether lists of numbers hold one for each class, as probabilities do, and so are no labels.
        numbers: how the labels are written that are numbers, if not plainly.
        several: whether a text may have any number of them by name, none too.
        unsaid: whether empty lists are labels that are missing, since no text has several.

    """

    hot: bool
    names: tuple[str, ...]
    decisions: tuple[tuple[str, str], ...] = ()
    scored: bool = False
    numbers: NumberForm | None = None
    several: bool = False
    unsaid: bool = False


def cell_of(value: object, settings: LabelSettings, where: str, *, many: bool) -> Cell | None:
    """The cell's labels; None for an empty cell. ``many``: it is of the column that may hold several."""
    if value is None:
        return None
    if isinstance(value, dict) and isinstance(value.get("choices"), list):  # as Label Studio's JSON-MIN has them
        value = value["choices"]
    if isinstance(value, list):
        return Cell(tuple(value), "list" if value or many else "empty", False, where)
    if not isinstance(value, str):
        return Cell((value,), "one", False, where)
    spelled = literal(value)
    if isinstance(spelled, list):
        return Cell(tuple(spelled), "list" if spelled or many else "empty", True, where)
    if not value.strip():
        return Cell((), "blank", True, where) if many else None
    separator = separator_of(settings.separator) or (LABELS_APART if many else "")
    if separator and separator in value and not _IN_BRACKETS.fullmatch(value.strip()):
        return Cell(_parted(value, separator), "list", True, where)
    return Cell((value.strip(),), "one", False, where)


def _parted(text: str, separator: str) -> tuple[str, ...]:
    """The labels that a text holds; what is empty between two separators is none."""
    parts = (part.strip() for part in text.split(separator))
    return tuple(part for part in parts if part)


def decide(cells: Sequence[Cell], given: Sequence[str], settings: LabelSettings) -> LabelForm:
    """How a file's cells are to be understood.

    Args:
        cells: all that are not empty; or one of each kind, in order of first appearance, with the number of its rows.
        given: names that the file itself has for its classes, or its columns of 0 and 1.
        settings: what the recipe says.

    Raises:
        DataError: if some lists look like rows of 0 and 1 and others do not, or if cells look as if they held several
            labels, parted otherwise than is asked for.
        RecipeError: if there are more or fewer names than places.

    """
    if cells and all(cell.form == "columns" for cell in cells):
        return LabelForm(True, tuple(given))
    lists = [cell for cell in cells if cell.form == "list" and cell.values]
    decisions: list[tuple[str, str]] = []
    if any(cell.spelled for cell in lists):
        example = next(cell for cell in lists if cell.spelled)
        message = f"Several labels in one cell are read as a list, such as {_list(example.values)} ({example.where})."
        decisions.append(("labels_in_a_cell", message))
    width = _width(lists, len(settings.names or settings.names_of_places))
    if width:
        names = _names(settings.names or settings.names_of_places or tuple(given), width)
        message = (
            f"Lists of {width} values 0 and 1 are read as one place for each label, not as the labels 0 and 1; their "
            f"names: {_list(names)}{'' if settings.names else ' (--label-names gives others)'}."
        )
        return LabelForm(True, names, (*decisions, ("labels_multi_hot", message)))
    names = settings.names or tuple(given)
    numbers = None if lists or names else _numbers_as_written(cells, settings, decisions)
    if numbers is None and not settings.separator and settings.problem not in ("single-label", "regression"):
        alone = (cell for cell in reversed(cells) if cell.form == "one")
        texts = {cell.values[0]: cell.where for cell in alone if isinstance(cell.values[0], str)}
        decisions += look_for_several(texts, {str(value) for cell in lists for value in cell.values})
    decisions += _said_of_blanks(cells)
    scored = any(_are_scores(cell.values) for cell in lists)
    return LabelForm(False, names, tuple(decisions), scored, numbers, any(len(cell.values) > 1 for cell in lists))


def rows_in_text(cells: Sequence[Cell | None], settings: LabelSettings) -> list[Cell | None]:
    """The cells of all rows; where each is a row of numbers from 0 to 1 written as text, as ``0 1 1``, these as lists.

    Two numbers parted by a comma may be one with a fraction, unless they have points themselves.
    """
    given = [cell for cell in cells if cell is not None]
    rows = [_row_in_text(cell) for cell in given]
    is_said = settings.separator or settings.problem in ("single-label", "regression")
    if is_said or not rows or len(set(map(len, rows))) > 1 or len(rows[0]) < 2:
        return list(cells)
    texts = [str(cell.values[0]) for cell in given]
    if len(rows[0]) == 2 and all("," in text and "." not in text for text in texts):
        return list(cells)
    parted = iter(rows)
    return [cell and replace(cell, values=next(parted), form="list", spelled=True) for cell in cells]


def lists_in_brackets(cells: Sequence[Cell | None], settings: LabelSettings) -> list[Cell | None]:
    """The cells of all rows; ``[slow, rude]`` and ``{slow,rude}`` as the lists that they are meant as.

    Where no cell has several elements, brackets are taken for a list's only if all cells have them.
    """
    texts = {str(cell.values[0]) for cell in cells if cell is not None and cell.form == "one"}
    inside = {text: text[1:-1] for text in texts if _IN_BRACKETS.fullmatch(text)}
    separator = separator_of(settings.separator) or ","
    if len(inside) < len(texts) and not any(separator in text for text in inside.values()):
        return list(cells)
    lists = {
        text: tuple(each.strip("'\"") for each in _parted(elements, separator)) for text, elements in inside.items()
    }
    return [
        replace(cell, values=lists[str(cell.values[0])], form="list", spelled=True)
        if cell is not None and cell.form == "one" and str(cell.values[0]) in lists
        else cell
        for cell in cells
    ]


def blanks_are_missing(cells: Sequence[Cell | None], settings: LabelSettings) -> list[Cell | None]:
    """Where no row has a list, a blank cell is a label that is missing, not a text without labels.

    So is an empty list in the column of one label where no list has several: tools that write one label a text as a
    list write that of a text which nobody has labelled.
    """
    filled = [cell for cell in cells if cell is not None and cell.values]
    if filled and settings.problem in ("auto", "single-label") and all(len(cell.values) == 1 for cell in filled):
        cells = [cell if cell is None or cell.form != "empty" else None for cell in cells]
    if not filled or any(cell.form != "one" for cell in filled):
        return list(cells)
    return [cell if cell is not None and cell.values else None for cell in cells]


def _said_of_blanks(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """What is said of empty cells in a column of any number of labels: a text without labels, or one not labelled."""
    n_blank, n_cells = sum(cell.n_rows for cell in cells if cell.form == "blank"), sum(cell.n_rows for cell in cells)
    if not n_blank:
        return []
    message = (
        f"{n_blank:,} of {n_cells:,} texts have an empty cell for their labels, and are taken as texts to which none "
        "applies; if nobody has labelled them, leave these rows out."
    )
    return [("many_without_labels" if n_blank > _MANY_BLANK * n_cells else "without_labels", message)]


def _row_in_text(cell: Cell) -> tuple[str, ...]:
    """The numbers from 0 to 1 in a text, as texts; none if it holds anything else."""
    text = cell.values[0] if cell.form == "one" else ""
    parts = _BETWEEN_NUMBERS.split(text.strip()) if isinstance(text, str) else []
    return tuple(parts) if parts and all(_number(part) is not None for part in parts) else ()


def _numbers_as_written(
    cells: Sequence[Cell], settings: LabelSettings, decisions: list[tuple[str, str]]
) -> NumberForm | None:
    """How the numbers of a file with one label a row are written, if not plainly; refuses what may be one or not."""
    if settings.problem not in ("auto", "regression"):
        return None
    ones = [cell for cell in cells if cell.form == "one" and not isinstance(cell.values[0], bool)]
    texts = {str(cell.values[0]): cell.where for cell in reversed(ones)}
    written_as: Counter[str] = Counter()
    for cell in ones:
        written_as[str(cell.values[0])] += cell.n_rows
    form = number_form(written_as, are_numbers=settings.problem == "regression")
    if isinstance(form, Doubt):
        separator = next((sign for sign in (*OTHER_SEPARATORS, " ") if sign in form.examples[0]), "")
        parted = f"if they are several: --label-separator {separator!r}; " if separator and form.may_be_several else ""
        raise DataError(form.what, where=texts[form.examples[0]], fix=f"{parted}{form.fix}")
    if form is not None:
        written = [text for text in texts if form.plain(text) not in (None, text)]
        if written or all(isinstance(cell.values[0], str) for cell in ones):  # JSON's numbers are what they are
            decisions.append(("numbers_as_written", form.sentence(written[::-1] or list(texts))))
    return form


def _are_scores(values: Sequence[object]) -> bool:
    """Whether a list can only hold a number for each class: some are not whole, below 0, or the same.

    Numbers that are written as texts count only from 0 to 1: of 3.8 and 3.9 both may be names.
    """
    numbers = _numbers(values)
    return len(numbers) > 1 and (
        any(not number.is_integer() or number < 0 for number in numbers) or len(set(numbers)) < len(numbers)
    )


def _numbers(values: Sequence[object]) -> list[float]:
    """The values as numbers; empty if one is none."""
    numbers = [_number(value) for value in values]
    return [each for each in numbers if each is not None] if None not in numbers else []


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if 0 <= number <= 1 else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None


def _width(lists: Sequence[Cell], n_names: int) -> int:
    """How many places the rows of 0 and 1 have; 0 if the lists are lists of labels.

    A row that has 0 or 1 twice can be nothing else. Lists of ``[0, 1]`` and ``[1, 0]`` alone are taken for such rows,
    unless there are names for another number of places: then they are the classes 0 and 1.
    """
    zeros_and_ones = [cell for cell in lists if all(bit_of(value) is not None for value in cell.values)]
    twice = [cell for cell in zeros_and_ones if len(set(map(bit_of, cell.values))) < len(cell.values)]
    lengths: Counter[int] = Counter()
    for cell in zeros_and_ones:
        lengths[len(cell.values)] += cell.n_rows
    is_even = len(lengths) == 1 and min(lengths) > 1 and len(zeros_and_ones) == len(lists)
    if not twice and not (is_even and n_names in (0, min(lengths))):
        return 0
    others = [cell for cell in lists if any(bit_of(value) is None for value in cell.values)]
    if others and sum(lengths.values()) > sum(cell.n_rows for cell in others):
        raise DataError(
            f"Some labels are rows of 0 and 1, such as {_list(twice[0].values)}, and others are not, such as "
            f"{_list(others[0].values)}.",
            where=f"{twice[0].where}; {others[0].where}",
            fix="write all of them as rows of 0 and 1, or all as lists of names",
        )
    return 0 if others else lengths.most_common(1)[0][0]


def _names(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    if not names:
        return tuple(f"label_{place}" for place in range(width))
    if len(names) != width:
        raise RecipeError(
            f"There are {len(names)} names of labels and rows of {width} values 0 and 1.",
            where="--label-names",
            fix="give one name for each place",
        )
    return names


def labels_of_cell(cell: Cell, form: LabelForm) -> tuple[str, ...] | Problem:
    """The labels of a cell by name, sorted and each once."""
    if form.hot:
        return _labels_of_bits(cell.values, form.names)
    if any(isinstance(value, list) for value in cell.values):
        return Problem(
            "label_is_a_span",
            f"The labels are {shown(list(cell.values))}, lists in a list, as marks in a text are: for these "
            "--task token-classification.",
        )
    if form.scored and cell.form == "list" and _numbers(cell.values):
        return Problem(
            "label_scores",
            f"The label is {shown(list(cell.values))}, which looks like a number for each class (soft labels, "
            "probabilities, votes), not like names: give the name of the class that is meant, or 0 and 1 for each; to "
            "learn from a model's own probabilities: distiltune distill.",
        )
    if form.numbers is not None and (plain := form.numbers.plain(str(cell.values[0]))) is not None:
        return (plain,)
    labels = [_label(value, form.names) for value in cell.values]
    problem = next((each for each in labels if isinstance(each, Problem)), None)
    return problem or tuple(sorted({str(label) for label in labels if label}))


def _labels_of_bits(values: Sequence[object], names: Sequence[str]) -> tuple[str, ...] | Problem:
    if len(values) != len(names):
        return Problem("label_count", f"The row has {len(values)} values 0 and 1 where others have {len(names)}.")
    bits = list(map(bit_of, values))
    for name, value, bit in zip(names, values, bits, strict=True):
        if bit is None:
            return Problem("label_not_0_or_1", f"The label {name!r} is {shown(value)}, neither 0 nor 1.")
    return tuple(sorted(name for name, bit in zip(names, bits, strict=True) if bit))


def _label(value: object, names: Sequence[str]) -> str | Problem:
    """A label's name: text as it is, a number by its name or its digits; empty for an empty text."""
    if isinstance(value, str) and names and value.strip().isdecimal() and value.strip() not in names:
        value = int(value.strip()[:9])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if names and not 0 <= value < len(names):
            return Problem("label_missing", f"The label is {value}, which stands for no label.")
        return names[value] if names else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return Problem("label_not_a_number", f"The label is {value}, which is no number.")
        return repr(value)
    if not isinstance(value, str):
        return Problem("label_not_text", f"The label is {shown(value)}, neither text nor a number.")
    problem = text_problem(value, "label")
    return problem if problem and problem.kind == "label_not_encodable" else value.strip()


def _list(values: Iterable[object]) -> str:
    """Some values for a message."""
    listed = [str(value) for value in values]
    more = f", ... ({len(listed)})" if len(listed) > 8 else ""
    return ", ".join(listed[:8]) + more
