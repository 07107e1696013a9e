"""The commands, in the order that `--help` lists them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from distiltune.commands.asking import ask
from distiltune.commands.coaching import check, compare, find_lr, tune
from distiltune.commands.completion import PROGRAM, VARIABLE, completion
from distiltune.commands.flags import NARROW, check_flags, narrow_help, show_for_help, written_task
from distiltune.commands.labelling import label
from distiltune.commands.making import make_questions
from distiltune.commands.models import convert, export, push
from distiltune.commands.options import HELP_ALL
from distiltune.commands.serving import ENVIRONMENT, serve
from distiltune.commands.tool import mcp
from distiltune.commands.training import distill, train
from distiltune.commands.using import embed, evaluate, predict
from distiltune.version import __version__

app = typer.Typer(
    name="distiltune",
    help="Fine-tune DistilBERT to answer questions from your own texts, and put the model to work.",
    no_args_is_help=True,
    add_completion=bool(os.environ.get(VARIABLE)),  # where a shell asks; `completion` prints what makes it ask
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"distiltune {__version__}")
        raise typer.Exit


@app.callback()
def _distiltune(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Fine-tune DistilBERT to answer questions from your own texts, and put the model to work."""


for _command in (
    *(train, evaluate, predict, ask, serve, mcp, embed, label, check, make_questions),
    *(find_lr, tune, compare, distill, convert, export, push),
    completion,
):
    # A server is started by what knows no flags: containers, units.
    app.command(context_settings={"auto_envvar_prefix": ENVIRONMENT} if _command is serve else None)(_command)


def run(arguments: Sequence[str]) -> None:
    """Run the command line: first its flags are looked at, in one place for all commands, then typer has it.

    Raises:
        RecipeError: if a flag is none.
        SystemExit: as typer does when all is done.

    """
    given = list(arguments)
    if not os.environ.get(VARIABLE):
        group: Any = typer.main.get_command(app)
        command = group.commands.get(given[0]) if given else None
        if command is not None:
            if not _looked_at(group, command, given[1:]):
                group(given, prog_name=PROGRAM)
            return
    app(given, prog_name=PROGRAM)


def _looked_at(group: Any, command: Any, given: Sequence[str]) -> bool:
    """Check the flags of a command, or show its help, which is all then; whether it was that."""
    asks = [flag for flag in given if flag in (HELP_ALL, "--help", "-h")]
    if not asks:
        check_flags(command, given)
        return False
    show_for_help(command, written_task(command, given), everything=HELP_ALL in asks)
    whole = group.make_context(PROGRAM, [], resilient_parsing=True)
    context = command.make_context(command.name, [], parent=whole, resilient_parsing=True)
    width = shutil.get_terminal_size().columns
    if width < NARROW:
        usage = f"Usage: {context.command_path} {' '.join(command.collect_usage_pieces(context))}"
        typer.echo("\n".join(narrow_help(command, usage, width)))
    elif text := context.get_help():  # empty where it was printed in colours
        typer.echo(text)
    return True
