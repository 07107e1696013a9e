"""The flags by which documents are searched, what they mean together, and the folder that they open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distiltune.commands.options import place
from distiltune.commands.output import error_console, say
from distiltune.errors import RecipeError

if TYPE_CHECKING:
    from distiltune.tasks.question_answering.search.folder import Folder

STANDARD_INPUT = "-"

SearchOption = Annotated[
    str,
    typer.Option(
        help="What of many documents is read: `all`; the passages likeliest by `words` (BM25), by `vectors`, by "
        "`both`; or `auto`, which reads small folders whole and searches others."
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="The model whose sentence vectors are compared; without it, words are."),
]
IndexOption = Annotated[
    Path | None,
    typer.Option(
        parser=place("--index"), metavar="FILE", help="Keep the index of the documents here, not in the cache."
    ),
]


@dataclass(frozen=True, slots=True)
class Searching:
    """What the flags of searching say."""

    search: str
    encoder: str | None
    index: Path | None
    threads: int

    def given(self) -> set[str]:
        """The flags among them that somebody gave."""
        flags = {"--search": self.search != "auto", "--encoder": self.encoder, "--index": self.index}
        return {flag for flag, value in flags.items() if value}

    def check(self, documents: Sequence[str], passages: int) -> None:
        """Check that the flags of searching go together, and that there is something to search in.

        Raises:
            RecipeError: naming those that do not.

        """
        flags = {"--encoder": self.encoder, "--index": self.index}
        given = [flag for flag, value in flags.items() if value is not None]
        if self.search == "all" and (given or passages):
            idle = ", ".join([*given, *(["--passages"] if passages else [])])
            raise RecipeError("With --search all everything is read.", where=idle, fix=f"leave out {idle}, or --search")
        if (self.search not in ("auto", "all") or given) and (not documents or STANDARD_INPUT in documents):
            where = ", ".join([*given, *(["--search"] if self.search != "auto" else [])])
            fix = "name files or folders with --document; of one text --passages N reads the likeliest passages"
            raise RecipeError("Only documents in files are searched.", where=where, fix=fix)
        if self.encoder is not None and self.search == "words":
            raise RecipeError(
                "A search by words has no use for vectors.", where="--encoder", fix="leave out one of the two"
            )

    def is_wanted(self, documents: Sequence[str], passages: int) -> bool:
        """Whether an index is made or used; without being asked for only of folders and patterns that are large."""
        if self.search != "auto":
            return self.search != "all"
        if self.encoder is not None or self.index is not None:
            return True
        if passages or not documents or STANDARD_INPUT in documents:
            return False
        from distiltune.tasks.document_files import find_documents
        from distiltune.tasks.question_answering.search.folder import READ_WHOLE_CHARACTERS

        found = find_documents(documents).files
        sizes = (Path(name).stat().st_size for name in found if Path(name).is_file())
        return not set(documents).issuperset(found) and sum(sizes) > READ_WHOLE_CHARACTERS

    def open(self, documents: Sequence[str], encoding: str, on_note: Callable[[str], None] | None = None) -> Folder:
        """The documents with their index, brought up to date; what there is to say is said, or told to ``on_note``."""
        from distiltune.report.console import working
        from distiltune.system.names import as_name
        from distiltune.tasks.question_answering.search.folder import Folder

        console = error_console()
        with working(console):
            folder = Folder(
                [as_name(name, "--document") for name in documents],
                search=self.search,  # type: ignore[arg-type]
                encoder=self.encoder,
                index=self.index,
                encoding=encoding,
                threads=self.threads,
            )
        for note in folder.notes:
            said = f"warning: {note}" if note.startswith("not read") else f"note: {note}"
            if on_note is None:
                say(console, said)
            else:
                on_note(said)
        return folder
