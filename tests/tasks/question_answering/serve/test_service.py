"""The API over ASGI: answers, limits, errors in one form, headers; nothing of a request is kept or logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx", reason="needs the extra `dev`")
pytest.importorskip("prometheus_client", reason="needs the extra `serve`")

from fastapi.testclient import TestClient

from distiltune.serving import asking
from distiltune.serving.access import Access
from distiltune.serving.batching import BatchSettings
from distiltune.serving.gate import CONTENT_SECURITY_POLICY, Limits
from distiltune.serving.listening import served_names
from distiltune.serving.site import Site
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.documents import Document
from distiltune.tasks.question_answering.reply_notes import ALWAYS_ANSWERS
from distiltune.tasks.question_answering.serve.service import question_answering_app
from distiltune.version import __version__
from tests.helpers import people
from tests.serving.in_thread import serve_in_thread

ASKED = people().examples
LIMITS = Limits(max_body_bytes=300_000, receive_s=0.3, answer_s=5.0, access=Access(served_names("127.0.0.1", ())))
PATHS = sorted(path.name for path in Path(__file__).parents[4].glob("src/distiltune/tasks/question_answering/page/*"))


@pytest.fixture(scope="module")
def answerer(people_model: Path) -> Answerer:
    return Answerer(people_model, threads=1)


@pytest.fixture(scope="module")
def app(answerer: Answerer) -> Site:
    return question_answering_app(answerer, "people", LIMITS, BatchSettings())


@pytest.fixture(scope="module")
def client(app: Site) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def question(number: int = 0, **more: object) -> dict[str, Any]:
    asked = ASKED[number]
    return {"questions": [asked.question], "documents": [{"text": asked.context}], **more}


def test_it_answers_as_the_answerer_does(client: TestClient, answerer: Answerer) -> None:
    for number in (0, 7, 30):
        response = client.post("/api/answers", json=question(number, n_best=3))
        assert response.status_code == 200
        (reply,) = response.json()["replies"]
        expected = answerer(ASKED[number].question, ASKED[number].context, n_best=3)
        assert reply["question"] == ASKED[number].question
        assert reply["answer"]["text"] == expected.text
        assert [c["start"] for c in reply["candidates"]] == [c.start for c in expected.candidates]
        assert [c["confidence"] for c in reply["candidates"]] == pytest.approx(
            [c.confidence for c in expected.candidates], abs=1e-5
        )


def test_several_questions_on_several_documents(client: TestClient) -> None:
    documents = [{"name": each.id, "text": each.context} for each in ASKED[::4]]
    questions = [each.question for each in ASKED[:5]]
    response = client.post("/api/answers", json={"questions": questions, "documents": documents})
    replies = response.json()["replies"]
    assert [reply["question"] for reply in replies] == questions
    for reply in replies:
        for candidate in reply["candidates"]:
            document = documents[candidate["document"]]
            assert candidate["document_name"] == document["name"]
            assert document["text"][candidate["start"] : candidate["end"]] == candidate["text"]


def test_offsets_are_code_points(client: TestClient) -> None:
    text = "\N{PARTY POPPER}\N{GRINNING FACE} שלום " + ASKED[0].context
    asked = {"questions": [ASKED[0].question], "documents": [{"text": text}]}
    for candidate in client.post("/api/answers", json=asked).json()["replies"][0]["candidates"]:
        assert text[candidate["start"] : candidate["end"]] == candidate["text"]


def test_the_stream_tells_progress_and_then_the_same_replies(client: TestClient) -> None:
    text = " ".join(each.context for each in ASKED) * 3
    asked = {"questions": ["what eats ada"], "documents": [{"text": text}], "passages": 0}
    with client.stream("POST", "/api/answers/stream", json=asked) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in response.iter_lines()]
    *progress, last = lines
    assert progress
    assert all(line["kind"] == "progress" and 0 <= line["read"] <= line["of"] for line in progress)
    assert last["kind"] == "replies"
    plain = client.post("/api/answers", json=asked).json()
    assert last["replies"][0]["answer"] == pytest.approx(plain["replies"][0]["answer"], abs=1e-5)


def test_long_texts_are_read_passage_wise_unless_told(client: TestClient) -> None:
    text = " ".join(each.context for each in ASKED) * 30 + "x " * 20_000
    asked = {"questions": ["what eats ada"], "documents": [{"text": text}]}
    assert client.post("/api/answers", json=asked).json()["replies"][0]["read_share"] < 0.7
    little = {**asked, "documents": [{"text": text[:5_000]}]}
    assert client.post("/api/answers", json=little).json()["replies"][0]["read_share"] == 1.0


def test_no_answer_is_null(people_model: Path) -> None:
    never = Answerer(people_model, threads=1, null_threshold=-1e9)
    with TestClient(question_answering_app(never, "never", LIMITS, BatchSettings()), base_url="http://localhost") as it:
        (reply,) = it.post("/api/answers", json=question()).json()["replies"]
        assert reply["answer"] is None
        assert reply["candidates"]
        assert it.get("/api/model").json()["can_decline"] is True


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        (b"{", 400, "body"),
        (b"[]", 422, "body"),
        (b'{"questions": [], "documents": [{"text": "a"}]}', 422, "questions"),
        (b'{"questions": ["  "], "documents": [{"text": "a"}]}', 422, "questions.0"),
        (b'{"questions": ["\\u001f"], "documents": [{"text": "a"}]}', 422, ""),
        (b'{"questions": ["a"], "documents": [{"text": "\\n "}]}', 422, "documents.0.text"),
        (b'{"questions": ["a"], "documents": []}', 422, "documents"),
        (b'{"questions": ["\\ud800"], "documents": [{"text": "a"}]}', 422, ""),
        (b'{"questions": ["a"], "documents": [{"text": "b"}], "n_best": 0}', 422, "n_best"),
        (b'{"questions": ["a"], "documents": [{"text": "b"}], "n_best": "5"}', 422, "n_best"),
        (b'{"questions": ["a"], "documents": [{"text": "b"}], "file": "/etc/passwd"}', 422, "file"),
    ],
)
@pytest.mark.parametrize("route", ["/api/answers", "/api/answers/stream"])
def test_what_is_not_as_described_is_refused_without_echo(
    client: TestClient, route: str, body: bytes, status: int, where: str
) -> None:
    response = client.post(route, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert set(response.json()) == {"what", "where", "fix"}
    assert where in response.json()["where"]


def test_other_content_types_are_refused(client: TestClient) -> None:
    """A form on another site can send text/plain without asking; JSON it cannot."""
    body = json.dumps(question()).encode()
    assert client.post("/api/answers", content=body, headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_body_over_the_limit_is_413_whether_declared_or_not(client: TestClient) -> None:
    large = b" " * 300_001
    assert client.post("/api/answers", content=large).status_code == 413
    chunks = (b" " * 10_000 for _ in range(31))
    response = client.post("/api/answers", content=chunks)
    assert response.status_code == 413
    assert "0.3 MB" in response.json()["what"]


def test_more_work_than_allowed_is_413(client: TestClient) -> None:
    asked = {"questions": ["who?"] * 32, "documents": [{"text": "word " * 50_000}], "passages": 0}
    response = client.post("/api/answers", json=asked)
    assert response.status_code == 413
    assert "passages" in response.json()["fix"]


def slow(app: Site, monkeypatch: pytest.MonkeyPatch, answerer: Answerer, seconds: float) -> None:
    model = answerer.loaded.model
    forward = model.forward

    def wait(batch: Any) -> torch.Tensor:
        time.sleep(seconds)
        result: torch.Tensor = forward(batch)
        return result

    monkeypatch.setattr(model, "forward", wait)


def test_an_answer_that_takes_too_long_is_504(people_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Answerer(people_model, threads=1)
    limits = Limits(answer_s=0.2)
    app = question_answering_app(own, "slow", limits, BatchSettings())
    slow(app, monkeypatch, own, 0.6)
    with TestClient(app, base_url="http://localhost") as client:
        response = client.post("/api/answers", json=question())
        assert response.status_code == 504
        time.sleep(0.8)  # until the model is free
        with client.stream("POST", "/api/answers/stream", json=question()) as streamed:
            lines = [json.loads(line) for line in streamed.iter_lines()]
        assert lines[-1]["kind"] == "problem"
        assert "0.2 s" in lines[-1]["what"]


def test_a_full_queue_is_503_with_a_time(people_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Answerer(people_model, threads=1)
    app = question_answering_app(own, "slow", Limits(max_requests=6), BatchSettings(max_queued_tokens=60))
    slow(app, monkeypatch, own, 0.3)
    with TestClient(app, base_url="http://localhost") as client, ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(lambda i: client.post("/api/answers", json=question(i)), range(20)))
        statuses = [response.status_code for response in responses]
        assert set(statuses) == {200, 503}
        for number, response in enumerate(responses):
            if response.status_code == 503:
                assert int(response.headers["retry-after"]) >= 1
            else:
                assert response.json()["replies"][0]["question"] == ASKED[number].question
        assert client.post("/api/answers", json=question()).status_code == 200  # and it goes on


Message = dict[str, Any]


async def send_raw(app: Site, messages: list[Message], pause_s: float, **scope: Any) -> list[Message]:
    """One request by hand, message by message; the answer's messages."""
    sent: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(pause_s)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    whole = {
        "type": "http", "method": "POST", "path": "/api/answers", "raw_path": b"/api/answers", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")], "http_version": "1.1",
        "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": "", **scope,
    }  # fmt: skip
    run: Callable[..., Awaitable[None]] = app
    await run(whole, receive, send)
    return sent


def test_a_body_that_does_not_arrive_is_408(app: Site, client: TestClient) -> None:
    part: Message = {"type": "http.request", "body": b'{"questions": [', "more_body": True}
    sent = asyncio.run(send_raw(app, [part], 5.0))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_client_that_goes_away_while_sending_is_no_error(app: Site, client: TestClient) -> None:
    part: Message = {"type": "http.request", "body": b"{", "more_body": True}
    assert asyncio.run(send_raw(app, [part], 0.0)) == []


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_other_names_are_refused_on_a_loopback_address(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 421
    for name in ("localhost:8000", "127.0.0.1", "[::1]:80"):
        assert client.get("/", headers={"Host": name}).status_code == 200


def test_every_answer_has_the_security_headers(client: TestClient) -> None:
    for response in (
        client.get("/"),
        client.get("/no-such-thing"),
        client.post("/api/answers", json=question()),
        client.post("/api/answers", content=b" " * 300_001),
        client.get("/metrics"),
    ):
        assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert client.post("/api/answers", json=question()).headers["cache-control"] == "no-store"


def test_the_page_needs_no_other_server(client: TestClient) -> None:
    served = {"index.html": "/"} | {name: f"/{name}" for name in PATHS if name != "index.html"}
    for name in PATHS:
        response = client.get(served[name])
        assert response.status_code == 200
        addresses = re.findall(r"(?:https?:)?//[\w.-]+", re.sub(r"^\s*//.*$", "", response.text, flags=re.MULTILINE))
        assert [each for each in addresses if "www.w3.org/2000/svg" not in each and not each.endswith("w3.org")] == []
    page = client.get("/").text
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert not re.search(r"<script(?![^>]*src=)", page)


@pytest.mark.parametrize(
    "path",
    ["/../service.py", "/%2e%2e/service.py", "/page.js/../../service.py", "/static/../../../etc/passwd",
     "/..%5cservice.py", "/index.html", "//etc/passwd", "/page.css%00.html"],
)  # fmt: skip
def test_no_path_reaches_the_file_system(client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a request opens a file")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("io.open", refuse)
    monkeypatch.setattr("os.open", refuse)
    assert client.get(path).status_code == 404
    assert client.get("/").status_code == 200
    assert client.post("/api/answers", json=question()).status_code == 200


def test_files_become_text(client: TestClient) -> None:
    response = client.post("/api/text?kind=text", content="Märchen \N{PARTY POPPER}".encode())
    assert response.json() == {"text": "Märchen \N{PARTY POPPER}", "characters": 9, "pages": [], "notes": []}
    assert client.post("/api/text?kind=text", content=b"\xff\0").status_code == 422
    assert client.post("/api/text?kind=exe", content=b"a").status_code == 422
    assert client.post("/api/text", content=b"a").status_code == 422


@pytest.fixture
def slow_files(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Event]:
    """Files that are never read to their end; an event for each that has begun, set when it is given up."""
    begun: list[asyncio.Event] = []

    async def forever(content: bytes, kind: str, turn: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        async with turn():
            begun.append(asyncio.Event())
            gone = begun[-1]
            try:
                await asyncio.sleep(3_600)
            finally:
                gone.set()

    monkeypatch.setattr(asking, "file_to_text", forever)
    return begun


FILE: Final[dict[str, Any]] = {"path": "/api/text", "raw_path": b"/api/text", "query_string": b"kind=pdf"}


def whole(content: bytes) -> list[Message]:
    return [{"type": "http.request", "body": content, "more_body": False}]


def test_a_file_that_takes_too_long_is_504(answerer: Answerer, slow_files: list[asyncio.Event]) -> None:
    app = question_answering_app(answerer, "people", Limits(answer_s=0.05), BatchSettings())
    sent = asyncio.run(send_raw(app, whole(b"x"), 60.0, **FILE))
    assert sent[0]["status"] == 504
    assert "paste its text" in json.loads(sent[1]["body"])["fix"]
    assert slow_files[0].is_set()


def test_a_file_that_nobody_waits_for_is_given_up(
    answerer: Answerer, slow_files: list[asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_GONE_S", 0.01)
    app = question_answering_app(answerer, "people", Limits(), BatchSettings())
    messages = [*whole(b"x"), {"type": "http.disconnect"}]
    asyncio.run(asyncio.wait_for(send_raw(app, messages, 60.0, **FILE), 10))
    assert slow_files[0].is_set()


@pytest.mark.parametrize(
    ("limits", "content", "n_taken"),
    [(Limits(max_requests=8), b"x", 2), (Limits(max_bytes=100), b"x" * 30, 1), (Limits(max_requests=1), b"x", 1)],
)
def test_files_leave_room_for_questions(
    answerer: Answerer, slow_files: list[asyncio.Event], limits: Limits, content: bytes, n_taken: int
) -> None:
    app = question_answering_app(answerer, "people", limits, BatchSettings())

    async def ask() -> list[Message]:
        files = [asyncio.ensure_future(send_raw(app, whole(content), 60.0, **FILE)) for _ in range(n_taken)]
        while len(slow_files) < n_taken:
            await asyncio.sleep(0)
        refused = await send_raw(app, whole(content), 60.0, **FILE)
        for each in files:
            each.cancel()
        await asyncio.wait(files)
        taken_again = asyncio.ensure_future(send_raw(app, whole(content), 60.0, **FILE))
        while len(slow_files) == n_taken:
            await asyncio.sleep(0)
        taken_again.cancel()
        await asyncio.wait([taken_again])
        return refused

    refused = asyncio.run(asyncio.wait_for(ask(), 10))
    assert refused[0]["status"] == 503
    assert any(name == b"retry-after" for name, _ in refused[0]["headers"])


def test_health_and_metrics(client: TestClient) -> None:
    client.post("/api/answers", json=question())
    client.get("/no/such/path/with/a/secret")
    assert client.get("/healthz").json()["status"] == "ok"
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert re.search(r'distiltune_requests_total\{route="/api/answers",status="200"\} [1-9]', response.text)
    assert "distiltune_batch_tokens_bucket" in response.text
    assert "distiltune_queued_tokens 0.0" in response.text
    assert "distiltune_request_bytes_in_process 0.0" in response.text
    assert "secret" not in response.text


def test_nothing_of_a_request_is_logged_or_kept(
    people_model: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    own = Answerer(people_model, threads=1)
    with TestClient(question_answering_app(own, "x", LIMITS, BatchSettings()), base_url="http://localhost") as client:
        secret = {"questions": ["zqzq jxjx"], "documents": [{"text": "vkvk wpwp. " * 3_000, "name": "kpkp"}]}
        assert client.post("/api/answers", json=secret).status_code == 200
        assert client.post("/api/answers", json={**secret, "n_best": 0}).status_code == 422
        client.post("/api/text?kind=text", content=b"\xff\0vkvk")
    said = caplog.text + "".join(capfd.readouterr())
    for word in ("zqzq", "vkvk", "wpwp", "kpkp"):
        assert word not in said


def test_an_unexpected_error_tells_nothing_of_the_text(
    people_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    own = Answerer(people_model, threads=1)

    def fail(batch: object) -> None:
        raise ZeroDivisionError("a quotation from the document")

    monkeypatch.setattr(own.loaded.model, "forward", fail)
    app = question_answering_app(own, "x", LIMITS, BatchSettings())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        response = client.post("/api/answers", json=question())
        assert response.status_code == 500
        assert "quotation" not in response.text + caplog.text
        assert "ZeroDivisionError" in caplog.text


def test_the_description_is_complete(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert {"/api/answers", "/api/answers/stream", "/api/text", "/api/model", "/healthz", "/metrics"} <= set(
        description["paths"]
    )
    for route in ("/api/answers", "/api/answers/stream", "/api/text"):
        assert {"200", "408", "413", "422", "503", "504"} <= set(description["paths"][route]["post"]["responses"])


def test_time_that_runs_out_leaves_the_best_so_far(people_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Answerer(people_model, threads=1)
    app = question_answering_app(own, "slow", Limits(answer_s=1.5), BatchSettings(max_batch_tokens=32))
    slow(app, monkeypatch, own, 0.2)
    text = ASKED[0].context + " " + " ".join(each.context for each in ASKED) * 8
    asked = {"questions": [ASKED[0].question], "documents": [{"text": text}], "passages": 0}
    with TestClient(app, base_url="http://localhost") as client:
        began = time.perf_counter()
        found = client.post("/api/answers", json=asked).json()
        assert time.perf_counter() - began < 1.5 + 1.0
        assert found["complete"] is False
        assert 0 < found["windows_read"] < found["windows"]
        (reply,) = found["replies"]
        assert 0 < reply["read_share"] < 1
        assert reply["candidates"]
        assert "Time ran out when" in reply["notes"][0]
        assert found["seconds_for_all"] > 1.5
        with client.stream("POST", "/api/answers/stream", json=asked) as streamed:
            *progress, last = [json.loads(line) for line in streamed.iter_lines()]
        assert (last["kind"], last["complete"]) == ("replies", False)
        assert any((line["seconds_left"] or 0) > 1 for line in progress)


def test_what_was_not_read_is_not_called_unanswerable(answerer: Answerer) -> None:
    documents = (Document("", ASKED[0].context),)
    prepared = answerer.prepare([ASKED[0].question, ASKED[1].question], documents)
    n = len(prepared.features)
    with torch.inference_mode():
        first = answerer.loaded.model(prepared.features.features.batch(np.array([0]))).numpy()
    read, unread = answerer.replies(prepared, [first, *[None] * (n - 1)])
    assert read.candidates
    assert (unread.answer, unread.candidates, unread.read_share, unread.no_answer_confidence) == (None, (), 0.0, 0.0)
    assert "before anything was read" in unread.notes[0]


def test_replies_to_what_was_read_whole_are_as_they_were(answerer: Answerer) -> None:
    document = Document("", " ".join(each.context for each in ASKED))
    prepared = answerer.prepare([ASKED[0].question], [document])
    features = prepared.features.features
    with torch.inference_mode():
        logits = [answerer.loaded.model(features.batch(np.array([i]))).numpy() for i in range(len(features))]
    (whole,) = answerer.replies(prepared, logits)
    assert whole.read_share == 1.0
    assert whole.notes == (ALWAYS_ANSWERS,)
    assert whole.text == answerer(ASKED[0].question, document.text).text
    (half,) = answerer.replies(prepared, [*logits[: len(logits) // 2], *[None] * (len(logits) - len(logits) // 2)])
    assert half.read_share == pytest.approx(0.5, abs=0.1)


def test_answers_name_document_and_page(client: TestClient) -> None:
    text = "\n\n".join(ASKED[number].context for number in (5, 0, 9))
    starts = [0, len(ASKED[5].context) + 2, len(ASKED[5].context) + len(ASKED[0].context) + 4]
    documents = [{"text": ASKED[3].context, "name": "a"}, {"text": text, "name": "b", "pages": starts}]
    response = client.post("/api/answers", json={"questions": [ASKED[0].question], "documents": documents})
    for found in response.json()["replies"][0]["candidates"]:
        if found["document_name"] == "a":
            assert found["page"] is None
        else:
            assert found["page"] == [i for i, start in enumerate(starts, 1) if start <= found["start"]][-1]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_question_in_the_form_of_hugging_face_is_answered_in_it(client: TestClient, wrapped: bool) -> None:
    body: dict[str, Any] = {"question": ASKED[0].question, "context": ASKED[0].context}
    found = client.post("/api/answers", json={"inputs": body, "parameters": {}} if wrapped else body).json()
    ours = client.post("/api/answers", json=question()).json()["replies"][0]["answer"]
    assert found == {
        "answer": ours["text"],
        "score": pytest.approx(ours["confidence"], abs=1e-5),
        "start": ours["start"],
        "end": ours["end"],
    }


def test_an_answer_in_the_form_of_hugging_face_is_empty_where_there_is_none(people_model: Path) -> None:
    never = Answerer(people_model, threads=1, null_threshold=-1e9)
    with TestClient(question_answering_app(never, "n", LIMITS, BatchSettings()), base_url="http://localhost") as it:
        found = it.post("/api/answers", json={"question": "who?", "context": ASKED[0].context}).json()
    assert (found["answer"], found["start"], found["end"]) == ("", 0, 0)


def test_the_client_of_hugging_face_is_answered(people_model: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    running = serve_in_thread(question_answering_app(Answerer(people_model, threads=1), "x", LIMITS, BatchSettings()))
    try:
        asked = hub.InferenceClient(model=f"{running.url}/api/answers")
        found = asked.question_answering(question=ASKED[0].question, context=ASKED[0].context)
    finally:
        running.stop()
    found = found[0] if isinstance(found, list) else found
    assert ASKED[0].context[found.start : found.end] == found.answer


@pytest.mark.parametrize(
    ("body", "where"),
    [({"question": "a"}, "body.context"), ({"context": "a"}, "body.question"), ({"inputs": 3}, "body")],
    ids=["no context", "no question", "no object"],
)
def test_what_is_wrong_with_a_body_of_hugging_face(client: TestClient, body: Any, where: str) -> None:
    response = client.post("/api/answers", json=body)
    assert (response.status_code, response.json()["where"]) == (422, where)


@pytest.mark.parametrize("route", ["/api/answers", "/api/answers/stream"])
@pytest.mark.parametrize("given", ["", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_a_body_that_is_not_said_to_be_json_gets_the_header_to_send(client: TestClient, route: str, given: str) -> None:
    headers = {"Content-Type": given} if given else {}
    response = client.post(route, content=json.dumps(question()).encode(), headers=headers)
    assert response.status_code == 415
    assert "Content-Type: application/json" in response.json()["fix"]
    for kind in ("application/json; charset=utf-8", "application/ld+json"):
        assert client.post("/api/answers", content=json.dumps(question()), headers={"Content-Type": kind}).is_success


def test_a_file_in_a_form_is_told_how_to_be_sent(client: TestClient) -> None:
    response = client.post("/api/text?kind=text", files={"file": b"x"})
    assert response.status_code == 415
    assert "--data-binary" in response.json()["fix"]


def test_every_refusal_says_where_and_what_to_do(client: TestClient) -> None:
    refused = [
        client.post("/api/answers", json={}),
        client.post("/api/answers", content=b"{", headers={"Content-Type": "application/json"}),
        client.post("/api/answers", content=b"{}"),
        client.post("/api/answers", content=b" " * 300_001),
        client.post("/api/answers", json={**question(), "questions": ["\ud7ff"], "documents": [{"text": " "}]}),
        client.post("/api/answers", json=question(), headers={"Origin": "http://evil.example"}),
        client.post("/api/text?kind=pdf", content=b"no pdf"),
        client.post("/api/text?kind=text", content=b"\xff\0"),
        client.post("/api/text?kind=exe", content=b""),
        client.get("/nothing/there"),
        client.get("/api/answers"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post(
            "/api/answers", json={"questions": ["who?"] * 32, "documents": [{"text": "word " * 50_000}], "passages": 0}
        ),
    ]
    for response in refused:
        assert 400 <= response.status_code < 500
        assert all(response.json()[part] for part in ("what", "where", "fix")), response.text
        assert not re.search(r"valid dictionary|Input should|Field required|Extra inputs", response.text)


def test_what_is_said_of_the_model(client: TestClient) -> None:
    about = client.get("/api/model").json()
    assert (about["task"], about["labels"], about["can_decline"]) == ("question-answering", [], False)
    assert about["version"] == __version__
    assert about["file_kinds"][".docx"] == "docx"


def test_the_reference_is_a_page_of_its_own(client: TestClient) -> None:
    page = client.get("/docs").text
    for part in ("POST /api/answers", "n_best", "read_share", "curl URL/api/answers", "Retry-After", "openapi.json"):
        assert part in page
    assert "<script" not in page
    assert "style=" not in page
    assert re.findall(r"(?:src|href)=\"(?!page.css|icon.svg|openapi.json|\./)", page) == []


def test_metrics_of_the_process_and_of_the_model(client: TestClient) -> None:
    said = client.get("/metrics").text
    assert "process_resident_memory_bytes" in said
    assert "process_open_fds" in said
    assert 'distiltune_model_info{model="people",path="/",task="question-answering"} 1.0' in said
    assert f'distiltune_build_info{{version="{__version__}"}} 1.0' in said
    assert client.get("/readyz").json()["status"] == "ready"


def test_files_that_would_wait_too_long_are_refused(answerer: Answerer, slow_files: list[asyncio.Event]) -> None:
    """Six files come at once, two are parsed at a time, and none ends: four wait a third of the time, no longer."""
    small = question_answering_app(answerer, "people", Limits(answer_s=0.6), BatchSettings())

    async def all_at_once() -> list[list[Message]]:
        return await asyncio.gather(*(send_raw(small, whole(b"x"), 60.0, **FILE) for _ in range(6)))

    began = time.perf_counter()
    statuses = sorted(sent[0]["status"] for sent in asyncio.run(all_at_once()))
    assert statuses == [503, 503, 503, 503, 504, 504]
    assert time.perf_counter() - began < 5


def test_a_key_is_wanted_where_there_is_one(answerer: Answerer) -> None:
    app = question_answering_app(answerer, "people", Limits(access=Access(api_key="sesame")), BatchSettings())
    with TestClient(app, base_url="http://localhost") as client:
        refused = client.post("/api/answers", json=question())
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/").status_code == client.get("/healthz").status_code == 200
        client.headers["Authorization"] = "Bearer sesame"
        assert client.post("/api/answers", json=question()).status_code == 200


def test_whose_turn_does_not_come_is_refused_and_not_failed(
    people_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pace is not known, so all are taken; the model is too slow for the last."""
    own = Answerer(people_model, threads=1)
    app = question_answering_app(own, "slow", Limits(answer_s=6.0), BatchSettings(max_batch_tokens=1))
    slow(app, monkeypatch, own, 2.4)  # long enough that a busy machine does not matter
    with TestClient(app, base_url="http://localhost") as client, ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda i: client.post("/api/answers", json=question(i)), range(6)))
    assert {response.status_code for response in responses} <= {200, 503, 504}
    refused = [response for response in responses if response.status_code == 503]
    assert refused
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
    assert [response.status_code for response in responses].count(504) <= 2  # which had begun
