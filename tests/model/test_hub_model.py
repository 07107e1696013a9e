from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from distiltune.errors import HubError, ModelError
from distiltune.model.source import load_source, resolve_model
from tests.hub_stand_in import HubStandIn
from tests.model.tiny_models import HEAD_RULES, save_tiny, state, tiny_model

NAME = "owner/tiny"
LIMIT_S = 15


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with HubStandIn() as stand_in:
        stand_in.patch(monkeypatch, tmp_path / "hf-home")
        monkeypatch.chdir(tmp_path)
        yield stand_in


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model with more files than are needed."""
    directory = save_tiny(tmp_path / "saved", tiny_model())
    for name in ("pytorch_model.bin", "tf_model.h5", "README.md", "onnx/model.onnx"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(b"not to be fetched")
    return directory


def fetched(hub: HubStandIn) -> set[str]:
    """The names of the files whose contents were asked for."""
    return {
        request.rsplit("/", 1)[1] for request in hub.requests if request.startswith("GET") and "/resolve/" in request
    }


def test_it_is_downloaded_once_and_works_offline(hub: HubStandIn, saved: Path) -> None:
    hub.add_directory("model", NAME, saved)
    first = load_source(NAME, HEAD_RULES)
    assert first.missing == ()
    expected = state(tiny_model())
    assert torch.equal(first.tensors["head.output.weight"], expected["qa_outputs.weight"])
    assert fetched(hub) == {"config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"}

    hub.requests.clear()
    assert resolve_model(NAME) == first.directory
    assert fetched(hub) == set()

    hub.stop()
    again = load_source(NAME, HEAD_RULES)
    assert again.directory == first.directory
    assert torch.equal(again.tensors["head.output.weight"], expected["qa_outputs.weight"])


def test_a_newer_version_is_fetched(hub: HubStandIn, saved: Path) -> None:
    hub.add_directory("model", NAME, saved)
    before = load_source(NAME, HEAD_RULES)
    save_tiny(saved, tiny_model(initializer_range=0.3))
    hub.add_directory("model", NAME, saved)
    after = load_source(NAME, HEAD_RULES)
    assert after.directory != before.directory
    assert after.config.initializer_range == 0.3


def test_shards_are_fetched_without_other_forms(hub: HubStandIn, saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    tiny_model().save_pretrained(saved, max_shard_size="10KB")
    hub.add_directory("model", NAME, saved)
    assert load_source(NAME, HEAD_RULES).missing == ()
    assert any(name.startswith("model-00002-of-") for name in fetched(hub))
    assert "pytorch_model.bin" not in fetched(hub)


def test_older_forms_are_fetched_where_there_is_nothing_better(hub: HubStandIn, saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    torch.save(state(tiny_model()), saved / "pytorch_model.bin")
    hub.add_directory("model", NAME, saved)
    assert load_source(NAME, HEAD_RULES).missing == ()
    assert fetched(hub) == {"config.json", "pytorch_model.bin", "tokenizer_config.json", "vocab.txt"}


def test_no_readable_weights(hub: HubStandIn) -> None:
    hub.add("model", NAME, {"config.json": b"{}", "flax_model.msgpack": b""})
    with pytest.raises(ModelError, match=r"flax_model\.msgpack"):
        resolve_model(NAME)
    assert fetched(hub) == set()


def test_absent_gated_and_impossible(hub: HubStandIn, saved: Path) -> None:
    hub.add_directory("model", "owner/gated", saved, gated=True)
    for name, message in (("owner/absent", "has no model"), ("owner/gated", "gated"), ("a b", "neither")):
        started = time.monotonic()
        with pytest.raises(HubError, match=message) as caught:
            resolve_model(name)
        assert time.monotonic() - started < LIMIT_S
        assert "`starter` to fine-tune or `starter-qa` to ask questions" in caught.value.fix


def test_unreachable(hub: HubStandIn) -> None:
    hub.stop()
    started = time.monotonic()
    with pytest.raises(HubError, match="cannot be reached") as caught:
        resolve_model(NAME)
    assert time.monotonic() - started < LIMIT_S
    assert "`starter` to fine-tune or `starter-qa` to ask questions" in caught.value.fix


def test_a_hub_that_never_answers(hub: HubStandIn, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    from distiltune.model import source
    from distiltune.system import hub as hub_errors

    hub.add_directory("model", NAME, saved)
    first = resolve_model(NAME)

    def wait_forever(self: HfApi, *args: object, **options: object) -> None:
        time.sleep(60)

    monkeypatch.setattr(HfApi, "model_info", wait_forever)
    monkeypatch.setattr(source, "within_deadline", lambda call: hub_errors.within_deadline(call, 0.2))
    assert resolve_model(NAME) == first
    with pytest.raises(HubError, match="cannot be reached"):
        resolve_model("owner/other")


def test_forbidden_to_ask(hub: HubStandIn, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    hub.add_directory("model", NAME, saved)
    first = resolve_model(NAME)
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()
    assert resolve_model(NAME) == first
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        resolve_model("owner/other")
    assert hub.requests == []
    close_session()
