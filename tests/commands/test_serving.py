"""`distiltune serve` as it is started: names, who may ask, environment variables, JSON logs."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra `serve`")

from fastapi import FastAPI

import distiltune
from distiltune.commands import serving
from distiltune.commands.app import app
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.python import serve as python_serve
from distiltune.python.serve import ServingAccess, ServingLimits
from distiltune.recipe import choose_task
from distiltune.serving import listening
from distiltune.tasks.question_answering.serve import service
from distiltune.tasks.table import TASKS

Started = list[tuple[dict[str, str], tuple[str, int], ServingLimits, ServingAccess, dict[str, Any], Any]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would be served."""
    found: Started = []

    def serve(*given: Any) -> None:
        models, address, limits, access, note, settings, *documents = given
        found.append((models, address, limits, access, settings, *documents))
        note("serving it")

    monkeypatch.setattr(python_serve, "serve_until_stopped", serve)
    return found


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """Logging as it was."""
    root, own = logging.getLogger(), logging.getLogger("distiltune.serving")
    handlers, level = list(root.handlers), own.level
    yield
    root.handlers[:], own.level = handlers, level


def serve(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["serve", *arguments], env=dict(env or {}))
    return result.exit_code, result.output + str(result.exception or "")


def test_every_flag_can_be_an_environment_variable(started: Started) -> None:
    env = {
        "DISTILTUNE_SERVE_RUNS": "runs/a",
        "DISTILTUNE_SERVE_PORT": "9",
        "DISTILTUNE_SERVE_HOST": "0.0.0.0",
        "DISTILTUNE_SERVE_API_KEY": "sesame",
        "DISTILTUNE_SERVE_ALLOW_HOST": "one two",
        "DISTILTUNE_SERVE_METRICS_ON_LOOPBACK": "1",
        "DISTILTUNE_SERVE_ANSWER_SECONDS": "7.5",
        "DISTILTUNE_SERVE_THREADS": "2",
    }
    assert serve(env=env)[0] == 0
    ((models, address, limits, access, settings, documents),) = started
    assert documents is None
    assert models == {"": "runs/a"}
    assert address == ("0.0.0.0", 9)
    assert limits.answer_seconds == 7.5
    assert access == ServingAccess(("one", "two"), "sesame", False, True)
    assert settings == {"threads": 2}
    assert serve("runs/b", "--port", "10", env=env)[0] == 0  # what is said wins
    assert started[1][:2] == ({"": "runs/b"}, ("0.0.0.0", 10))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("ada likes chess .")
    (folder / "empty.txt").write_text("")
    return folder


def test_documents_are_opened_as_their_flags_say_and_told_of(started: Started, docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.sqlite"
    flags = ("--documents", str(docs), "--search", "words", "--index", str(index), "--passages", "3")
    status, _ = serve("runs/a", *flags, "--encoding", "latin-1", env={"DISTILTUNE_SERVE_THREADS": "2"})
    assert status == 0
    *_, settings, documents = started[0]
    assert settings == {"threads": 2}  # the encoding is the documents' alone
    assert documents.passages == 3
    folder = documents.open()
    assert (folder.n_documents, folder.way, folder.place) == (1, "words", index)
    env = {"DISTILTUNE_SERVE_DOCUMENTS": f"{docs} {docs / 'a.txt'}"}
    assert serve("runs/a", env=env)[0] == 0
    assert started[1][-1].open().named == (str(docs), str(docs / "a.txt"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--search", "words"), "There are no documents to search"),
        (("--passages", "2"), "There are no documents to search"),
        (("--encoding", "latin-1"), "There are no documents to search"),
        (("--encoder", "starter", "--index", "x"), "--encoder, --index"),
        (("--documents", "DOCS", "--search", "all", "--passages", "3"), "everything is read"),
        (("--documents", "DOCS", "--search", "words", "--encoder", "starter"), "no use for vectors"),
    ],
)
def test_flags_of_documents_that_do_not_go_together(
    started: Started, docs: Path, flags: tuple[str, ...], words: str
) -> None:
    status, said = serve("runs/a", *(str(docs) if each == "DOCS" else each for each in flags))
    assert status != 0
    assert words in said
    assert started == []


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_folder_without_documents_is_said_before_a_model_is_loaded(
    people_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(python_serve, "_load", lambda *given: pytest.fail("a model is loaded"))
    status, said = serve(str(people_model), "--documents", str(tmp_path / name))
    assert status == 1
    assert name in said


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The folders that models would be loaded with, by the models' names, which are their tasks; none is served."""
    found: dict[str, Any] = {}

    def load(name: str, model: str, gate: Any, limits: Any, settings: Any, folder: Any) -> FastAPI:
        found[model] = folder
        app = FastAPI()
        app.state.about, app.state.notes = {"name": name, "task": model, "version": "1"}, ()
        app.state.batcher = SimpleNamespace(queued_tokens=0)
        return app

    monkeypatch.setattr(choose_task, "entry_of_model", TASKS.__getitem__)
    monkeypatch.setattr(python_serve, "_load", load)
    monkeypatch.setattr(listening, "run", lambda *given: None)
    return found


def test_of_several_models_those_ask_the_documents_that_answer_questions(loaded: dict[str, Any], docs: Path) -> None:
    said: list[str] = []
    models = {"qa": "question-answering", "mood": "text-classification"}
    distiltune.serve(models, documents=[docs / "a.txt", docs], passages=2, on_note=said.append)
    folder = loaded["question-answering"]
    assert folder.n_documents == 1
    assert folder.characters_read(None, 10) == 20
    assert any(note.startswith("mood: does not ask the documents, as it is for text-classification") for note in said)
    assert "1 document can be asked, of 17 characters" in said
    assert any("empty.txt" in note for note in said)
    distiltune.serve({"": "question-answering"}, documents=distiltune.Folder(docs, search="words"), on_note=said.append)
    assert loaded["question-answering"] is not folder
    assert loaded["question-answering"].names() == ["a.txt"]


def test_a_model_of_another_task_does_not_ask_documents(loaded: dict[str, Any], docs: Path) -> None:
    with pytest.raises(RecipeError, match="this is one for text-classification") as raised:
        distiltune.serve("text-classification", documents=docs)
    assert raised.value.where == "documents="
    assert loaded == {}
    with pytest.raises(RecipeError, match="Nothing is searched"):
        distiltune.serve("question-answering", passages=3)


def test_what_is_more_than_is_read_at_once_is_searched(
    loaded: dict[str, Any], docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_CHARACTERS", 16)
    with pytest.raises(RecipeError, match="17 characters, and at most 16 are read at once"):
        distiltune.serve("question-answering", documents=distiltune.Folder(docs, search="all"))
    distiltune.serve("question-answering", documents=distiltune.Folder(docs), on_note=lambda text: None)


def test_a_variable_that_no_flag_has_is_told(started: Started) -> None:
    _, said = serve("runs/a", env={"DISTILTUNE_SERVE_PROT": "9"})
    assert "DISTILTUNE_SERVE_PROT" in " ".join(said.split())
    assert "DISTILTUNE_SERVE_PORT" not in serve("runs/a", env={"DISTILTUNE_SERVE_PORT": "9"})[1]


def test_several_models_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert serving.by_name(["qa=runs/a", "mood=org/name"]) == {"qa": "runs/a", "mood": "org/name"}
    assert serving.by_name(["runs/a"]) == {"": "runs/a"}
    for given in (["a=x", "a=y"], ["runs/a", "runs/b"]):
        with pytest.raises(RecipeError, match="NAME=RUN"):
            serving.by_name(given)
    monkeypatch.chdir(tmp_path)
    Path("lr=3e-5").mkdir()
    assert serving.by_name(["lr=3e-5"]) == {"": "lr=3e-5"}  # a run of that name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0"), "it is not said who may ask"),
        (("--host", "::"), "it is not said who may ask"),
        (("--host", "10.0.0.1", "--api-key", "k", "--no-api-key"), "A key and none"),
    ],
    ids=["any address", "any address of version 6", "both"],
)
def test_an_address_that_others_can_reach_wants_to_know_who_may_ask(arguments: tuple[str, ...], said: str) -> None:
    status, told = serve("starter-qa", *arguments)
    assert status != 0
    assert said in told


def test_json_logs_say_everything_as_json(
    started: Started, plain_logs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    serving._log_as_json()
    logging.getLogger().handlers[-1].stream = sys.stdout  # type: ignore[attr-defined]
    logging.getLogger("distiltune.serving.notes").info("ready “now”")
    said = {"method": "POST", "route": "/api/answers", "status": 200, "ms": 1.5}
    logging.getLogger("distiltune.serving.requests").info("request", extra={"said": said})
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["level"], first["message"]) == ("info", "ready “now”")
    assert first["time"].endswith("Z")
    assert {"message": "request", **said}.items() <= second.items()


@pytest.mark.parametrize("what", ["serve", "label"])
def test_in_a_notebook_whose_loop_runs_it_is_refused(what: str, tmp_path: Path) -> None:
    async def cell() -> None:
        if what == "serve":
            distiltune.serve("starter-qa", port=0)
        else:
            distiltune.label([{"text": "one"}], tmp_path / "mine.jsonl", port=0, task="text-classification")

    with pytest.raises(DistiltuneError, match="one runs here already") as raised:
        asyncio.run(cell())
    assert "terminal" in raised.value.fix
