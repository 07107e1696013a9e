"""The files of docs/deploy name flags that there are, and times that fit together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from distiltune.commands.app import app
from distiltune.commands.serving import unknown_variables

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
FILES = sorted(path.name for path in DEPLOY.iterdir())


def flags() -> list[str]:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    return [each.name for each in command.params]


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_a_flag(name: str) -> None:
    named = set(re.findall(r"DISTILTUNE_SERVE_[A-Z_]+", (DEPLOY / name).read_text(encoding="utf-8")))
    assert unknown_variables(named, flags()) == []


def test_what_stops_it_waits_until_answers_are_given() -> None:
    """Five seconds more than the longest answer of 60 s, which is what the server takes at most to stop."""
    assert "TimeoutStopSec=70" in (DEPLOY / "distiltune.service").read_text(encoding="utf-8")
    assert "stop_grace_period: 70s" in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert "proxy_read_timeout 70s" in (DEPLOY / "nginx.conf").read_text(encoding="utf-8")


def test_caddy_keeps_the_metrics_to_itself() -> None:
    """Seen in Caddy 2.6: outside of a `handle`, `respond` is sorted behind `handle_path`, which answers first."""
    lines = (DEPLOY / "Caddyfile").read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("\thandle /tools/ask/metrics {") + 1].strip() == "respond 403"
    if shutil.which("caddy") is None:
        return
    command = ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.index('"status_code":403') < done.stdout.index('"reverse_proxy"')


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd")
    unit = (
        (DEPLOY / "distiltune.service").read_text(encoding="utf-8").replace("/opt/distiltune/bin/distiltune", "/bin/sh")
    )
    (tmp_path / "distiltune.service").write_text(unit, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "distiltune.service")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "distiltune.service" not in done.stderr, done.stderr
