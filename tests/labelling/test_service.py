"""The API of labelling, and the attacks on a page that writes: foreign names, other sites, paths, HTML in texts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx", reason="needs the extra `dev`")

from fastapi.testclient import TestClient

from distiltune.labelling.retraining import How, Retraining
from distiltune.labelling.service import LabelSite, Room, label_app
from distiltune.labelling.thinking import Thinking
from distiltune.serving.access import Access
from distiltune.serving.gate import Limits
from distiltune.serving.listening import served_names
from tests.labelling.desks import desk_of

TEXTS = [
    "Ada \N{GRINNING FACE} went.\r\nHome!",
    "cafe\u0301 <script>alert(1)</script> </title>",
    *(f"text {i}" for i in range(20)),
]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    desk = desk_of(TEXTS, tmp_path)
    how = How(0, lambda train, validation, run: [], lambda run: None, lambda run: run)
    thinking = Thinking(desk, None, 5)
    made = Room(desk, thinking, Retraining(desk, tmp_path, how, lambda model, n: None))
    thinking.start()
    yield made
    made.close()


@pytest.fixture
def client(room: Room) -> TestClient:
    site = LabelSite(label_app(room), Limits(max_body_bytes=5_000, access=Access(served_names("127.0.0.1", ()))))
    return TestClient(site, base_url="http://127.0.0.1:8000")


def first(client: TestClient) -> dict[str, Any]:
    key = client.post("/api/next", json={}).json()["key"]
    found: dict[str, Any] = client.get(f"/api/items/{key}").json()
    return found


def test_a_text_is_got_labelled_and_counted(client: TestClient, room: Room) -> None:
    item = first(client)
    assert item["text"] == TEXTS[0], "carriage returns and all"
    assert item["words"][:6] == [0, 3, 4, 5, 6, 10], "in code points"
    reply = client.post(
        f"/api/items/{item['key']}", json={"revision": item["revision"], "answer": {"start": 4, "end": 5}}
    )
    assert reply.status_code == 200
    again = client.get(f"/api/items/{item['key']}").json()
    assert (again["answer"], again["revision"]) == ({"start": 4, "end": 5}, reply.json()["revision"])
    assert client.get("/api/progress").json()["counts"]["labelled"] == 1
    assert client.post("/api/next", json={}).json()["key"] == item["after"]
    states = [each["state"] for each in client.get("/api/items?n=2").json()]
    assert states == ["labelled", ""]


def test_a_second_window_is_told_and_overwrites_nothing(client: TestClient) -> None:
    item = first(client)
    path = f"/api/items/{item['key']}"
    client.post(path, json={"revision": item["revision"], "answer": {"start": 0, "end": 3}})
    reply = client.post(path, json={"revision": item["revision"], "answer": {"start": 4, "end": 5}})
    assert reply.status_code == 409
    assert "Another window" in reply.json()["what"]
    assert client.get(path).json()["answer"] == {"start": 0, "end": 3}


def test_a_window_is_told_what_others_have_open_and_gives_its_own_back(client: TestClient) -> None:
    for i in range(len(TEXTS)):
        assert client.post("/api/next", json={"window": f"w{i}"}).json()["held"] == i
    assert client.post("/api/next", json={"window": "late"}).json() == {"key": None, "held": len(TEXTS)}
    assert client.post("/api/hold", json={"window": "w3"}).status_code == 204
    assert client.post("/api/next", json={"window": "late"}).json()["key"] is not None
    assert client.post("/api/hold", json={"window": "w4", "key": "nothing"}).status_code == 422


def test_without_a_model_there_is_no_suggestion_and_with_one_there_is(client: TestClient, room: Room) -> None:
    item = first(client)
    path = f"/api/items/{item['key']}/suggestion"
    assert client.post(path, json={}).json() == {"suggestion": None, "model": None}
    room.desk.choice.order = "doubt"
    room.thinking.use("anything", "trained on 9 labels", 9)
    until = time.monotonic() + 20
    while not room.desk.choice.doubts:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert client.post(path, json={}).json()["suggestion"] == {"start": 0, "end": 3}
    assert client.get("/api/progress").json()["suggestions"]["model"] == {"name": "trained on 9 labels", "labels": 9}
    validation = {item.key for item in room.desk.items.values() if item.for_validation}
    assert not validation & room.desk.choice.doubts.keys(), "what is kept for validation is not looked at"


def test_a_model_that_cannot_be_loaded_is_told(client: TestClient, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no such thing")

    room.thinking._jobs.put(broken)
    until = time.monotonic() + 20
    while not (said := client.get("/api/progress").json()["suggestions"]["problem"]):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert "no such thing" in said


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8000"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_other_sites_write_nothing(client: TestClient, room: Room, headers: dict[str, str], status: int) -> None:
    item = next(iter(room.desk.items))
    body = b'{"revision": "0", "answer": {"start": 0, "end": 1}}'
    given = {"content-type": "application/json", **headers}
    for path in (f"/api/items/{item}", "/api/labels", "/api/training", "/api/next", "/api/hold"):
        assert client.post(path, content=body, headers=given).status_code == status
    assert room.desk.counts().labelled == 0
    assert room.desk.kept.path.read_bytes() == b""


@pytest.mark.parametrize(
    "path",
    [
        *("/api/items/..%2f..%2fetc%2fpasswd", "/api/items/nothing", "/..%2f..%2fetc/passwd", "/mine.jsonl"),
        *("/static/label.js", "/api/items/../../label.js/x", "/index.html%00"),
    ],
)
def test_no_path_reaches_the_file_system(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code in (404, 422)
    assert "root:" not in reply.text
    assert {"what", "where", "fix"} == reply.json().keys()


def test_the_page_says_what_it_may_do_and_nothing_of_a_text_is_in_it(client: TestClient) -> None:
    reply = client.get("/")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "alert(1)" not in reply.text
    for name in ("label.js", "reading.js", "task.js", "label.css", "page.css", "common.js", "colours.css"):
        assert client.get(f"/{name}").status_code == 200, name
    listed = client.get("/api/items?n=5")
    assert listed.headers["content-type"] == "application/json"
    assert listed.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"answer": {"start": 0, "end": 1}}, 422),
        ({"revision": "0", "answer": {"start": 0, "end": 999}}, 422),
        ({"revision": "0", "answer": {"start": "0", "end": 1}}, 422),
        ({"revision": "0", "answer": {"start": 0, "end": 1}, "path": "/etc/passwd"}, 422),
        ({"revision": "0", "aside": "elsewhere"}, 422),
        ({"revision": "0", "answer": {"start": 0, "end": 1}, "window": "w" * 9_000}, 413),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(client: TestClient, body: dict[str, Any], status: int) -> None:
    key = first(client)["key"]
    reply = client.post(f"/api/items/{key}", json=body)
    assert reply.status_code == status
    assert reply.json()["fix"]
    assert client.get("/api/progress").json()["counts"]["labelled"] == 0


def test_a_label_is_added_once(client: TestClient) -> None:
    for _ in range(2):
        assert client.post("/api/labels", json={"name": " new one "}).json() == {"labels": ["new one"]}
    assert client.post("/api/labels", json={"name": "  "}).status_code == 422


def test_the_api_describes_itself(client: TestClient) -> None:
    assert "/api/items/{key}" in client.get("/openapi.json").json()["paths"]
    assert client.get("/docs").status_code == 200
