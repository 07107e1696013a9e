"""Several models in one server, and models exchanged under way."""

from __future__ import annotations

import html.parser
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("httpx", reason="needs the extra `dev`")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from distiltune.errors import RecipeError
from distiltune.serving.batching import BatchSettings
from distiltune.serving.gate import Limits
from distiltune.serving.site import TAKEN_NAMES, Site, check_paths
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.serve.service import model_app
from tests.helpers import people

ASKED = people().examples
LIMITS = Limits()


def made(model: Path, name: str, **settings: Any) -> FastAPI:
    return model_app(Answerer(model, threads=1, **settings), name, LIMITS, BatchSettings())


def question(number: int = 0) -> dict[str, Any]:
    return {"questions": [ASKED[number].question], "documents": [{"text": ASKED[number].context}]}


@pytest.fixture(scope="module")
def client(people_model: Path) -> Iterator[TestClient]:
    site = Site({"qa": made(people_model, "qa"), "shy": made(people_model, "shy", null_threshold=-1e9)}, LIMITS)
    with TestClient(site, base_url="http://localhost") as client:
        yield client


def test_each_model_is_below_its_name(client: TestClient) -> None:
    assert client.get("/api/models").json() == [{"name": "qa", "path": "/qa/"}, {"name": "shy", "path": "/shy/"}]
    assert client.post("/qa/api/answers", json=question()).json()["replies"][0]["answer"]
    assert client.post("/shy/api/answers", json=question()).json()["replies"][0]["answer"] is None
    assert client.get("/shy/api/model").json()["can_decline"] is True
    assert client.post("/api/answers", json=question()).status_code == 404
    assert client.get("/other/api/model").status_code == 404
    assert "/api/answers" in client.get("/qa/openapi.json").json()["paths"]


def test_health_readiness_and_metrics_are_above_them(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["status"] == "ready"
    client.post("/qa/api/answers", json=question())
    said = client.get("/metrics").text
    assert 'distiltune_requests_total{route="/qa/api/answers",status="200"}' in said
    assert 'distiltune_model_info{model="shy",path="/shy",task="question-answering"} 1.0' in said


def test_the_page_above_them_leads_to_each(client: TestClient) -> None:
    page = client.get("/").text
    assert '<a href="qa/">qa</a>' in page
    assert '<a href="shy/">shy</a>' in page
    response = client.get("/qa", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (307, "qa/")


class Links(html.parser.HTMLParser):
    """The addresses that a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value and value[0] != "#"]


@pytest.mark.parametrize("path", ["/", "/qa/", "/qa/docs"])
def test_everything_is_found_behind_a_proxy_that_takes_a_part_of_the_path_off(client: TestClient, path: str) -> None:
    """As nginx and Caddy do in docs/how-to/serve-for-others.md: `/tools/ask/qa/…` outside is `/qa/…` here."""
    outside = "/tools/ask"
    links = Links()
    links.feed(client.get(path).text)
    assert links.found
    for link in links.found:
        there = urljoin(f"http://localhost{outside}{path}", link)
        assert there.startswith(f"http://localhost{outside}/")
        assert client.get(there.replace(outside, "", 1)).status_code == 200, link


def test_models_are_exchanged_without_a_lost_request(people_model: Path) -> None:
    """Clients ask all the time; those that began with the old model are answered by it."""
    site = Site({"": made(people_model, "old")}, LIMITS)
    old = site._current.batchers[0]
    statuses: list[int] = []
    names: list[str] = []
    stop = threading.Event()
    with TestClient(site, base_url="http://localhost") as client:

        def ask(number: int) -> None:
            while not stop.is_set():
                response = client.post("/api/answers", json=question(number))
                statuses.append(response.status_code)
                assert response.json()["replies"][0]["question"] == ASKED[number].question

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for name in ("new", "newer"):
            site.exchange({"": made(people_model, name)})
            names.append(client.get("/api/model").json()["name"])
            time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join(10)
        assert 'model="newer"' in client.get("/metrics").text
        assert 'model="old"' not in client.get("/metrics").text
    assert set(statuses) == {200}
    assert len(statuses) > 8
    assert names == ["new", "newer"]
    assert not old.is_alive


def test_a_server_whose_threads_are_gone_is_alive_and_not_ready(people_model: Path) -> None:
    site = Site({"": made(people_model, "x")}, LIMITS)
    with TestClient(site, base_url="http://localhost") as client:
        assert client.get("/readyz").status_code == 200
        site._current.batchers[0].close()
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("names", [[], ["a", ""], ["A"], ["a/b"], ["-a"], *([name] for name in TAKEN_NAMES)], ids=str)
def test_names_that_cannot_be_paths(names: list[str]) -> None:
    with pytest.raises(RecipeError):
        check_paths(names)


def test_names_that_can() -> None:
    check_paths([""])
    check_paths(["qa"])
    check_paths(["qa", "mood-2"])
