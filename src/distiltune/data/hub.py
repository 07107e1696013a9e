"""A data set's name on the Hugging Face hub → its data files of one split, in the local cache.

Only data files are fetched; a repository's code is never run. ``huggingface_hub`` finds the hub
(HF_ENDPOINT), the cache (HF_HOME) and the token (HF_TOKEN or ``hf auth login``) as it does for everyone.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from distiltune.errors import DataError
from distiltune.system.hub import hub_errors, within_deadline

Split = Literal["train", "validation"]

_FORMATS_BEST_FIRST = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_SPLIT_WORDS: dict[str, str] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_USUAL_CONFIGURATIONS = ("default", "plain_text")
_SHARD = re.compile(r"(?P<stem>.*?)[-_.]?(?P<number>\d+)-of-(?P<total>\d+)$")
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubName:
    """``owner/name`` or ``name``, with the configuration that may follow a colon."""

    repository: str
    configuration: str | None = None


@dataclass(frozen=True, slots=True)
class _DataFile:
    """A file of the repository that may hold rows: what its path says about it."""

    path: str
    split: str | None
    configuration: str
    format: str
    stem: str


@dataclass(frozen=True, slots=True)
class _Listing:
    """The paths of a repository's files; from the cache if the hub could not be asked.

    It is whole if it lists what the hub has, and not only what happens to be in the cache.
    """

    paths: tuple[str, ...]
    is_cached: bool
    is_whole: bool


def parse_hub_name(text: str) -> HubName | None:
    """``[owner/]name[:configuration]`` taken apart, or None if ``text`` cannot be a name on the hub."""
    repository, colon, configuration = text.partition(":")
    if not _HUB_NAME.match(repository) or (colon and not configuration):
        return None
    return HubName(repository, configuration or None)


def fetch_data_set(name: str, split: Split) -> list[Path]:
    """Fetch the files of one split of a data set on the hub, and return their paths in the local cache.

    ``name`` is ``[owner/]name[:configuration]``. Once fetched, it works without a network; the hub is asked
    first whether there is something newer, for `HUB_DEADLINE_S` at most.

    Raises `HubError` if the hub cannot be reached and the files are not cached, if it has no such data set,
    or does not let it be read; `DataError` if the data set has no such split or several configurations.
    """
    hub_name = parse_hub_name(name)
    if hub_name is None:
        raise DataError(
            f"{name!r} is not a data set's name.",
            where=name,
            fix="write `owner/name` or `owner/name:configuration`.",
        )
    with hub_errors(hub_name.repository, "dataset"):
        listing = _list_repository(hub_name.repository)
        chosen = _choose_listed(listing, hub_name, split)
        return _download(hub_name.repository, chosen, from_cache=listing.is_cached)


def _choose_listed(listing: _Listing, name: HubName, split: Split) -> list[str]:
    """`choose_files`; what a listing that is not whole lacks is not cached, rather than not there."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return choose_files(listing.paths, name, split)
    except DataError as error:
        if listing.is_whole:
            raise
        raise LocalEntryNotFoundError(f"the cache does not hold the {split} split") from error


def _list_repository(repository: str) -> _Listing:
    """The repository's file listing from the hub, or from the cache if the hub gives none."""
    import huggingface_hub
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    # HfApi() is built here and not shared, so that it takes the endpoint of now.
    api = huggingface_hub.HfApi()
    try:
        info = within_deadline(lambda: api.dataset_info(repository, timeout=10))
    except (HTTPError, OfflineModeIsEnabled, TimeoutError, ConnectionError):
        cached = _list_cached(repository)
        if cached is None:
            raise
        return cached
    paths = tuple(file.rfilename for file in info.siblings or ())
    return _Listing(paths, is_cached=False, is_whole=True)


def _list_cached(repository: str) -> _Listing | None:
    """The file listing of the cached snapshot, or None if there is none."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # A pattern that matches nothing: only the snapshot's folder is wanted, complete or not.
        folder = huggingface_hub.snapshot_download(
            repository, repo_type="dataset", local_files_only=True, allow_patterns=["."]
        )
    except LocalEntryNotFoundError:
        return None
    try:
        from huggingface_hub import get_cached_repo_tree
        from huggingface_hub.errors import CachedRepoTreeNotFoundError
    except ImportError:  # older versions of huggingface_hub do not keep the listing
        return _list_folder(Path(folder))
    try:
        # also the files never fetched, so that an interrupted download is noticed
        tree = get_cached_repo_tree(repository, repo_type="dataset")
    except CachedRepoTreeNotFoundError:
        return _list_folder(Path(folder))
    return _Listing(tuple(file.path for file in tree), is_cached=True, is_whole=True)


def _list_folder(folder: Path) -> _Listing:
    """What is in a cached snapshot, which may be less than the hub has."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    paths = tuple(path.relative_to(folder).as_posix() for path in files)
    return _Listing(paths, is_cached=True, is_whole=False)


def _download(repository: str, paths: Sequence[str], *, from_cache: bool) -> list[Path]:
    """The paths on this machine of the repository's files ``paths``, fetched unless ``from_cache``."""
    import huggingface_hub

    folder = huggingface_hub.snapshot_download(
        repository,
        repo_type="dataset",
        allow_patterns=[glob.escape(path) for path in paths],
        local_files_only=from_cache,
    )
    local = [Path(folder) / path for path in paths]
    missing = [path for path in local if not path.is_file()]
    if missing:
        raise huggingface_hub.errors.LocalEntryNotFoundError(f"{len(missing)} of {len(local)} files are not cached")
    return local


def choose_files(paths: Sequence[str], name: HubName, split: Split) -> list[str]:
    """The repository paths that hold the rows of ``split``: of one configuration, in one format, sorted.

    Parquet is preferred, then JSON lines, JSON, CSV and TSV. A pure function of the file names.
    Raises `DataError` if there are none, or if a choice is needed that only the user can make.
    """
    data_files = [file for path in sorted(paths) if (file := _describe(path)) is not None]
    of_split = [file for file in data_files if file.split == split]
    if not of_split:
        raise _no_such_split(data_files, name, split)
    configuration = _choose_configuration(sorted({file.configuration for file in of_split}), name)
    candidates = [file for file in of_split if file.configuration == configuration]
    best = min((file.format for file in candidates), key=_FORMATS_BEST_FIRST.index)
    chosen = [file for file in candidates if file.format == best]
    _check_one_series(chosen, name, split)
    return [file.path for file in chosen]


def _describe(path: str) -> _DataFile | None:
    """What a path says: split, configuration, format. None if it is not a data file."""
    pure = PurePosixPath(path)
    suffixes = [suffix.lower() for suffix in pure.suffixes]
    n_suffixes = 2 if suffixes and suffixes[-1] == ".gz" else 1
    file_format = suffixes[-n_suffixes] if len(suffixes) >= n_suffixes else ""
    if file_format not in _FORMATS_BEST_FIRST or any(part.startswith(".") for part in pure.parts):
        return None
    stem = pure.name[: -len("".join(pure.suffixes[-n_suffixes:]))]
    folders = [part for part in pure.parts[:-1] if part != "data"]
    split = _split_of(stem)
    if split is None and folders:
        # `train/0000.parquet`: the folder names the split
        split = _split_of(folders[-1])
        folders = folders[:-1] if split else folders
    return _DataFile(path, split, "/".join(folders) or "default", file_format, stem)


def _split_of(text: str) -> str | None:
    """The split that a file's or folder's name speaks of; None if of none or of several."""
    words = re.split(r"[^a-z]+", text.lower())
    splits = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _choose_configuration(configurations: Sequence[str], name: HubName) -> str:
    """The configuration asked for, the only one, or the usual one; otherwise a `DataError` naming them."""
    if name.configuration is not None:
        if name.configuration in configurations:
            return name.configuration
        raise DataError(
            f"The data set {name.repository!r} has no configuration {name.configuration!r} with that split.",
            where=name.repository,
            fix=f"take one of: {', '.join(f'{name.repository}:{each}' for each in configurations)}.",
        )
    if len(configurations) == 1:
        return configurations[0]
    for usual in _USUAL_CONFIGURATIONS:
        if usual in configurations:
            return usual
    raise DataError(
        f"The data set {name.repository!r} has several configurations: {', '.join(configurations)}.",
        where=name.repository,
        fix=f"write `name:configuration` to choose one, for example `{name.repository}:{configurations[0]}`.",
    )


def _check_one_series(files: Sequence[_DataFile], name: HubName, split: Split) -> None:
    """Raise `DataError` unless the files are one file or the shards of one, all of them."""
    series = {re.sub(r"(^|[-_])\d+$", "", _SHARD.sub(r"\g<stem>", file.stem)) for file in files}
    if len(series) > 1:
        raise DataError(
            f"The data set {name.repository!r} has several files that could be its {split} split: "
            f"{', '.join(file.path for file in files)}.",
            where=name.repository,
            fix="download the right one and give its path.",
        )
    shards = [match for file in files if (match := _SHARD.match(file.stem))]
    if shards and len(shards) < int(shards[0]["total"]):
        raise DataError(
            f"Only {len(shards)} of the {int(shards[0]['total'])} files of the {split} split are there.",
            where=f"{name.repository}: {files[0].path}",
            fix="fetch it once more with the hub in reach.",
        )


def _no_such_split(files: Sequence[_DataFile], name: HubName, split: Split) -> DataError:
    """The `DataError` for a repository without data files of that split."""
    shown = ", ".join(file.path for file in files[:8]) or "no JSON, CSV, TSV or Parquet file at all"
    return DataError(
        f"The data set {name.repository!r} has no file that its name shows to be the {split} split.",
        where=f"{name.repository}: {shown}",
        fix="download the files and give their path, or take another data set.",
    )
