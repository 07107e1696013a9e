"""Commands that make training data: make-questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from distiltune.commands.options import JsonOption, place, settings_as_flags, used
from distiltune.commands.output import error_console, make_console, say, say_json
from distiltune.errors import RecipeError
from distiltune.recipe.for_use import FOR_READING_TEXTS
from distiltune.recipe.recipe import Recipe
from distiltune.system.names import as_names

if TYPE_CHECKING:
    from distiltune.tasks.question_answering.making.make import MadeQuestions

_PREVIEWED = 5


@settings_as_flags(*FOR_READING_TEXTS)
def make_questions(
    texts: Annotated[
        list[str],
        typer.Argument(help="Text files, data files, directories of them, `starter`, or hub names.", metavar="TEXTS"),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", parser=place("--output"), metavar="PATH", help="The .jsonl file to write."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help=f"Show {_PREVIEWED} rows and the counts, and write nothing.")
    ] = False,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Most rows to make.")] = 10_000,
    unanswerable_share: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.9, help="Share of the rows whose question is put to a passage that does not have the answer."
        ),
    ] = 0.1,
    form: Annotated[str, typer.Option("--form", help="`wh`: a question word that fits; `mask`: a `[MASK]`.")] = "wh",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of which rows are taken where there are more.")] = 0,
    passages: Annotated[int, typer.Option("--passages", min=0, help="Only the first so many passages (0: all).")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is already there.")] = False,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Make training questions out of plain texts, without labels: for `train --warm-up-data`.

    Example: `distiltune make-questions handbook.txt more-texts --output synthetic.jsonl`
    """
    if preview == (output is not None):
        raise RecipeError(
            "Either the rows are written, or some are shown.", fix="give --output FILE.jsonl, or --preview"
        )
    reading = Recipe.build(used(settings))
    from distiltune.python.making import made_questions
    from distiltune.report.console import working
    from distiltune.tasks.question_answering.making.make import MakingSettings

    making = MakingSettings(rows, unanswerable_share, cast(Literal["wh", "mask"], form), seed)
    with working(error_console() if as_json else make_console()):
        made = made_questions(as_names(texts, "TEXTS"), output, making, reading, passages, overwrite=overwrite)
    _say_made(made, output, as_json=as_json)


def _say_made(made: MadeQuestions, output: Path | None, *, as_json: bool) -> None:
    """What was made; where nothing was written, some of the rows."""
    console = make_console()
    shown = made.some(_PREVIEWED) if output is None else ()
    if as_json:
        say_json({"counts": dict(made.counts), "output": str(output) if output else None, "rows": list(shown)})
        return
    for line in made.lines():
        say(console, line)
    for row in shown:
        say(console, json.dumps(row, ensure_ascii=False, indent=2))
    if output is not None:
        say(console, f"written: {output}")
        say(console, f"train with them: distiltune train --train LABELLED --warm-up-data {output} --output RUN")
