"""`distiltune label` as a process: it serves, is killed, and goes on where it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")


class LabelServer:
    """`distiltune label` in a process, on a port that is free."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "distiltune", "label", *map(str, arguments), "--port", "0", "--threads", "1"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.said = ""
        while "http://" not in (line := self.process.stdout.readline()):
            assert line, self.said
            self.said += line
        found = re.search(r"(http://\S+)/#key=(\S+)", line)
        assert found
        self.page = found.group()
        self.url, self.key = found.groups()

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def label_next(self, answer: Any) -> None:
        item = self.ask(f"/api/items/{self.ask('/api/next', {})['key']}")
        self.ask(f"/api/items/{item['key']}", {"revision": item["revision"], "answer": answer})

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_another_account_of_the_machine_gets_no_text(tmp_path: Path) -> None:
    texts = tmp_path / "letters.csv"
    texts.write_text("text\nprivate one\nprivate two\n", encoding="utf-8")
    server = LabelServer(texts, "--task", "text-classification", "--labels", "a,b", "--output", tmp_path / "mine.jsonl")
    assert [each["text"] for each in server.ask("/api/items")] == ["private one", "private two"]
    for path in ("/api/items", "/api/label", "/api/progress", "/docs", "/openapi.json"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + path, timeout=20)
        assert refused.value.code == 401
    with urllib.request.urlopen(server.url, timeout=20) as page:
        assert b"private" not in page.read()
    server.kill()


def test_killed_and_started_again_nothing_is_lost(tmp_path: Path) -> None:
    texts = tmp_path / "letters.csv"
    texts.write_text("text\n" + "".join(f"letter number {i}\n" for i in range(9)), encoding="utf-8")
    arguments = (texts, "--task", "text-classification", "--labels", "a,b", "--output", tmp_path / "mine.jsonl")
    server = LabelServer(*arguments, "--retrain-every", "0", "--order", "random")
    assert server.url.startswith("http://127.0.0.1:")
    for i in range(3):
        server.label_next({"labels": ["ab"[i % 2]]})
    server.kill()
    server = LabelServer(*arguments, "--retrain-every", "0", "--order", "random")
    assert "9 texts, 3 of them labelled" in server.said
    server.label_next({"labels": ["b"]})
    server.process.terminate()
    assert server.process.wait(30) == 0
    rows = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["label"] for row in rows] == ["a", "b", "a", "b"]
    assert not (tmp_path / "mine.labelling" / ".lock").exists()
