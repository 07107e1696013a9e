"""The coach's commands: check, compare, find-lr, tune. Imported by `cli`, on whose app they hang."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.cli import JsonOption, _console, _given, _say, _settings_as_flags, app
from distiltune.recipe import Recipe


@app.command()
@_settings_as_flags(
    *("model", "columns", "max_length", "stride", "max_question_tokens", "epochs", "batch_size", "max_answer_tokens"),
    *("device", "threads"),
)
def check(
    data: Annotated[list[str], typer.Argument(help="Questions: files, directories, `starter`, or hub names.")],
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="The other set, usually the validation data: what do the two share?"),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", help="Write a cleaned data set here (.json or .jsonl), and what was changed."),
    ] = None,
    as_json: JsonOption = False,
    **settings: Any,
) -> None:
    """Say what is wrong with a data set before anything is trained on it.

    Example: `distiltune check train.json --against dev.json --fix clean.json`
    """
    recipe = Recipe.build({**_given(settings), "train": tuple(data)})
    from distiltune.report.data_check import report_lines
    from distiltune.tasks.question_answering.check import check_sources
    from distiltune.tasks.question_answering.check_fix import changes_path, check_output, write_fixed
    from distiltune.tasks.question_answering.check_fix import fix as mend

    console = _console()
    if fix is not None:
        check_output(fix, data)
    report = check_sources(data, against or [], recipe)
    if fix is not None:
        write_fixed(mend(report.examples, report.repeats), fix)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
        return
    for line in report_lines(report):
        _say(console, line)
    if fix is not None:
        _say(console, f"cleaned data: {fix}; what was changed: {changes_path(fix)}")
