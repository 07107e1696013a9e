"""Write `docs/python-reference.md` from the code: every public name, its signature, what it takes, gives and raises.

Run from the repository: `python -m tools.docs.python_reference`. A test holds the page to what this writes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distiltune
from distiltune.checks.data_check import Checked
from distiltune.export.onnx import Exported
from distiltune.export.push import Pushed
from distiltune.model.convert import Converted
from distiltune.python.wording import FUNCTIONS
from distiltune.runs.embed import Embedded
from distiltune.runs.evaluate import Evaluated
from distiltune.runs.fine_tune import FineTuned
from distiltune.studies.compare import RunComparison
from distiltune.studies.folds import CrossValidated
from distiltune.studies.found_rate import FoundRate
from distiltune.studies.search import Search, Trial
from distiltune.tasks.multiple_choice.answerer import ChosenAnswer
from distiltune.tasks.question_answering.answerer import Reply
from distiltune.tasks.question_answering.found_answers import FoundAnswer, Place
from distiltune.tasks.question_answering.making.make import MadeQuestions
from distiltune.tasks.text_classification.classifier import Classified
from distiltune.tasks.token_classification.marker import MarkedEntity
from distiltune.training.loop import EpochReport, StepReport

PAGE = Path(__file__).parents[2] / "docs" / "python-reference.md"

_INTRODUCTION = """# Python: the reference

Every public name of `distiltune`, made from the code. How they are used together is [another page](python.md); what a
setting means, and between which bounds it may be, says [the recipe](recipe.md); an editor completes them, since every
`**settings` below is typed (`Settings`: all of a training; `UsingSettings`, `CheckingSettings`, `ServingSettings`:
those that matter there). `Data` is a path, a name, or [data in memory](python.md#data-in-memory). What goes wrong
raises a `DistiltuneError`.
"""

_OTHERS = ("cross_validate", *(name for name in FUNCTIONS.values() if name != "fine_tune"))
FUNCTIONS_IN_ORDER = ("fine_tune", "resume", *_OTHERS, "pipeline")
CLASSES = (
    *("Answerer", "TextClassifier", "EntityMarker", "ChoiceAnswerer"),
    *("DistilBertClassifier", "DistilBertRegressor", "DistilBertTagger"),
    *("Folder", "Labelling", "Recipe", "Watcher", "ServingLimits", "DistiltuneError"),
)
"""The public names, in the order of the page."""

RECORDS: tuple[type, ...] = (
    *(FineTuned, StepReport, EpochReport, CrossValidated, Evaluated, Checked, FoundRate, Search, Trial, RunComparison),
    *(MadeQuestions, Converted, Exported, Pushed, Reply, FoundAnswer, Place, Classified, MarkedEntity, ChosenAnswer),
    Embedded,
)
"""What they give."""

_SECTIONS = ("Args", "Attributes", "Returns", "Raises")


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "\n## Functions\n"]
    parts += [_function(name, getattr(distiltune, name)) for name in FUNCTIONS_IN_ORDER]
    parts += ["\n## Classes\n", *(_class(name, getattr(distiltune, name)) for name in CLASSES)]
    parts += ["\n## Records\n", *map(_record, RECORDS)]
    return "".join(parts)


def _function(name: str, function: Any) -> str:
    signature = _signature(name, function)
    return f"\n### `{name}`\n\n```python\n{signature}\n```\n\n{_described(function)}"


def _class(name: str, kind: Any) -> str:
    parts = [f"\n### `{name}`\n\n"]
    if not hasattr(kind, "model_fields"):  # of a recipe, they are the settings
        parts.append(f"```python\n{_signature(name, kind.__init__)}\n```\n\n")
    parts.append(_described(kind))
    if inspect.isfunction(kind.__init__) and (kind.__init__.__doc__ or "").startswith(("Load", "Say how")):
        parts += ["\n", _described(kind.__init__)]
    parts += [_member(name, *each) for each in _members(kind)]
    return "".join(parts)


def _record(kind: type) -> str:
    text = f"\n### `{kind.__name__}`\n\n{_described(kind)}"
    fields: Any = kind
    listed = ", ".join(f"`{each.name}: {_plain(each.type)}`" for each in dataclasses.fields(fields))
    more = [f"`{name}`" for name, _ in _members(kind)]
    return f"{text}\nFields: {listed}.\n" + (f"Also: {', '.join(more)}.\n" if more else "")


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """Its own public methods and properties, and calling it, in the order of the code."""
    same = [vars(each) for each in reversed(kind.__mro__) if each.__name__ == kind.__name__]  # see `in_python_class`
    for name, member in {name: member for members in same for name, member in members.items()}.items():
        is_shown = name == "__call__" or not name.startswith("_")
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if is_shown and (isinstance(plain, property) or inspect.isfunction(plain)) and plain.__doc__:
            yield name, plain


def _member(owner: str, name: str, member: Any) -> str:
    if isinstance(member, property):
        kind = _plain(inspect.signature(member.fget).return_annotation) if member.fget else ""
        return f"\n#### `{owner}.{name}`: `{kind}`\n\n{_described(member)}"
    return f"\n#### `{owner}.{name}`\n\n```python\n{_signature(name, member)}\n```\n\n{_described(member)}"


def _signature(name: str, function: Any) -> str:
    """The call, on one line if there is room, else a parameter a line."""
    found = inspect.signature(function)
    shown: list[str] = []
    for each in found.parameters.values():
        if each.name in ("self", "cls"):
            continue
        if each.kind is each.KEYWORD_ONLY and "*" not in shown and not any(part.startswith("*") for part in shown):
            shown.append("*")
        star = "**" if each.kind is each.VAR_KEYWORD else "*" if each.kind is each.VAR_POSITIONAL else ""
        kind = "" if each.annotation is each.empty else f": {_plain(each.annotation)}"
        default = "" if each.default is each.empty else f"{' = ' if kind else '='}{_default(each.default)}"
        shown.append(f"{star}{each.name}{kind}{default}")
    given = "" if found.return_annotation in (found.empty, "None") else f" -> {_plain(found.return_annotation)}"
    line = f"{name}({', '.join(shown)}){given}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {each},\n" for each in shown) + f"){given}"


def _default(value: object) -> str:
    if inspect.isfunction(value):
        return "..."
    return getattr(value, "__name__", None) or repr(value)


def _plain(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"Unpack\[(\w+)\]", r"\1", text)


def _described(thing: Any) -> str:
    """A docstring as Markdown: prose, and a table of what is taken, given and raised."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    prose: list[str] = []
    tables: list[str] = []
    section = ""
    for block in re.split(r"\n(?=(?:" + "|".join(_SECTIONS) + r"):\n)", text):
        head, _, body = block.partition(":\n")
        section = head if head in _SECTIONS else ""
        if not section:
            prose.append(block.strip())
            continue
        body, _, rest = _indented(body)
        tables.append(_table(section, textwrap.dedent(body)))
        prose += [rest.strip()] if rest.strip() else []
    return "\n\n".join([*_prose(prose), *tables]) + "\n"


def _prose(parts: list[str]) -> Iterator[str]:
    for part in parts:
        for paragraph in part.split("\n\n"):
            if paragraph.startswith(">>>"):
                yield f"```python\n{re.sub(r'(?m)^(>>>|...) ?', '', paragraph)}\n```"
            elif paragraph.strip():
                yield paragraph.strip()


def _indented(body: str) -> tuple[str, str, str]:
    """The lines of a section, which are indented, and what comes after it."""
    found = re.search(r"\n(?=\S)", body)
    return (body, "", "") if found is None else (body[: found.start()], "", body[found.end() :])


def _table(section: str, body: str) -> str:
    if section == "Returns":
        return f"Returns: {' '.join(body.split())}"
    items = [" ".join(each.split()) for each in re.split(r"\n(?=\S)", body.strip())]
    rows = [tuple(part.strip().replace("|", "\\|") for part in each.partition(":")[::2]) for each in items]
    title = {"Args": "argument", "Attributes": "attribute", "Raises": "raises"}[section]
    return f"| {title} | |\n|---|---|\n" + "\n".join(f"| `{name}` | {meaning} |" for name, meaning in rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written: {PAGE}")
