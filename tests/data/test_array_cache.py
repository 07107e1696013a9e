from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distiltune.data import array_cache
from distiltune.data.array_cache import Arrays, cache_directory, cache_key, load_or_make

KEY = cache_key({"of": "these tests"})


class Maker:
    """Makes the arrays and counts how often it was asked to; collects what was said."""

    def __init__(self) -> None:
        self.n_made = 0
        self.problems: list[str] = []

    def __call__(self) -> Arrays:
        self.n_made += 1
        return {"ids": np.arange(5, dtype=np.int32), "none": np.zeros((0, 2), dtype=np.int64)}

    def load(self, directory: Path, key: str = KEY) -> tuple[Arrays, bool]:
        return load_or_make(directory, key, self, self.problems.append)


@pytest.fixture
def maker() -> Maker:
    return Maker()


def check_arrays(arrays: Arrays) -> None:
    assert arrays.keys() == {"ids", "none"}
    assert arrays["ids"].tolist() == [0, 1, 2, 3, 4]
    assert arrays["ids"].dtype == np.int32
    assert arrays["none"].shape == (0, 2)


def test_the_second_time_they_come_from_the_cache(tmp_path: Path, maker: Maker) -> None:
    arrays, hit = maker.load(tmp_path / "new" / "cache")
    check_arrays(arrays)
    assert not hit
    arrays, hit = maker.load(tmp_path / "new" / "cache")
    check_arrays(arrays)
    assert hit
    assert isinstance(arrays["ids"], np.memmap)
    assert (maker.n_made, maker.problems) == (1, [])


def test_what_is_cached_cannot_be_changed_by_accident(tmp_path: Path, maker: Maker) -> None:
    maker.load(tmp_path)
    arrays, _ = maker.load(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        arrays["ids"][0] = 7


def test_nothing_else_is_left_in_the_cache(tmp_path: Path, maker: Maker) -> None:
    maker.load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    assert sorted(path.name for path in (tmp_path / KEY).iterdir()) == [
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
    maker.load(tmp_path)
    damage(tmp_path / KEY)
    arrays, hit = maker.load(tmp_path)
    check_arrays(arrays)
    assert not hit
    assert maker.n_made == 2
    assert KEY in maker.problems[0]
    assert "made anew" in maker.problems[0]
    assert len(maker.problems) == 1
    assert maker.load(tmp_path)[1], "what was made anew must be kept"


def test_an_entry_with_pickled_objects_is_not_loaded(tmp_path: Path, maker: Maker) -> None:
    maker.load(tmp_path)
    np.save(tmp_path / KEY / "ids.npy", np.array([{}], dtype=object), allow_pickle=True)
    digest = hashlib.sha256((tmp_path / KEY / "ids.npy").read_bytes()).hexdigest()
    text = json.dumps({"arrays": {"ids": digest}})
    (tmp_path / KEY / "manifest.json").write_text(text)
    arrays, hit = maker.load(tmp_path)
    check_arrays(arrays)
    assert not hit


def test_a_cache_that_cannot_be_written_costs_speed_only(tmp_path: Path, maker: Maker) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for _ in range(2):
        arrays, hit = maker.load(in_the_way / "cache")
        check_arrays(arrays)
        assert not hit
    assert maker.n_made == 2
    assert all("cannot be cached" in problem for problem in maker.problems)
    assert len(maker.problems) == 2


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    check_arrays(maker.load(tmp_path)[0])
    assert "No space left on device" in maker.problems[0]
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_be_quicker(tmp_path: Path, maker: Maker) -> None:
    quicker = Maker()

    def make() -> Arrays:
        quicker.load(tmp_path)
        return maker()

    arrays, _ = load_or_make(tmp_path, KEY, make, maker.problems.append)
    check_arrays(arrays)
    assert maker.problems == []
    assert [path.name for path in tmp_path.iterdir()] == [KEY]
    assert maker.load(tmp_path)[1]


def test_a_key_changes_with_every_part_and_with_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: dict[str, object] = {"stride": 128, "data": "abc", "tokenizer": "é\ud800"}
    changed: list[dict[str, object]] = [
        {**parts, "stride": 127},
        {**parts, "data": "abd"},
        {**parts, "more": 0},
        {"stride": 128},
    ]
    keys = [cache_key(each) for each in (parts, *changed)]
    assert len(set(keys)) == len(keys)
    assert cache_key(dict(reversed(parts.items()))) == keys[0]
    monkeypatch.setattr(array_cache, "FORMAT", array_cache.FORMAT + 1)
    assert cache_key(parts) != keys[0]


def test_keys_do_not_share_entries(tmp_path: Path, maker: Maker) -> None:
    maker.load(tmp_path, cache_key({"a": 1}))
    assert not maker.load(tmp_path, cache_key({"a": 2}))[1]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", "/some/where")
    assert cache_directory() == Path("/some/where")
    monkeypatch.delenv("DISTILTUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/distiltune")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/distiltune")
