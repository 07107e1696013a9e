"""What is in the cache is what would be made, or it is made anew; a cache that cannot be used costs time only."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distiltune.data import cache
from distiltune.data.cache import (
    UNUSED_DAYS,
    ArrayForm,
    Arrays,
    FloatArray,
    cache_directory,
    entry_of,
    load_or_make,
    map_or_fill,
)
from distiltune.errors import DataError

PARTS: dict[str, object] = {"of": "these tests"}
FORM = ArrayForm((3, 2), np.float32)


class Maker:
    """Makes the arrays and counts how often it was asked to; collects what was said."""

    def __init__(self) -> None:
        self.n_made = 0
        self.problems: list[str] = []

    def __call__(self) -> Arrays:
        self.n_made += 1
        return {"ids": np.arange(5, dtype=np.int32), "none": np.zeros((0, 2), dtype=np.int64)}

    def load(self, parts: dict[str, object] = PARTS) -> tuple[Arrays, bool]:
        return load_or_make(parts, self, on_problem=self.problems.append)

    def fill(self, array: FloatArray) -> None:
        self.n_made += 1
        array[:] = [[1, 2], [3, 4], [5, 6]]

    def map(self) -> tuple[FloatArray, bool]:
        return map_or_fill(PARTS, FORM, self.fill, on_problem=self.problems.append)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of each test, and that it is looked at for what is unused."""
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path))
    cache._clear_unused.cache_clear()
    return tmp_path


def the_entry() -> Path:
    path = entry_of(PARTS, (__name__,)).path
    assert path is not None
    return path


def check_arrays(arrays: Arrays) -> None:
    assert arrays.keys() == {"ids", "none"}
    assert arrays["ids"].tolist() == [0, 1, 2, 3, 4]
    assert arrays["ids"].dtype == np.int32
    assert arrays["none"].shape == (0, 2)


def test_the_second_time_they_come_from_the_cache(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "new" / "cache"))
    arrays, hit = maker.load()
    check_arrays(arrays)
    assert not hit
    arrays, hit = maker.load()
    check_arrays(arrays)
    assert hit
    assert isinstance(arrays["ids"], np.memmap)
    assert (maker.n_made, maker.problems) == (1, [])


def test_what_is_cached_cannot_be_changed_by_accident(tmp_path: Path, maker: Maker) -> None:
    maker.load()
    arrays, _ = maker.load()
    with pytest.raises(ValueError, match="read-only"):
        arrays["ids"][0] = 7


def test_nothing_else_is_left_in_the_cache(tmp_path: Path, maker: Maker) -> None:
    maker.load()
    assert [path.name for path in tmp_path.iterdir()] == [the_entry().name]
    assert sorted(path.name for path in (the_entry()).iterdir()) == [
        "ids.npy",
        "manifest.json",
        "none.npy",
    ]


def flip_a_byte(entry: Path) -> None:
    data = bytearray((entry / "ids.npy").read_bytes())
    data[-1] ^= 1
    (entry / "ids.npy").write_bytes(data)


def cut_short(entry: Path) -> None:
    data = (entry / "ids.npy").read_bytes()
    (entry / "ids.npy").write_bytes(data[:-2])


def remove_an_array(entry: Path) -> None:
    (entry / "none.npy").unlink()


def remove_the_manifest(entry: Path) -> None:
    (entry / "manifest.json").unlink()


def manifest(text: str) -> Callable[[Path], None]:
    def write(entry: Path) -> None:
        (entry / "manifest.json").write_text(text)

    return write


def manifest_names_a_path(entry: Path) -> None:
    """An array outside of the entry, with its right checksum."""
    text = (entry / "manifest.json").read_text()
    changed = json.loads(text)
    changed["arrays"]["../ids"] = changed["arrays"].pop("ids")
    (entry / "ids.npy").rename(entry.parent / "ids.npy")
    (entry / "manifest.json").write_text(json.dumps(changed))


def not_a_directory(entry: Path) -> None:
    for path in entry.iterdir():
        path.unlink()
    entry.rmdir()
    entry.write_text("a file")


DAMAGES = {
    "a byte flipped": flip_a_byte,
    "cut short": cut_short,
    "an array gone": remove_an_array,
    "the manifest gone": remove_the_manifest,
    "the manifest cut": manifest('{"arrays": {"ids": "'),
    "the manifest a list": manifest("[]"),
    "the manifest a number": manifest("3"),
    "the manifest of something else": manifest('{"version": 1}'),
    "the manifest's arrays a list": manifest('{"arrays": ["ids"]}'),
    "the manifest's arrays none": manifest('{"arrays": {}}'),
    "the manifest's arrays null": manifest('{"arrays": null}'),
    "the manifest not text": lambda entry: (entry / "manifest.json").write_bytes(b"\xff\xfe\x00"),
    "the manifest names a path": manifest_names_a_path,
    "not a directory": not_a_directory,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_entry_is_made_anew(tmp_path: Path, maker: Maker, damage: Callable[[Path], None]) -> None:
    maker.load()
    damage(the_entry())
    arrays, hit = maker.load()
    check_arrays(arrays)
    assert not hit
    assert maker.n_made == 2
    assert the_entry().name in maker.problems[0]
    assert "made anew" in maker.problems[0]
    assert len(maker.problems) == 1
    assert maker.load()[1], "what was made anew must be kept"


def test_an_entry_with_pickled_objects_is_not_loaded(tmp_path: Path, maker: Maker) -> None:
    maker.load()
    np.save(the_entry() / "ids.npy", np.array([{}], dtype=object), allow_pickle=True)
    digest = hashlib.sha256((the_entry() / "ids.npy").read_bytes()).hexdigest()
    text = json.dumps({"arrays": {"ids": digest}})
    (the_entry() / "manifest.json").write_text(text)
    arrays, hit = maker.load()
    check_arrays(arrays)
    assert not hit


@pytest.mark.parametrize("how", ["a file in the way", "no home", "unreadable", "name too long"])
def test_a_cache_that_cannot_be_used_costs_time_only(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    directory = {"a file in the way": in_the_way / "cache", "name too long": tmp_path / ("x" * 300)}.get(how, tmp_path)
    monkeypatch.setenv("DISTILTUNE_CACHE", str(directory))
    if how == "no home":
        monkeypatch.delenv("DISTILTUNE_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    if how == "unreadable":  # as a directory of another user is, for all but root
        maker.load()
        maker.map()
        maker.n_made = 0
        for owner, name in ((os, "utime"), (Path, "open"), (Path, "read_text"), (Path, "mkdir"), (os, "lstat")):
            original = getattr(owner, name)

            def refuse(
                path: object, *rest: object, original: Callable[..., object] = original, **named: object
            ) -> object:
                if str(path).startswith(str(tmp_path)):
                    raise PermissionError(13, "Permission denied")
                return original(path, *rest, **named)

            monkeypatch.setattr(owner, name, refuse)
    for _ in range(2):
        arrays, hit = maker.load()
        check_arrays(arrays)
        assert not hit
        mapped, hit = maker.map()
        assert mapped.tolist() == [[1, 2], [3, 4], [5, 6]]
        assert not hit
    assert maker.n_made == 4
    assert all("cached" in problem for problem in maker.problems)
    assert len(maker.problems) == (0 if how == "no home" else 4)


def test_where_there_is_no_room_at_all_it_is_said(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil._ntuple_diskusage(100, 80, 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(DataError, match="No space left") as caught:
        maker.map()
    assert caught.value.where == str(tmp_path)
    assert "DISTILTUNE_CACHE" in (caught.value.fix or "")
    assert maker.n_made == 0
    assert list(tmp_path.iterdir()) == []


def test_a_large_array_is_filled_once(tmp_path: Path, maker: Maker) -> None:
    assert [maker.map()[1] for _ in range(2)] == [False, True]
    assert maker.n_made == 1
    assert isinstance(maker.map()[0], np.memmap)
    other = map_or_fill(PARTS, ArrayForm((3, 2), np.float16), maker.fill)
    assert (other[0].dtype.name, other[1]) == ("float16", False), "of another form"


def age(folder: Path) -> None:
    """As if it was written long ago and never used."""
    long_ago = time.time() - 86_400 * (UNUSED_DAYS + 1)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (long_ago, long_ago))


def test_what_nobody_uses_goes_when_something_is_written(tmp_path: Path, maker: Maker) -> None:
    maker.load()
    used, unused = "0" * 32, "1" * 32
    ours = {used, unused, f".{'2' * 32}.7-0123abcd.new", f".{'3' * 32}-abc_d"}
    others = {"mine", "4" * 31, f".{'5' * 32}"}
    for name in ours | others:
        shutil.copytree(the_entry(), tmp_path / name)
        age(tmp_path / name)
    assert cache.Entry(tmp_path / used).find() is not None
    age_of_others = {name: (tmp_path / name).stat().st_mtime for name in others}
    cache._clear_unused.cache_clear()
    another = entry_of({"of": "something else"}, (__name__,)).path
    assert another is not None
    maker.load({"of": "something else"})
    assert {path.name for path in tmp_path.iterdir()} == {the_entry().name, another.name, used, *others}
    assert {name: (tmp_path / name).stat().st_mtime for name in others} == age_of_others


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    check_arrays(maker.load()[0])
    assert "No space left on device" in maker.problems[0]
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_be_quicker(tmp_path: Path, maker: Maker) -> None:
    quicker = Maker()

    def make() -> Arrays:
        quicker.load()
        return maker()

    arrays, _ = load_or_make(PARTS, make, on_problem=maker.problems.append)
    check_arrays(arrays)
    assert maker.problems == []
    assert [path.name for path in tmp_path.iterdir()] == [the_entry().name]
    assert maker.load()[1]


def test_a_key_changes_with_every_part_and_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, object] = {"stride": 128, "data": "abc", "tokenizer": "é\ud800"}
    changed: list[dict[str, object]] = [
        {**parts, "stride": 127},
        {**parts, "data": "abd"},
        {**parts, "more": 0},
        {"stride": 128},
    ]
    entries = [entry_of(each, (__name__,)) for each in (parts, *changed)]
    assert len(set(entries)) == len(entries)
    assert entry_of(dict(reversed(parts.items())), (__name__,)) == entries[0]
    monkeypatch.setattr(cache, "code_fingerprint", lambda modules: "changed")
    assert entry_of(parts, (__name__,)) not in entries


def test_where_the_code_is_not_known_nothing_is_kept(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "code_fingerprint", lambda modules: "")
    for _ in range(2):
        check_arrays(maker.load()[0])
        assert maker.map()[0].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (maker.n_made, maker.problems) == (4, [])
    assert list(tmp_path.iterdir()) == []


def test_what_is_made_of_other_parts_is_another_entry(maker: Maker) -> None:
    maker.load({"a": 1})
    assert not maker.load({"a": 2})[1]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", "/some/where")
    assert cache_directory() == Path("/some/where")
    monkeypatch.delenv("DISTILTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/distiltune")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/distiltune")
    monkeypatch.setenv("DISTILTUNE_CACHE", "~/fast")
    assert cache_directory() == Path("/home/somebody/fast")
    monkeypatch.setenv("DISTILTUNE_CACHE", "~nobody-of-that-name/fast")
    assert cache_directory() is None, "not a folder of that name in the one that we are in"


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid"), reason="rights")
@pytest.mark.parametrize("kind", ["others may write", "a group may write", "another user"])
def test_a_cache_that_others_may_write_is_not_trusted(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    load_or_make(PARTS, maker)
    (entry,) = tmp_path.iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in entry.iterdir()}
    if kind == "others may write":
        tmp_path.chmod(0o777)
    elif kind == "a group may write":  # which is not the user's own
        group = tmp_path.stat().st_gid
        tmp_path.chmod(0o770)
        monkeypatch.setattr(os, "getegid", lambda: group + 1)
    else:
        own = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
        os.chown(tmp_path, own + 7, -1) if own == 0 else None
    _, from_cache = load_or_make(PARTS, maker, on_problem=maker.problems.append)
    map_or_fill(PARTS, FORM, lambda array: array.fill(1), on_problem=maker.problems.append)
    assert (from_cache, maker.n_made) == (False, 2)
    said = "another user" if kind == "another user" else "others may write"
    assert [said in told for told in maker.problems] == [True, True]
    assert {path.name: path.stat().st_mtime_ns for path in entry.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == [entry.name]


@pytest.mark.skipif(os.name != "posix", reason="rights")
@pytest.mark.parametrize("how", ["load", "map"])
def test_a_new_cache_is_its_users_alone(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    getattr(maker, how)()
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_what_a_killed_process_left_goes_at_the_next_write(tmp_path: Path, maker: Maker) -> None:
    left = tmp_path / f".{'0' * 32}.12-0123abcd.new"
    left.mkdir()
    (left / "half.npy").write_bytes(b"half")
    os.utime(left, (0, 0))
    load_or_make(PARTS, maker)
    assert not left.exists()
