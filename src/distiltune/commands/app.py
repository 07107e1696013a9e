"""The commands, in the order that `--help` lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from distiltune.commands.coaching import check, compare, find_lr, tune
from distiltune.commands.models import convert, export, push
from distiltune.commands.serving import ENVIRONMENT, serve
from distiltune.commands.training import distill, train
from distiltune.commands.using import ask, evaluate, predict
from distiltune.version import __version__

app = typer.Typer(
    name="distiltune",
    help="Fine-tune DistilBERT to answer questions from your own texts, and put the model to work.",
    no_args_is_help=True,
    add_completion=False,
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


for _command in (train, evaluate, predict, ask, serve, check, find_lr, tune, compare, distill, convert, export, push):
    # A server is started by what knows no flags: containers, units.
    app.command(context_settings={"auto_envvar_prefix": ENVIRONMENT} if _command is serve else None)(_command)
