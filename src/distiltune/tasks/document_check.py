"""What `distiltune check` says of documents, which have no rows: which can be read, and what they hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from distiltune.checks.concerns import Case, Concern, concern_lines, concern_of, ranked
from distiltune.checks.data_check import Checked
from distiltune.data.class_folders import way_to_table
from distiltune.model.source import load_tokenizer, resolve_model
from distiltune.progress import counted, shown_seconds
from distiltune.tasks.document_files import find_documents, read_documents

_UNKNOWN: Final = "[UNK]"
_MANY_UNKNOWN: Final = 0.1


def check_documents(sources: Sequence[str], model: str, encoding: str = "") -> Checked:
    """What documents are worth to `ask` and `predict`.

    Args:
        sources: files, folders and patterns of documents.
        model: whose vocabulary they are read with; of its weights none is read.
        encoding: of plain text that is not UTF-8.

    Raises:
        DataError: if there is no such document.
        ModelError, HubError: if the model cannot be found.

    """
    began = time.perf_counter()
    tokenizer = load_tokenizer(resolve_model(model))
    found = find_documents(sources)
    read = read_documents(found.files, encoding)
    texts = {each.name: each.text for each in read if each.text is not None}
    n_tokens, unknown = _tokens(texts, tokenizer)
    unreadable = [Case(each.name, each.problem.what) for each in read if each.problem is not None]
    concerns = ranked(
        [
            *concern_of(
                "error", "document_unreadable", "cannot be read", unreadable, len(read), "see each; or take it out"
            ),
            *concern_of("warning", "document_empty", "hold no text", _empty(texts), len(read), "take them out"),
            *concern_of(
                "warning",
                "document_repeated",
                "have the same text as one before",
                _repeated(texts),
                len(read),
                "take them out; an answer in both counts once",
            ),
            *concern_of(
                "warning",
                "document_unknown_words",
                f"have over {_MANY_UNKNOWN:.0%} of words that the model's vocabulary lacks",
                unknown,
                len(read),
                "take a model of that language",
            ),
            *(Concern("note", "file_ignored", note) for note in found.notes),
            *(_classes(way) for source in sources if (way := way_to_table(Path(source).expanduser()))),
        ]
    )
    n_characters = sum(map(len, texts.values()))
    statistics = {"documents": len(read), "characters": n_characters, "tokens": n_tokens}
    seconds = time.perf_counter() - began
    values = {
        "data": list(sources),
        "n_documents": len(read),
        "concerns": [concern.as_json() for concern in concerns],
        "statistics": statistics,
        "seconds": round(seconds, 2),
    }
    head = f"{counted(len(read), 'document')}, {counted(n_characters, 'character')}, {counted(n_tokens, 'token')}"
    nothing = "nothing is wrong that can be seen"
    lines = [head, "", *(concern_lines(concerns) or [nothing]), "", f"checked in {shown_seconds(seconds)}"]
    return Checked(lines, values)


def _classes(way: str) -> Concern:
    message = "each document lies in one of several folders, which may be classes; they are taken as documents alone"
    return Concern("note", "folders_like_classes", message, f"to learn the classes, {way}")


def _empty(texts: Mapping[str, str]) -> list[Case]:
    return [Case(name, f"{Path(name).stat().st_size:,} bytes") for name, text in texts.items() if not text.strip()]


def _repeated(texts: Mapping[str, str]) -> list[Case]:
    first: dict[str, str] = {}
    cases = []
    for name, text in texts.items():
        plain = " ".join(text.split())
        if plain and first.setdefault(plain, name) != name:
            cases.append(Case(name, f"as {first[plain]}"))
    return cases


def _tokens(texts: Mapping[str, str], tokenizer: Tokenizer) -> tuple[int, list[Case]]:
    """How many tokens all texts have, and those of which many are unknown."""
    n_tokens, cases = 0, []
    for name, text in texts.items():
        tokens = tokenizer.encode(text, add_special_tokens=False).tokens
        n_tokens += len(tokens)
        n_unknown = tokens.count(_UNKNOWN)
        if n_unknown > _MANY_UNKNOWN * len(tokens):
            cases.append(Case(name, f"{n_unknown:,} of {len(tokens):,} tokens"))
    return n_tokens, cases
