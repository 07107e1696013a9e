from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from distiltune.errors import TrainingError
from distiltune.runs.directory import RunDirectory, default_run_path
from distiltune.runs.record import read_run


def test_a_new_run_has_its_place(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "runs" / "new")
    run.create(overwrite=False)
    assert [path.name for path in run.path.iterdir()] == ["checkpoints"]


@pytest.mark.parametrize(
    ("recipe", "train", "name"),
    [
        ("recipes/my.toml", ["starter"], "my"),
        (None, ["starter"], "starter"),
        (None, ["data/people.json.gz", "more.csv"], "people"),
        (None, ["folder.v1"], "folder.v1"),
        (None, ["folder.v1/.."], None),
        (None, ["owner/squad.v2:plain_text"], "squad.v2-plain_text"),
        (None, ["/"], "train"),
        (None, ["no\0name"], "no\0name"),
    ],
)
def test_a_run_is_called_after_its_recipe_or_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str | None, train: list[str], name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.json.gz").write_bytes(b"")
    (tmp_path / "folder.v1").mkdir()
    place = default_run_path(Path(recipe) if recipe else None, train)
    assert place == Path("runs") / (name or tmp_path.name)


AS_RUN = '[recipe]\nepochs = 1\n[versions]\ntorch = "2"\n'


def a_run(path: Path) -> RunDirectory:
    run = RunDirectory(path)
    run.create(overwrite=False, recipe=AS_RUN)
    run.log.write_text('{"kind": "start", "time": ""}\n')
    return run


def test_a_run_is_replaced_only_if_asked(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    (run.checkpoints / "old").write_text("")
    with pytest.raises(TrainingError, match="holds a run already"):
        run.create(overwrite=False)
    assert (run.checkpoints / "old").exists()
    run.create(overwrite=True)
    assert [path.name for path in run.path.rglob("*")] == ["checkpoints"]


def test_what_no_run_writes_stays(tmp_path: Path) -> None:
    """All that a run of any task writes goes, whole or not; what lies beside it stays, and is named."""
    run = a_run(tmp_path / "run")
    ours = (
        "model",
        "events",
        ".model.7-0123abcd.new",
        ".report.html.new",
        "nbest.jsonl",
        "classes.json",
        "entities.json",
    )
    theirs = ("thesis.txt", "data", ".git", "models", ".model.notes", ".report.html.mine", ".log.jsonl")
    for name in (*ours, *theirs):
        (run.path / name).mkdir()
    assert run.create(overwrite=True, recipe=AS_RUN) == sorted(theirs)
    assert {path.name for path in run.path.iterdir()} == {"recipe.toml", "checkpoints", *theirs}


OF_A_RUN = (
    *(".lock", "log.jsonl", "report.html", ".recipe.toml.new", "model", "checkpoints", "predictions.json", "events"),
    *("checkpoints/predictions", "checkpoints/step-00000001-epochs-1", "model/config.json", "checkpoints/.x"),
)


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_link_where_a_run_writes_is_refused(tmp_path: Path, name: str) -> None:
    run = a_run(tmp_path / "run")
    (run.path / "mine").symlink_to(tmp_path)
    run.check_links()
    link = run.path / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path)
    with pytest.raises(TrainingError, match="a link where a run writes") as caught:
        run.check_links()
    assert caught.value.where == str(link)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["recipe.toml", "log.jsonl", "checkpoints/step-00000001-epochs-1", ".lock"])
def test_a_pipe_where_a_run_writes_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """By whoever begins, goes on with or reads it: nobody may ever write into it."""
    run = a_run(tmp_path / "run")
    place = run.path / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    os.mkfifo(place)
    with pytest.raises(TrainingError, match="a pipe or a device where a run writes") as caught:
        run.check_links()
    assert caught.value.where == str(place)
    assert run.is_run() is (name not in ("recipe.toml", "log.jsonl"))
    with pytest.raises(TrainingError):
        read_run(run.path)


def test_a_run_directory_may_be_a_link_itself(tmp_path: Path) -> None:
    a_run(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    RunDirectory(tmp_path / "link").check_links()


def test_only_answers_are_taken_out_of_a_checkpoint(tmp_path: Path) -> None:
    """A stranger's checkpoint may hold files of any name."""
    run = a_run(tmp_path / "run")
    for folder in (tmp_path / "best", run.new_predictions):
        folder.mkdir()
        for name in ("predictions.json", "recipe.toml", "log.jsonl", "weights.safetensors"):
            (folder / name).write_text("theirs")
    before = run.recipe.read_text(), run.log.read_text()
    run.publish_predictions(tmp_path / "best")
    assert (run.path / "predictions.json").read_text() == "theirs"
    run.keep_predictions()
    assert (run.recipe.read_text(), run.log.read_text()) == before
    assert not (run.path / "weights.safetensors").exists()


def test_a_recipe_does_not_make_a_directory_a_run(tmp_path: Path) -> None:
    """Neither one that somebody wrote, nor one copied out of a run beside something else."""
    run = RunDirectory(tmp_path)
    (tmp_path / "thesis.txt").write_text("dear")
    for recipe in ("epochs = 1\n", "no recipe", AS_RUN):
        run.recipe.write_text(recipe)
        with pytest.raises(TrainingError, match="not an empty directory"):
            run.create(overwrite=True, recipe=AS_RUN)
        assert {path.name for path in tmp_path.iterdir()} == {"recipe.toml", "thesis.txt"}


def test_replacing_that_is_broken_off_can_be_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log goes last, so that what is left is a run until nothing is left."""
    run = a_run(tmp_path / "run")
    for name in ("answers.jsonl", "predictions.json", "report.html"):
        (run.path / name).write_text("")
    real, n_left = Path.unlink, 2

    def unlink(path: Path, missing_ok: bool = False) -> None:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise OSError(5, "broken off")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(TrainingError, match="broken off"):
        run.create(overwrite=True, recipe=AS_RUN)
    monkeypatch.undo()
    assert run.log.is_file()
    assert run.create(overwrite=True, recipe=AS_RUN) == []
    assert {path.name for path in run.path.iterdir()} == {"recipe.toml", "checkpoints"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "letter").write_text("dear")
    for path in (tmp_path, tmp_path / "letter"):
        with pytest.raises(TrainingError, match="not an empty directory") as caught:
            RunDirectory(path).create(overwrite=overwrite)
        assert caught.value.where == str(path)
    assert (tmp_path / "letter").read_text() == "dear"


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be made") as caught:
        RunDirectory(tmp_path / "file" / "run").create(overwrite=False)
    assert caught.value.where == str(tmp_path / "file" / "run")


def test_answers_are_kept_only_if_said(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.create(overwrite=False)
    run.keep_predictions()  # there are none
    run.new_predictions.mkdir()
    for text, keep in (("first", True), ("second", False), ("third", True)):
        run.new_predictions.mkdir(exist_ok=True)
        (run.new_predictions / "predictions.json").write_text(text)
        if keep:
            run.keep_predictions()
        run.drop_new_predictions()
        assert not run.new_predictions.exists()
        assert (run.path / "predictions.json").read_text() == ("first" if text == "second" else text)
