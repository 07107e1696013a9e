"""What reading the examples of any task shares: sources to a set, checks of texts and ids, draws and parts.

Every row becomes an example or a rejected finding with the place and the reason. Whatever was repaired or is
remarkable is a finding too; nothing is dropped or changed silently.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Generic, Literal, TypeVar

from distiltune.data.column_names import check_mapped, columns_text, nearest, no_header
from distiltune.data.example_set import DataSettings, ExampleSet
from distiltune.data.file_form import AS_USUAL, FileDecision, FileForm
from distiltune.data.files import combined_digest, file_digest, files_below, format_suffix, iter_rows
from distiltune.data.hub import Split
from distiltune.data.ids import Ids
from distiltune.data.kept_reading import Keeping, Kept, KeptReading
from distiltune.data.parts import draw, leave_out, set_aside
from distiltune.data.rejections import at_fault_of, left_out_lines, rejection_lines
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.rows import BadRow, Row
from distiltune.data.sources import find_source, has_splits
from distiltune.data.stored import Growing
from distiltune.data.unknown_files import way_to_name
from distiltune.data.unused_columns import SeenColumns, note_columns, unused_findings
from distiltune.data.values import id_text, shown
from distiltune.errors import DataError
from distiltune.system.code_fingerprint import module_of

E = TypeVar("E")
C = TypeVar("C")

_SHOWN_BELOW = 5

Use = Literal["training", "evaluation", "prediction"]
"""What examples are read for. To learn from, an example needs a gold that fits it; to evaluate on, one to compare with;
to predict, none: there a gold that cannot be used costs the gold and not the example."""

USE_OF: Mapping[Split, Use] = {"train": "training", "validation": "evaluation"}
"""What the splits of a training are for."""


@dataclass(slots=True)
class Reading(Generic[E]):
    """What has been read so far, and how files are read.

    ``columns_seen`` are the columns of the first flat row, for messages; ``mapped`` are the fields that ``--columns``
    maps, each to a column that some row must have; ``columns`` are those of all rows of each file. ``used`` are the
    columns that the task reads, where it says so, and ``second_text`` its field and column of a second text: by these
    the other columns of ``flat`` rows, those that no tool wrote, are told. ``grown`` is where examples are that may be
    more than memory holds; where there is none they are all in ``examples``.
    """

    examples: list[E] = field(default_factory=list)
    findings: RowFindings = field(default_factory=RowFindings)
    ids: Ids = field(default_factory=Ids)
    columns_seen: tuple[str, ...] = ()
    form: FileForm = AS_USUAL
    mapped: Mapping[str, str] = field(default_factory=dict)
    columns: dict[Path, dict[str, None]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    second_text: tuple[str, str] | None = None
    flat: dict[Path, SeenColumns] = field(default_factory=dict)
    grown: Growing[E] | None = None

    def add(self, example: E) -> None:
        """One example more."""
        (self.examples if self.grown is None else self.grown).append(example)

    @property
    def n_examples(self) -> int:
        """How many have been read."""
        return len(self.examples if self.grown is None else self.grown)

    def rows(self, path: Path, is_flat: Callable[[Row], bool] = lambda row: True) -> Iterator[Row | BadRow]:
        """The rows of a file; how it was understood becomes findings. Columns are counted of flat rows."""
        columns, flat = self.columns.setdefault(path, {}), self.flat.setdefault(path, {})
        for row in iter_rows(path, self.form):
            if isinstance(row, FileDecision):
                self.findings.add(RowFinding("decided", row.kind, row.where, "", row.message))
                continue
            if isinstance(row, Row) and is_flat(row):
                if not row.value.keys() <= columns.keys():
                    columns.update(dict.fromkeys(map(str, row.value)))
                if self.used and not row.told:
                    note_columns(row.value, flat)
            yield row

    def unique_id(self, given: object, wanted: str, where: str) -> str:
        """``wanted`` if it is free, or like it; says so if the file gave it."""
        unique = self.ids.unique(wanted)
        if unique != wanted and id_text(given):
            message = f"The id {shown(wanted)} is taken by a row before; this one is now {shown(unique)}."
            self.findings.add(RowFinding("noted", "id_repeated", where, unique, message))
        return unique

    def missing(self, wanted: Mapping[str, str]) -> list[str]:
        """The fields of ``wanted`` (field → column) that the first flat row does not have."""
        return [name for name, column in wanted.items() if self.columns_seen and column not in self.columns_seen]


@dataclass(frozen=True, slots=True)
class ToRead:
    """What is to be read, and what counts as usable.

    Attributes:
        sources: paths to data files or directories, ``starter``, or names of data sets on the hub.
        split: which part of ``starter`` and of hub data sets; files are read as they are.
        starter: the file that ``starter`` stands for, inside ``distiltune/starter``.
        required: the columns that every row needs, field → column, for the message where they are missing.
        max_rejected_share: the largest share of rows, 0 to 1, that may be left out.

    """

    sources: Sequence[str | Path]
    split: Split
    starter: str
    required: Mapping[str, str]
    max_rejected_share: float


def read_sources(
    to_read: ToRead, reading: Reading[E], read_file: Callable[[Path], None], keeping: Keeping[E] | None = None
) -> ExampleSet[E]:
    """Read the examples of one split from all sources, in order.

    Args:
        to_read: the sources, and what every row of them needs.
        reading: which ``read_file`` adds to.
        read_file: adds all rows of a file.
        keeping: how what was read of a large data set is kept for the next time; None: not at all.

    Raises:
        DataError: if a source cannot be read, if no row can be used, or if more of the rows had to be rejected than may
            be.
        HubError: if a data set on the hub cannot be fetched.

    """
    sources = [to_read.sources] if isinstance(to_read.sources, str | Path) else list(to_read.sources)
    packaged = resources.files("distiltune.starter").joinpath(to_read.starter)
    with resources.as_file(packaged) as starter_path, _no_garbage_collection():
        found = [find_source(source, to_read.split, starter_path) for source in sources]
        ignored = [path for source in found for path in source.ignored]
        reading.findings.extend(map(_passed_over, ignored))
        digests, examples = _read_or_recall(
            [path for source in found for path in source.files],
            [*ignored, *(below for path in ignored if path.is_dir() for below in files_below(path))],
            reading,
            read_file,
            keeping,
        )
    _check_share(reading, to_read, len(examples), where=", ".join(map(str, sources)))
    names = tuple(source.source for source in found)
    return ExampleSet(examples, reading.findings, combined_digest(digests), names)


def _passed_over(path: Path) -> RowFinding:
    """The finding on a file or a folder of a data directory that is not read."""
    if not path.is_dir():
        looks = way_to_name(path)
        message = f"The file is in the data directory but is no data file{looks and f'; {looks}'}."
        return RowFinding("noted", "file_ignored", str(path), "", message)
    below = files_below(path)
    listed = ", ".join(str(each.relative_to(path.parent)) for each in below[:_SHOWN_BELOW])
    more = f", ... ({len(below):,})" if len(below) > _SHOWN_BELOW else ""
    folders = " ".join(map(str, dict.fromkeys(each.parent for each in below[:_SHOWN_BELOW])))
    message = (
        f"Folders in a data directory are not entered, and this one has data files: {listed}{more}. To read them too, "
        f"name their folders beside the directory: {folders}."
    )
    return RowFinding("noted", "folder_ignored", str(path), "", message)


def _read_or_recall(
    files: Sequence[Path],
    ignored: Sequence[Path],
    reading: Reading[E],
    read_file: Callable[[Path], None],
    keeping: Keeping[E] | None,
) -> tuple[list[str], Sequence[E]]:
    """Add the rows of all files, or what was read of them before; the SHA-256 of each file, and the examples."""
    digests = list(map(file_digest, files))
    known = None
    if keeping is not None:
        read_by = (__name__, module_of(read_file))
        known = KeptReading(list(zip(files, digests, strict=True)), ignored, keeping, read_by)
    kept = known.recall() if known is not None else None
    if kept is not None:
        reading.findings, reading.columns_seen = kept.findings, kept.columns_seen
        return digests, kept.examples
    for path in files:
        read_file(path)
    reading.findings.extend(check_mapped(reading.mapped, reading.columns))
    for path, flat in reading.flat.items():
        if reading.used:
            reading.findings.extend(unused_findings(path, flat, reading.used, reading.second_text))
    examples = tuple(reading.examples) if reading.grown is None else reading.grown.done()
    kept = Kept(examples, reading.findings, reading.columns_seen)
    is_kept = known is not None and known.is_worth_keeping(kept)
    if known is not None and is_kept and digests == list(map(file_digest, files)):  # else written into meanwhile
        known.keep(kept)
    return digests, examples


def train_and_validation(
    read: Callable[[Sequence[str], Split], ExampleSet[E]],
    settings: DataSettings,
    group: Callable[[E], Hashable],
    told_apart_by: str,
) -> tuple[ExampleSet[E], ExampleSet[E] | None]:
    """The examples to train on, and those to validate on, None if there are none.

    Without named validation data, the validation split of `starter` and of hub data sets is used; of other sources,
    examples are set aside, those of one ``group`` together.

    Raises:
        DataError: as ``read`` does, or if nothing can be set aside.

    """
    train = read(settings.train, "train")
    named, validation = _named_validation(settings), None
    if settings.n_folds:
        train, validation = leave_out(train, settings, group, told_apart_by)
    elif named:
        validation = read(named, "validation")
    elif settings.validation_share > 0:
        train, validation = set_aside(train, settings.validation_share, settings.sample_seed, group, told_apart_by)
    train = draw(train, settings.n_train, settings.sample_seed)
    return train, validation and draw(validation, settings.n_validation, settings.sample_seed)


def examples_to_evaluate(
    read: Callable[[Sequence[str], Split, Use], ExampleSet[E]],
    settings: DataSettings,
    sources: Sequence[str],
    use: Use,
    group: Callable[[E], Hashable],
    told_apart_by: str,
) -> ExampleSet[E]:
    """The examples of ``sources``; without any, those that `train_and_validation` gives for validation.

    Those to learn from are all of them, of the training split where there are several.

    Raises:
        DataError: as ``read`` does, or if there are none.

    """
    if use == "training":
        return read(sources, "train", use)
    sources = sources or _named_validation(settings)
    if sources:
        found = read(sources, "validation", use)
    elif settings.n_folds:
        _, found = leave_out(read(settings.train, "train", "training"), settings, group, told_apart_by)
    elif settings.validation_share > 0:
        train = read(settings.train, "train", "training")
        _, found = set_aside(train, settings.validation_share, settings.sample_seed, group, told_apart_by)
    else:
        raise DataError("There is no validation data.", where=", ".join(settings.train), fix="name some")
    return draw(found, settings.n_validation, settings.sample_seed)


def _named_validation(settings: DataSettings) -> tuple[str, ...]:
    """What is named as validation data, or else has a split for that; empty if examples must be set aside."""
    if settings.validation or settings.n_folds:
        return settings.validation
    is_split = settings.validation_share > 0 and all(map(has_splits, settings.train))
    return settings.train if is_split else ()


def need_gold(read: ExampleSet[E], has_gold: Callable[[E], bool], columns: str) -> ExampleSet[E]:
    """The set itself, if it can be evaluated on.

    Raises:
        DataError: if no example has gold; ``columns`` says where it would be.

    """
    if not any(map(has_gold, read.examples)):
        raise DataError(
            f"No row says what is right ({columns}), so there is nothing to measure.",
            where=", ".join(read.sources),
            fix="for the answers alone: distiltune predict; if the column is only named otherwise: --columns",
        )
    return read


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """While objects grow in number Python looks for cycles again and again: a third of the time, and here are none."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _check_share(reading: Reading[E], to_read: ToRead, n_examples: int, where: str) -> None:
    """Raise `DataError` if nothing can be used or more than the allowed share was rejected."""
    rejections, n_rows = at_fault_of(reading.findings, reading.findings.n_rows)
    if n_rows == 0:
        n_left_out = reading.findings.n_rows
        what = f"All {n_left_out:,} rows are marked as not wanted." if n_left_out else "There is no row in the data."
        raise DataError(
            "\n".join([what, *left_out_lines(reading.findings)]), where=where, fix="give a file that holds rows."
        )
    if n_examples and len(rejections) <= to_read.max_rejected_share * n_rows:
        return
    lines = [*rejection_lines(reading.findings), *left_out_lines(reading.findings)]
    if n_examples:
        share = 100 * len(rejections) / n_rows
        allowed = f"more than the {100 * to_read.max_rejected_share:.3g} % that may be"
        what = f"{len(rejections):,} of {n_rows:,} rows ({share:.3g} %) cannot be used, {allowed}:"
        fix = "mend them, or go on without them: --max-rejected-share 1."
    else:
        what = f"None of the {n_rows:,} rows can be used:"
        fix = "mend the data."
    if missing := reading.missing(to_read.required):
        near = {name: nearest(name, reading.columns_seen) for name in missing}
        is_ready = all(near.values()) and len(set(near.values())) == len(near)
        option = f"--columns {columns_text(near) if is_ready else ','.join(f'{name}=...' for name in missing)}"
        seen = ", ".join(reading.columns_seen)
        fix += f" The first row has the columns {seen}; if they are only named otherwise, use {option}."
        if reading.form.has_header and any(format_suffix(path) in (".csv", ".tsv") for path in reading.columns):
            fix += f" If the first line of a table is a row, columns go by number: {no_header(missing)}."
    raise DataError("\n".join([what, *lines]), where=where, fix=fix)
