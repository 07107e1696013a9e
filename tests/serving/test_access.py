"""Who may ask: names, pages of other sites, keys, metrics."""

from __future__ import annotations

from typing import Any

import pytest

from distiltune.serving.access import Access, is_loopback


def status(access: Access, path: str = "/api/answers", method: str = "POST", **headers: str) -> int:
    """What the request is refused with; 0 if it is not."""
    scope: dict[str, Any] = {"path": path, "method": method, "client": ("10.0.0.5", 1)}
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in {"host": "here", **headers}.items()}
    refusal = access.refusal(scope, sent)
    if refusal is None:
        return 0
    assert refusal.what
    assert refusal.where
    assert refusal.fix
    return refusal.status


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),  # a program
        ({"sec_fetch_site": "same-origin"}, 0),
        ({"sec_fetch_site": "none"}, 0),
        ({"sec_fetch_site": "same-site"}, 403),  # such as another port of localhost
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"origin": "http://here"}, 0),
        ({"origin": "https://here:443"}, 0),
        ({"origin": "HTTP://HERE", "host": "Here:80"}, 0),
        ({"origin": "http://here:8000", "host": "here:8000"}, 0),
        ({"origin": "http://here:8001", "host": "here:8000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example", "sec_fetch_site": "same-origin"}, 403),
    ],
    ids=str,
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], expected: int) -> None:
    assert status(Access(), **headers) == expected
    assert status(Access(), path="/api/text", **headers) == expected
    assert status(Access(), method="GET", path="/api/model", **headers) == 0  # such an answer no other page can read


@pytest.mark.parametrize(
    "path", ["/api/answers", "/api/model", "/qa/api/model", "/metrics", "/openapi.json", "/qa/docs"]
)
def test_a_key_guards_the_api(path: str) -> None:
    access = Access(api_key="kök")
    assert status(access, path, "GET") == 401
    assert status(access, path, "GET", authorization="Bearer wrong") == 401
    assert status(access, path, "GET", authorization="Basic kök") == 401
    assert status(access, path, "GET", authorization="bearer kök") == 0


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/page.js", "/qa/", "/qa/healthz"])
def test_page_and_health_need_no_key(path: str) -> None:
    assert status(Access(api_key="k"), path, "GET") == 0


def test_a_key_is_not_shown() -> None:
    assert "sesame" not in repr(Access(api_key="sesame"))


def test_metrics_may_be_kept_on_the_machine() -> None:
    access = Access(metrics_on_loopback=True)
    assert status(access, "/metrics", "GET") == 403
    assert status(access, "/api/model", "GET") == 0
    assert access.refusal({"path": "/metrics", "method": "GET", "client": ("127.0.0.1", 9)}, {}) is None


def test_what_is_this_machine() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example")] == [False] * 4
