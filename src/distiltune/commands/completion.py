"""The command `completion`: the lines that teach a shell to complete commands, flags and their values."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import completion as mechanism

from distiltune.errors import RecipeError

PROGRAM = "distiltune"
VARIABLE = "_DISTILTUNE_COMPLETE"
"""The variable by which a shell asks; typer answers."""

SHELLS = ("bash", "zsh", "fish")


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            help="`bash`, `zsh` or `fish`.",
            metavar="SHELL",
            autocompletion=lambda incomplete: [shell for shell in SHELLS if shell.startswith(incomplete)],
        ),
    ],
) -> None:
    """Print what makes a shell complete commands, flags and values; its start-up file takes it in.

    For bash and zsh a line there does it, `eval "$(distiltune completion bash)"`; fish reads a file in
    ~/.config/fish/completions.

    Example: `distiltune completion bash`
    """
    if shell not in SHELLS:
        raise RecipeError(f"There is no completion for {shell!r}.", fix=f"name one of: {', '.join(SHELLS)}")
    typer.echo(
        mechanism.get_completion_script(  # type: ignore[attr-defined]
            prog_name=PROGRAM, complete_var=VARIABLE, shell=shell
        )
    )
