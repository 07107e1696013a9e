"""The API over ASGI: answers, limits, errors in one form, headers; nothing of a request is kept or logged."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

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
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.helpers import people

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


def test_names_that_a_server_answers_by() -> None:
    assert served_names("0.0.0.0", ()) == ()
    assert "Lab".lower() in served_names("0.0.0.0", ("Lab",))
    assert "localhost" in served_names("127.0.0.1", ("lab",))


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
    assert response.json() == {"text": "Märchen \N{PARTY POPPER}", "characters": 9}
    assert client.post("/api/text?kind=text", content=b"\xff").status_code == 422
    assert client.post("/api/text?kind=exe", content=b"a").status_code == 422
    assert client.post("/api/text", content=b"a").status_code == 422


@pytest.fixture
def slow_files(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Event]:
    """Files that are never read to their end; an event for each that has begun, set when it is given up."""
    begun: list[asyncio.Event] = []

    async def forever(content: bytes, kind: str, turn: object) -> None:
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
        client.post("/api/text?kind=text", content=b"\xffvkvk")
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
