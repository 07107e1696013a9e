"""Texts of any kind of file → their vectors, as an array or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.errors import DataError, RecipeError
from distiltune.inference.sentence_vectors import (
    Vectors,
    feature_vectors,
    load_sentence_encoder,
    sentence_features,
)
from distiltune.progress import counted, tell
from distiltune.recipe.recipe import Recipe
from distiltune.system.device import choose_device, keep_freed_memory, set_threads
from distiltune.system.durable import writing_file, writing_to
from distiltune.system.host import restored
from distiltune.system.names import as_name, as_path
from distiltune.tasks.dataset import file_form
from distiltune.tasks.document_files import documents_as_data
from distiltune.tasks.text_classification.columns import TextColumns
from distiltune.tasks.text_classification.examples import TextSet
from distiltune.tasks.text_classification.read import read_texts

FORMS: Final = (".npy", ".parquet")
_PER_CENT: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Texts and their vectors.

    Attributes:
        model: as it was named.
        ids: of each text, as `predict` has them: the row's, or a document's path.
        texts: as they were read.
        vectors: ``(n_texts, hidden)`` float32, in the order of the texts; ``numpy.asarray`` of the record is this.
        rejected: the rows that have no vector, and why.
        notes: sentences for a person.
        written: the file, if one was asked for.

    """

    model: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Vectors
    rejected: tuple[RowFinding, ...]
    notes: tuple[str, ...]
    written: Path | None = None

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.vectors, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        left_out = f", {counted(len(self.rejected), 'row')} left out" if self.rejected else ""
        return f"<Embedded {counted(len(self.ids), 'text')}, {self.vectors.shape[1]} numbers each{left_out}>"

    def as_json(self) -> dict[str, Any]:
        """What there is to tell, as plain values, without texts and vectors."""
        return {
            "model": self.model,
            "n_texts": len(self.ids),
            "width": int(self.vectors.shape[1]),
            "rejected": [finding.as_json() for finding in self.rejected],
            "notes": list(self.notes),
            "written": str(self.written) if self.written is not None else None,
        }


@restored()
def embed(
    model: str | Path,
    texts: Sequence[str],
    output: str | Path | None = None,
    *,
    normalise: bool = False,
    overwrite: bool = False,
    recipe: Recipe | None = None,
    max_length: int | None = None,
) -> Embedded:
    """The vectors of named texts: the mean of the encoder's token vectors.

    Args:
        model: a model directory, a run, or a name on the hub; its head, if it has one, is not looked at.
        texts: files, directories, `starter`, hub names, or documents (a text each), as `predict` reads them.
        output: a file to write, ``.npy`` or ``.parquet``; None: nothing is written.
        normalise: make each vector of length 1.
        overwrite: replace a file that is already there.
        recipe: how files are read, and on which device and threads.
        max_length: most tokens of a text, special ones included; by default what the model directory says
            (``sentence_bert_config.json``), else as many as it has positions.

    Raises:
        DistiltuneError: naming what went wrong, where, and what to do.

    """
    name, how = as_name(model, "model"), recipe or Recipe()
    place = _free(as_path(output, "output"), overwrite=overwrite) if output is not None else None
    keep_freed_memory()
    set_threads(how.threads)
    loaded = load_sentence_encoder(name, choose_device(how.device), max_length)
    columns = TextColumns.parse(how.columns)
    with documents_as_data(texts, how.encoding) as (sources, notes):
        read = read_texts(sources, "train", columns, 1.0, "prediction", form=file_form(how))
    contents = tuple(example.text for example in read.examples)
    made = sentence_features(contents, loaded.tokenizer, loaded.max_length)
    vectors = feature_vectors(loaded.encoder, made.features, normalise=normalise, on_progress=_told)
    cut = _cut_note([read.examples[i].id for i in made.cut], len(contents), loaded.max_length)
    ids = tuple(example.id for example in read.examples)
    all_notes = (*notes, *loaded.notes, *cut, *_notes_on_rows(read))
    embedded = Embedded(name, ids, contents, vectors, tuple(read.findings.unused()), all_notes, place)
    if place is not None:
        with writing_to(place, DataError):
            _write(embedded, place)
    return embedded


def _told(n_done: int, n_all: int) -> None:
    tell("embedding", "texts", n_done, n_all)


def _cut_note(cut: Sequence[str], n_texts: int, length: int) -> tuple[str, ...]:
    if not cut:
        return ()
    share = _PER_CENT * len(cut) / n_texts
    first = f"the first is {cut[0]}"
    return (
        f"{len(cut):,} of {n_texts:,} texts ({share:.0f}%) are longer than {length:,} tokens: their vectors are of "
        f"what stands before that; {first}",
    )


def _notes_on_rows(read: TextSet) -> tuple[str, ...]:
    # Labels have no say in a vector, so nothing is told of them.
    decided = [f"{each.where}: {each.message}" for each in read.findings.decided() if "label" not in each.kind]
    n_pairs = sum(example.pair is not None for example in read.examples)
    pairs = (f"of {counted(n_pairs, 'pair')} only the first text is read",) if n_pairs else ()
    return (*decided, *RowFindings(items=read.findings.unused()).told(), *pairs)


def _free(path: Path, *, overwrite: bool) -> Path:
    """The path, if vectors may be written there; seen before the work is done.

    Raises:
        RecipeError: if something is there that is not to be replaced, or the suffix names no form.

    """
    if path.suffix.lower() not in FORMS:
        fix = f"name a file in {' or '.join(FORMS)}"
        raise RecipeError("Vectors are written as an array or a table.", where=f"--output {path}", fix=fix)
    if path.is_dir() or (path.exists() and not overwrite):
        fix = "name another file" if path.is_dir() else "name another file, or replace it with --overwrite"
        raise RecipeError("There is something already.", where=f"--output {path}", fix=fix)
    return path


def _write(embedded: Embedded, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_file(path, named=True) as file:
        if path.suffix.lower() == ".npy":
            np.save(file, embedded.vectors, allow_pickle=False)
            return
        width = int(embedded.vectors.shape[1])
        flat = pa.array(embedded.vectors.reshape(-1), type=pa.float32())
        columns = {
            "id": pa.array(embedded.ids, type=pa.string()),
            "text": pa.array(embedded.texts, type=pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, width),
        }
        pq.write_table(pa.table(columns), file)
