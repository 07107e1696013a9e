"""Commands that put a model to work: evaluate, predict, ask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.options import (
    DataOption,
    JsonOption,
    ModelOption,
    place,
    settings_as_flags,
    used,
)
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.errors import DataError, RecipeError
from distiltune.recipe.for_use import FOR_PREDICTING, FOR_USE
from distiltune.recipe.recipe import Recipe
from distiltune.tasks.table import TASKS

_GIVE_A_TEXT = "give --document FILE, --text TEXT, or pipe a text in"


@settings_as_flags(*FOR_USE)
def evaluate(
    model: ModelOption,
    data: DataOption,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Measure a model: its loss and its task's scores, such as the official exact match and F1 of answers.

    Example: `distiltune evaluate --model runs/mine --data dev.json`
    """
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    from distiltune.report.console import counting
    from distiltune.runs.evaluate import evaluate as run

    console = make_console()
    with counting(error_console() if as_json else console, "evaluating", "examples") as on_progress:
        result = run(model, data, on_progress=on_progress, **given)
    if as_json:
        say_json(result.as_json())
        return
    for note in result.notes:
        say(console, note)
    for name, value in result.metrics.items():
        say(
            console,
            f"{name.replace('_', ' '):<28} {value:.4f}" if value % 1 else f"{name.replace('_', ' '):<28} {value:.0f}",
        )


@settings_as_flags(*FOR_PREDICTING)
def predict(
    model: ModelOption,
    data: DataOption,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="Directory for the predictions and rejected.jsonl.",
        ),
    ],
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Predict every example of a data set: of questions the official predictions file, and the n-best list beside it.

    Example: `distiltune predict --model runs/mine --data questions.jsonl --output answers`
    """
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    from distiltune.report.console import counting
    from distiltune.runs.evaluate import predict as run

    console = make_console()
    with counting(error_console() if as_json else console, "predicting", "examples") as on_progress:
        result = run(model, data, output, on_progress=on_progress, **given)
    if as_json:
        say_json(result.as_json())
        return
    for note in result.notes:
        say(console, note)
    written = ", ".join(map(str, result.written))
    say(console, f"{result.n_examples:,} {TASKS[result.task].examples_predicted}: {written}")


@settings_as_flags(
    *("max_length", "stride", "max_question_tokens", "max_answer_tokens", "null_threshold"),
    *("encoding", "device", "threads"),
)
def ask(
    model: ModelOption,
    questions: Annotated[list[str] | None, typer.Argument(help="One question or more.", metavar="QUESTION...")] = None,
    document: Annotated[
        list[Path] | None,
        typer.Option(
            "--document",
            "-d",
            parser=place("--document"),
            metavar="PATH",
            help="A text file, repeatable; `-` is standard input.",
        ),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="The text itself.")] = None,
    questions_file: Annotated[
        Path | None,
        typer.Option(parser=place("--questions-file"), metavar="PATH", help="A file with one question a line."),
    ] = None,
    n_best: Annotated[int, typer.Option(min=1, help="Candidates shown by --json and --show-others.")] = 5,
    passages: Annotated[
        int, typer.Option(min=0, help="Read only this many passages, the likeliest by BM25 (0: read everything).")
    ] = 0,
    show_others: Annotated[bool, typer.Option("--show-others", help="Show the other candidates too.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Ask questions about documents of any length.

    Example: `distiltune ask --model runs/mine --document handbook.txt "Who signs the lease?"`
    """
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    encoding = given.pop("encoding", "")
    if encoding and not document and not questions_file and text is not None:
        raise RecipeError("No file is read.", where="--encoding", fix="leave it out; --text is text already")
    asked = [*(questions or []), *_read_questions(questions_file, encoding)]
    if not asked:
        raise RecipeError("No question was asked.", fix="give questions as arguments, or --questions-file FILE")
    documents = _read_documents(document or [], text, encoding)

    from distiltune.report.console import counting
    from distiltune.tasks.question_answering.answerer import Answerer

    answerer = Answerer(model, **given)
    with counting(error_console(), "reading", "windows") as on_progress:
        replies = answerer.ask(asked, documents, n_best=n_best, passages=passages, on_progress=on_progress)
    if as_json:
        say_json([reply.as_json() for reply in replies])
        return
    from distiltune.report.answers import answer_lines

    console = make_console()
    for i, reply in enumerate(replies):
        if i:
            console.print()
        for line in answer_lines(reply, show_question=len(replies) > 1, show_others=show_others):
            console.print(line, highlight=False, soft_wrap=not console.is_terminal)


def _read_questions(path: Path | None, encoding: str) -> list[str]:
    if path is None:
        return []
    return [line.strip() for line in _read_text(path, encoding).splitlines() if line.strip()]


def _read_documents(paths: list[Path], text: str | None, encoding: str) -> str | dict[str, str]:
    """The text given, or each document by its path."""
    if text is not None:
        if paths:
            raise RecipeError("--document and --text exclude each other.", fix="give one of the two")
        if not text.strip():
            raise DataError("There is no text in it to look in.", where="--text", fix=_GIVE_A_TEXT)
        return text
    if not paths:
        if sys.stdin.isatty():
            raise RecipeError("There is no text to look in.", fix=_GIVE_A_TEXT)
        paths = [Path("-")]
    texts = {str(path): _read_text(path, encoding) for path in paths}
    if empty := [name for name, each in texts.items() if not each.strip()]:
        names = ", ".join("standard input" if name == "-" else name for name in empty)
        raise DataError("There is no text in it to look in.", where=names, fix=_GIVE_A_TEXT)
    return texts if len(texts) > 1 else next(iter(texts.values()))


def _read_text(path: Path, encoding: str) -> str:
    from distiltune.data.streams import read_text

    return read_text(path, encoding)
