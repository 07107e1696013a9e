"""The command line: its commands in the order that `--help` lists them, and what its exit status means."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from distiltune.commands.coaching import check, compare, find_lr, tune
from distiltune.commands.models import convert, export, push
from distiltune.commands.output import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, in_words
from distiltune.commands.training import distill, train
from distiltune.commands.using import ask, evaluate, predict, serve
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.version import __version__

__all__ = ["app", "main"]

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
    app.command()(_command)


def main() -> None:
    """Run the command line: 0 done, 1 could not do it, 2 wrong usage, 130 interrupted, 143 terminated."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="distiltune")
    except DistiltuneError as error:
        if debug:
            traceback.print_exc()
        print(f"distiltune: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE if isinstance(error, RecipeError) else EXIT_FAILED)
    except KeyboardInterrupt:
        print("distiltune: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; that is no failure of ours
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if debug:
            raise
        print(f"distiltune: {in_words(error)}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
