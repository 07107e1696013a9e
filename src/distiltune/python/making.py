"""Making training data out of plain texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from distiltune.data.held import Data, holding
from distiltune.errors import DataError, RecipeError
from distiltune.python.settings import ReadingSettings
from distiltune.python.wording import in_python
from distiltune.recipe.for_use import FOR_READING_TEXTS, check_does_something
from distiltune.recipe.recipe import Recipe
from distiltune.system.names import as_path
from distiltune.tasks.dataset import file_form
from distiltune.tasks.question_answering.making.make import MadeQuestions, MakingSettings
from distiltune.tasks.question_answering.making.make import make_questions as made_of
from distiltune.tasks.question_answering.making.texts import read_passages
from distiltune.tasks.question_answering.making.wording import QuestionForm


@in_python
def make_questions(
    texts: Data,
    output: str | Path | None = None,
    *,
    rows: int = 10_000,
    unanswerable_share: float = 0.1,
    form: QuestionForm = "wh",
    seed: int = 0,
    passages: int = 0,
    overwrite: bool = False,
    **settings: Unpack[ReadingSettings],
) -> MadeQuestions:
    """Make training questions out of plain texts, without labels and without a model.

    A span that stands in two passages answers, in one of them, a question made of a sentence of the other. The same
    texts and seed give the same rows. To train with them: ``fine_tune(train=..., warm_up_data=...)``.

    Args:
        texts: `.txt` and `.md` files, files that training data may be in, directories of both, `starter`, hub names,
            or rows in memory; of rows the column ``text`` or ``context`` is read, or the texts of SQuAD's paragraphs.
        output: a `.jsonl` file to write the rows into, whole or not at all; None: nothing is written.
        rows: most rows, at least 1.
        unanswerable_share: share of them, from 0 to below 1, whose question is put to a passage without the answer.
        form: `wh`, a question word that fits; or `mask`, the sentence with a `[MASK]`.
        seed: of which rows are taken where there are more.
        passages: only the first so many passages (0: all).
        overwrite: replace a file that is already there.
        **settings: how the files are read, such as ``columns={"text": "body"}``.

    Returns:
        The rows, each with ``why`` it is there, and how many of what there were.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do; also if no two passages have a span in common.

    """
    check_does_something(settings, FOR_READING_TEXTS, "make_questions", "", "making questions")
    making = MakingSettings(rows, unanswerable_share, form, seed)
    with holding(texts, "texts") as names:
        return made_questions(names, output, making, Recipe.build(settings), passages, overwrite=overwrite)


def made_questions(
    texts: Sequence[str],
    output: str | Path | None,
    making: MakingSettings,
    reading: Recipe,
    passages: int,
    *,
    overwrite: bool,
) -> MadeQuestions:
    """The same of named texts, with errors in the words of the command; ``reading`` says how files are read.

    Raises:
        DistiltuneError: as `make_questions`.

    """
    place = _free(as_path(output, "output"), overwrite=overwrite) if output is not None else None
    if passages < 0:
        raise RecipeError(f"passages is {passages}.", where="--passages", fix="give 0 (all) or more")
    found = read_passages(texts, reading.columns, file_form(reading), reading.max_rejected_share, passages)
    made = made_of(found, making)
    if place is not None:
        _write(made, place)
    return made


def _free(path: Path, *, overwrite: bool) -> Path:
    """The path, if a file may be written there; seen before hours of reading.

    Raises:
        RecipeError: if something is there that is not to be replaced, or it has another suffix than rows have.

    """
    if path.suffix != ".jsonl":
        raise RecipeError("Rows are written as JSON lines.", where=f"--output {path}", fix="name a file in .jsonl")
    if path.is_dir() or (path.exists() and not overwrite):
        fix = "name another file" if path.is_dir() else "name another file, or replace it with --overwrite"
        raise RecipeError("There is something already.", where=f"--output {path}", fix=fix)
    return path


def _write(made: MadeQuestions, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.write(path)
    except OSError as error:
        raise DataError(
            f"The questions cannot be written: {error.strerror or error}.", where=str(path), fix="name another file"
        ) from error
