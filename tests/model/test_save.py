from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from distiltune.errors import ModelError
from distiltune.model.convert import convert
from distiltune.model.save import ModelToWrite, replace_directory, write_model_directory
from distiltune.model.source import ModelSource, load_source, load_tokenizer
from distiltune.model.tokenizer import tokenizer_files
from tests.model.tiny_models import (
    HEAD_RULES,
    SHARED,
    VOCABULARY,
    save_tiny,
    saved_tensors,
    state,
    tiny_model,
    write_vocabulary,
)

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
TEXT = "The cafés, THE [MASK]"


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    return load_source(str(save_tiny(tmp_path / "source", tiny_model())), HEAD_RULES)


def write(directory: Path, source: ModelSource, **changes: Any) -> Path:
    given: dict[str, Any] = {
        "config": source.config,
        "tensors": source.tensors,
        "tokenizer": load_tokenizer(source.directory),
        "head_rules": HEAD_RULES,
        "architectures": ("DistilBertForQuestionAnswering",),
    }
    how = {name: changes.pop(name) for name in ("extra_files", "dtype") if name in changes}
    write_model_directory(directory, ModelToWrite(**{**given, **changes}), **how)
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_transformers_loads_what_is_saved(source: ModelSource, tmp_path: Path) -> None:
    saved = write(tmp_path / "new" / "model", source)
    assert names(saved) == FILES
    model, report = AutoModelForQuestionAnswering.from_pretrained(saved, output_loading_info=True)
    assert not any(report.values())
    assert model.dtype == torch.float32
    expected = state(tiny_model())
    assert state(model).keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in state(model).items())


def test_the_configuration_is_the_one_that_transformers_writes(source: ModelSource, tmp_path: Path) -> None:
    ours = json.loads((write(tmp_path / "model", source) / "config.json").read_text())
    theirs = json.loads((source.directory / "config.json").read_text())
    for name in ("transformers_version", "bos_token_id", "eos_token_id"):
        del theirs[name]
    assert ours == theirs


def test_we_load_what_is_saved(source: ModelSource, tmp_path: Path) -> None:
    again = load_source(str(write(tmp_path / "model", source)), HEAD_RULES)
    assert again.config == source.config
    assert again.tokenizer_file.name == "tokenizer.json"
    assert again.tensors.keys() == source.tensors.keys()
    assert all(torch.equal(again.tensors[name], source.tensors[name]) for name in source.tensors)


def test_extra_files_and_configuration(source: ModelSource, tmp_path: Path) -> None:
    card = {"README.md": b"# A model\n"}
    saved = write(tmp_path / "model", source, extra_files=card, extra_config={"qa_dropout": 0.3, "dim": 7})
    assert (saved / "README.md").read_bytes() == b"# A model\n"
    config = json.loads((saved / "config.json").read_text())
    assert (config["qa_dropout"], config["dim"]) == (0.3, 16)  # the shape is the encoder's, whatever is added


def test_half_precision(source: ModelSource, tmp_path: Path) -> None:
    saved = write(tmp_path / "model", source, dtype="float16")
    with safe_open(saved / "model.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert {tensor.dtype for tensor in saved_tensors(saved).values()} == {torch.float16}
    assert json.loads((saved / "config.json").read_text())["dtype"] == "float16"
    huge = {**source.tensors, "head.output.bias": torch.tensor([1e6, 0.0])}
    with pytest.raises(ModelError, match=r"qa_outputs\.bias does not fit"):
        write(tmp_path / "huge", source, dtype="float16", tensors=huge)
    assert not (tmp_path / "huge").exists()


def test_an_incomplete_model_is_not_written(source: ModelSource, tmp_path: Path) -> None:
    some = {name: tensor for name, tensor in source.tensors.items() if "position" not in name}
    with pytest.raises(ModelError, match=r"encoder\.embeddings\.position\.weight"):
        write(tmp_path / "model", source, tensors=some)
    with pytest.raises(ModelError, match="no Hugging Face name"):
        write(tmp_path / "model", source, head_rules=())
    assert names(tmp_path) == ["source"]


# Tokenizers


@pytest.mark.parametrize("lower_case", [True, False])
def test_transformers_loads_the_same_tokenizer(source: ModelSource, tmp_path: Path, lower_case: bool) -> None:
    write_vocabulary(source.directory, lower_case=lower_case)
    ours = load_tokenizer(source.directory)
    ours.add_tokens(["tokenised"])  # an id beyond vocab.txt
    saved = write(tmp_path / "model", source, tokenizer=ours)
    theirs = AutoTokenizer.from_pretrained(saved)
    text = f"{TEXT} tokenised"
    assert theirs(text, "a b")["input_ids"] == ours.encode(text, "a b").ids
    assert theirs.model_max_length == source.config.max_position_embeddings
    special = (theirs.pad_token_id, theirs.cls_token_id, theirs.sep_token_id, theirs.mask_token_id)
    assert special == (0, 2, 3, 4)


def test_a_tokenizer_of_another_form_keeps_its_form(source: ModelSource, tmp_path: Path) -> None:
    parts = json.loads(load_tokenizer(source.directory).to_str())
    parts["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}  # accents are kept
    ours = Tokenizer.from_str(json.dumps(parts))
    saved = write(tmp_path / "model", source, tokenizer=ours)
    theirs = AutoTokenizer.from_pretrained(saved)
    assert theirs(TEXT)["input_ids"] == ours.encode(TEXT).ids
    assert theirs(TEXT)["input_ids"] != load_tokenizer(source.directory).encode(TEXT).ids


def test_the_vocabulary_is_written_only_where_lines_are_ids(source: ModelSource) -> None:
    tokenizer = load_tokenizer(source.directory)
    assert tokenizer_files(tokenizer, 48)["vocab.txt"].decode().splitlines() == VOCABULARY
    parts = json.loads(tokenizer.to_str())
    del parts["model"]["vocab"]["a"]
    with_gap = Tokenizer.from_str(json.dumps(parts))
    assert "vocab.txt" not in tokenizer_files(with_gap, 48)
    of_another_kind = Tokenizer(WordLevel({"[CLS]": 0, "[SEP]": 1}, unk_token="[CLS]"))
    assert "vocab.txt" not in tokenizer_files(of_another_kind, 48)


# Replacing


def test_a_model_is_replaced_and_notes_are_kept(source: ModelSource, tmp_path: Path) -> None:
    saved = write(tmp_path / "model", source, extra_files={"README.md": b"old"})
    (saved / "note.txt").write_text("mine")
    (saved / "pytorch_model.bin").write_text("of the model before")
    changed = {**source.tensors, "head.output.bias": torch.tensor([5.0, 6.0])}
    write(saved, source, tensors=changed, extra_files={"README.md": b"new"})
    assert names(saved) == sorted([*FILES, "README.md", "note.txt"])
    assert (saved / "README.md").read_bytes() == b"new"
    assert saved_tensors(saved)["qa_outputs.bias"].tolist() == [5.0, 6.0]
    assert names(tmp_path) == ["model", "source"]


def test_an_empty_directory_is_filled_and_a_link_followed(source: ModelSource, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    write(tmp_path / "link", source)
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "empty") == FILES


def test_other_directories_and_files_are_left_alone(source: ModelSource, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    with pytest.raises(ModelError, match="other than a model"):
        write(tmp_path / "home", source)
    with pytest.raises(ModelError, match="this is a file"):
        write(tmp_path / "home" / "thesis.txt", source)
    assert names(tmp_path / "home") == ["thesis.txt"]


@pytest.mark.parametrize("config", ["{}", '{"port": 80}', "[1]", "no JSON", '["model_type"]'])
def test_a_config_of_something_else_does_not_make_a_model(source: ModelSource, tmp_path: Path, config: str) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "config.json").write_text(config)
    (app / "firmware.bin").write_text("mine")
    with pytest.raises(ModelError, match="other than a model"):
        convert(str(source.directory), app, overwrite=True)
    assert {name: (app / name).read_text() for name in names(app)} == {"config.json": config, "firmware.bin": "mine"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_called_config_is_not_waited_for(source: ModelSource, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ModelError, match="other than a model"):
        convert(str(source.directory), tmp_path, overwrite=True)


def test_only_what_is_of_a_model_is_replaced_and_the_rest_is_named(source: ModelSource, tmp_path: Path) -> None:
    saved = write(tmp_path / "model", source)
    theirs = ("firmware.bin", "data.h5", "lora.safetensors", "packages.index.json", "voice.onnx", "tokenizer.txt")
    of_a_model = ("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json", "special_tokens_map.json")
    for name in (*theirs, *of_a_model):
        (saved / name).write_text("before")
    (saved / "notes.bin").mkdir()
    converted = convert(str(source.directory), saved, overwrite=True)
    assert names(saved) == sorted([*FILES, *theirs, "notes.bin"])
    assert f"stays in the output: {', '.join(sorted([*theirs, 'notes.bin']))}." in converted.notes[-1]
    (saved / "README.md").mkdir()
    with pytest.raises(ModelError, match="other than a model"):
        convert(str(source.directory), saved, overwrite=True)


def test_the_folder_that_one_is_in_and_the_home_are_not_replaced(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = write(tmp_path / "outer", source) / "inner"
    here.mkdir()
    home = write(tmp_path / "home", source)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    for output in (".", "..", here, "~", "~/", home):
        with pytest.raises(ModelError, match="your home, or the folder that you are in"):
            convert(str(source.directory), output, overwrite=True)
    assert names(tmp_path / "home") == FILES
    convert(str(source.directory), "~/made")
    convert(str(source.directory), "./made")
    assert names(home / "made") == names(here / "made") == FILES
    assert names(here) == ["made"]


def test_a_failure_leaves_the_model_before(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = write(tmp_path / "model", source)
    before = {name: (saved / name).read_bytes() for name in names(saved)}

    def no_room(directory: Path) -> None:
        (directory / "config.json").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        replace_directory(saved, no_room)

    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("not now")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="not now"):
        write(saved, source, extra_files={"new": b""})
    assert {name: (saved / name).read_bytes() for name in names(saved)} == before
    assert names(tmp_path) == ["model", "source"]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("n_renames", [0, 1, 2])
def test_what_a_killed_writer_left_is_cleared_by_the_next(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_renames: int
) -> None:
    """Killed before the old model is moved away, before the new one is in its place, or before notes are carried."""
    saved = write(tmp_path / "model", source)
    (saved / "note.txt").write_text("mine")
    rename, n_left = Path.rename, n_renames

    def killed_at_a_rename(self: Path, target: Path) -> Path:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at_a_rename)
        patch.setattr("shutil.rmtree", lambda *arguments, **named: None)  # nor is anything tidied
        with pytest.raises(Killed):
            write(saved, source)
    assert len(names(tmp_path)) > 2, "nothing was left over, so this shows nothing"
    write(saved, source, extra_files={"new": b""})
    assert names(saved) == sorted([*FILES, "new", "note.txt"])
    assert names(tmp_path) == ["model", "source"]


def test_two_writers_take_turns(source: ModelSource, tmp_path: Path) -> None:
    """Neither takes what the other is writing for something left over."""
    inside, overlaps = [0], [0]

    def fill(beside: Path) -> None:
        inside[0] += 1
        overlaps[0] = max(overlaps[0], inside[0])
        (beside / "config.json").write_text('{"model_type": "distilbert"}')
        time.sleep(0.02)
        assert (beside / "config.json").is_file()
        inside[0] -= 1

    if os.name != "posix":
        pytest.skip("nothing is locked here")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(replace_directory, tmp_path / "model", fill) for _ in range(8)]:
            done.result()
    assert overlaps == [1]
    assert names(tmp_path) == ["model", "source"]


def test_everything_is_on_the_disk_before_it_is_renamed(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name.split("-")[0])
        fsync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        events.append("rename")
        return rename(self, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    write(tmp_path / "model", source)
    assert sorted(events[:-3]) == FILES
    assert events[-3:] == [f".model.{os.getpid()}", "rename", tmp_path.name.split("-")[0]]


# Converting


def test_convert_keeps_the_head(source: ModelSource, tmp_path: Path) -> None:
    output = tmp_path / "out"
    notes = convert(str(source.directory), output, head_rules=HEAD_RULES).notes
    assert any("head is kept" in note for note in notes)
    assert names(output) == FILES
    expected = saved_tensors(source.directory)
    assert saved_tensors(output).keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in saved_tensors(output).items())


@pytest.mark.parametrize("kind", ["bare", "sequence classification"])
def test_convert_without_a_head_for_the_task(tmp_path: Path, kind: str) -> None:
    save_tiny(tmp_path / "in", tiny_model(kind))
    notes = convert(str(tmp_path / "in"), tmp_path / "out", head_rules=HEAD_RULES).notes
    assert any("no head" in note for note in notes)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["DistilBertModel"]
    assert all(name.startswith("distilbert.") for name in saved_tensors(tmp_path / "out"))


def test_convert_bert(tmp_path: Path) -> None:
    save_tiny(tmp_path / "in", tiny_model("question answering", "bert"))
    notes = convert(str(tmp_path / "in"), tmp_path / "out", head_rules=HEAD_RULES).notes
    assert any("token-type" in note for note in notes)
    _, report = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values())


def test_convert_overwrites_nothing_unless_told(source: ModelSource, tmp_path: Path) -> None:
    taken = write(tmp_path / "taken", source)
    (taken / "pytorch_model.bin").write_text("of another model")
    with pytest.raises(ModelError, match="holds a model already") as caught:
        convert(str(source.directory), taken)
    assert "--overwrite" in caught.value.fix
    with pytest.raises(ModelError, match="this is a file"):
        convert(str(source.directory), source.directory / "vocab.txt")
    assert (taken / "pytorch_model.bin").is_file()
    convert(str(source.directory), taken, overwrite=True)
    assert names(taken) == FILES
    (tmp_path / "empty").mkdir()
    convert(str(source.directory), tmp_path / "empty")
    assert names(tmp_path / "empty") == FILES


def test_a_model_never_replaces_itself(source: ModelSource, tmp_path: Path) -> None:
    before = names(source.directory)
    (tmp_path / "link").symlink_to(source.directory)
    for output in (source.directory, tmp_path / "link"):
        with pytest.raises(ModelError, match="the model itself"):
            convert(str(source.directory), output, overwrite=True)
    assert names(source.directory) == before


def test_an_output_that_cannot_be_written_is_told_before_the_work(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("distiltune.model.convert.load_source", lambda *arguments: pytest.fail("too late"))
    for output in (tmp_path / "file" / "model", tmp_path / "file" / "new" / "model"):
        with pytest.raises(ModelError, match="cannot be written") as caught:
            convert(str(source.directory), output)
        assert str(output) in caught.value.where
    assert names(tmp_path) == ["file", "source"]


def test_a_disk_that_fills_up_is_no_bug_of_ours(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(file: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("distiltune.model.save.write_synced", no_room)
    with pytest.raises(ModelError, match="cannot be written: No space left on device"):
        convert(str(source.directory), tmp_path / "out")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/ beside the checkout")
def test_convert_a_checkpoint_of_the_tensorflow_era(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    sample = SHARED / "models" / "tf-era-sample"
    found = load_source(str(sample), HEAD_RULES)
    assert (found.missing, found.unexpected) == ((), ())
    assert found.tensors["encoder.layers.1.feed_forward.up.weight"].shape == (32, 16)
    assert found.tensors["head.output.weight"].shape == (2, 16)

    notes = convert(str(sample), tmp_path / "out", head_rules=HEAD_RULES).notes
    assert any("TensorFlow" in note for note in notes)
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out").eval()
    expected = json.loads((sample / "expected.json").read_text())
    mask = torch.tensor(expected["attention_mask"])
    with torch.no_grad():
        found_logits = model(input_ids=torch.tensor(expected["input_ids"]), attention_mask=mask)
    for name in ("start_logits", "end_logits"):
        torch.testing.assert_close(found_logits[name], torch.tensor(expected[name]), atol=1e-5, rtol=0)
