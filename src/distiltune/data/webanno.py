"""WebAnno TSV 3, which INCEpTION and WebAnno export: a token a line, and each sentence's own text above its tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from distiltune.data.file_form import FileForm
from distiltune.data.rows import BadRow, Row
from distiltune.data.streams import bounded_lines, open_text
from distiltune.errors import DataError

BEGINNING: Final = "#FORMAT=WebAnno TSV 3"
"""How the first line of such a file begins."""

_TEXT: Final = "#Text="
_SPANS: Final = "#T_SP="
_RELATIONS: Final = ("#T_RL=", "#T_CH=")
_VALUE: Final = re.compile(r"(?P<label>.*?)(?:\[(?P<number>\d+)\])?", re.DOTALL)
_FIRST_COLUMN: Final = 3
_NOTHING: Final = ("_", "*")


@dataclass(frozen=True, slots=True)
class _Layer:
    """The column, from 0, of the labels of a layer of spans, and what the two are called."""

    name: str
    feature: str
    column: int


@dataclass(slots=True)
class _Sentence:
    """The lines of one: the number of the first, the text, and the fields of each token."""

    line: int
    text: str
    tokens: list[list[str]] = field(default_factory=list)


def is_webanno(path: Path, form: FileForm) -> bool:
    """Whether a file says in its first line that it is one."""
    with open_text(path, newline="", encoding=form.encoding) as stream:
        return next(bounded_lines(stream, path), "").startswith(BEGINNING)


def read_webanno(path: Path, form: FileForm) -> Iterator[Row | BadRow]:
    """Each sentence as a row: its text, and the ``spans`` of one layer.

    Raises:
        DataError: if the file has several layers of spans, none of them of named entities, or none at all.

    """
    layers: list[_Layer] = []
    column = _FIRST_COLUMN
    sentence: _Sentence | None = None
    with open_text(path, newline="", encoding=form.encoding) as stream:
        for number, line in enumerate(bounded_lines(stream, path), start=1):
            line = line.rstrip("\r\n")
            if line.startswith(_SPANS):
                name, *features = line.removeprefix(_SPANS).split("|")
                wanted = "value" if "value" in features else features[-1] if features else ""
                at = features.index(wanted) if features else 0
                layers.append(_Layer(name.rpartition(".")[2], wanted, column + at))
                column += max(1, len(features))
            elif line.startswith(_RELATIONS):
                column += len(line.split("|")) - 1
            elif line.startswith(_TEXT):
                if sentence is None or sentence.tokens:
                    if sentence is not None:
                        yield _row(sentence, _layer(layers, path), path)
                    sentence = _Sentence(number, line.removeprefix(_TEXT))
                else:  # a text with a line end in it
                    sentence.text += "\n" + line.removeprefix(_TEXT)
            elif sentence is not None and line and not line.startswith("#"):
                sentence.tokens.append(line.split("\t"))
    if sentence is not None:
        yield _row(sentence, _layer(layers, path), path)


def _layer(layers: Sequence[_Layer], path: Path) -> _Layer:
    named = [each for each in layers if each.name == "NamedEntity"] or list(layers)
    if len(named) == 1:
        return named[0]
    listed = ", ".join(each.name for each in layers) or "none"
    raise DataError(
        f"The file has these layers of spans: {listed}; one of them must be learnt.",
        where=str(path),
        fix="export it with that layer alone, or call it NamedEntity.",
    )


def _row(sentence: _Sentence, layer: _Layer, path: Path) -> Row | BadRow:
    where = f"{path}:{sentence.line}"
    open_spans: dict[tuple[str, str], dict[str, object]] = {}
    spans: list[dict[str, object]] = []
    place = 0
    for fields in sentence.tokens:
        if "." in fields[0]:  # a part of a token
            return BadRow(where, "marks a part of a word, which is not read from WebAnno TSV: export it as JSON.")
        word = fields[2] if len(fields) > 2 else ""
        start = sentence.text.find(word, place) if word else -1
        if start < 0:
            return BadRow(where, f"has a token that its text does not have: {word!r}.")
        place = start + len(word)
        held = fields[layer.column] if layer.column < len(fields) else "_"
        for value in [] if held in _NOTHING else held.split("|"):
            match = _VALUE.fullmatch(value)
            label, number = (match["label"], match["number"]) if match is not None else (value, None)
            label = label.replace("\\_", "_")
            key = (label, number or "")
            if number is not None and key in open_spans:
                open_spans[key]["end"] = place
                continue
            span: dict[str, object] = {"start": start, "end": place, "label": None if label == "*" else label}
            spans.append(span)
            open_spans[key] = span
    told = f"WebAnno TSV 3: each sentence is a row, its spans are of the layer {layer.name} (`{layer.feature}`)"
    return Row({"text": sentence.text, "spans": spans}, where, told)
