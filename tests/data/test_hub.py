"""Data sets from a stand-in for the hub: fetched, cached, used again without it, and every refusal."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distiltune.data.hub import HubName, Split, choose_files, fetch_data_set, parse_hub_name
from distiltune.errors import DataError, HubError
from distiltune.system import hub as hub_errors
from tests.hub_stand_in import HubStandIn

TRAIN = json.dumps([{"question": "Who?", "context": "Ann", "answer_text": "Ann"}]).encode()
DEV = b"[]"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def home(hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, with this process's huggingface_hub pointed at the stand-in."""
    home = tmp_path / "hf-home"
    hub.patch(monkeypatch, home)
    return home


def _fetch_in_subprocess(hub: HubStandIn, home: Path, name: str, **more: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from distiltune.data.hub import fetch_data_set; from distiltune.errors import HubError\n"
        "try: print(*(path.read_bytes().decode() for path in fetch_data_set(sys.argv[1], 'train')))\n"
        "except HubError as error: print(error); sys.exit(1)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, name],
        env=hub.environment(home, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_environment_is_honoured_and_works_offline_once_cached(hub: HubStandIn, tmp_path: Path) -> None:
    hub.add("dataset", "owner/set", {"train.json": TRAIN, "dev.json": DEV})
    first = _fetch_in_subprocess(hub, tmp_path, "owner/set")
    assert first.stdout.encode().strip() == TRAIN, first.stderr
    assert not any("dev.json" in request for request in hub.requests)
    hub.stop()
    assert _fetch_in_subprocess(hub, tmp_path, "owner/set").stdout.encode().strip() == TRAIN
    again = _fetch_in_subprocess(hub, tmp_path, "owner/other", HF_HUB_OFFLINE="1")
    assert again.returncode == 1
    assert "HF_HUB_OFFLINE" in again.stdout


def test_fetched_then_used_without_the_hub(hub: HubStandIn, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shards = {f"plain_text/train-0000{i}-of-00002.parquet": b"%d" % i for i in range(2)}
    hub.add("dataset", "squad", {**shards, "README.md": b"", "squad.py": b"raise SystemExit(3)"})
    paths = fetch_data_set("squad", "train")
    assert [path.read_bytes() for path in paths] == [b"0", b"1"]
    assert not any("squad.py" in request for request in hub.requests if "/resolve/" in request)
    n_requests = len(hub.requests)
    assert fetch_data_set("squad", "train") == paths
    assert not any("/resolve/" in request for request in hub.requests[n_requests:])
    hub.stop()
    assert fetch_data_set("squad", "train") == paths
    assert capfd.readouterr().err == ""  # no progress bar without a terminal


def test_newer_files_are_fetched(hub: HubStandIn, home: Path) -> None:
    hub.add("dataset", "owner/set", {"train.json": DEV})
    fetch_data_set("owner/set", "train")
    hub.add("dataset", "owner/set", {"train.json": TRAIN})
    assert fetch_data_set("owner/set", "train")[0].read_bytes() == TRAIN


def test_half_fetched_is_not_used_offline(hub: HubStandIn, home: Path) -> None:
    hub.add("dataset", "owner/set", {"train.json": TRAIN, "dev.json": DEV})
    fetch_data_set("owner/set", "train")
    hub.stop()
    with pytest.raises(HubError, match="not in the local cache"):
        fetch_data_set("owner/set", "validation")


def test_unreachable(hub: HubStandIn, home: Path) -> None:
    hub.stop()
    began = time.monotonic()
    with pytest.raises(HubError, match="cannot be reached") as caught:
        fetch_data_set("owner/set", "train")
    assert time.monotonic() - began < 5
    assert "give a local file or directory, or the word `starter`" in caught.value.fix
    assert hub.url in caught.value.where


def test_a_hub_that_never_answers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_errors, "HUB_DEADLINE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        with pytest.raises(HubError, match="cannot be reached"):
            fetch_data_set("owner/set", "train")


def test_the_deadline_leaves_time_for_the_message() -> None:
    assert hub_errors.HUB_DEADLINE_S < 15


def test_absent(hub: HubStandIn, home: Path) -> None:
    with pytest.raises(HubError, match="has no data set 'owner/none'") as caught:
        fetch_data_set("owner/none", "train")
    assert caught.value.where == f"{hub.url}/datasets/owner/none"
    assert "`starter`" in caught.value.fix


def test_gated(hub: HubStandIn, home: Path) -> None:
    hub.add("dataset", "owner/set", {"train.json": TRAIN}, gated=True)
    with pytest.raises(HubError, match="gated") as caught:
        fetch_data_set("owner/set", "train")
    assert "hf auth login" in caught.value.fix


def test_no_files_of_that_split(hub: HubStandIn, home: Path) -> None:
    hub.add("dataset", "owner/set", {"test.json": DEV, "README.md": b""})
    with pytest.raises(DataError, match="train split") as caught:
        fetch_data_set("owner/set", "train")
    assert "test.json" in caught.value.where


@pytest.mark.parametrize("name", ["a/b/c", "", "a b", "../x", "a:", "-x", "a/"])
def test_what_is_no_name(name: str) -> None:
    assert parse_hub_name(name) is None
    with pytest.raises(DataError):
        fetch_data_set(name, "train")


def test_names() -> None:
    assert parse_hub_name("squad") == HubName("squad")
    assert parse_hub_name("owner/na-me_1.2:part") == HubName("owner/na-me_1.2", "part")


@pytest.mark.parametrize(
    ("paths", "split", "chosen"),
    [
        (
            ["plain_text/train-00000-of-00001.parquet", "plain_text/validation-00000-of-00001.parquet"],
            "train",
            [0],
        ),
        (["data/train-0.parquet", "data/validation-0.parquet", "train.json"], "validation", [1]),
        (["dev-v1.1.json", "train-v1.1.json"], "validation", [0]),
        (["squad_val.jsonl.gz", "squad_train.jsonl.gz"], "validation", [0]),
        (["train.csv", "train.json", "train.tsv", "TRAIN.md"], "train", [1]),
        (["default/train.json", "other/train.json"], "train", [0]),
        (["a/test.json", "b/train.json", "train_dev.json"], "train", [1]),
        (["data/train/0000.parquet", "data/train/0001.parquet", "data/test/0000.parquet"], "train", [0, 1]),
        (["train_1.json", "train_2.json"], "train", [0, 1]),
        ([".cache/train.json", "Training.json"], "train", [1]),
    ],
)
def test_choice_of_files(paths: list[str], split: str, chosen: list[int]) -> None:
    which: Split = "train" if split == "train" else "validation"
    assert choose_files(paths, HubName("x"), which) == [paths[number] for number in chosen]


def test_several_configurations() -> None:
    paths = ["dbert/train.json", "droberta/train.json", "droberta/dev.json"]
    with pytest.raises(DataError, match="dbert, droberta") as caught:
        choose_files(paths, HubName("adversarial_qa"), "train")
    assert "`name:configuration`" in caught.value.fix
    assert choose_files(paths, HubName("adversarial_qa", "droberta"), "train") == ["droberta/train.json"]
    with pytest.raises(DataError, match="no configuration 'dbert'"):
        choose_files(paths, HubName("adversarial_qa", "dbert"), "validation")


def test_files_that_are_not_one_series() -> None:
    with pytest.raises(DataError, match=r"dev-v1\.1\.json, dev-v2\.0\.json"):
        choose_files(["dev-v1.1.json", "dev-v2.0.json"], HubName("x"), "validation")
    with pytest.raises(DataError, match="Only 1 of the 3 files"):
        choose_files(["train-00001-of-00003.parquet"], HubName("x"), "train")


def test_a_full_disk_is_told_as_such() -> None:
    with pytest.raises(HubError, match="No space left") as caught, hub_errors.hub_errors("a/b", "model"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "HF_HOME" in caught.value.fix


def test_other_errors_pass_through() -> None:
    with pytest.raises(DataError, match="mine"), hub_errors.hub_errors("a/b", "model"):
        raise DataError("mine", fix="")
    with pytest.raises(KeyError), hub_errors.hub_errors("a/b", "dataset"):
        raise KeyError("x")
