"""The command that labels texts on a page: label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from distiltune.commands.options import place, settings_as_flags, used
from distiltune.commands.output import make_console, say
from distiltune.recipe.for_use import FOR_LABELLING
from distiltune.system.names import as_names


@settings_as_flags(*FOR_LABELLING)
def label(
    texts: Annotated[
        list[str],
        typer.Argument(help="Documents, folders of them, or data with or without labels.", metavar="TEXTS"),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=place("--output"),
            metavar="PATH",
            help="The .jsonl file to keep the labels in, which `train` reads; one that is there is gone on with.",
        ),
    ],
    labels: Annotated[
        list[str] | None,
        typer.Option("--labels", help="Names of labels, parted by commas, in the order of their digits."),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            "--order",
            help="What comes next: `doubt`, what is typical, then what the model is unsure of; `random`; or `file`.",
        ),
    ] = "doubt",
    first: Annotated[int, typer.Option("--first", min=1, help="How many texts are chosen as typical at first.")] = 20,
    retrain_every: Annotated[
        int, typer.Option("--retrain-every", min=0, help="Labels after which a model is trained anew (0: never).")
    ] = 25,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port to listen on (0: any)")] = 8_000,
    **settings: Any,
) -> None:
    """Label texts on a page: questions and answers, labels, or entities; a model learns beside and suggests.

    Only this machine can reach the page, and only with the key in its address. Stop it and start it again as you like:
    it goes on where it was.

    Example: `distiltune label letters --task text-classification --labels repair,payment,other --output mine.jsonl`
    """
    from distiltune.python.label import Labelling, label_until_stopped

    console = make_console()
    names = tuple(name.strip() for each in labels or () for name in each.split(",") if name.strip())
    label_until_stopped(
        as_names(texts, "TEXTS"),
        output,
        Labelling(names, order, first, retrain_every),
        port,
        lambda text: say(console, text),
        used(settings),
    )
