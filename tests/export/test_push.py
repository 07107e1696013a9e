"""`push` against the loopback stand-in of the hub: what is sent, what is refused before anything is sent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from distiltune.cli import main
from distiltune.errors import HubError, ModelError
from distiltune.export.push import push
from tests.hub_stand_in import HubStandIn


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with HubStandIn() as running:
        running.patch(monkeypatch, tmp_path / "home")
        monkeypatch.setenv("HF_TOKEN", running.token)
        yield running


@pytest.fixture
def model(people_model: Path, tmp_path: Path) -> Path:
    """A copy that may be changed, with what does not belong to a model beside it."""
    copy = tmp_path / "model"
    shutil.copytree(people_model, copy)
    (copy / "notes-on-customers.txt").write_text("private")
    (copy / "optimiser.pt").write_bytes(b"x")
    return copy


def test_the_model_is_sent_and_can_be_fetched_again(hub: HubStandIn, model: Path, tmp_path: Path) -> None:
    pushed = push(model, "me/people")
    assert pushed.name == "me/people"
    assert pushed.url == f"{hub.url}/me/people"
    sent = hub.repos["model", "me/people"].files
    assert set(sent) == set(pushed.files)
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(sent)
    assert not {"notes-on-customers.txt", "optimiser.pt"} & set(sent)
    for name, content in sent.items():
        assert content == (model / name).read_bytes()
    from distiltune.model.source import resolve_model

    fetched = resolve_model("me/people")
    assert (fetched / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    push(model, "me/people")  # a second time is a further commit
    create, validate, commit = (
        next(i for i, each in enumerate(hub.requests) if word in each) for word in ("create", "validate", "/commit/")
    )
    assert validate < create < commit


def test_a_run_stands_for_its_model(
    hub: HubStandIn, people_model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["distiltune", "push", str(people_model.parent), "me/people", "--private", "--json"]
    )
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert json.loads(capsys.readouterr().out)["name"] == "me/people"
    assert "model.safetensors" in hub.repos["model", "me/people"].files
    assert hub.repos["model", "me/people"].private


def test_nothing_private_is_sent_to_a_public_repository(hub: HubStandIn, model: Path) -> None:
    hub.add("model", "me/people", {"README.md": b"public"})
    with pytest.raises(HubError, match="is public, and --private was asked for"):
        push(model, "me/people", private=True)
    with pytest.raises(HubError, match="is public, and --private was asked for"):
        push(model, "people", private=True)  # the same, without its owner
    assert set(hub.repos["model", "me/people"].files) == {"README.md"}
    hub.repos["model", "me/people"].private = True
    push(model, "me/people", private=True)
    assert "model.safetensors" in hub.repos["model", "me/people"].files


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("validate-yaml", "500 when the model card was checked; nothing was changed there"),
        ("repos/create", "500 when the repository was to be made; no file was sent"),
        ("/commit/", "500 when the files were sent; the repository is there, most likely without these files"),
    ],
)
def test_a_failure_says_how_far_it_went(
    hub: HubStandIn, model: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the library tries again after a while
    hub.fails_at = place
    with pytest.raises(HubError, match=said):
        push(model, "me/people")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.replace("---", "", 1), "front matter has no library_name"),
        (lambda card: card.replace("tags:", "tags: [", 1), "front matter cannot be read"),
        (lambda card: card + "\nTrained on /home/ada/secret/data.csv\n", "/home/ada/secret/data.csv"),
        (lambda card: card.partition("\n# ")[0] + "\n", "no title"),
    ],
)
def test_a_bad_card_is_refused_before_anything_is_sent(
    hub: HubStandIn, model: Path, change: object, message: str
) -> None:
    card = model / "README.md"
    assert callable(change)
    card.write_text(change(card.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        push(model, "me/people")
    assert hub.requests == []


def test_a_directory_that_is_not_whole_is_refused(hub: HubStandIn, model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json, no model\.safetensors"):
        push(model, "me/people")
    with pytest.raises(ModelError, match="no such model"):
        push("no/such/directory", "me/people")
    assert hub.requests == []


def test_what_a_strangers_model_links_to_is_not_sent(hub: HubStandIn, model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a key")
    (model / "vocab.txt").unlink()
    (model / "vocab.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=r"vocab\.txt is a link") as caught:
        push(model, "me/people")
    assert str(tmp_path / "secret") in caught.value.where
    assert hub.requests == []


def test_code_in_pickles_goes_nowhere(hub: HubStandIn, model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"a pickle")
    assert "pytorch_model.bin" not in push(model, "me/people").files
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors") as caught:
        push(model, "me/people")
    assert "convert" in caught.value.fix


def test_places_on_this_machine_are_found_in_the_configuration_too(hub: HubStandIn, model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "_name_or_path": "/home/ada/secret/base"}))
    with pytest.raises(ModelError, match=r"config\.json names a place on your machine: /home/ada/secret/base"):
        push(model, "me/people")
    assert hub.requests == []


def test_a_card_in_another_encoding_is_an_error_of_its_own(hub: HubStandIn, model: Path) -> None:
    (model / "README.md").write_bytes(b"# caf\xe9")
    with pytest.raises(ModelError, match="no UTF-8 text"):
        push(model, "me/people")


def test_nobody_logged_in(hub: HubStandIn, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="hf auth login"):
        push(model, "me/people")
    assert hub.requests == []


def test_what_the_hub_refuses_is_said(hub: HubStandIn, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.bad_card = "license must be one of these"
    with pytest.raises(ModelError, match="license must be one of these"):
        push(model, "me/people")
    assert hub.repos == {}
    hub.bad_card = ""
    monkeypatch.setenv("HF_TOKEN", "hf_somebody_else")
    with pytest.raises(HubError, match="does not let you write"):
        push(model, "me/people")
    with pytest.raises(HubError, match="no name"):
        push(model, "a/b/c")
    hub.stop()
    with pytest.raises(HubError, match="cannot be reached"):
        push(model, "me/people")
