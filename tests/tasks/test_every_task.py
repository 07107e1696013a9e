"""Every command for the tasks beside question answering: the coach, the report, the server, the export, going on."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distiltune import EntityMarker, TextClassifier, cli, evaluate, fine_tune, resume
from distiltune.errors import DataError, ModelError, RecipeError
from distiltune.model.build import Dropouts
from distiltune.runs.fine_tune import FineTuned
from distiltune.runs.results import write_results
from distiltune.studies.compare import compare_runs
from distiltune.tasks.table import TASKS as ENTRIES
from tests.helpers import TINY, word_pieces, write_tiny_model

NAMES = ("ada", "ben", "cleo", "dan", "eva", "finn")
PLACES = ("rome", "oslo", "bern", "lima", "york", "kyiv")
FILLERS = ("sees", "likes", "leaves", "finds", "calls", "in", "at", "the", "old", "new", ".")
SETTINGS: dict[str, Any] = {
    "max_length": 16,
    "stride": 4,
    "epochs": 4,
    "learning_rate": 5e-3,
    "batch_size": 8,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "head_dropout": 0.0,
    "threads": 1,
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
TASKS = ("text-classification", "token-classification")


def text_row(i: int) -> dict[str, Any]:
    word = (NAMES if i % 2 else PLACES)[i % 6]
    return {"id": f"t{i}", "text": f"the {FILLERS[i % 5]} {word} {FILLERS[5 + i % 6]} {i}", "label": "pn"[i % 2]}


def token_row(i: int) -> dict[str, Any]:
    tokens = [NAMES[i % 6], FILLERS[i % 5], PLACES[(i // 6) % 6], FILLERS[5 + i % 6], str(i)]
    return {"id": f"t{i}", "tokens": tokens, "tags": ["B-person", "O", "B-place", "O", "O"]}


@dataclass(frozen=True)
class Made:
    """A task's files and a run."""

    task: str
    model: str
    train: str
    validation: str
    run: FineTuned


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    row = text_row if request.param == TASKS[0] else token_row
    for name, numbers in (("train", range(120)), ("validation", range(120, 150))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row(i)) + "\n" for i in numbers), encoding="utf-8")
    tokenizer = word_pieces([*NAMES, *PLACES, *FILLERS, *map(str, range(150))])
    model = write_tiny_model(folder / "tiny", tokenizer, replace(TINY, vocab_size=tokenizer.get_vocab_size()))
    files: dict[str, Any] = {
        "train": str(folder / "train.jsonl"),
        "validation": str(folder / "validation.jsonl"),
        "model": str(model),
    }
    run = fine_tune(output=folder / "run", **files, **SETTINGS)
    return Made(request.param, **files, run=run)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["distiltune", *map(str, arguments)])
        try:
            cli.main()
            left = 0
        except SystemExit as leave:
            left = int(leave.code or 0)
        printed = capsys.readouterr()
        assert left == code, printed.err
        return printed.err if code and not printed.out else printed.out  # a check that finds errors prints them

    return run


def test_the_report_shows_where_it_is_right_and_wrong(made: Made) -> None:
    page = made.run.directory.joinpath("report.html").read_text(encoding="utf-8")
    assert made.task.replace("-", " ") in page
    assert "What the coach says" in page
    assert "By length of the text" in page
    assert ("By right label" if made.task == TASKS[0] else "Found (recall)") in page
    answers = [json.loads(line) for line in (made.run.directory / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 30
    score = "accuracy" if made.task == TASKS[0] else "f1"
    if made.task == TASKS[0]:
        assert np.mean([each["exact"] for each in answers]) == pytest.approx(made.run.best.validation[score])
    else:
        right, given, wanted = (sum(each["counts"][n] for each in answers) for n in ("n_right", "n_given", "n_wanted"))
        assert 2 * right / (given + wanted) == pytest.approx(made.run.best.validation[score])
    assert all(0 <= each["confidence"] <= 1 for each in answers)


def test_check_finds_what_is_wrong(made: Made, call: Callable[..., str], tmp_path: Path) -> None:
    rows = [json.loads(line) for line in Path(made.train).read_text().splitlines()]
    wrong = dict(rows[0], id="again")
    if made.task == TASKS[0]:
        wrong["label"] = "n"
    else:
        wrong["tags"] = ["O"] * len(wrong["tags"])
    held_out = Path(made.validation).read_text().splitlines()
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n".join([*map(json.dumps, [*rows, wrong, {"id": "none"}]), *held_out[:3]]) + "\n")
    asked = ("check", bad, "--against", made.validation, "--model", made.model, "--threads", "1")
    found = json.loads(call(*asked, "--json", code=1))
    kinds = {concern["kind"]: concern for concern in found["concerns"]}
    assert kinds["label_conflict"]["count"] == 1
    assert (kinds["text_leaked"]["count"], kinds["text_leaked"]["of"]) == (3, len(held_out))
    assert any(concern["severity"] in ("warning", "error") and concern["count"] == 1 for concern in found["concerns"])
    assert found["task"] == made.task
    assert "training on this machine: about" in call(*asked, code=1)
    assert "--fix" in call(*asked, "--fix", tmp_path / "clean.jsonl", code=2)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("patience = 2\n")  # of a training that has validation data
    told = call("check", bad, "--model", made.model, "--recipe", recipe, "--max-length=16", "--stride=4")
    assert "training on this machine" in told


def test_find_lr_and_tune(made: Made, call: Callable[..., str], tmp_path: Path) -> None:
    files = ("--train", made.train, "--validation", made.validation, "--model", made.model, *FLAGS)
    found = json.loads(call("find-lr", *files, "--steps", 30, "--json"))
    assert len(found["test"]["rates"]) > 12
    assert found["score_name"] == ("accuracy" if made.task == TASKS[0] else "f1")
    assert 0.0 <= found["prior_loss"] < 5.0
    assert found["n_steps"] == len(found["test"]["rates"]) + sum(each["n_steps"] for each in found["stretches"])
    assert all(each["n_steps"] == found["n_run"] for each in found["stretches"])
    pytest.importorskip("optuna", reason="the extra tune is not installed")
    search = ("tune", *files, "--epochs", 1, "--search", "batch_size=8,16", "--trials", 2, "--output", tmp_path / "s")
    assert len(json.loads(call(*search, "--json"))["trials"]) == 2
    assert f'task = "{made.task}"' in (tmp_path / "s" / "best.toml").read_text()


def test_compare_says_by_the_tasks_own_scores(made: Made, call: Callable[..., str], tmp_path: Path) -> None:
    files: dict[str, Any] = {"train": made.train, "validation": made.validation, "model": made.model}
    other = fine_tune(output=tmp_path / "other", **files, **{**SETTINGS, "epochs": 1, "learning_rate": 1e-5})
    found = compare_runs([made.run.directory, other.directory])
    assert found.pairs[0].scores[0].n == 30
    assert found.pairs[0].scores[0].difference < 0
    text = call("compare", made.run.directory, other.directory, "--picture", tmp_path / "curves.svg")
    assert ("accuracy  macro F1" if made.task == TASKS[0] else "F1  precision") in text
    assert (tmp_path / "curves.svg").stat().st_size > 5_000


def test_it_is_served(made: Made) -> None:
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    pytest.importorskip("httpx", reason="needs the extra `dev`")
    from fastapi.testclient import TestClient

    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits

    entry = ENTRIES[made.task]
    app = entry.needed(entry.server)(str(made.run.model), "mine", Limits(), BatchSettings(), {"threads": 1})
    texts = ["the likes rome in 3", "ada sees rome . " * 8]
    with TestClient(app, base_url="http://localhost") as client:
        page = client.get("/")
        assert page.status_code == 200
        for name in ("common.js", "session.js", "texts.js", "result.js", "page.css", "result.css", "icon.svg"):
            assert name in page.text
            assert client.get(f"/{name}").status_code == 200
        about = client.get("/api/model").json()
        assert about["task"] == made.task
        assert set(about["labels"]) == ({"p", "n"} if made.task == TASKS[0] else {"person", "place"})
        results = client.post("/api/predictions", json={"texts": texts}).json()["results"]
        if made.task == TASKS[0]:
            for ours, given in zip(TextClassifier(made.run.model)(texts), results, strict=True):
                assert given["labels"] == list(ours.labels)
                assert given["scores"] == pytest.approx(dict(ours.scores), abs=1e-5)
                assert given["number"] is None
        else:
            for found, given in zip(EntityMarker(made.run.model)(texts), results, strict=True):
                assert [(each.label, each.start, each.end) for each in found] == [
                    (each["label"], each["start"], each["end"]) for each in given["entities"]
                ]
            assert results[1]["entities"]
        refused: list[Any] = [{"texts": []}, {"texts": [" "]}, {"texts": ["a"], "more": 1}, {"texts": [3]}]
        for bad in refused:
            assert client.post("/api/predictions", json=bad).status_code == 422
        assert client.post("/api/text?kind=text", content=b"some words").json()["text"] == "some words"


def test_the_client_of_hugging_face_is_answered_in_its_form(made: Made) -> None:
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits
    from distiltune.serving.site import Site
    from tests.serving.in_thread import serve_in_thread

    entry, text = ENTRIES[made.task], "ada sees rome . ben likes oslo"
    app = entry.needed(entry.server)(str(made.run.model), "mine", Limits(), BatchSettings(), {"threads": 1})
    running = serve_in_thread(Site({"": app}, Limits()))
    try:
        asked = hub.InferenceClient(model=f"{running.url}/api/predictions")
        if made.task == TASKS[0]:
            (ours,) = TextClassifier(made.run.model)([text])
            scores = {each.label: each.score for each in asked.text_classification(text)}
            assert scores == pytest.approx(dict(ours.scores), abs=1e-5)
            assert next(iter(scores)) == ours.labels[0]
        else:
            (entities,) = EntityMarker(made.run.model)([text])
            assert entities
            assert [
                (each.entity_group, each.start, each.end, each.word) for each in asked.token_classification(text)
            ] == [(each.label, each.start, each.end, each.text) for each in entities]
        address = f"{running.url}/api/predictions"
        session = hub.get_session()
        many = session.post(address, json={"inputs": [text, "ada"], "parameters": {}}).json()
        assert [type(each) for each in many] == [list, list]
        refused: list[Any] = [{"inputs": []}, {"inputs": 3}, {"inputs": text, "parameters": {"top_k": 1}}]
        for bad in refused:
            answer = session.post(address, json=bad)
            assert answer.status_code == 422
            assert answer.json()["where"].startswith(("body.inputs", "body.parameters"))
    finally:
        running.stop()


def test_a_setting_of_another_task_is_not_served(made: Made, call: Callable[..., str]) -> None:
    """Also where it is given as it is by default, since it would be handed on."""
    said = call("serve", made.run.directory, "--max-answer-tokens", 30, code=2)
    assert "max_answer_tokens is a setting of another task" in said


def test_too_slow_an_answer_gets_advice_that_can_be_followed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    pytest.importorskip("httpx", reason="needs the extra `dev`")
    from fastapi.testclient import TestClient

    from distiltune.serving import texts
    from distiltune.serving.batching import BatchSettings
    from distiltune.serving.gate import Limits

    async def forever(request: object, work: Any) -> None:
        work.close()
        await asyncio.sleep(3_600)

    monkeypatch.setattr(texts, "unless_gone", forever)
    entry = ENTRIES[made.task]
    app = entry.needed(entry.server)(str(made.run.model), "mine", Limits(answer_s=0.2), BatchSettings(), {"threads": 1})
    with TestClient(app, base_url="http://localhost") as client:
        response = client.post("/api/predictions", json={"texts": ["ada sees rome"]})
    assert response.status_code == 504
    assert response.json()["fix"] == "send less text at once"


def test_a_model_of_another_task_and_threads_below_none_are_refused(made: Made) -> None:
    ours, other = (TextClassifier, EntityMarker) if made.task == TASKS[0] else (EntityMarker, TextClassifier)
    with pytest.raises(ModelError, match=r"is asked of it|no trained"):
        other(made.run.model)
    with pytest.raises(RecipeError, match="at least 0"):
        ours(made.run.model, threads=-1)


def test_what_cannot_be_read_is_told_with_what_to_do(made: Made) -> None:
    read: Any = (TextClassifier if made.task == TASKS[0] else EntityMarker)(made.run.model, threads=1)
    asked: list[tuple[Any, str, str]] = [
        ("bell", "where a list of texts is meant", "[text]"),
        (["ada", " "], "white space only", "give something to read"),
        (["ada " * 250_001], "at most 1,000,000", "cut it into several texts"),
        ([("ada", "sees", "rome")], "not text", "give something to read"),
    ]
    for given, what, fix in asked:
        with pytest.raises(DataError, match=what) as caught:
            read(given)
        assert fix in caught.value.fix


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_less_precision_says_nearly_the_same(made: Made, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distiltune.system.device.has_bfloat16", lambda device: True)  # emulated where there is none
    texts = ["the likes rome in 3", "ada sees rome ."]
    kind: Any = TextClassifier if made.task == TASKS[0] else EntityMarker
    exact, rounded = kind(made.run.model)(texts), kind(made.run.model, precision=precision)(texts)
    if made.task == TASKS[0]:
        for one, other in zip(exact, rounded, strict=True):
            assert dict(other.scores) == pytest.approx(dict(one.scores), abs=0.05)
    else:
        assert [[each.text for each in found] for found in exact] == [
            [each.text for each in found] for found in rounded
        ]


def test_it_is_exported(made: Made, call: Callable[..., str], tmp_path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra `export`")
    import subprocess

    folder = tmp_path / "onnx"
    asked = ("export", made.run.directory, "--output", folder, "--data", made.validation, "--threads", "1")
    said = json.loads(call(*asked, "--json"))
    assert said["n_equal"] == said["n_examples"] == 30
    assert said["max_logit_difference"] < 1e-4
    assert said["score"] == pytest.approx(said["score_original"])
    assert said["score_name"] == ("macro_f1" if made.task == TASKS[0] else "f1")
    assert evaluate(folder, made.validation).metrics == pytest.approx(evaluate(made.run.model, made.validation).metrics)
    # The folder's own example, which needs nothing of ours, says the same.
    (tmp_path / "text.txt").write_text("ada sees rome .\ne\u0301va, \u0928\u0940", encoding="utf-8")
    command = [sys.executable, str(folder / "example.py"), str(tmp_path / "text.txt")]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if made.task == TASKS[0]:
        assert printed.split()[0] == TextClassifier(made.run.model)(["ada sees rome ."])[0].label
    else:
        first, second = (dict(line.split("\t") for line in part.splitlines()) for part in printed.strip().split("\n\n"))
        marked = {each.text: each.label for each in EntityMarker(made.run.model)(["ada sees rome ."])[0]}
        assert {word: tag[2:] for word, tag in first.items() if tag != "O"} == marked
        assert list(second) == ["e\u0301va", ",", "\u0928\u0940"]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "python example.py text.txt" in readme
    assert "question" not in readme


def test_an_export_is_checked_with_what_the_run_was_validated_on(made: Made, tmp_path: Path) -> None:
    """Named, or set aside from the training data, which no file holds; else somebody must say what to check with."""
    onnx = pytest.importorskip("distiltune.export.onnx", reason="needs the extra `export`")

    class SeenError(Exception):
        pass

    def checked_with(model: Path) -> list[str]:
        seen: list[str] = []

        def note(text: str) -> None:
            seen.append(text)
            raise SeenError

        with pytest.raises(SeenError):
            onnx.export_onnx(model, tmp_path / "onnx", threads=1, on_note=note)
        return seen

    assert checked_with(made.run.directory) == [f"checking with 30 examples of {made.validation}"]
    run = tmp_path / "run"
    shutil.copytree(made.run.model, run / "model")
    recipe = made.run.recipe.with_changes(validation=(), validation_share=0.25, sample_seed=3)
    (run / "recipe.toml").write_text(f"[recipe]\n{recipe.to_toml()}")
    assert checked_with(run) == [f"checking with 30 examples of {made.train}"]
    spec, config = ENTRIES[made.task](recipe), json.loads((made.run.model / "config.json").read_text())
    opened = spec.open_training(torch.device("cpu"))
    loaded = opened.load_model(str(made.run.model), Dropouts())
    aside = opened.lesson(loaded).validation
    again = spec.open_model(config).load_data((), loaded.tokenizer)
    assert aside is not None
    ids = [[each.example_id(i) for i in range(each.n_examples)] for each in (aside, again)]
    assert ids[0] == ids[1]

    moved = recipe.with_changes(train=(str(tmp_path / "gone.jsonl"),))
    (run / "recipe.toml").write_text(f"[recipe]\n{moved.to_toml()}")
    with pytest.raises(DataError, match="cannot be had again") as caught:
        onnx.export_onnx(run, tmp_path / "onnx", threads=1)
    assert "--data" in caught.value.fix
    (run / "recipe.toml").unlink()
    with pytest.raises(DataError, match="nothing to check the export with") as caught:
        onnx.export_onnx(run, tmp_path / "onnx", threads=1)
    assert "--data" in caught.value.fix


def test_8_bits_need_gold_to_be_measured_by(made: Made, tmp_path: Path) -> None:
    onnx = pytest.importorskip("distiltune.export.onnx", reason="needs the extra `export`")
    rows = [json.loads(line) for line in Path(made.validation).read_text().splitlines()]
    bare = [{name: row[name] for name in ("text", "tokens") if name in row} for row in rows]
    data = tmp_path / "bare.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in bare), encoding="utf-8")
    with pytest.raises(DataError, match="the data has no gold answers"):
        onnx.export_onnx(made.run.model, tmp_path / "onnx", int8=True, data=(str(data),), threads=1)


def test_a_run_goes_on_without_its_base_model(made: Made, tmp_path: Path) -> None:
    files: dict[str, Any] = {"train": made.train, "validation": made.validation}
    whole = fine_tune(output=tmp_path / "whole", model=made.model, **files, **SETTINGS)
    base = write_again(Path(made.model), tmp_path / "base")

    def stop(report: Any) -> bool:
        if report.epoch == 1:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        fine_tune(output=tmp_path / "run", model=str(base), go_on=stop, **files, **SETTINGS)
    for path in base.iterdir():
        path.unlink()
    gone_on = resume(tmp_path / "run")
    assert [epoch.train for epoch in gone_on.epochs] == [epoch.train for epoch in whole.epochs]
    assert gone_on.best.validation == whole.best.validation


def write_again(model: Path, directory: Path) -> Path:
    directory.mkdir()
    for path in model.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    return directory


def test_the_coach_sums_up_the_predictions_of_the_best_epoch(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie in the best epoch's checkpoint; what the run directory has may be gone, or of another epoch."""

    def lose_them_first(run: Any, *arguments: Any) -> Any:
        (run.path / "predictions.jsonl").unlink()
        return write_results(run, *arguments)

    monkeypatch.setattr("distiltune.runs.fine_tune.write_results", lose_them_first)
    files: dict[str, Any] = {"train": made.train, "validation": made.validation, "model": made.model}
    fine_tune(output=tmp_path / "run", **files, **{**SETTINGS, "epochs": 1})
    assert len((tmp_path / "run" / "answers.jsonl").read_text().splitlines()) == 30


def test_runs_of_two_tasks_are_not_compared(made: Made, call: Callable[..., str], tmp_path: Path) -> None:
    recipe = (made.run.directory / "recipe.toml").read_text()
    other = write_again_run(made.run.directory, tmp_path / "other")
    changed = recipe.replace(f'task = "{made.task}"', 'task = "question-answering"')
    (other / "recipe.toml").write_text(changed)
    assert "different tasks" in call("compare", made.run.directory, other, code=1)


def write_again_run(run: Path, directory: Path) -> Path:
    directory.mkdir()
    for name in ("log.jsonl", "answers.jsonl"):
        (directory / name).write_bytes((run / name).read_bytes())
    return directory
