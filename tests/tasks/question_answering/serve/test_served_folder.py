"""A folder asked over HTTP: answers with their document, its text by name, changes taken up, many clients at once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx", reason="needs the extra `dev`")
pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from fastapi.testclient import TestClient

from distiltune.serving.access import Access
from distiltune.serving.batching import BatchSettings
from distiltune.serving.gate import Limits
from distiltune.serving.listening import served_names
from distiltune.tasks.document_files import ReadDocument, read_documents
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.search import refresh as refreshing
from distiltune.tasks.question_answering.search.folder import PASSAGES_READ, Folder
from distiltune.tasks.question_answering.serve import served_folder
from distiltune.tasks.question_answering.serve.served_folder import ServedFolder
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.helpers import people

ABOUT = {each.context.split()[0]: each.context for each in people().examples}
LIMITS = Limits(answer_s=20.0, access=Access(served_names("127.0.0.1", ())))
LONG_AGO = time.time() - 86_400

Serve = Callable[..., TestClient]


@pytest.fixture(scope="module")
def answerer(people_model: Path) -> Answerer:
    return Answerer(people_model, threads=1)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for name in ("ada", "bob"):
        write(folder / f"{name}.txt", ABOUT[name])
    write(folder / "below" / "cem <b>.md", ABOUT["cem"])
    return folder


@pytest.fixture
def always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is looked at before every answer."""
    monkeypatch.setattr(served_folder, "LOOK_S", 0.0)
    monkeypatch.setattr(served_folder, "LOOK_SHARE", 1e9)


@pytest.fixture
def serve(answerer: Answerer, docs: Path, tmp_path: Path) -> Iterator[Serve]:
    """What serves the folder; whatever it answers, no path of this machine is in it."""
    clients: list[TestClient] = []

    def started(folder: ServedFolder | None = None, limits: Limits = LIMITS, by: Answerer = answerer) -> TestClient:
        folder = ServedFolder(Folder(docs, index=tmp_path / "index.sqlite")) if folder is None else folder
        app = question_answering_app(by, "people", limits, BatchSettings(), folder)
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.event_hooks["response"].append(no_path_in_it)
        clients.append(client)
        return client.__enter__()

    def no_path_in_it(response: Any) -> None:
        response.read()
        assert str(tmp_path) not in response.text

    yield started
    for each in clients:
        each.__exit__(None, None, None)


def write(path: Path, text: str, at: float = LONG_AGO) -> None:
    """Write it as a whole: a folder that is looked at meanwhile is never seen with half a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent.parent / f".{path.name}.new"
    beside.write_text(text, encoding="utf-8")
    os.utime(beside, (at, at))
    beside.replace(path)


def ask(client: TestClient, question: str, **more: Any) -> dict[str, Any]:
    response = client.post("/api/answers", json={"questions": [question], **more})
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()["replies"][0]
    return reply


def test_a_question_without_documents_is_answered_out_of_the_folder(
    serve: Serve, answerer: Answerer, docs: Path
) -> None:
    client = serve()
    reply = ask(client, "what likes cem", n_best=3)
    alone = answerer("what likes cem", Folder(docs, search="all"), n_best=3)
    assert reply["answer"]["text"] == alone.text
    assert [each["text"] for each in reply["candidates"]] == [each.text for each in alone.candidates]
    assert ask(client, "what likes cem", passages=1)["answer"]["document_name"] == "below/cem <b>.md"
    assert reply["answer"]["page"] is None
    assert reply["read_share"] == 1.0
    for found in reply["candidates"]:
        named = reply["documents"][found["document"]]
        assert named["name"] == found["document_name"]
        given = client.get("/api/document", params={"name": named["name"]}).json()
        assert given["version"] == named["version"]
        assert given["text"][found["start"] : found["end"]] == found["text"]
        assert given["characters"] == len(given["text"])
    assert len(reply["documents"]) == len({each["document"] for each in reply["candidates"]})


def test_own_texts_are_asked_as_without_a_folder(serve: Serve) -> None:
    client = serve()
    reply = ask(client, "what likes bob", documents=[{"text": ABOUT["ada"], "name": "mine"}])
    assert reply["answer"]["document_name"] == "mine"
    assert reply["documents"] == []
    theirs = client.post("/api/answers", json={"question": "what likes bob", "context": ABOUT["bob"]}).json()
    assert theirs["answer"] == "golf"
    assert client.post("/api/answers", json={"questions": ["who"], "documents": []}).status_code == 422


def test_without_a_folder_a_request_needs_documents(answerer: Answerer) -> None:
    with TestClient(question_answering_app(answerer, "x", LIMITS, BatchSettings()), base_url="http://localhost") as it:
        for route in ("/api/answers", "/api/answers/stream"):
            refused = it.post(route, json={"questions": ["who"]})
            assert refused.status_code == 422
            assert refused.json()["what"] == "The field documents is missing."
        assert it.get("/api/model").json()["folder_documents"] is None
        assert it.get("/api/documents").status_code == 404
        assert it.get("/api/document?name=ada.txt").status_code == 404
        required = it.get("/openapi.json").json()["components"]["schemas"]["AskIn"]["required"]
        assert required == ["questions", "documents"]


def test_the_stream_tells_progress_and_then_the_same(serve: Serve) -> None:
    client = serve()
    asked = {"questions": ["what likes ada", "what likes bob"], "passages": 1}
    with client.stream("POST", "/api/answers/stream", json=asked) as response:
        *progress, last = [json.loads(line) for line in response.iter_lines()]
    assert progress
    assert {line["kind"] for line in progress} == {"progress"}
    plain = client.post("/api/answers", json=asked).json()["replies"]
    assert [each["answer"]["text"] for each in last["replies"]] == ["chess", "golf"]
    assert [each["documents"] for each in last["replies"]] == [each["documents"] for each in plain]


def test_documents_are_listed_and_counted(serve: Serve) -> None:
    client = serve()
    assert client.get("/api/model").json()["folder_documents"] == 3
    assert client.get("/api/documents").json() == {"total": 3, "names": ["ada.txt", "below/cem <b>.md", "bob.txt"]}
    assert client.get("/api/documents?first=2").json() == {"total": 3, "names": ["bob.txt"]}
    assert client.get("/api/documents?first=-1").status_code == 422


@pytest.mark.parametrize(
    "name", ["../docs/ada.txt", "below/../ada.txt", "/etc/passwd", "ada.txt/", "ADA.TXT", "", "below", "index.sqlite"]
)
def test_names_are_looked_up_and_never_opened(serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    client = serve()

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a request opens a file")

    for each in ("builtins.open", "io.open", "os.open", "os.stat"):
        monkeypatch.setattr(each, refuse)
    refused = client.get("/api/document", params={"name": name})
    assert refused.status_code == 404
    assert refused.json()["what"] == "There is no such document in the folder, or not any more."
    assert not name or name not in refused.text
    assert client.get("/api/document", params={"name": "ada.txt"}).json()["text"] == ABOUT["ada"]
    assert client.get("/api/document").status_code == 422


def test_the_folder_is_behind_the_same_key_and_name(serve: Serve) -> None:
    client = serve(limits=replace(LIMITS, access=Access(served_names("127.0.0.1", ()), api_key="sesame")))
    for address in ("/api/documents", "/api/document?name=ada.txt"):
        assert client.get(address).status_code == 401
        key = {"Authorization": "Bearer sesame"}
        assert client.get(address, headers=key).status_code == 200
        assert client.get(address, headers={**key, "Host": "evil.example"}).status_code == 421


def test_what_changes_is_in_the_next_answer(serve: Serve, docs: Path, always_new: None) -> None:
    client = serve()
    before = ask(client, "what likes ada", passages=1)
    write(docs / "ada.txt", "cem likes golf . " + ABOUT["ada"], LONG_AGO + 5)
    write(docs / "dan.txt", "dan likes jazz .")
    (docs / "below" / "cem <b>.md").unlink()
    after = ask(client, "what likes ada", passages=1)
    assert before["documents"][0]["name"] == after["documents"][0]["name"] == "ada.txt"
    assert before["documents"][0]["version"] != after["documents"][0]["version"]
    given = client.get("/api/document?name=ada.txt").json()
    assert given["version"] == after["documents"][0]["version"]
    assert given["text"][after["answer"]["start"] : after["answer"]["end"]] == after["answer"]["text"]
    assert client.get("/api/documents").json()["names"] == ["ada.txt", "bob.txt", "dan.txt"]
    assert client.get("/api/document", params={"name": "below/cem <b>.md"}).status_code == 404
    assert client.get("/api/model").json()["folder_documents"] == 3


def test_many_questions_look_at_the_folder_once(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(docs, index=tmp_path / "index.sqlite")
    looks: list[int] = []
    refresh = folder.refresh

    def counted() -> None:
        looks.append(1)
        refresh()

    monkeypatch.setattr(folder, "refresh", counted)
    monkeypatch.setattr(served_folder, "LOOK_S", 60.0)
    served = ServedFolder(folder)

    async def ask_all() -> list[bool]:
        return await asyncio.gather(*(served.looked() for _ in range(64)))

    assert all(asyncio.run(ask_all()))
    assert looks == []  # it was opened a moment ago
    served._next = 0.0
    assert all(asyncio.run(ask_all()))
    assert len(looks) == 1


def test_a_look_takes_a_small_part_of_the_time(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(docs, index=tmp_path / "index.sqlite")
    monkeypatch.setattr(served_folder, "LOOK_SHARE", 0.001)
    monkeypatch.setattr(folder, "refresh", lambda: time.sleep(0.05))
    served = ServedFolder(folder)
    served._next = 0.0
    assert asyncio.run(served.looked())
    assert served._next - time.monotonic() > 0.05 / 0.001 - 20.0


def test_a_long_look_is_not_waited_for_and_that_is_said(
    serve: Serve, docs: Path, monkeypatch: pytest.MonkeyPatch, always_new: None
) -> None:
    may_read, has_begun = threading.Event(), threading.Event()

    def slow(names: list[str], encoding: str = "") -> list[ReadDocument]:
        has_begun.set()
        assert may_read.wait(20)
        return read_documents(names, encoding)

    client = serve()
    monkeypatch.setattr(served_folder, "WAIT_S", 0.05)
    monkeypatch.setattr(refreshing, "read_documents", slow)
    write(docs / "bob.txt", "bob likes chess .", LONG_AGO + 5)
    reply = ask(client, "what likes bob")
    assert has_begun.is_set()
    assert reply["answer"]["text"] == "golf"  # as it was
    assert "still being looked through" in " ".join(reply["notes"])
    assert client.get("/api/document?name=bob.txt").json()["text"] == ABOUT["bob"]
    may_read.set()
    deadline = time.monotonic() + 20
    while "still being" in " ".join(ask(client, "what likes bob")["notes"]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert client.get("/api/document?name=bob.txt").json()["text"] == "bob likes chess ."


def test_a_folder_that_is_gone_is_said_and_comes_back(
    answerer: Answerer, serve: Serve, docs: Path, tmp_path: Path, always_new: None
) -> None:
    notes: list[str] = []
    client = serve(ServedFolder(Folder(docs, index=tmp_path / "index.sqlite"), on_note=notes.append))
    shutil.move(docs, tmp_path / "away")
    for route in ("/api/answers", "/api/answers/stream", "/api/answers"):
        refused = client.post(route, json={"questions": ["what likes ada"]})
        assert refused.status_code == 503
        assert "the folder is gone" in refused.json()["what"]
    assert [note for note in notes if str(docs) in note] == notes  # whoever runs it is told where, once
    assert len(notes) == 1
    own = ask(client, "what likes bob", documents=[{"text": ABOUT["bob"]}])
    assert own["answer"]["text"] == "golf"
    shutil.move(tmp_path / "away", docs)
    assert ask(client, "what likes ada", passages=1)["answer"]["text"] == "chess"
    assert notes[1:] == ["the documents are there again"]


def test_who_runs_it_is_told_of_files_once(docs: Path, tmp_path: Path, always_new: None) -> None:
    notes: list[str] = []
    served = ServedFolder(Folder(docs, index=tmp_path / "index.sqlite"), on_note=notes.append)
    write(docs / "empty.txt", "")
    write(docs / "dan.txt", "dan likes jazz .")
    for _ in range(3):
        assert asyncio.run(served.looked())
    (empty,) = [note for note in notes if "empty.txt" in note]
    assert "there is no text" in empty
    assert notes.count("index: 1 document new, 0 changed, 0 gone, 3 as before") == 1
    assert len(notes) == 2


def test_sixteen_clients_get_what_each_would_get_alone(serve: Serve, docs: Path, always_new: None) -> None:
    client = serve()
    questions = [each.question for each in people().examples][:12]
    alone = {each: ask(client, each)["answer"] for each in questions}

    def ask_all(number: int) -> None:
        for question in questions[number % 4 :: 4]:
            answer = ask(client, question)["answer"]
            expected = alone[question]
            assert (answer["text"], answer["document_name"]) == (expected["text"], expected["document_name"])
            assert answer["confidence"] == pytest.approx(expected["confidence"], abs=1e-5)
            given = client.get("/api/document", params={"name": answer["document_name"]}).json()
            assert given["text"][answer["start"] : answer["end"]] == answer["text"]
            assert client.get("/api/documents").json()["total"] == 3

    def touch(_: int) -> None:
        for number in range(10):
            write(docs / "bob.txt", ABOUT["bob"], LONG_AGO + number)

    with ThreadPoolExecutor(17) as pool:
        touching = pool.submit(touch, 0)
        list(pool.map(ask_all, range(16)))
        touching.result()


def test_large_folders_are_searched_and_all_is_read_if_that_is_asked(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    for number in range(20):
        write(folder / f"{number:02}.txt", f"p{number} fears bats . " + "cem eats rice . " * 240)
    write(folder / "20.txt", ABOUT["ada"])
    served = ServedFolder(Folder(folder, index=tmp_path / "large.sqlite"))
    n_characters = sum(len(each.read_text()) for each in folder.iterdir())
    assert served.characters_read(None, 1_000) == PASSAGES_READ * 1_000
    assert served.characters_read(3, 1_000) == 3_000
    assert served.characters_read(0, 1_000) == n_characters
    client = serve(served)
    reply = ask(client, "what likes ada")
    assert reply["answer"]["document_name"] == "20.txt"
    assert reply["notes"][0].endswith("passages were read, the likeliest by words.")
    assert reply["read_share"] < 0.2
    fewer = ask(client, "bats rice", passages=2)
    assert fewer["notes"][0].startswith("2 of ")
    assert ask(client, "what likes ada", passages=0)["read_share"] == 1.0
    too_much = client.post("/api/answers", json={"questions": ["who"] * 32, "passages": 1_000})
    assert too_much.status_code == 413
    assert ServedFolder(Folder(folder, index=tmp_path / "large.sqlite"), passages=4).characters_read(None, 1) == 4
    everything = ServedFolder(Folder(folder, search="all", index=tmp_path / "large.sqlite"))
    assert everything.characters_read(None, 1_000) == n_characters
    assert everything.choose(["bats"], None).notes == ((),)
    assert everything.choose(["bats"], 2).notes[0][0].startswith("2 of ")


def test_answers_name_the_page(serve: Serve, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = len("nothing here .\n\n")
    monkeypatch.setattr(
        refreshing,
        "read_documents",
        lambda names, encoding: [
            ReadDocument(each, "nothing here .\n\n" + ABOUT[Path(each).name[:3]], None, (), (0, start))
            for each in names
        ],
    )
    client = serve()
    assert ask(client, "what likes ada")["answer"]["page"] == 2
    assert client.get("/api/document?name=ada.txt").json()["pages"] == [0, start]


def test_what_the_folder_answers_is_described(serve: Serve) -> None:
    description = serve().get("/openapi.json").json()
    form = description["components"]["schemas"]["AskFolderIn"]
    assert form["required"] == ["questions"]
    assert {"404", "422", "503"} <= set(description["paths"]["/api/document"]["get"]["responses"])
    example = description["paths"]["/api/answers"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert example == {"questions": ["Who signs the lease?"]}


def test_several_models_may_have_one_folder(serve: Serve, people_model: Path, docs: Path, tmp_path: Path) -> None:
    served = ServedFolder(Folder(docs, index=tmp_path / "index.sqlite"))
    for by in (Answerer(people_model, threads=1), Answerer(people_model, threads=1, null_threshold=-1e9)):
        reply = ask(serve(served, by=by), "what likes ada", passages=1)
        assert reply["candidates"][0]["text"] == "chess"
        assert (reply["answer"] is None) == (by.null_threshold is not None)
