"""The API against its own OpenAPI description: schemathesis makes requests up, of the kinds described and others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("schemathesis", reason="needs the extra `dev`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

import schemathesis
from hypothesis import HealthCheck, given, settings

from distiltune.serving.batching import BatchSettings
from distiltune.serving.gate import Limits
from distiltune.tasks.question_answering.answerer import Answerer
from distiltune.tasks.question_answering.serve.service import question_answering_app
from tests.serving.in_thread import serve_in_thread


@pytest.fixture(scope="module")
def description(people_model: Path) -> Iterator[Any]:
    limits = Limits(max_body_bytes=100_000, answer_s=20.0)
    app = question_answering_app(Answerer(people_model, threads=1), "fuzzed", limits, BatchSettings())
    running = serve_in_thread(app)
    yield schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    running.stop()


OPERATIONS = (
    *(("POST", path) for path in ("/api/answers", "/api/answers/stream", "/api/text")),
    *(("GET", path) for path in ("/api/model", "/healthz", "/readyz", "/metrics")),
)


@pytest.mark.parametrize(
    ("method", "path", "mode"),
    [(*each, mode) for each in OPERATIONS for mode in ("positive", "negative") if each[0] == "POST" or mode[0] == "p"],
)
def test_no_request_breaks_it(description: Any, method: str, path: str, mode: str) -> None:
    """No 5xx, no undocumented status or content, no answer that differs from its description."""
    operation = description[path][method]
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))
    # Whether bytes are a PDF, no description can say.
    not_checked = [schemathesis.checks.positive_data_acceptance] if path == "/api/text" else []
    n = 5 if method == "GET" else 12 if path == "/api/text" else 40  # HTML and PDF cost a process each

    @settings(max_examples=n, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=strategy)
    def run(case: Any) -> None:
        case.call_and_validate(timeout=30, excluded_checks=not_checked)

    run()


def test_all_operations_are_tried(description: Any) -> None:
    assert {(each.ok().method.upper(), each.ok().path) for each in description.get_all_operations()} == set(OPERATIONS)
