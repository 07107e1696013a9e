"""The command `ask`: questions about documents in files, folders and patterns, in a text, or piped in."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distiltune.commands.naming import ModelOption, model_and_rest
from distiltune.commands.options import JsonOption, place, settings_as_flags, used
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.commands.searching import EncoderOption, IndexOption, Searching, SearchOption
from distiltune.errors import DataError, RecipeError
from distiltune.recipe.recipe import Recipe

if TYPE_CHECKING:
    from distiltune.tasks.question_answering.answerer import Reply
    from distiltune.tasks.question_answering.search.folder import Folder


_GIVE_A_TEXT = "give --document FILE, --text TEXT, or pipe a text in"
_USAGE = 'distiltune ask MODEL --document FILE "A question?"'


_ModelAndQuestions = Annotated[
    list[str] | None,
    typer.Argument(help="The model, unless --model names it, and then one question or more.", metavar="MODEL QUESTION"),
]
_DocumentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--document",
        "--data",
        "-d",
        metavar="PATH",
        help="A document (text, Markdown, HTML, PDF, Word), a folder of them, or a pattern such as 'docs/*.pdf'; "
        "repeatable; `-` is standard input.",
    ),
]


@settings_as_flags(
    *("max_length", "stride", "max_question_tokens", "max_answer_tokens", "null_threshold"),
    *("encoding", "device", "precision", "threads"),
    precision="float32",
)
def ask(
    named: _ModelAndQuestions = None,
    model: ModelOption = None,
    document: _DocumentOption = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="The text itself.")] = None,
    questions_file: Annotated[
        Path | None,
        typer.Option(parser=place("--questions-file"), metavar="PATH", help="A file with one question a line."),
    ] = None,
    n_best: Annotated[int, typer.Option(min=1, help="Candidates shown by --json and --show-others.")] = 5,
    passages: Annotated[
        int,
        typer.Option(min=0, help="Read only this many passages, the likeliest (0: all, or 10 where it is searched)."),
    ] = 0,
    search: SearchOption = "auto",
    encoder: EncoderOption = None,
    index: IndexOption = None,
    show_others: Annotated[bool, typer.Option("--show-others", help="Show the other candidates too.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Ask questions about documents of any length.

    Example: `distiltune ask runs/mine --document handbook.pdf "Who signs the lease?"`
    """
    given = used(settings)
    Recipe.build(given)  # which says what is wrong with a value
    encoding = given.pop("encoding", "")
    if encoding and not document and not questions_file and text is not None:
        raise RecipeError("No file is read.", where="--encoding", fix="leave it out; --text is text already")
    model, questions = model_and_rest(named, model, _USAGE)
    if model == (named or [""])[0]:
        _check_is_no_question(model)
    asked = [*questions, *_read_questions(questions_file, encoding)]
    if not asked:
        raise RecipeError("No question was asked.", fix="give questions as arguments, or --questions-file FILE")
    for note in _notes_on_questions(questions, all_asked=len(asked), documents=document or []):
        say(error_console(), note)
    how = Searching(search, encoder, index, given.get("threads", 0))
    documents = _documents(document or [], text, encoding, passages, how)
    from distiltune.report.console import counting
    from distiltune.tasks.question_answering.answerer import Answerer

    answerer = Answerer(model, **given)
    with counting(error_console(), "reading", "windows") as on_progress:
        replies = answerer.ask(asked, documents, n_best=n_best, passages=passages, on_progress=on_progress)
    if as_json:
        say_json([reply.as_json() for reply in replies])
        return
    _show(replies, show_others=show_others)


def _documents(
    documents: Sequence[str], text: str | None, encoding: str, passages: int, how: Searching
) -> str | dict[str, str] | Folder:
    """The text or the documents to ask about, or the folder to search in."""
    from distiltune.system.names import as_name

    if text is not None and documents:
        raise RecipeError("--document and --text exclude each other.", fix="give one of the two")
    documents = [as_name(name, "--document") for name in documents]
    how.check(documents, passages)
    if how.is_wanted(documents, passages):
        return how.open(documents, encoding)
    return _read_documents(documents, text, encoding)


def _show(replies: Sequence[Reply], *, show_others: bool) -> None:
    """The replies for a person; of a model that cannot decline it is said."""
    from distiltune.report.answers import answer_lines
    from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS

    console = make_console()
    for i, reply in enumerate(replies):
        if i:
            console.print()
        for line in answer_lines(reply, show_question=len(replies) > 1, show_others=show_others):
            console.print(line, highlight=False, soft_wrap=not console.is_terminal)
    if not all(reply.can_decline for reply in replies):
        say(error_console(), f"note: {ALWAYS_ANSWERS} (--null-threshold 0 lets it decline; how well is not known)")


def _check_is_no_question(model: str) -> None:
    """What stands where the model does is no question.

    Raises:
        RecipeError: if it reads as one.

    """
    if os.path.lexists(model):
        return
    if " " in model.strip() or model.rstrip().endswith(("?", "？", "؟")):
        raise RecipeError(
            f"No model is named: {model!r} reads as a question.", fix=f"name it first, or with --model: {_USAGE}"
        )


def _notes_on_questions(questions: Sequence[str], all_asked: int, documents: Sequence[str]) -> list[str]:
    """What to say of questions that are files: a shell has made them of a pattern without quotation marks.

    Raises:
        RecipeError: if nothing else is asked.

    """
    files = [question for question in questions if os.path.lexists(question)]
    if not files:
        return []
    first = Path(files[0])
    way = f"several documents: --document {shlex.quote(str(first.parent))}, or the pattern in quotation marks: "
    way += f"--document {shlex.quote(str(first.with_name(f'*{first.suffix}')))}"
    shown = f"{', '.join(files[:3])}{', ...' * (len(files) > 3)}"
    if len(files) == all_asked:
        raise RecipeError(
            f"No question was asked: {shown} {'is a file' if len(files) == 1 else 'are files'}.",
            fix=way if documents else f"name documents with --document, and ask something: {_USAGE}",
        )
    many = f"{len(files)} of the questions are files" if len(files) > 1 else "one of the questions is a file"
    return [f"warning: {many} ({shown}), asked as they stand; {way}"]


def _read_questions(path: Path | None, encoding: str) -> list[str]:
    from distiltune.data.streams import read_text

    if path is None:
        return []
    return [line.strip() for line in read_text(path, encoding).splitlines() if line.strip()]


def _read_documents(names: Sequence[str], text: str | None, encoding: str) -> str | dict[str, str]:
    """The text given, or each document by its path."""
    if text is not None:
        if not text.strip():
            raise DataError("There is no text in it to look in.", where="--text", fix=_GIVE_A_TEXT)
        return text
    if not names:
        if sys.stdin.isatty():
            raise RecipeError("There is no text to look in.", fix=_GIVE_A_TEXT)
        names = ["-"]
    from distiltune.report.console import working
    from distiltune.tasks.document_files import find_documents, read_documents, said_of

    console = error_console()
    found = find_documents(names)
    with working(console):
        read = read_documents(found.files, encoding)
    for note in found.notes:
        say(console, note)
    named = set(names)
    for each in read:
        if each.problem is not None and (each.name in named or len(read) == 1):
            raise each.problem
        for line in said_of(each):
            say(console, f"warning: {line}" if each.problem is not None else f"note: {line}")
    texts = {each.name: each.text for each in read if each.text is not None}
    empty = [name for name, each in texts.items() if not each.strip()]
    if empty and (len(empty) == len(texts) or named.intersection(empty)):
        shown = ", ".join("standard input" if name == "-" else name for name in empty)
        raise DataError("There is no text in it to look in.", where=shown, fix=_GIVE_A_TEXT)
    for name in empty:
        say(console, f"warning: there is no text in {name}")
        del texts[name]
    if not texts:
        raise DataError("None of the documents can be read.", where=", ".join(names), fix=_GIVE_A_TEXT)
    one = len(texts) == 1 and named.issuperset(texts)  # of a folder or a pattern the name is news
    return next(iter(texts.values())) if one else texts
