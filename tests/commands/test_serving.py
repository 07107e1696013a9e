"""`distiltune serve` as it is started: names, who may ask, environment variables, JSON logs."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra `serve`")

import distiltune
from distiltune.commands import serving
from distiltune.commands.app import app
from distiltune.errors import DistiltuneError, RecipeError
from distiltune.python import serve as python_serve
from distiltune.python.serve import ServingAccess, ServingLimits

Started = list[tuple[dict[str, str], tuple[str, int], ServingLimits, ServingAccess, dict[str, Any]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would be served."""
    found: Started = []

    def serve(models: Any, address: Any, limits: Any, access: Any, note: Any, settings: Any) -> None:
        found.append((models, address, limits, access, settings))
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
    ((models, address, limits, access, settings),) = started
    assert models == {"": "runs/a"}
    assert address == ("0.0.0.0", 9)
    assert limits.answer_seconds == 7.5
    assert access == ServingAccess(("one", "two"), "sesame", False, True)
    assert settings == {"threads": 2}
    assert serve("runs/b", "--port", "10", env=env)[0] == 0  # what is said wins
    assert started[1][:2] == ({"": "runs/b"}, ("0.0.0.0", 10))


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
